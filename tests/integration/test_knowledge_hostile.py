"""Files made to hurt, of each kind that is read: each ends in a reason, or is read without harm.

They go through the real child, so that its limits are what stops them.
"""

import base64
import io
import json
import os
import resource
import struct
import subprocess
import sys
import zipfile

import pytest
from PIL import Image

import knowledge_office as office
from gptagent.features.knowledge.model import CSV, EML, FAILURES, FILE_MAX_BYTES, HTML, PDF, PPTX, XLSX
from gptagent.features.knowledge.parsing import ParseFailed, parse_file
from unit.test_security_files import ENTITIES

CELL = office.rows(["Цена", 5])
WITHIN = {"too_complex", "damaged", "text_too_long", "empty_text"}


async def outcome(folder, data, mime, seconds=60):
    """Return the text of a file, or the code of its reason."""
    path = folder / "file"
    path.write_bytes(data)
    try:
        parsed = await parse_file(path, mime, wall_seconds=seconds)
    except ParseFailed as failed:
        return failed.code if failed.message == FAILURES[failed.code] else "no reason at all"
    return "\n".join(fragment.content for fragment in parsed.fragments)


def bomb(part, head, filler, tail, *, megabytes, base):
    """Repack `base` with a part that unpacks to so much."""
    source, target = zipfile.ZipFile(io.BytesIO(base)), io.BytesIO()
    block = filler * (1_000_000 // len(filler))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            if name != part:
                archive.writestr(name, source.read(name))
        with archive.open(part, "w") as body:
            body.write(head)
            for _ in range(megabytes):
                body.write(block)
            body.write(tail)
    return target.getvalue()


def lying(archive, name):
    """Write a small unpacked size of an entry into the directory (APPNOTE 4.3.12, offset 24)."""
    at = archive.rindex(name.encode()) - 46 + 24
    return archive[:at] + struct.pack("<I", 1_000) + archive[at + 4 :]


SHEET = "xl/worksheets/sheet1.xml"
SHEET_HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
SHEET_TAIL = b"</sheetData></worksheet>"
FULL_ROW = b'<row><c t="inlineStr"><is><t>aaaa bbbb cccc</t></is></c></row>'


def sheet_bomb(filler, megabytes):
    return bomb(SHEET, SHEET_HEAD, filler, SHEET_TAIL, megabytes=megabytes, base=office.book({"A": CELL}))


@pytest.mark.parametrize(
    ("make", "mime"),
    [
        (lambda: sheet_bomb(FULL_ROW, 400), XLSX),
        (lambda: sheet_bomb(FULL_ROW, 200), XLSX),
        (lambda: lying(sheet_bomb(FULL_ROW, 400), SHEET), XLSX),
        (lambda: sheet_bomb(b"<x>", 20), XLSX),  # as deep as it is long
        (lambda: sheet_bomb(b"<row><c><v>" + b"9" * 999_000 + b"</v></c></row>", 250), XLSX),
        (lambda: office.book({str(n): CELL for n in range(10_000)}), XLSX),
        (lambda: b"<p>" + b"<div>" * 2_000_000, HTML),
        (lambda: b"<table><tr><td>" * 1_000_000, HTML),
        (lambda: b"<p " + b" ".join(b"a%d=1" % n for n in range(300_000)) + b">", HTML),
        (lambda: b'"' + b"a,\n" * 5_000_000, CSV),
        (lambda: b";" * 40_000_000, CSV),
    ],
)
async def test_a_file_that_grows_without_end_ends_in_a_reason(tmp_path, make, mime):
    """KB-12"""
    assert await outcome(tmp_path, make(), mime, seconds=4) in WITHIN


@pytest.mark.parametrize(
    "data",
    [
        b"A: b\n" * 1_000_000 + b"\nx",
        b"Subject: " + b"=?utf-8?Q?=" * 100_000 + b"\n\nx",
        b"Subject: " + b"(" * 100_000 + b"\nFrom: " + b"<" * 100_000 + b"\n\nx",
        b"Content-Type: text/plain; " + b"a*0=b; " * 50_000 + b"\n\nx",
    ],
)
async def test_a_letter_of_endless_headers_is_read_or_ends_in_a_reason(tmp_path, data):
    found = await outcome(tmp_path, data, EML, seconds=4)
    assert found in WITHIN or found.endswith(("x", "=", "("))


@pytest.mark.parametrize("depth", [50, 5_000])
async def test_a_letter_of_letters_does_not_end_its_reader(tmp_path, depth):
    data = b"Subject: x\n"
    for n in range(depth):
        data += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n)
    assert await outcome(tmp_path, data + b"\ninside", EML) in {"inside", *WITHIN}


@pytest.mark.parametrize("kind", ENTITIES)
@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/sharedStrings.xml", SHEET, "xl/_rels/workbook.xml.rels"]
)
async def test_no_entity_of_a_book_is_resolved(tmp_path, kind, part):
    secret = tmp_path / "secret"
    secret.write_text("the operator's own word")
    entity = ENTITIES[kind].replace("{secret}", str(secret))
    first = '<row><c t="s"><v>0</v></c><c t="inlineStr"><is><t>inside</t></is></c></row>'
    parts = office.book_parts({"A": f"<sheetData>{first}</sheetData>"}, ["shared"])
    inside = {"xl/workbook.xml": 'name="', "xl/_rels/workbook.xml.rels": 'Id="'}.get(part, "<t>")
    parts[part] = f"<!DOCTYPE x [{entity}]>" + parts[part].replace(inside, f"{inside}&x;", 1)
    text = await outcome(tmp_path, office.zipped(parts), XLSX)
    assert "operator" not in text and "ha" * 100 not in text


@pytest.mark.parametrize("kind", ENTITIES)
async def test_no_entity_of_slides_is_resolved(tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_text("the operator's own word")
    entity = ENTITIES[kind].replace("{secret}", str(secret))
    source = zipfile.ZipFile(io.BytesIO(office.show([office.shape("here") + office.shape("text")])))
    parts = {name: source.read(name).decode() for name in source.namelist()}
    slide = parts["ppt/slides/slide1.xml"].replace("here", "&x;")
    parts["ppt/slides/slide1.xml"] = f"<!DOCTYPE x [{entity}]>{slide}"
    text = await outcome(tmp_path, office.zipped(parts), PPTX)
    assert "operator" not in text and "ha" * 100 not in text


@pytest.mark.parametrize("kind", ENTITIES)
async def test_no_entity_of_a_page_is_resolved(tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_text("the operator's own word")
    entity = ENTITIES[kind].replace("{secret}", str(secret))
    text = await outcome(tmp_path, f"<!DOCTYPE html [{entity}]><p>[&x;] text".encode(), HTML)
    assert "operator" not in text and "ha" * 100 not in text and "text" in text


async def test_formulas_macros_and_objects_are_data(tmp_path):
    formula = (
        '<sheetData><row><c t="str"><f>WEBSERVICE("http://x.example")</f><v>stored</v></c></row></sheetData>'
    )
    data = office.book(
        {"A": formula},
        **{"xl/vbaProject.bin": "Shell calc.exe", "xl/embeddings/oleObject1.bin": "MZ"},
    )
    assert await outcome(tmp_path, data, XLSX) == "stored"


async def test_parts_that_lead_out_of_the_file_lead_nowhere(tmp_path):
    parts = office.book_parts({"A": CELL, "B": CELL})
    rels = parts["xl/_rels/workbook.xml.rels"]
    parts["xl/_rels/workbook.xml.rels"] = rels.replace("worksheets/sheet2.xml", "../../../../etc/passwd")
    assert await outcome(tmp_path, office.zipped(parts), XLSX) == "Цена | 5"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(
    ("data", "mime"),
    [(office.book({"A": CELL}), XLSX), (office.show([office.shape("x")]), PPTX)],
)
async def test_a_file_cut_short_is_damaged(tmp_path, data, mime, share):
    assert await outcome(tmp_path, data[: int(len(data) * share)], mime) == "damaged"


@pytest.mark.parametrize("mime", [XLSX, PPTX])
async def test_a_password_is_told(tmp_path, mime):
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    assert await outcome(tmp_path, locked, mime) == "encrypted"


async def test_an_encrypted_part_is_a_reason(tmp_path):
    data = bytearray(office.book({"A": CELL}))
    at = data.rindex(SHEET.encode()) - 46 + 8  # general purpose flags of the directory
    data[at] |= 1
    assert await outcome(tmp_path, bytes(data), XLSX) in {"damaged", "encrypted"}


async def test_a_letter_whose_text_is_no_base64_is_read_as_far_as_it_goes(tmp_path):
    body = base64.b64encode("Возврат.".encode()) + b"\xff***"
    head = b"Subject: s\nContent-Type: text/plain; charset=no-such\nContent-Transfer-Encoding: base64\n\n"
    assert "Возврат." in await outcome(tmp_path, head + body, EML)


def large_pdf(folder):
    """As large as an upload may be: pages of text, and pictures of noise that nobody can pack."""
    from fpdf import FPDF

    made = FPDF()
    made.set_font("Helvetica", size=12)
    for page in range(48):
        made.add_page()
        made.multi_cell(0, 8, f"Text of page {page + 1}. " * 50)
        noise = io.BytesIO()
        Image.frombytes("L", (1_000, 1_000), os.urandom(1_000_000)).save(noise, "PNG")
        made.image(noise, x=10, y=200, w=50)
    path = folder / "large.pdf"
    made.output(str(path))
    return path


def test_a_pdf_of_fifty_megabytes_is_read_within_half_a_gigabyte(tmp_path):
    """KB-13: of address space, so of resident memory too."""
    path, limit = large_pdf(tmp_path), 512 << 20
    assert 45_000_000 < path.stat().st_size <= FILE_MAX_BYTES
    done = subprocess.run(
        [sys.executable, "-I", "-m", "gptagent.features.knowledge.parsing.child", str(path), PDF],
        capture_output=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    answer = json.loads(done.stdout)
    assert (answer["pages"], answer["scans"]) == (48, [])
    assert {page for _, page, _ in answer["fragments"]} == set(range(1, 49))
