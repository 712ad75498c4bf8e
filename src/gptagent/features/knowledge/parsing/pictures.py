"""Pages and pictures to what a recogniser is given: grey pixels of our own, whatever was in the file."""

import io
from typing import BinaryIO

import pypdfium2 as pdfium
from PIL import Image, ImageOps

from gptagent.features.knowledge.parsing.limits import PAGES_MAX, PICTURE_MAX_PIXELS, SHEET_MAX_PIXELS
from gptagent.features.knowledge.parsing.result import ParseFailed

_DOTS = 300 / 72  # per inch, of PDF's unit: what recognisers are trained on
_SMALL = 1_600  # a picture of a screen has letters of too few pixels
_KINDS = ("PNG", "JPEG", "WEBP", "TIFF")


def draw_page(document: pdfium.PdfDocument, number: int) -> bytes:
    """Return page `number` (from 1) as a portable graymap."""
    page = document[number - 1]
    width, height = page.get_size()
    scale = min(_DOTS, (SHEET_MAX_PIXELS / max(width * height, 1)) ** 0.5)
    picture = page.render(scale=scale, grayscale=True).to_pil()
    return _graymap(picture)


def open_picture(file: BinaryIO) -> Image.Image:
    """Raises ParseFailed for a damaged picture, one of another kind, of too many pixels or frames."""
    Image.MAX_IMAGE_PIXELS = None  # judged here, before a pixel is unpacked
    try:
        picture = Image.open(file, formats=_KINDS)
        frames = getattr(picture, "n_frames", 1)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ParseFailed("damaged") from error
    if picture.width * picture.height > PICTURE_MAX_PIXELS or frames > PAGES_MAX:
        raise ParseFailed("too_complex")
    return picture


def draw_picture(picture: Image.Image, number: int) -> bytes:
    """Return frame `number` (from 1) as a portable graymap, upright, on white."""
    picture.seek(number - 1)
    if picture.width * picture.height > PICTURE_MAX_PIXELS:
        raise ParseFailed("too_complex")
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    grey = upright.convert("L")
    if max(grey.size) < _SMALL:
        grey = grey.resize((grey.width * 2, grey.height * 2))
    share = (SHEET_MAX_PIXELS / (grey.width * grey.height)) ** 0.5
    if share < 1:
        grey = grey.resize((max(1, int(grey.width * share)), max(1, int(grey.height * share))))
    return _graymap(grey)


def _graymap(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.convert("L").save(out, "PPM")
    return out.getvalue()
