"""What a file of articles holds: JSON as programs like it, CSV as spreadsheets do. Pure.

In CSV a cell holds several tags with commas, several categories on lines of their own, a category as the
titles of its path. A slash of a title is doubled, so that ` / ` always parts two titles.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from gptagent.features.knowledge.articles.model import tags_of
from gptagent.kernel.errors import FieldError, Invalid

FileFormat = Literal["json", "csv"]
MEDIA: Mapping[FileFormat, str] = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
ROWS_MAX = 500  # of one file that is taken in: they are one transaction
COLUMNS = ("title", "description", "content", "categories", "tags", "is_active")
NEEDED = frozenset({"title", "content"})
# A cell that begins so is a formula for a spreadsheet (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")
QUOTE = "'"
BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know UTF-8
TRUE = frozenset({"true", "1", "yes", "да", "истина"})
FALSE = frozenset({"false", "0", "no", "нет", "ложь"})


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An article in a file. Each category is the path of titles to it; none means the default one."""

    title: str
    content: str
    description: str = ""
    categories: tuple[tuple[str, ...], ...] = ()
    tags: tuple[str, ...] = ()
    is_active: bool = True


def write_json(rows: Sequence[Row], *, is_first: bool) -> str:
    """Return a piece of a list; it is closed by `]`."""
    lines = ",\n".join(json.dumps(msgspec.structs.asdict(row), ensure_ascii=False) for row in rows)
    return ("[\n" if is_first else ",\n" if lines else "") + lines


def write_csv(rows: Sequence[Row], *, is_first: bool) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    if is_first:
        file.write(BYTE_ORDER_MARK)
        writer.writerow(COLUMNS)
    for row in rows:
        paths = "\n".join(" / ".join(title.replace("/", "//") for title in path) for path in row.categories)
        active = "true" if row.is_active else "false"
        cells = (row.title, row.description, row.content, paths, ", ".join(row.tags), active)
        writer.writerow([guard(cell) for cell in cells])
    return file.getvalue()


def read_file(data: bytes) -> list[tuple[int, Row]]:
    """Return each row with the number of its line, of its place in the list if the file is JSON.

    UTF-16 is known by its mark, what is not UTF-8 either is windows-1251. Raises Invalid, naming every fault.
    """
    text = decode(data).lstrip()
    rows = _read_json(text) if text[:1] in {"[", "{"} else _read_csv(text)
    if not rows:
        raise Invalid.field("file", "There are no articles in the file.")
    if len(rows) > ROWS_MAX:
        raise Invalid.field("file", "A file holds at most {max} articles. Split it.", max=ROWS_MAX)
    unfit = "The text holds a character that cannot be stored."
    refuse([FieldError(str(line), unfit) for line, row in rows if "\0" in _all_of(row)])
    return rows


def _all_of(row: Row) -> str:
    paths = [title for path in row.categories for title in path]
    return "".join((row.title, row.content, row.description, *row.tags, *paths))


def guard(cell: str) -> str:
    """A quote makes a cell a text; it is put before such a quote too, so that it can be taken off."""
    return QUOTE + cell if cell.lstrip(QUOTE).startswith(FORMULA) else cell


def unguard(cell: str) -> str:
    """Return what a cell said before it was guarded."""
    return cell[1:] if cell.startswith(QUOTE) and cell.lstrip(QUOTE).startswith(FORMULA) else cell


def decode(data: bytes) -> str:
    """Return the text of a file: UTF-16 by its mark, UTF-8, else windows-1251."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").replace("\0", "")
    try:
        return data.decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError:
        return data.decode("windows-1251", errors="replace").replace("\0", "")


def _read_json(text: str) -> list[tuple[int, Row]]:
    try:
        items = msgspec.json.decode(text.encode(), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid.field("file", "The file is neither a list in JSON nor a table in CSV.") from error
    rows, faults = [], []
    for number, item in enumerate(items[: ROWS_MAX + 1], start=1):
        try:
            rows.append((number, _row_decoder.decode(item)))
        except (msgspec.DecodeError, RecursionError):
            faults.append(
                FieldError(f"{number}", "This is no article: look at its names and kinds of values.")
            )
    refuse(faults)
    return rows


_row_decoder = msgspec.json.Decoder(Row)


def _read_csv(text: str) -> list[tuple[int, Row]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, Row]] = []
    faults: list[FieldError] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_head(names)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells) and len(rows) <= ROWS_MAX:
                values = dict(zip(names, map(unguard, cells), strict=False))
                _take(line, values, rows, faults)
            line = reader.line_num + 1
    except csv.Error as error:
        raise Invalid.field("file", "Line {line} cannot be read.", line=reader.line_num) from error
    refuse(faults)
    return rows


def _check_head(names: Iterable[str]) -> None:
    given = list(names)
    if not set(given) >= NEEDED or set(given) - set(COLUMNS) or len(set(given)) < len(given):
        raise Invalid.field(
            "file", "The first line must name the columns: {columns}.", columns=", ".join(COLUMNS)
        )


def _take(
    line: int, values: Mapping[str, str], rows: list[tuple[int, Row]], faults: list[FieldError]
) -> None:
    active = values.get("is_active", "").strip().lower()
    if active and active not in TRUE | FALSE:
        faults.append(FieldError(f"{line}/is_active", "Write true or false."))
    paths = [path for path in values.get("categories", "").splitlines() if path.strip()]
    row = Row(
        title=values.get("title", ""),
        content=values.get("content", "").replace("\r\n", "\n"),
        description=values.get("description", ""),
        categories=tuple(
            tuple(title.replace("//", "/").strip() for title in path.split(" / ")) for path in paths
        ),
        tags=tags_of(values.get("tags", "")),
        is_active=active not in FALSE,
    )
    rows.append((line, row))


def refuse(faults: Sequence[FieldError]) -> None:
    """Raise Invalid if there are any."""
    if faults:
        raise Invalid("invalid", "Please correct the marked lines.", fields=tuple(faults))
