"""What a file of questions holds: JSON as programs like it, CSV as spreadsheets do. Pure.

A source is named by its title, by its id where others have the same one. In a cell of CSV each stands on a
line of its own.
"""

import csv
import io
import json
from collections.abc import Sequence

import msgspec

from gptagent.features.knowledge.exchange.files import (
    BYTE_ORDER_MARK,
    FileFormat,
    decode,
    guard,
    refuse,
    unguard,
)
from gptagent.features.knowledge.questions.model import QUESTIONS_MAX
from gptagent.kernel.errors import FieldError, Invalid

COLUMNS = ("text", "articles", "documents")
NEEDED = "text"


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question in a file, with the titles or ids of what should answer it.

    A file that has no word of articles, or of documents, says nothing about them: None.
    """

    text: str
    articles: tuple[str, ...] | None = None
    documents: tuple[str, ...] | None = None


def write_file(rows: Sequence[Row], form: FileFormat) -> str:
    """Return the whole file."""
    if form == "json":
        return json.dumps([msgspec.structs.asdict(row) for row in rows], ensure_ascii=False, indent=1) + "\n"
    file = io.StringIO()
    file.write(BYTE_ORDER_MARK)
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for row in rows:
        cells = (row.text, "\n".join(row.articles or ()), "\n".join(row.documents or ()))
        writer.writerow([guard(cell) for cell in cells])
    return file.getvalue()


def read_file(data: bytes) -> list[tuple[int, Row]]:
    """Return each row with the number of its line, of its place in the list if the file is JSON.

    Raises Invalid, naming every fault.
    """
    text = decode(data).lstrip()
    rows = _read_json(text) if text[:1] in {"[", "{"} else _read_csv(text)
    if not rows:
        raise Invalid.field("file", "There are no questions in the file.")
    if len(rows) > QUESTIONS_MAX:
        raise Invalid.field("file", "A file holds at most {max} questions.", max=QUESTIONS_MAX)
    unfit = "The text holds a character that cannot be stored."
    refuse([FieldError(str(line), unfit) for line, row in rows if "\0" in _all_of(row)])
    return rows


_decoder = msgspec.json.Decoder(Row)


def _all_of(row: Row) -> str:
    return "".join((row.text, *(row.articles or ()), *(row.documents or ())))


def _read_json(text: str) -> list[tuple[int, Row]]:
    try:
        items = msgspec.json.decode(text.encode(), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid.field("file", "The file is neither a list in JSON nor a table in CSV.") from error
    rows, faults = [], []
    for number, item in enumerate(items[: QUESTIONS_MAX + 1], start=1):
        try:
            rows.append((number, _decoder.decode(item)))
        except (msgspec.DecodeError, RecursionError):
            faults.append(
                FieldError(f"{number}", "This is no question: look at its names and kinds of values.")
            )
    refuse(faults)
    return rows


def _read_csv(text: str) -> list[tuple[int, Row]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, Row]] = []
    faults: list[FieldError] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if NEEDED not in names or set(names) - set(COLUMNS) or len(set(names)) < len(names):
            columns = ", ".join(COLUMNS)
            raise Invalid.field("file", "The first line must name the columns: {columns}.", columns=columns)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells) and len(rows) <= QUESTIONS_MAX:
                values = dict(zip(names, map(unguard, cells), strict=False))
                rows.append((line, _row(values)))
                if any(cell.strip() for cell in cells[len(names) :]):
                    faults.append(FieldError(str(line), "This line has more cells than there are columns."))
            line = reader.line_num + 1
    except csv.Error as error:
        raise Invalid.field("file", "Line {line} cannot be read.", line=reader.line_num) from error
    refuse(faults)
    return rows


def _row(values: dict[str, str]) -> Row:
    named = [
        None if cell is None else tuple(one.strip() for one in cell.splitlines() if one.strip())
        for cell in (values.get("articles"), values.get("documents"))
    ]
    return Row(values.get("text", ""), named[0], named[1])
