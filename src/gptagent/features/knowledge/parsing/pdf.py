"""PDF to one section a page."""

from collections.abc import Iterator
from typing import BinaryIO

import pypdfium2 as pdfium
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE  # type: ignore[attr-defined]  # made when it loads

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.limits import PAGES_MAX
from gptagent.features.knowledge.parsing.plain import unwrap
from gptagent.features.knowledge.parsing.result import ParseFailed

_TEXT_CHARS = 10  # a page with less, and a picture, is a scan with its number


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


def read_pdf(document: pdfium.PdfDocument, scans: list[int]) -> Iterator[Section]:
    """Yield a section a page; the numbers of pages that are pictures of a text are added to `scans`."""
    for number in range(len(document)):
        page = document[number]
        text_page = page.get_textpage()
        text = text_page.get_text_bounded()
        text_page.close()
        is_scan = sum(c.isalnum() for c in text) < _TEXT_CHARS and _has_picture(page)
        page.close()
        if is_scan:
            scans.append(number + 1)
        else:
            yield Section(0, "", unwrap(text), number + 1)


def _has_picture(page: pdfium.PdfPage) -> bool:
    pictures = page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE], max_depth=3)  # type: ignore[no-untyped-call]
    return next(iter(pictures), None) is not None
