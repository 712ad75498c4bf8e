"""What a file of articles holds. Pure.

In CSV a cell holds several tags with commas, several categories on lines of their own, a category as the
titles of its path, stages likewise. A slash of a title is doubled, so that ` / ` always parts two titles.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gptagent.features.knowledge.articles.model import tags_of
from gptagent.features.knowledge.exchange import rows
from gptagent.features.knowledge.exchange.rows import FileFormat, Kind, read_rows
from gptagent.kernel.errors import Invalid

ROWS_MAX = 500  # of one file that is taken in: they are one transaction
COLUMNS = ("title", "description", "content", "categories", "tags", "is_active", "stages")
Paths = tuple[tuple[str, ...], ...]
TRUE = frozenset({"true", "1", "yes", "да", "истина"})
FALSE = frozenset({"false", "0", "no", "нет", "ложь"})


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An article in a file. Each category is the path of titles to it; none means the default one.

    So is each stage: its pipeline and itself, before them the account if there are several; none means all.
    """

    title: str
    content: str
    description: str = ""
    categories: tuple[tuple[str, ...], ...] = ()
    tags: tuple[str, ...] = ()
    is_active: bool = True
    stages: tuple[tuple[str, ...], ...] = ()


def write_piece(found: Sequence[Row], form: FileFormat, *, is_first: bool) -> str:
    """Return a piece of the file; a list in JSON is closed by `]`."""
    if form == "json":
        return rows.write_json(found, is_first=is_first)
    return rows.write_csv(COLUMNS, map(_cells, found), is_first=is_first)


def read_file(data: bytes) -> list[tuple[int, Row]]:
    """Return the articles as `read_rows` does."""
    return read_rows(data, ARTICLES)


def _cells(row: Row) -> tuple[str, ...]:
    active = "true" if row.is_active else "false"
    places, tags = _written(row.categories), ", ".join(row.tags)
    return (row.title, row.description, row.content, places, tags, active, _written(row.stages))


def _written(paths: Paths) -> str:
    return "\n".join(" / ".join(title.replace("/", "//") for title in path) for path in paths)


def _paths(text: str) -> Paths:
    return tuple(
        tuple(title.replace("//", "/").strip() for title in path.split(" / "))
        for path in text.splitlines()
        if path.strip()
    )


def _of_cells(values: Mapping[str, str]) -> Row:
    active = values.get("is_active", "").strip().lower()
    if active and active not in TRUE | FALSE:
        raise Invalid.field("is_active", "Write true or false.")
    return Row(
        title=values.get("title", ""),
        content=values.get("content", "").replace("\r\n", "\n"),
        description=values.get("description", ""),
        categories=_paths(values.get("categories", "")),
        tags=tags_of(values.get("tags", "")),
        is_active=active not in FALSE,
        stages=_paths(values.get("stages", "")),
    )


def _texts(row: Row) -> Iterable[str]:
    paths = [title for path in (*row.categories, *row.stages) for title in path]
    return (row.title, row.content, row.description, *row.tags, *paths)


ARTICLES = Kind(
    row=Row,
    columns=COLUMNS,
    needed=frozenset({"title", "content"}),
    most=ROWS_MAX,
    of_cells=_of_cells,
    texts=_texts,
    none="There are no articles in the file.",
    too_many="A file holds at most {max} articles. Split it.",
    strange="This is no article: look at its names and kinds of values.",
)
