"""What a file of questions holds. Pure.

A source is named by its title, by its id where others have the same one. In a cell of CSV each stands on a
line of its own.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gptagent.features.knowledge.exchange import rows
from gptagent.features.knowledge.exchange.rows import FileFormat, Kind, read_rows
from gptagent.features.knowledge.questions.model import QUESTIONS_MAX

COLUMNS = ("text", "articles", "documents")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question in a file, with the titles or ids of what should answer it.

    A file that has no word of articles, or of documents, says nothing about them: None.
    """

    text: str
    articles: tuple[str, ...] | None = None
    documents: tuple[str, ...] | None = None


def write_file(found: Sequence[Row], form: FileFormat) -> str:
    """Return the whole file."""
    if form == "json":
        return rows.write_json(found) + "\n]\n"
    return rows.write_csv(COLUMNS, map(_cells, found))


def read_file(data: bytes) -> list[tuple[int, Row]]:
    """Return the questions as `read_rows` does."""
    return read_rows(data, QUESTIONS)


def _cells(row: Row) -> tuple[str, ...]:
    return (row.text, "\n".join(row.articles or ()), "\n".join(row.documents or ()))


def _of_cells(values: Mapping[str, str]) -> Row:
    named = [
        None if cell is None else tuple(one.strip() for one in cell.splitlines() if one.strip())
        for cell in (values.get("articles"), values.get("documents"))
    ]
    return Row(values.get("text", ""), named[0], named[1])


def _texts(row: Row) -> Iterable[str]:
    return (row.text, *(row.articles or ()), *(row.documents or ()))


QUESTIONS = Kind(
    row=Row,
    columns=COLUMNS,
    needed=frozenset({"text"}),
    most=QUESTIONS_MAX,
    of_cells=_of_cells,
    texts=_texts,
    none="There are no questions in the file.",
    too_many="A file holds at most {max} questions.",
    strange="This is no question: look at its names and kinds of values.",
)
