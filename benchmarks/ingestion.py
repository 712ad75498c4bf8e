"""Reading of files in the limited child: megabytes of text a second of CPU and peak memory for each format.

`python benchmarks/ingestion.py`. Each file is made here, of distinct text, and read once after a first small
one; its text stays under what a document may hold. `pdf_50mb` is as large as an upload may be, most of it
pictures.
"""

import asyncio
import io
import os
import random
import resource
import sys
import tempfile
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from figures import show
from gptagent.features.knowledge.model import (
    CSV,
    DOCX,
    EML,
    FILE_MAX_BYTES,
    HTML,
    MARKDOWN,
    PDF,
    PPTX,
    TXT,
    XLSX,
)

WORDS = (
    "доставка", "возврат", "гарантия", "часы", "ремень", "казань", "договор", "оплата", "скидка", "склад",
    "заказ", "курьер", "цена", "срок",
)  # fmt: skip
CHARS = 2_000_000
MEGABYTE = 1_000_000


def sentences(chars: int = CHARS) -> list[str]:
    chosen = random.Random(7)
    made, size = [], 0
    while size < chars:
        made.append(" ".join(chosen.choices(WORDS, k=12)) + f" {len(made)}.")
        size += len(made[-1]) + 1
    return made


def archive(parts: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return out.getvalue()


def docx() -> bytes:
    import docx as word

    empty = io.BytesIO()
    word.Document().save(empty)
    source = zipfile.ZipFile(empty)
    parts = {name: source.read(name).decode("utf-8", errors="replace") for name in source.namelist()}
    text = "".join(f"<w:p><w:r><w:t>{one}</w:t></w:r></w:p>" for one in sentences())
    body = parts["word/document.xml"]
    parts["word/document.xml"] = body.replace("<w:body>", f"<w:body>{text}", 1)
    return archive(parts)


def xlsx() -> bytes:
    rows = "".join(
        f'<row><c t="inlineStr"><is><t>{one}</t></is></c><c><v>{n}</v></c></row>'
        for n, one in enumerate(sentences())
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return archive(
        {
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>'
            '<sheet name="A" r:id="a"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": '<R><Relationship Id="a" Target="worksheets/sheet1.xml"/></R>',
            "xl/worksheets/sheet1.xml": f'<sheet xmlns="{main}"><sheetData>{rows}</sheetData></sheet>',
        }
    )


def pptx() -> bytes:
    text = sentences()
    slides = [text[n : n + 10] for n in range(0, len(text), 10)]
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    ids = "".join(f'<sldId r:id="s{n}"/>' for n in range(len(slides)))
    targets = "".join(f'<Relationship Id="s{n}" Target="slides/{n}.xml"/>' for n in range(len(slides)))
    parts = {
        "ppt/presentation.xml": f'<show xmlns:r="{relation}">{ids}</show>',
        "ppt/_rels/presentation.xml.rels": f"<R>{targets}</R>",
    }
    for number, lines in enumerate(slides):
        paragraphs = "".join(f"<p><t>{line}</t></p>" for line in lines)
        parts[f"ppt/slides/{number}.xml"] = f"<sld><sp>{paragraphs}</sp></sld>"
    return archive(parts)


def eml() -> bytes:
    letter = EmailMessage()
    letter["Subject"] = "x"
    letter.set_content("\n".join(sentences()))
    return bytes(letter)


def pdf(size: int) -> bytes:
    """A PDF of 200 pages with text, filled up to this size by pictures of noise."""
    from fpdf import FPDF
    from PIL import Image

    made = FPDF()
    made.set_font("Helvetica", size=11)
    text = [f"Page text {n}: " + "delivery guarantee return price term " * 3 for n in range(200 * 15)]
    pictures = size // (1_000 * 1_000)
    for page in range(200):
        made.add_page()
        made.multi_cell(0, 6, "\n".join(text[page * 15 : page * 15 + 15]))
        if page < pictures:
            made.image(Image.frombytes("L", (1_000, 1_000), os.urandom(MEGABYTE)), x=10, y=200, w=50)
    return bytes(made.output())


def many(head: str, tail: str, wrap: str) -> bytes:
    return (head + "\n".join(wrap.format(one) for one in sentences()) + tail).encode()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "txt": (TXT, lambda: many("", "", "{}")),
    "md": (MARKDOWN, lambda: many("# A\n", "", "{}\n")),
    "html": (HTML, lambda: many("<html><body>", "</body></html>", "<p>{}</p>")),
    "csv": (CSV, lambda: many("Текст;Число\n", "", "{};5")),
    "eml": (EML, eml),
    "docx": (DOCX, docx),
    "xlsx": (XLSX, xlsx),
    "pptx": (PPTX, pptx),
    "pdf": (PDF, lambda: pdf(0)),
    "pdf_50mb": (PDF, lambda: pdf(FILE_MAX_BYTES - 2 * MEGABYTE)),
}


async def read(path: Path, mime: str) -> tuple[float, int, int]:
    """Return CPU seconds, peak memory and length of the answer in bytes; raises if the file was not read."""
    began = _spent()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "gptagent.features.knowledge.parsing.child", str(path), mime),
        stdout=asyncio.subprocess.PIPE,
        env={},
    )
    assert process.stdout is not None
    peak, answer = 0, bytearray()
    while block := await process.stdout.read(1 << 16):
        answer += block
        peak = max(peak, _peak(process.pid))
    await process.wait()
    if b'"failed"' in answer[:20] or process.returncode:
        raise RuntimeError(f"{path.name}: {bytes(answer[:80])!r}")
    return _spent() - began, peak, len(answer)


def _spent() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak(pid: int) -> int:
    """Return a process's highest resident memory so far; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        small.write_text("Первый.")
        start, _, _ = await read(small, TXT)
        show("ingestion_start_cpu_ms", "child", start * 1000, 0)
        for name, (mime, make) in FILES.items():
            path = Path(folder) / name
            path.write_bytes(make())
            seconds, peak, size = await read(path, mime)
            show("ingestion_text_mb_per_cpu_s", name, size / MEGABYTE / max(seconds - start, 0.01), 2)
            show("ingestion_file_mb", name, path.stat().st_size / MEGABYTE, 1)
            show("ingestion_peak_mb", name, peak / MEGABYTE, 0)


if __name__ == "__main__":
    asyncio.run(main())
