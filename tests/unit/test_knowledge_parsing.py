"""Files of every kind, honest and hostile, through the real parsing child."""

import asyncio
import os
import time
from pathlib import Path

import pytest

import knowledge_files as made
from gptagent.features.knowledge.model import DOCX, FAILURES, MARKDOWN, PDF, TXT
from gptagent.features.knowledge.parsing import ParsedDocument, ParseFailed, parse_file

RUSSIAN = "Возврат товара возможен в течение четырнадцати дней после покупки. Нужен только чек."


async def read(folder: Path, data: bytes, mime: str) -> ParsedDocument:
    path = folder / "file"
    path.write_bytes(data)
    return await parse_file(path, mime)


async def reason(folder: Path, data: bytes, mime: str) -> str:
    with pytest.raises(ParseFailed) as failed:
        await read(folder, data, mime)
    assert failed.value.message == FAILURES[failed.value.code]
    return failed.value.code


async def test_a_pdf_gives_its_russian_text_by_page(tmp_path):
    """KB-9"""
    parsed = await read(
        tmp_path, made.pdf([["Гарантия на часы два года."], ["Ремонт часов бесплатный."]]), PDF
    )
    assert parsed.pages == 2
    assert [(f.page, f.content) for f in parsed.fragments] == [
        (1, "Гарантия на часы два года."),
        (2, "Ремонт часов бесплатный."),
    ]


async def test_lines_of_a_pdf_become_sentences_again(tmp_path):
    text = "We deliver to every city of the country. " * 6
    parsed = await read(tmp_path, made.english_pdf(text), PDF)
    assert "\n" not in parsed.fragments[0].content
    assert parsed.fragments[0].content == text.strip()


async def test_a_docx_gives_headings_and_table_rows(tmp_path):
    """KB-9, U134"""
    parsed = await read(tmp_path, made.word(), DOCX)
    assert [(f.heading, f.content) for f in parsed.fragments] == [
        ("Доставка", "Доставка по Москве занимает один день."),
        ("Доставка › Стоимость", "Город: Казань; Цена: 350 рублей"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "koi8-r", "cp866"])
async def test_a_text_is_read_in_the_encoding_it_has(tmp_path, encoding):
    """KB-9"""
    parsed = await read(tmp_path, RUSSIAN.encode(encoding), TXT)
    assert parsed.fragments[0].content == RUSSIAN


async def test_markdown_is_cut_at_headings_and_loses_its_marks(tmp_path):
    """KB-9"""
    source = "# Оплата\nКартой **или** [по счёту](https://x.ru).\n\n## Рассрочка\n- на 6 месяцев\n- на год\n"
    parsed = await read(tmp_path, source.encode(), MARKDOWN)
    assert [(f.heading, f.content) for f in parsed.fragments] == [
        ("Оплата", "Картой или по счёту."),
        ("Оплата › Рассрочка", "на 6 месяцев\nна год"),
    ]


@pytest.mark.parametrize(
    ("data", "mime", "code"),
    [
        (b"", TXT, "empty_text"),
        (b" \n\t ", MARKDOWN, "empty_text"),
        (made.empty_pdf(), PDF, "empty_text"),
        (made.english_pdf("secret", password="user"), PDF, "encrypted"),
        (made.pdf([["Текст"]])[:200], PDF, "damaged"),
        (b"%PDF-1.7\n" + os.urandom(5_000), PDF, "damaged"),
        (made.word()[:3_000], DOCX, "damaged"),
        (b"PK\x03\x04" + os.urandom(5_000), DOCX, "damaged"),
        (made.other_archive(), DOCX, "type_mismatch"),
        (made.word(), PDF, "type_mismatch"),
        (made.pdf([["Текст"]]), DOCX, "type_mismatch"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), TXT, "type_mismatch"),
        (b"\x7fELF" + bytes(100), MARKDOWN, "type_mismatch"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), DOCX, "type_mismatch"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            DOCX,
            "encrypted",
        ),
        (made.word_bomb(400, honest=True), DOCX, "too_complex"),
    ],
)
async def test_an_unusable_file_ends_in_a_reason(tmp_path, data, mime, code):
    """KB-12, U135"""
    assert await reason(tmp_path, data, mime) == code


async def test_a_bomb_that_lies_about_its_size_is_stopped(tmp_path):
    assert await reason(tmp_path, made.word_bomb(600, honest=False), DOCX) in {"too_complex", "damaged"}


async def test_a_text_beyond_the_limit_is_refused(tmp_path):
    """KB-13"""
    assert await reason(tmp_path, ("Строка текста. " * 7 + "\n").encode() * 260_000, TXT) == "text_too_long"


async def test_a_word_without_end_does_not_hang_the_splitter(tmp_path):
    parsed = await read(tmp_path, b"a" * 300_000, TXT)
    assert len(parsed.fragments) > 200


async def test_a_child_that_takes_too_long_is_killed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(made.word_bomb(250, honest=True))
    began = time.monotonic()
    with pytest.raises(ParseFailed, match="too_complex"):
        await parse_file(path, DOCX, wall_seconds=0.01)
    assert time.monotonic() - began < 60


async def test_a_cancelled_parse_leaves_no_child(tmp_path):
    path = endless_file(tmp_path)
    task = asyncio.create_task(parse_file(path, DOCX))
    while not (children := _children_reading(path)):  # noqa: ASYNC110 - another process's start is no event
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def endless_file(folder: Path) -> Path:
    """A file whose reader waits for its first byte: it cannot end before it was seen."""
    path = folder / "file"
    os.mkfifo(path)
    return path


def _children_reading(path: Path) -> list[str]:
    wanted = str(path).encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if wanted in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found
