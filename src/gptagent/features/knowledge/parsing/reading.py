"""One file, or what hangs on a letter, to sections; run in the child."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.model import CSV, DOCX, HTML, MARKDOWN, PDF, PICTURES, XLSX
from gptagent.features.knowledge.parsing.lists import read_list
from gptagent.features.knowledge.parsing.plain import decode, read_markdown, read_text
from gptagent.features.knowledge.parsing.result import ParseFailed
from gptagent.features.knowledge.parsing.sniff import HEAD_BYTES, OFFICE, is_type


@dataclass(frozen=True, slots=True)
class Reading:
    """`sections` are read as they are taken, and until then `scans`, pages that are pictures, are few."""

    sections: Iterator[Section]
    pages: int | None
    scans: Sequence[int]


def check_type(file: BinaryIO, mime: str) -> None:
    """Raise ParseFailed if the file begins as others do. It is at its beginning before and after."""
    if not is_type(mime, file.read(HEAD_BYTES)):
        raise ParseFailed("type_mismatch")
    file.seek(0)


def open_file(file: BinaryIO, mime: str) -> Reading:
    """Raises ParseFailed if the file is not of this type or cannot be read, as do the sections."""
    check_type(file, mime)
    if mime == PDF:
        from gptagent.features.knowledge.parsing.pdf import open_pdf, read_pdf

        document = open_pdf(file)
        scans: list[int] = []
        return Reading(read_pdf(document, scans), len(document), scans)
    if mime in PICTURES:
        from gptagent.features.knowledge.parsing.pictures import open_picture

        frames = getattr(open_picture(file), "n_frames", 1)
        return Reading(iter(()), frames if frames > 1 else None, range(1, frames + 1))
    return Reading(_sections(file, mime), None, ())


def draw(file: BinaryIO, mime: str, number: int) -> bytes:
    """Return page `number` (from 1) of a PDF or picture as a portable graymap. Raises ParseFailed."""
    from gptagent.features.knowledge.parsing import pictures
    from gptagent.features.knowledge.parsing.pdf import open_pdf

    if mime == PDF:
        return pictures.draw_page(open_pdf(file), number)
    return pictures.draw_picture(pictures.open_picture(file), number)


def _sections(file: BinaryIO, mime: str) -> Iterator[Section]:
    if mime in OFFICE:
        return _office(file, mime)
    raw = file.read()
    if mime == HTML:
        from gptagent.features.knowledge.parsing.markup import declared_charset, read_html

        return read_html(decode(raw, declared_charset(raw)))
    read = {MARKDOWN: read_markdown, CSV: read_list}.get(mime, read_text)
    return read(decode(raw))


def _office(file: BinaryIO, mime: str) -> Iterator[Section]:
    from gptagent.features.knowledge.parsing import package, sheets, slides, word

    if mime == DOCX:
        return word.read_word(word.open_word(file))
    if mime == XLSX:
        return sheets.read_book(package.open_package(file, sheets.BOOK))
    return slides.read_show(package.open_package(file, slides.SHOW))
