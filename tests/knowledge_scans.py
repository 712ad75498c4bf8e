"""Pictures of texts, and PDF pages that are nothing else."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from gptagent.adapters.tesseract.port import Tesseract

_FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")

LATIN = ["Delivery takes three days.", "Returns within 14 days."]
RUSSIAN = ["Доставка занимает три дня.", "Возврат в течение 14 дней."]


def picture(lines: Sequence[str], *, mode: str = "RGB", kind: str = "PNG") -> bytes:
    """A picture of these lines; kinds as Pillow names them."""
    if not all(line.isascii() for line in lines) and not _FONT.exists():
        pytest.skip("no font with Cyrillic letters: fonts-dejavu-core")
    font = ImageFont.truetype(_FONT, 40) if _FONT.exists() else ImageFont.load_default(40)
    made = Image.new("RGB", (1_000, 80 * len(lines) + 80), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(made).text((60, 40 + 80 * number), line, font=font, fill="black")
    out = io.BytesIO()
    made.convert(mode).save(out, kind)
    return out.getvalue()


def scanned(pages: Sequence[Sequence[str]], *, texts: Sequence[str] = ()) -> bytes:
    """A PDF whose pages are pictures of these lines, those with `texts` as text before them."""
    made = FPDF()
    made.set_font("Helvetica", size=12)
    for text in texts:
        made.add_page()
        made.multi_cell(0, 8, text)
    for lines in pages:
        made.add_page()
        made.image(io.BytesIO(picture(lines)), x=10, y=10, w=190)
    return bytes(made.output())


async def installed() -> Tesseract:
    """The real recogniser; a contributor's machine may do without, continuous integration installs it."""
    found = Tesseract()
    if not await found.is_ready():
        pytest.skip("no tesseract: apt-get install tesseract-ocr tesseract-ocr-rus")
    return found
