"""Small real files of every kind, made without a font of the machine."""

import io
import zipfile
from collections.abc import Sequence

import docx
from fpdf import FPDF

_TO_UNICODE = b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CMapName /Same def /CMapType 2 def 1 begincodespacerange <0000> <FFFF> endcodespacerange
1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end end"""

_TYPE0_FONT = b"""<</Type/Font/Subtype/Type0/BaseFont/Any/Encoding/Identity-H
/DescendantFonts[4 0 R]/ToUnicode 5 0 R>>"""
_CID_FONT = b"""<</Type/Font/Subtype/CIDFontType2/BaseFont/Any/DW 500
/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>"""


def pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF of these lines. Its font is named, not embedded: its codes are UTF-16 and can be extracted."""
    kids = " ".join(f"{6 + 2 * n} 0 R" for n in range(len(pages)))
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode(),
        _TYPE0_FONT,
        _CID_FONT,
        _stream(_TO_UNICODE),
    ]
    for number, lines in enumerate(pages):
        shown = " T* ".join(f"<{line.encode('utf-16-be').hex()}> Tj" for line in lines)
        bodies += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {7 + 2 * number} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>".encode(),
            _stream(f"BT /F 10 Tf 14 TL 40 800 Td {shown} ET".encode()),
        ]
    return _numbered(bodies)


def english_pdf(text: str, *, password: str = "") -> bytes:
    made = FPDF()
    made.add_page()
    made.set_font("Helvetica", size=12)
    made.multi_cell(0, 8, text)
    if password:
        made.set_encryption(owner_password="owner", user_password=password)
    return bytes(made.output())


def empty_pdf() -> bytes:
    return english_pdf(" ")


def word() -> bytes:
    made = docx.Document()
    made.add_heading("Доставка", level=1)
    made.add_paragraph("Доставка по Москве занимает один день.")
    made.add_heading("Стоимость", level=2)
    table = made.add_table(rows=2, cols=2)
    for row, texts in zip(table.rows, [("Город", "Цена"), ("Казань", "350 рублей")], strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    return _saved(made)


def word_bomb(megabytes: int, *, honest: bool) -> bytes:
    """A DOCX whose document unpacks to so much; a dishonest one's directory says it is small."""
    filler = b"<w:p><w:r><w:t>" + b"a" * 1_000_000 + b"</w:t></w:r></w:p>"
    source = zipfile.ZipFile(io.BytesIO(word()))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            if name != "word/document.xml":
                archive.writestr(name, source.read(name))
        with archive.open("word/document.xml", "w", force_zip64=False) as body:
            head, tail = source.read("word/document.xml").split(b"<w:sectPr", 1)
            body.write(head)
            for _ in range(megabytes):
                body.write(filler)
            body.write(b"<w:sectPr" + tail)
    made = target.getvalue()
    return made if honest else _understated(made)


def other_archive() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return target.getvalue()


def _understated(archive: bytes) -> bytes:
    """Write a small unpacked size of word/document.xml into the directory (APPNOTE 4.3.12, offset 24)."""
    name = archive.rindex(b"word/document.xml")
    size_at = name - 46 + 24
    return archive[:size_at] + (1_000).to_bytes(4, "little") + archive[size_at + 4 :]


def _saved(document: "docx.document.Document") -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def _stream(data: bytes) -> bytes:
    return b"<</Length %d>>stream\n%s\nendstream" % (len(data), data)


def _numbered(bodies: Sequence[bytes]) -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(bodies, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(bodies) + 1, table)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, start)
    return bytes(out)
