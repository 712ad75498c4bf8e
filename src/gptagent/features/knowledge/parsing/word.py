"""DOCX to sections by its heading styles; a table's row is a line."""

import re
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import docx
from docx.document import Document
from docx.opc.exceptions import OpcError
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml.etree import LxmlError  # type: ignore[import-untyped]

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.limits import ARCHIVE_MAX_ENTRIES, UNPACKED_MAX_BYTES
from gptagent.features.knowledge.parsing.result import ParseFailed
from gptagent.features.knowledge.parsing.sniff import OLE

_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3.4
_HEADING_STYLE = re.compile(r"(?:heading|заголовок)\s*([1-6])", re.IGNORECASE)
_BROKEN = (zipfile.BadZipFile, OpcError, LxmlError, KeyError, ValueError, EOFError, NotImplementedError)


def open_word(file: BinaryIO) -> Document:
    """Raises ParseFailed for a password, another archive, a bomb or a damaged file."""
    if file.read(len(OLE)) == OLE:
        raise ParseFailed("encrypted" if _ENCRYPTED_STREAM in file.read() else "type_mismatch")
    file.seek(0)
    try:
        _check_archive(file)
        return docx.Document(file)
    except _BROKEN as error:
        raise ParseFailed("damaged") from error


def read_word(document: Document) -> Iterator[Section]:
    level, heading, lines = 0, "", list[str]()
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            lines += _rows(block)
            continue
        found = _heading_level(block)
        if found and block.text.strip():
            yield Section(level, heading, "\n".join(lines))
            level, heading, lines = found, block.text.strip(), []
        else:
            lines.append(block.text)
    yield Section(level, heading, "\n".join(lines))


def _check_archive(file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > ARCHIVE_MAX_ENTRIES or sum(e.file_size for e in entries) > UNPACKED_MAX_BYTES:
            raise ParseFailed("too_complex")
        if "word/document.xml" not in archive.namelist():
            raise ParseFailed("type_mismatch")
    file.seek(0)


def _heading_level(paragraph: Paragraph) -> int:
    style = paragraph.style
    name = (style.name or "") if style is not None else ""
    if name in {"Title", "Название"}:
        return 1
    found = _HEADING_STYLE.match(name)
    return int(found[1]) if found else 0


def _rows(table: Table) -> list[str]:
    lines: list[str] = []
    for row in table.rows:
        texts: list[str] = []
        for cell in row.cells:
            text = " ".join(cell.text.split())
            if text and (not texts or texts[-1] != text):  # a merged cell is listed once per column
                texts.append(text)
        if texts:
            lines.append(" | ".join(texts))
    return lines
