"""PDF to one section a page."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import pypdfium2 as pdfium

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.limits import PAGES_MAX
from gptagent.features.knowledge.parsing.result import ParseFailed

_WRAPPED_SHARE = 0.75  # of the page's longest line: a shorter line ends its paragraph
_SENTENCE_ENDS = (".", "!", "?", ":", ";", "…")


def open_pdf(file: BinaryIO) -> pdfium.PdfDocument:
    """Raises ParseFailed for a file with a password, a damaged one, or too many pages."""
    try:
        document = pdfium.PdfDocument(file)  # type: ignore[no-untyped-call]
    except pdfium.PdfiumError as error:
        raise ParseFailed("encrypted" if "password" in str(error).lower() else "damaged") from error
    if len(document) > PAGES_MAX:
        raise ParseFailed("too_complex")
    if not len(document):
        raise ParseFailed("damaged")
    return document


def read_pdf(document: pdfium.PdfDocument) -> Iterator[Section]:
    for number in range(len(document)):
        page = document[number]
        text_page = page.get_textpage()
        text = text_page.get_text_bounded()
        text_page.close()
        page.close()
        yield Section(0, "", unwrap(text), number + 1)


def unwrap(text: str) -> str:
    """Return paragraphs as single lines: PDF knows only lines. Words divided at a line's end are joined."""
    whole = re.sub(r"[\u00ad\ufffe\x02]\r?\n?", "", text)  # PDFium's marks of a divided word
    lines = [line.strip() for line in whole.splitlines()]
    width = max((len(line) for line in lines), default=0)
    joined: list[str] = []
    for previous, line in zip(["", *lines], lines, strict=False):
        if joined and line and _continues(previous, line, width):
            joined[-1] = f"{joined[-1]} {line}"
        else:
            joined.append(line)
    return "\n".join(joined)


def _continues(previous: str, line: str, width: int) -> bool:
    if not previous or previous.endswith(_SENTENCE_ENDS):
        return False
    return line[0].islower() or len(previous) >= width * _WRAPPED_SHARE
