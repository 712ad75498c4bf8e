"""What a list shows, as its address says it: filters, order, size of a page and its number."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import UUID

SIZES = (10, 25, 50, 100)
SIZE = 25
SIZE_OPTIONS = tuple((size, str(size)) for size in SIZES)
PAGES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Listing:
    """`filters` are the set ones, as they stand in the address. `page` counts from 1."""

    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    size: int = SIZE
    page: int = 1

    @classmethod
    def read(cls, said: Mapping[str, object], names: Collection[str], orders: Collection[str]) -> "Listing":
        """Read an address or a form; what it cannot mean counts as not said."""
        values = {key: v for key, v in said.items() if isinstance(v, str) and "\0" not in v}
        sort, size, page = (values.get(name, "") for name in ("sort", "size", "page"))
        number = int(page) if page.isascii() and page.isdecimal() and len(page) < 7 else 1
        return cls(
            filters={name: text for name in names if (text := values.get(name, "").strip())},
            sort=sort if sort in orders else "",
            size=int(size) if size in map(str, SIZES) else SIZE,
            page=min(max(number, 1), PAGES_MAX),
        )

    def get(self, name: str) -> str:
        """Return a filter, empty if it is not set."""
        return self.filters.get(name, "")

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.size

    def query(self, **changes: object) -> str:
        """Return the query with these changes, beginning with "?"; it shows the first page unless said."""
        values: dict[str, object] = {**self.filters, "sort": self.sort, "size": self.size, **changes}
        if values["size"] == SIZE:
            del values["size"]
        return "?" + urlencode({name: value for name, value in values.items() if value})

    def sorted_by(self, name: str) -> tuple[str, str]:
        """Return how a column is sorted now (for aria-sort), and the address that sorts it the next way."""
        now = {name: "ascending", f"-{name}": "descending"}.get(self.sort, "none")
        following = {"none": name, "ascending": f"-{name}", "descending": ""}[now]
        return now, self.query(sort=following)


def id_of(text: str) -> UUID | None:
    """Return the id, None for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def ids_of(texts: Iterable[object]) -> tuple[UUID, ...]:
    """Return the ids among what a form sent, in order."""
    found = (id_of(text) for text in texts if isinstance(text, str))
    return tuple(one for one in found if one is not None)
