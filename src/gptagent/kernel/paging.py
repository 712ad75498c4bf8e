"""Lists in pages. A page continues after a row, not at a number: what is added meanwhile shifts nothing."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import Depends, Query

from gptagent.kernel.errors import Invalid

PAGE_SIZE = 50
PAGE_MAX = 200
CURSOR_MAX_CHARS = 2_000

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many items a page has at most.")]
CursorText = Annotated[
    str | None,
    Query(max_length=CURSOR_MAX_CHARS, description="`next_cursor` of the page before, with the same sort."),
]
T = TypeVar("T")

Kind = Literal["time", "text", "number"]
_CASTS: dict[Kind, str] = {"time": "timestamptz", "text": "text", "number": "bigint"}
_BIGINT = 2**63


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: a column, from code and never from a request, and the row's id after it."""

    name: str
    column: str
    kind: Kind = "time"
    descending: bool = False
    id_column: str = "id"
    id_type: str = "uuid"


def orders(*, name: str = "", created_at: str = "created_at") -> dict[str, Order]:
    """Return the orders most lists have: by time, and by the column `name` if it is given."""
    found = {
        "created_at": Order("created_at", created_at),
        "-created_at": Order("-created_at", created_at, descending=True),
    }
    if name:
        found["name"] = Order("name", name, "text")
    return found


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: `limit` rows after the row with this value and id."""

    order: Order
    limit: int = PAGE_SIZE
    after: tuple[object, str] | None = None

    @classmethod
    def read(cls, order: Order, limit: int, cursor: str | None) -> "Page":
        """Raise Invalid on `cursor` unless it is one of this list's in this order."""
        return cls(order, limit, _decode(order, cursor) if cursor else None)

    def clause(self, first: int) -> str:
        """Return the end of a query, from its condition on; `args` are its parameters from number `first`."""
        order, way = self.order, "desc" if self.order.descending else "asc"
        sign = "<" if self.order.descending else ">"
        after = f"(${first}::{_CASTS[order.kind]}, ${first + 1}::text::{order.id_type})"
        condition = f"({order.column}, {order.id_column}) {sign} {after}"
        if self.after is None:  # the parameters are named, or PostgreSQL knows nothing of their types
            condition = f"${first}::text is null and ${first + 1}::text is null"
        sort = f"order by {order.column} {way}, {order.id_column} {way}"
        return f"{condition} {sort} limit ${first + 2}"

    @property
    def args(self) -> tuple[object, object, int]:
        """One row more than asked for tells whether there is a next page."""
        value, row_id = self.after or (None, None)
        return value, row_id, self.limit + 1

    def cut(self, rows: Sequence[T], key: Callable[[T], tuple[object, object]]) -> tuple[list[T], str | None]:
        """Return the page's rows and the next one's cursor; `key` is a row's value of the order and id."""
        if len(rows) <= self.limit:
            return list(rows), None
        kept = list(rows[: self.limit])
        return kept, _encode(self.order, *key(kept[-1]))


def page_of(orders: Mapping[str, Order], default: str) -> Any:
    """Return the dependency that reads `limit`, `cursor` and `sort` from a list's address."""

    async def read(limit: Limit = PAGE_SIZE, cursor: CursorText = None, sort: str = default) -> Page:
        return Page.read(orders[sort], limit, cursor)

    read.__annotations__["sort"] = Literal[tuple(orders)]
    return Depends(read)


def _encode(order: Order, value: object, row_id: object) -> str:
    written = value.isoformat() if isinstance(value, datetime) else value
    packed = json.dumps([order.name, written, str(row_id)], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def _decode(order: Order, cursor: str) -> tuple[object, str]:
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, value, row_id = json.loads(raw)
        checked_id = str(UUID(row_id)) if order.id_type == "uuid" else str(_whole(int(row_id)))
        checked = _value(order.kind, value)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise Invalid.field("cursor", "This is no cursor of this list in this order.") from error
    if name != order.name:
        raise Invalid.field("cursor", "This is no cursor of this list in this order.")
    return checked, checked_id


def _value(kind: Kind, value: object) -> object:
    if kind == "number":
        return _whole(value)
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    if kind == "text":
        value.encode()  # a lone surrogate is nothing the database could compare
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not 1970 <= moment.year < 9999:
        raise ValueError(value)
    return moment.astimezone(UTC)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -_BIGINT <= value < _BIGINT:
        raise ValueError(value)
    return value
