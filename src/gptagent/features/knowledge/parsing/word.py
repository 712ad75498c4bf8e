"""DOCX to sections by its heading styles; a table's row is a line."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import docx
from docx.document import Document
from docx.opc.exceptions import OpcError
from docx.table import Table, _Row
from docx.text.paragraph import Paragraph

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.package import BROKEN, open_package
from gptagent.features.knowledge.parsing.result import ParseFailed
from gptagent.features.knowledge.parsing.tables import lines_of, row_of

_HEADING_STYLE = re.compile(r"(?:heading|заголовок)\s*([1-6])", re.IGNORECASE)


def open_word(file: BinaryIO) -> Document:
    """Raises ParseFailed for a password, another archive, a bomb or a damaged file."""
    open_package(file, "word/document.xml")
    file.seek(0)
    try:
        return docx.Document(file)
    except (OpcError, *BROKEN) as error:
        raise ParseFailed("damaged") from error


def read_word(document: Document) -> Iterator[Section]:
    level, heading, lines = 0, "", list[str]()
    levels: dict[str | None, int] = {}
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            lines += _rows(block)
            continue
        style = block._p.style  # noqa: SLF001 - its id; asking for the style itself takes most of the time
        if style not in levels:
            levels[style] = _heading_level(block)
        found = levels[style]
        if found and block.text.strip():
            yield Section(level, heading, "\n".join(lines))
            level, heading, lines = found, block.text.strip(), []
        else:
            lines.append(block.text)
    yield Section(level, heading, "\n".join(lines))


def _heading_level(paragraph: Paragraph) -> int:
    style = paragraph.style
    name = (style.name or "") if style is not None else ""
    if name in {"Title", "Название"}:
        return 1
    found = _HEADING_STYLE.match(name)
    return int(found[1]) if found else 0


def _rows(table: Table) -> Iterator[str]:
    return lines_of(row_of(_cells(row)) for row in table.rows)


def _cells(row: _Row) -> Iterator[str]:
    """Yield the texts of a row's columns; a merged cell, listed once per column, is told once."""
    previous = None
    for cell in row.cells:
        yield "" if cell._tc is previous else cell.text  # noqa: SLF001 - the wrapper is made anew each time
        previous = cell._tc  # noqa: SLF001 - as above
