"""Text on pictures and scanned pages, read by the real Tesseract; and what is said where there is none."""

import io
import struct
import zlib

import pytest
from PIL import Image

import knowledge_files as files_of
import knowledge_office as office
import knowledge_scans as scans
from gptagent.adapters.tesseract.port import Tesseract
from gptagent.features.knowledge.model import EML, FAILURES, JPEG, PDF, PNG, TIFF, WEBP, Unread
from gptagent.features.knowledge.parsing import ParseFailed, parse_file, read_scans
from gptagent.features.knowledge.parsing.scans import ranges

NOBODY = Tesseract("no-such-program")


async def _told(_done, _pages):
    pass


async def read(folder, data, mime, recogniser, told=_told):
    path = folder / "file"
    path.write_bytes(data)
    return await read_scans(path, mime, await parse_file(path, mime), recogniser, told)


def texts(parsed):
    return [(fragment.page, fragment.content) for fragment in parsed.fragments]


@pytest.mark.parametrize(
    ("kind", "mime", "mode"),
    [
        ("PNG", PNG, "RGBA"),
        ("JPEG", JPEG, "L"),
        ("WEBP", WEBP, "RGB"),
        ("TIFF", TIFF, "1"),
        ("JPEG", PNG, "CMYK"),
    ],
)
async def test_a_picture_of_a_text_is_read(tmp_path, kind, mime, mode):
    data = scans.picture(scans.LATIN, kind=kind, mode=mode)
    ((page, text),) = texts(await read(tmp_path, data, mime, await scans.installed()))
    assert page is None and "three days" in text and "14 days" in text


async def test_russian_is_read(tmp_path):
    ((_, text),) = texts(await read(tmp_path, scans.picture(scans.RUSSIAN), PNG, await scans.installed()))
    assert "занимает три дня" in text and "14 дней" in text


async def test_scanned_pages_stand_among_the_others_with_their_numbers(tmp_path):
    steps = []

    async def told(done, pages):
        steps.append((done, pages))

    data = scans.scanned(
        [["Delivery takes three days."], ["Returns within 14 days."]], texts=["Opening hours: 9 to 18"]
    )
    parsed = await read(tmp_path, data, PDF, await scans.installed(), told)
    assert [page for page, _ in texts(parsed)] == [1, 2, 3]
    assert "three days" in parsed.fragments[1].content and parsed.unread == ()
    assert steps == [(0, 2), (1, 2)]


async def test_pictures_and_scans_attached_to_a_letter_are_read_under_their_names(tmp_path):
    files = {
        "photo.png": scans.picture(scans.LATIN),
        "contract.pdf": scans.scanned([scans.LATIN], texts=["Opening hours: 9 to 18"]),
    }
    data = office.letter("See what is attached.", attached=files)
    parsed = await read(tmp_path, data, EML, await scans.installed())
    found = [(one.heading.rpartition(" › ")[2], one.page) for one in parsed.fragments]
    assert found[1:] == [("contract.pdf", 1), ("photo.png", None), ("contract.pdf", 2)]
    assert all("three days" in one.content for one in parsed.fragments[2:]) and parsed.unread == ()
    parsed = await read(tmp_path, data, EML, NOBODY)
    assert [one.content for one in parsed.fragments] == ["See what is attached.", "Opening hours: 9 to 18"]
    assert {one.error_code for one in parsed.unread} == {"no_recognition"}
    assert [one.name.rpartition(" › ")[2] for one in parsed.unread] == ["photo.png", "contract.pdf"]


async def test_a_letter_whose_attachments_are_too_much_is_read_without_them(tmp_path):
    bomb = {"bomb.docx": files_of.word_bomb(1_500, honest=False)}
    parsed = await read(tmp_path, office.letter("Read me.", attached=bomb), EML, NOBODY)
    assert [one.content for one in parsed.fragments] == ["Read me."]
    assert [one.name for one in parsed.unread] == ["bomb.docx"]


async def test_without_recognition_a_scan_says_so(tmp_path):
    with pytest.raises(ParseFailed) as failed:
        await read(tmp_path, scans.scanned([scans.LATIN]), PDF, NOBODY)
    assert failed.value.code == "no_recognition" and "not installed" in FAILURES["no_recognition"]


async def test_without_recognition_the_pages_of_text_are_read_and_the_others_named(tmp_path):
    data = scans.scanned([scans.LATIN] * 2, texts=["Opening hours: 9 to 18"])
    parsed = await read(tmp_path, data, PDF, NOBODY)
    assert texts(parsed) == [(1, "Opening hours: 9 to 18")]
    assert parsed.unread == (Unread("2-3", "no_recognition"),)


async def test_a_picture_of_nothing_has_no_text(tmp_path):
    recogniser = await scans.installed()
    with pytest.raises(ParseFailed, match="empty_text"):
        await read(tmp_path, scans.picture(["", ""]), PNG, recogniser)


def huge_png(width, height):
    """A PNG of a few bytes that says it is this large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def frames(count):
    out = io.BytesIO()
    pictures = [Image.new("1", (1, 1)) for _ in range(count)]
    pictures[0].save(out, "TIFF", save_all=True, append_images=pictures[1:])
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "mime", "codes"),
    [
        (huge_png(60_000, 60_000), PNG, {"too_complex"}),
        (huge_png(7_000, 7_000), PNG, {"damaged", "empty_text"}),
        (scans.picture(scans.LATIN)[:300], PNG, {"damaged"}),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), PNG, {"damaged"}),
        (b"GIF89a" + bytes(50), PNG, {"type_mismatch"}),
        (frames(400), TIFF, {"too_many_scans"}),
    ],
)
async def test_a_hostile_picture_ends_in_a_reason(tmp_path, data, mime, codes):
    """KB-12"""
    recogniser = await scans.installed()
    with pytest.raises(ParseFailed) as failed:
        await read(tmp_path, data, mime, recogniser)
    assert failed.value.code in codes


async def test_the_recogniser_is_held_to_limits_and_is_nobody():
    """What stands in its place tells what it is given."""
    told = await Tesseract("/bin/cat")._run(b"", "/proc/self/limits", "/proc/self/status")
    limits = {
        line[:26].strip(): line[26:].split()[0] for line in told.splitlines() if line.startswith("Max ")
    }
    assert (limits["Max processes"], limits["Max file size"]) == ("0", "0")
    assert limits["Max address space"] == str(1 << 30) and "\nUid:\t0\t" not in told


def test_pages_are_named_as_people_write_them():
    assert ranges([9, 3, 5, 4, 11, 12]) == "3-5, 9, 11-12"
