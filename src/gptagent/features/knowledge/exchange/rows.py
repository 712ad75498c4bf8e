"""Rows of any kind in a file: JSON as programs like it, CSV as spreadsheets do. Pure."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec

from gptagent.kernel.errors import FieldError, Invalid

R = TypeVar("R", bound=msgspec.Struct)
FileFormat = Literal["json", "csv"]
MEDIA: Mapping[FileFormat, str] = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
# A cell that begins so is a formula for a spreadsheet (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")
QUOTE = "'"
BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know UTF-8


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """What the rows of a file are.

    `of_cells` makes a row of a line's cells, or raises Invalid with the columns that are wrong; `texts` are
    all the texts of a row. `none`, `too_many` (with `{max}`) and `strange` are what is said of a file without
    rows, of one with more than `most`, and of an item in JSON that is no such row.
    """

    row: type[R]
    columns: Sequence[str]
    needed: frozenset[str]
    most: int
    of_cells: Callable[[Mapping[str, str]], R]
    texts: Callable[[R], Iterable[str]]
    none: str
    too_many: str
    strange: str


def read_rows(data: bytes, kind: Kind[R]) -> list[tuple[int, R]]:
    """Return each row with the number of its line, of its place in the list if the file is JSON.

    UTF-16 is known by its mark, what is not UTF-8 either is windows-1251. Raises Invalid, naming every fault.
    """
    text = _decode(data).lstrip()
    rows = _read_json(text, kind) if text[:1] in {"[", "{"} else _read_csv(text, kind)
    if not rows:
        raise Invalid.field("file", kind.none)
    if len(rows) > kind.most:
        raise Invalid.field("file", kind.too_many, max=kind.most)
    unfit = "The text holds a character that cannot be stored."
    _refuse([FieldError(str(line), unfit) for line, row in rows if "\0" in "".join(kind.texts(row))])
    return rows


def write_json(rows: Sequence[msgspec.Struct], *, is_first: bool = True) -> str:
    """Return a piece of a list; it is closed by `]`."""
    lines = ",\n".join(json.dumps(msgspec.structs.asdict(row), ensure_ascii=False) for row in rows)
    return ("[\n" if is_first else ",\n" if lines else "") + lines


def write_csv(columns: Sequence[str], lines: Iterable[Sequence[str]], *, is_first: bool = True) -> str:
    """Return a piece of a table; no cell of it is a formula. The first one begins with the columns."""
    file = io.StringIO()
    writer = csv.writer(file)
    if is_first:
        file.write(BYTE_ORDER_MARK)
        writer.writerow(columns)
    writer.writerows([_guard(cell) for cell in cells] for cells in lines)
    return file.getvalue()


def _guard(cell: str) -> str:
    """A quote makes a cell a text; it is put before such a quote too, so that it can be taken off."""
    return QUOTE + cell if cell.lstrip(QUOTE).startswith(FORMULA) else cell


def _unguard(cell: str) -> str:
    return cell[1:] if cell.startswith(QUOTE) and cell.lstrip(QUOTE).startswith(FORMULA) else cell


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").replace("\0", "")
    try:
        return data.decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError:
        return data.decode("windows-1251", errors="replace").replace("\0", "")


def _read_json(text: str, kind: Kind[R]) -> list[tuple[int, R]]:
    try:
        items = msgspec.json.decode(text.encode(), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid.field("file", "The file is neither a list in JSON nor a table in CSV.") from error
    decoder = msgspec.json.Decoder(kind.row)
    rows, faults = [], []
    for number, item in enumerate(items[: kind.most + 1], start=1):
        try:
            rows.append((number, decoder.decode(item)))
        except (msgspec.DecodeError, RecursionError):
            faults.append(FieldError(f"{number}", kind.strange))
    _refuse(faults)
    return rows


def _read_csv(text: str, kind: Kind[R]) -> list[tuple[int, R]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, R]] = []
    faults: list[FieldError] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_head(names, kind)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells) and len(rows) + len(faults) <= kind.most:
                try:
                    rows.append((line, _read_line(names, cells, kind)))
                except Invalid as error:
                    faults += [_on_line(line, one) for one in error.fields]
            line = reader.line_num + 1
    except csv.Error as error:
        raise Invalid.field("file", "Line {line} cannot be read.", line=reader.line_num) from error
    _refuse(faults)
    return rows


def _check_head(names: Sequence[str], kind: Kind[R]) -> None:
    given = set(names)
    if not given >= kind.needed or given - set(kind.columns) or len(given) < len(names):
        columns = ", ".join(kind.columns)
        raise Invalid.field("file", "The first line must name the columns: {columns}.", columns=columns)


def _read_line(names: Sequence[str], cells: Sequence[str], kind: Kind[R]) -> R:
    if any(cell.strip() for cell in cells[len(names) :]):  # an unquoted text with the delimiter in it
        raise Invalid.field("", "This line has more cells than there are columns.")
    return kind.of_cells(dict(zip(names, map(_unguard, cells), strict=False)))


def _on_line(line: int, fault: FieldError) -> FieldError:
    pointer = f"{line}/{fault.pointer}" if fault.pointer else str(line)
    return FieldError(pointer, fault.message, fault.params)


def _refuse(faults: Sequence[FieldError]) -> None:
    if faults:
        raise Invalid("invalid", "Please correct the marked lines.", fields=tuple(faults))
