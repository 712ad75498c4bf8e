"""Kommo's own log of events, for what no webhook told; its findings are told as webhooks tell.

A log row names messages by id without their text: Kommo's talks have the text, amoCRM offers it nowhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from gptagent.adapters.kommo import letters
from gptagent.adapters.kommo.client import LARGEST_PAGE, Call, KommoClient, Query
from gptagent.adapters.kommo.tree import as_id, as_int, as_list, as_map, as_text
from gptagent.adapters.kommo.wire import embedded, moment
from gptagent.features.crm.deliveries.model import RecordKind, RecordRef, Seen, SeenLetter
from gptagent.features.crm.model import CallPriority, CrmLink, brand_of
from gptagent.kernel.errors import Forbidden, NotFound

LARGEST_LOG_PAGE = 100  # the log's own limit
LOG_PAGES = 3
LETTER_PAGES = 30  # nobody else tells of them, and a mailing is many
CLOCK_SKEW_SECONDS = 5
INCOMING, OUTGOING, MOVED = "incoming_chat_message", "outgoing_chat_message", "lead_status_changed"
LEAD_FIELDS = (
    *("id", "name", "price", "status_id", "pipeline_id", "responsible_user_id"),
    *("created_at", "updated_at"),
)
UNREADABLE = "unreadable"  # our word for a message of which only the id is known
_ENTITIES: Mapping[str, RecordKind] = {"lead": "lead", "contact": "contact", "customer": "customer"}


class KommoLog:
    """Implements `LogPort`. Nobody waits for its calls: they give way to all others."""

    _client: KommoClient

    async def list_seen(
        self, link: CrmLink, since: datetime, until: datetime
    ) -> tuple[tuple[Seen, ...], bool]:
        rows, is_all = await self._list(link, (INCOMING, OUTGOING, MOVED), since, until, LOG_PAGES)
        found = [seen for row in rows for seen in _read(row)]
        return tuple(sorted(found, key=lambda seen: seen.happened_at)), is_all

    async def _list(
        self, link: CrmLink, names: Sequence[str], since: datetime, until: datetime, pages: int
    ) -> tuple[list[Mapping[str, object]], bool]:
        """Return the log's lines of these types and seconds, the latest first, and whether that is all."""
        span: Query = (
            ("filter[created_at][from]", int(since.timestamp())),
            ("filter[created_at][to]", int(until.timestamp())),
        )
        types = tuple(("filter[type][]", name) for name in names)
        found: list[Mapping[str, object]] = []
        for page in range(1, pages + 1):
            query = (*span, *types, ("limit", LARGEST_LOG_PAGE), ("page", page))
            call = Call("list_events", "/events", query=query, priority=CallPriority.SYNC)
            rows = embedded(await self._client.fetch(link, call), "events")
            found += rows
            if len(rows) < LARGEST_LOG_PAGE:
                return found, True
        return found, False

    async def list_letters(self, link: CrmLink, since: datetime, until: datetime) -> tuple[SeenLetter, ...]:
        names = (letters.INCOMING, letters.OUTGOING)
        rows, _is_all = await self._list(link, names, since, until, LETTER_PAGES)
        found = [one for row in rows if (one := letters.seen_in(row)) is not None]
        return tuple(sorted(found, key=lambda one: (one.happened_at, one.record.kind != "lead", one.note_id)))

    async def fetch_letter(self, link: CrmLink, seen: SeenLetter) -> Mapping[str, object]:
        path = f"/{letters.PLACES[seen.record.kind]}/{seen.record.id}/notes/{seen.note_id}"
        try:
            note = await self._client.fetch(link, Call("fetch_note", path, priority=CallPriority.SYNC))
        except NotFound:  # deleted meanwhile
            return {}
        letter = letters.as_told(seen.record, as_map(note))
        return {"letter": {"add": [letter]}} if letter else {}

    async def fetch_missed(self, link: CrmLink, talk_id: int, seen: Sequence[Seen]) -> Mapping[str, object]:
        call = Call("fetch_talk", f"/talks/{talk_id}", priority=CallPriority.SYNC)
        talk = as_map(await self._client.fetch(link, call))
        if not as_text(talk.get("chat_id")):
            return {}
        listed = None if brand_of(link.host) == "amocrm" else await self._listed(link, talk_id, seen)
        if listed is None:
            return _as_delivery(_message_as_told(talk, one) for one in seen)
        return _as_delivery(_listed_as_told(talk, row) for row in listed)

    async def _listed(
        self, link: CrmLink, talk_id: int, seen: Sequence[Seen]
    ) -> list[Mapping[str, object]] | None:
        """Return the messages with their text, oldest first; None where the account may not read them."""
        wanted = {one.message_id for one in seen}
        since = min(int(one.happened_at.timestamp()) for one in seen) - CLOCK_SKEW_SECONDS
        query = (("filter[created_at][from]", since), ("limit", LARGEST_PAGE))
        call = Call("list_messages", f"/talks/{talk_id}/messages", query=query, priority=CallPriority.SYNC)
        try:
            rows = [row async for row in self._client.rows(link, call, "messages")]
        except (Forbidden, NotFound) as error:
            if error.code == "crm_unauthorized":
                raise
            return None
        chosen = [row for row in rows if as_text(row.get("id")) in wanted]
        order = {one.message_id: number for number, one in enumerate(seen)}
        return sorted(chosen, key=lambda row: order[as_text(row.get("id"))])

    async def fetch_changed_leads(self, link: CrmLink, since: datetime) -> Mapping[str, object]:
        query = (
            ("filter[updated_at][from]", int(since.timestamp())),
            ("order[updated_at]", "asc"),
            ("limit", LARGEST_PAGE),
        )
        call = Call("list_leads", "/leads", query=query, priority=CallPriority.SYNC)
        rows = embedded(await self._client.fetch(link, call), "leads")
        return {"leads": {"update": [_lead_as_told(row) for row in rows]}} if rows else {}

    def tell_moved(self, seen: Sequence[Seen]) -> Mapping[str, object]:
        moved = [_moved_as_told(one, one.record.id) for one in seen if one.record is not None]
        return {"leads": {"status": moved}} if moved else {}


def _read(row: Mapping[str, object]) -> Iterator[Seen]:
    kind, happened_at = as_text(row.get("type")), moment(row.get("created_at"))
    record = _record(row)
    by = as_int(row.get("created_by"))
    if kind == MOVED:
        after, before = _status(row.get("value_after")), _status(row.get("value_before"))
        if record is not None and after[1] is not None:
            yield Seen(happened_at, "moved", record, by, "", None, "", *after, *before)
        return
    for value in map(as_map, as_list(row.get("value_after"))):
        message = as_map(value.get("message"))
        if message_id := as_text(message.get("id")):
            direction: Literal["incoming", "outgoing"] = "incoming" if kind == INCOMING else "outgoing"
            talk_id, origin = as_id(message.get("talk_id")), as_text(message.get("origin"))
            yield Seen(happened_at, direction, record, by, message_id, talk_id, origin)


def _record(row: Mapping[str, object]) -> RecordRef | None:
    kind, number = _ENTITIES.get(as_text(row.get("entity_type"))), as_id(row.get("entity_id"))
    return RecordRef(kind, number) if kind and number else None


def _status(values: object) -> tuple[int | None, int | None]:
    """Return pipeline and stage of `[{"lead_status": {"id", "pipeline_id"}}]`."""
    status = next((as_map(as_map(value).get("lead_status")) for value in as_list(values)), {})
    return as_id(status.get("pipeline_id")), as_id(status.get("id"))


def _as_delivery(elements: Iterable[dict[str, object]]) -> dict[str, object]:
    """Return `message[add]` and `outgoing_message[add]`, each oldest first."""
    tree: dict[str, object] = {}
    told = list(elements)
    for kind, direction in (("message", "incoming"), ("outgoing_message", "outgoing")):
        chosen = [element for element in told if element.get("type") == direction]
        if chosen:
            tree[kind] = {"add": chosen}
    return tree


def _listed_as_told(talk: Mapping[str, object], row: Mapping[str, object]) -> dict[str, object]:
    """Return a listed message in the words of a webhook; where it was said comes from its talk."""
    said = ("id", "type", "message_type", "text", "created_at", "author", "attachment", "origin")
    return _place(talk) | {name: row[name] for name in said if row.get(name) is not None}


def _place(talk: Mapping[str, object]) -> dict[str, object]:
    place = ("chat_id", "talk_id", "contact_id", "entity_id", "entity_type", "origin")
    return {name: talk[name] for name in place if talk.get(name) is not None}


def _lead_as_told(row: Mapping[str, object]) -> dict[str, object]:
    same = (
        "id",
        "name",
        "price",
        "status_id",
        "pipeline_id",
        "responsible_user_id",
        "created_at",
        "updated_at",
    )
    element = {name: row[name] for name in same if row.get(name) is not None}
    return element | {"modified_user_id": row.get("updated_by", 0)}


def _moved_as_told(one: Seen, lead_id: int) -> dict[str, object]:
    told = {
        "id": lead_id,
        "status_id": one.stage_id,
        "pipeline_id": one.pipeline_id,
        "old_status_id": one.old_stage_id,
        "old_pipeline_id": one.old_pipeline_id,
        "modified_user_id": one.by_user_id,
        "updated_at": int(one.happened_at.timestamp()),
    }
    return {name: value for name, value in told.items() if value is not None}


def _message_as_told(talk: Mapping[str, object], one: Seen) -> dict[str, object]:
    """Return what the log alone knows of a message: who wrote it and when."""
    author = "external" if one.kind == "incoming" else "internal" if one.by_user_id else "bot"
    return {
        **_place(talk),
        "id": one.message_id,
        "type": one.kind,
        "message_type": UNREADABLE,
        "created_at": int(one.happened_at.timestamp()),
        "author": {"id": str(one.by_user_id or ""), "type": author},
    }
