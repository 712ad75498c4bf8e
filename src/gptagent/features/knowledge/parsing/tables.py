"""Rows of a table to lines that can be found and quoted each by itself."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice

# The texts of a row's filled cells by the number of their column; an empty row ends a table.
Row = Mapping[int, str]

HEADER_MAX_CHARS = 80
_LOOKED_AT = 20  # rows below a header tell whether it is one
_SURE_COLUMNS = 3
_VALUE = re.compile(r"[-+(~≈<>≤≥№#$€£₽]?\s*\d")


def row_of(cells: Iterable[str]) -> Row:
    return {number: text for number, cell in enumerate(cells) if (text := " ".join(cell.split()))}


def lines_of(rows: Iterable[Row], *, headed: bool = False) -> Iterator[str]:
    """Yield a line a row: `City: Kazan; Price: 350` under a header, else `Kazan | 350`.

    A row is often cut from its table, and an answer quotes it alone: so it carries its columns' names. The
    first row of several cells is a header if it looks like one, or if `headed` says so.
    """
    for is_table, table in groupby(rows, key=bool):
        if is_table:
            yield from _lines(table, headed=headed)


def _lines(table: Iterator[Row], *, headed: bool) -> Iterator[str]:
    for row in table:
        if len(row) < 2:  # a title, or a list in one column
            yield from row.values()
            continue
        sample = list(islice(table, _LOOKED_AT))
        rows = chain(sample, table)
        if sample and (headed or _is_header(row, sample)):
            yield from _named(row, rows)
        else:
            yield from (" | ".join(one.values()) for one in chain([row], rows))


def _named(header: Row, rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if row == header:  # repeated on each printed page
            continue
        if len(row) == 1 and len(header) >= _SURE_COLUMNS:  # a title among the rows
            yield from row.values()
            continue
        yield "; ".join(
            f"{header[number]}: {text}" if number in header else text for number, text in row.items()
        )


def _is_header(row: Row, below: Sequence[Row]) -> bool:
    """Names are short, distinct and no figures; figures stand below them, or they are many."""
    names = list(row.values())
    if any(len(name) > HEADER_MAX_CHARS or _VALUE.match(name) for name in names):
        return False
    if len(set(names)) < len(names):
        return False
    return len(names) >= _SURE_COLUMNS or any(_holds_values(number, below) for number in row)


def _holds_values(column: int, rows: Sequence[Row]) -> bool:
    cells = [row[column] for row in rows if column in row]
    return bool(cells) and 2 * sum(bool(_VALUE.match(cell)) for cell in cells) > len(cells)
