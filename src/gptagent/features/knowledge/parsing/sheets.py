"""XLSX to sections, one a sheet: a row is a line with its columns' names. What is hidden is not read."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from math import isfinite
from typing import Any

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.limits import TEXT_MAX_CHARS
from gptagent.features.knowledge.parsing.package import elements, local, relation_of, relations
from gptagent.features.knowledge.parsing.result import ParseFailed
from gptagent.features.knowledge.parsing.tables import Row, lines_of

BOOK = "xl/workbook.xml"
_PART_CHARS = 50_000  # of a sheet at a time: a section is held as a whole
_COLUMNS_MAX = 16_384  # ECMA-376 part 1, 18.3.1.13
_DATE_FORMATS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))  # 18.8.30
_PERCENT_FORMATS = frozenset((9, 10))
_ASIDE = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|[_*].')  # of a number's format: literals, colours, gaps
_CURRENCY = re.compile(r'(?:"|\[\$|\\)?\s*(₽|руб\.?|\$|€|£|₸|₴|р\.)', re.IGNORECASE)
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a cell has no zone


def read_book(archive: zipfile.ZipFile) -> Iterator[Section]:
    """Yield a section for each sheet that is shown; its page is the sheet's place in the book."""
    targets = relations(archive, BOOK)
    texts = _shared_texts(archive, targets)
    epoch, sheets = _EPOCH, list[tuple[int, str, str]]()
    number = 0
    for element in elements(archive, BOOK, "workbookPr", "sheet"):
        if local(element) == "workbookPr":
            epoch = _EPOCH_1904 if element.get("date1904") in {"1", "true"} else _EPOCH
            continue
        number += 1
        if element.get("state", "visible") == "visible":
            sheets.append((number, element.get("name", ""), targets.get(relation_of(element), "")))
    formats = list(_formats(archive))
    for number, name, part in sheets:
        if part in archive.namelist():
            rows = _rows(archive, part, texts, formats, epoch)
            yield from _sections(number, name, lines_of(rows))


def _sections(number: int, name: str, lines: Iterable[str]) -> Iterator[Section]:
    level, held, size = 1, list[str](), 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size > _PART_CHARS:
            yield Section(level, name if level else "", "\n".join(held), number)
            level, held, size = 0, [], 0
    if held:
        yield Section(level, name if level else "", "\n".join(held), number)


def _shared_texts(archive: zipfile.ZipFile, targets: dict[str, str]) -> list[str]:
    part = next((target for target in targets.values() if target.endswith("sharedStrings.xml")), "")
    if part not in archive.namelist():
        return []
    texts, size = [], 0
    for element in elements(archive, part, "si"):
        texts.append(_text(element))
        size += len(texts[-1])
        if size > 4 * TEXT_MAX_CHARS:
            raise ParseFailed("text_too_long")
    return texts


def _text(element: Any) -> str:
    """Return a rich text's words; phonetic hints are left out."""
    return "".join(
        one.text or "" for one in element.iter("{*}t") if local(one.getparent()) not in {"rPh", "phoneticPr"}
    )


def _formats(archive: zipfile.ZipFile) -> Iterator[tuple[int, str]]:
    """Yield number and code of the number format of each cell style."""
    part = "xl/styles.xml"
    if part not in archive.namelist():
        return
    codes: dict[int, str] = {}
    for element in elements(archive, part, "numFmt", "cellXfs"):
        if local(element) == "numFmt":
            codes[int(element.get("numFmtId", 0))] = element.get("formatCode", "")
            continue
        for style in element.iterchildren("{*}xf"):
            number = int(style.get("numFmtId", 0))
            yield number, codes.get(number, "")


def _rows(
    archive: zipfile.ZipFile, part: str, texts: list[str], formats: list[tuple[int, str]], epoch: datetime
) -> Iterator[Row]:
    hidden: list[range] = []
    last = 0
    for element in elements(archive, part, "col", "row", "sheetData"):
        if local(element) == "sheetData":
            return
        if local(element) == "col":
            if _is_true(element.get("hidden")):
                hidden.append(range(int(element.get("min")) - 1, int(element.get("max"))))
            continue
        number = int(element.get("r") or last + 1)
        if number > last + 1:
            yield {}
        last = number
        if not _is_true(element.get("hidden")):
            yield {
                column: text
                for column, cell in _cells(element)
                if not any(column in columns for columns in hidden)
                and (text := " ".join(_value(cell, texts, formats, epoch).split()))
            }


def _cells(row: Any) -> Iterator[tuple[int, Any]]:
    column = -1
    for cell in row.iterchildren("{*}c"):
        place = cell.get("r")
        column = _column(place.rstrip("0123456789")) if place else column + 1
        if column < _COLUMNS_MAX:
            yield column, cell


@cache
def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper()[:4]:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _value(cell: Any, texts: list[str], formats: list[tuple[int, str]], epoch: datetime) -> str:
    """Return what a cell shows. A formula is never computed: its last result is stored beside it."""
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return _text(cell)
    stored = next((one.text or "" for one in cell.iterchildren("{*}v")), "")
    if not stored or kind == "e":
        return ""
    if kind == "s":
        return texts[int(stored)] if stored.isdecimal() and int(stored) < len(texts) else ""
    if kind == "b":
        return "✓" if stored == "1" else "–"
    if kind != "n":
        return stored
    style = int(cell.get("s") or 0)
    return _number(stored, *(formats[style] if style < len(formats) else (0, "")), epoch)


def _number(stored: str, number: int, code: str, epoch: datetime) -> str:
    try:
        amount = float(stored)
    except ValueError:
        return stored
    if not isfinite(amount):
        return ""
    plain = _ASIDE.sub("", code)
    if number in _DATE_FORMATS or re.search("[dmyh]", plain, re.IGNORECASE):
        return _date(amount, epoch)
    if number in _PERCENT_FORMATS or "%" in plain:
        return f"{_digits(amount * 100)}%"
    currency = _CURRENCY.search(code)
    return f"{_digits(amount)} {currency[1]}" if currency else _digits(amount)


def _date(amount: float, epoch: datetime) -> str:
    if not 0 <= amount < 2_958_466:  # the year 10000
        return _digits(amount)
    moment = epoch + timedelta(seconds=round(amount * 86_400))
    if amount < 1:
        return f"{moment:%H:%M}"
    return f"{moment:%d.%m.%Y}" if amount == int(amount) else f"{moment:%d.%m.%Y %H:%M}"


def _digits(amount: float) -> str:
    """Return a number as people write it: what a float adds after the twelfth digit is dropped."""
    if abs(amount) < 1e15 and amount == int(amount):
        return str(int(amount))
    return f"{amount:.12g}"


def _is_true(value: str | None) -> bool:
    return value in {"1", "true"}
