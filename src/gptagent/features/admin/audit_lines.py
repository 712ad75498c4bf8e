"""A row of the audit as people read it, on pages and in exported files."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Literal, Protocol, get_args
from uuid import UUID

from starlette.responses import StreamingResponse

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry, Named, Recorded, Wanted
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

ExportFormat = Literal["csv", "jsonl"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
EXPORT_ROWS = 500  # of one transaction: a long export holds none open
MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
NO_ID = UUID(int=0)
# A cell that begins so is a formula for a spreadsheet (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")
BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know UTF-8
COLUMNS = (
    "seq", "at", "actor_kind", "actor_id", "actor_name", "acting_for", "acting_for_name", "action",
    "target_kind", "target_id", "target_name", "changes", "personal", "address", "request_id", "hash",
)  # fmt: skip
PEOPLE = frozenset({"person", "member"})


class Writer(Protocol):
    """Writes a piece of a file."""

    def __call__(self, lines: "Sequence[Line]", *, is_first: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class Line:
    """A row with the names of whom it speaks. A person without one was deleted."""

    row: Recorded
    names: Mapping[UUID, Named]

    def of(self, person_id: UUID | None) -> Named | None:
        return self.names.get(person_id or NO_ID)

    @property
    def target_person(self) -> UUID | None:
        return _as_id(self.row.target_id) if self.row.target_kind in PEOPLE else None

    def facts(self) -> dict[str, object]:
        """Return what a program gets of the row."""
        row = self.row
        return {
            "seq": row.seq,
            "at": row.at.isoformat(),
            "actor_kind": row.actor_kind,
            "actor_id": row.actor_id and str(row.actor_id),
            "actor_name": self._name(row.actor_id),
            "acting_for": row.acting_for and str(row.acting_for),
            "acting_for_name": self._name(row.acting_for),
            "action": row.action,
            "target_kind": row.target_kind,
            "target_id": row.target_id,
            "target_name": self._name(self.target_person),
            "changes": dict(row.changes),
            "personal": row.personal and dict(row.personal),
            "address": row.address,
            "request_id": row.request_id,
            "hash": row.hash.hex(),
        }

    def _name(self, person_id: UUID | None) -> str | None:
        found = self.of(person_id)
        return found.name if found and not found.is_erased else None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a reader asks for, as it stands in an address."""

    action: str = ""
    person: str = ""
    since: str = ""
    until: str = ""

    def wanted(self, zone: tzinfo) -> Wanted:
        """Days are whole ones of the reader's zone; what is no day or no id asks for nothing."""
        last = _as_day(self.until)
        return Wanted(
            self.action or None,
            _as_id(self.person),
            _midnight(_as_day(self.since), zone),
            _midnight(last + timedelta(days=1), zone) if last else None,
        )

    def query(self) -> dict[str, str]:
        named = {"action": self.action, "person": self.person, "since": self.since, "until": self.until}
        return {name: value for name, value in named.items() if value}


async def read_lines(
    db: Database, scope: Scope, wanted: Wanted, *, before: int | None, limit: int
) -> list[Line]:
    async with db.session(scope) as session:
        rows = await audit.list_entries(session, before=before, limit=limit, wanted=wanted)
        names = await audit.list_names(session, rows)
    return [Line(row, names) for row in rows]


async def export(db: Database, scope: Scope, wanted: Wanted, form: ExportFormat) -> StreamingResponse:
    """Return the record as a file, written while it is read. That it was exported is recorded first."""
    changes = {"format": (None, form), "action": (None, wanted.action), "since": (None, wanted.since)}
    async with db.session(scope) as session:
        seq = await audit.record(session, Entry("audit.exported", "audit", "", changes))
    write = _csv if form == "csv" else _jsonl
    headers = {"content-disposition": f'attachment; filename="audit.{form}"', "cache-control": "no-store"}
    return StreamingResponse(
        _pieces(db, scope, wanted, write, seq + 1), headers=headers, media_type=MEDIA[form]
    )


async def _pieces(
    db: Database, scope: Scope, wanted: Wanted, write: Writer, before: int
) -> AsyncIterator[bytes]:
    is_first = True
    while True:
        lines = await read_lines(db, scope, wanted, before=before, limit=EXPORT_ROWS)
        yield write(lines, is_first=is_first).encode()
        if len(lines) < EXPORT_ROWS:
            return
        is_first, before = False, lines[-1].row.seq


def _jsonl(lines: Sequence[Line], *, is_first: bool) -> str:  # noqa: ARG001 - as the other writer
    return "".join(json.dumps(line.facts(), ensure_ascii=False, default=str) + "\n" for line in lines)


def _csv(lines: Sequence[Line], *, is_first: bool) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    if is_first:
        file.write(BYTE_ORDER_MARK)
        writer.writerow(COLUMNS)
    for line in lines:
        facts = line.facts()
        writer.writerow([cell(facts[column]) for column in COLUMNS])
    return file.getvalue()


def cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, Mapping):
        value = json.dumps(value, ensure_ascii=False, default=str) if value else ""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _as_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date | None, zone: tzinfo) -> datetime | None:
    return datetime.combine(day, time.min, zone) if day else None
