"""Writing deals and contacts of Kommo, and their notes."""

from collections.abc import Mapping
from datetime import datetime

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import LARGEST_PAGE, Call, KommoClient, Query, no_answer
from gptagent.adapters.kommo.entities import Row, read_contact, read_lead
from gptagent.adapters.kommo.fields import write_fields
from gptagent.adapters.kommo.tree import as_id, as_int, as_map, as_text
from gptagent.features.crm.actions.model import (
    Create,
    Custom,
    Held,
    NewNote,
    Place,
    Plain,
    Tags,
    WrittenKind,
    field_key,
)
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.values import FieldValue, text_of

# Looked back on for a record or note whose making was not confirmed.
READ_BACK_PAGES = 2
PHONE_DIGITS = 10  # without the prefix of the country, which is written as +7 or 8
# The name of a note's sender: the CRM has no kind of its own for meetings.
MEETING = "Meeting"
CALLER = "GPT Agent"


class KommoChanges:
    """Implements `ChangesPort`."""

    _client: KommoClient

    async def fetch_values(
        self, link: CrmLink, kind: WrittenKind, record_id: int
    ) -> Mapping[str, Held] | None:
        body = await self._client.fetch(link, Call(f"fetch_{kind[:-1]}", f"/{kind}/{record_id}"))
        if body is None:
            return None
        return _lead_values(as_map(body)) if kind == "leads" else _contact_values(as_map(body))

    async def update_record(
        self,
        link: CrmLink,
        kind: WrittenKind,
        record_id: int,
        values: Mapping[str, Held],
        current: Mapping[str, Held],
    ) -> None:
        json = _written(values, current)
        call = Call(f"update_{kind[:-1]}", f"/{kind}/{record_id}", "PATCH", json=json)
        if as_id(as_map(await self._client.fetch(link, call)).get("id")) is None:
            raise no_answer(is_write=True)

    async def create_record(self, link: CrmLink, kind: WrittenKind, made: Create) -> int:
        item = _written({"name": Plain(made.name), **made.values}, {})
        tags = item.pop("tags_to_add", None)
        embedded: dict[str, object] = {} if tags is None else {"tags": tags}
        if made.contact_id is not None:
            embedded["contacts"] = [{"id": made.contact_id}]
        if embedded:
            item["_embedded"] = embedded
        body = await self._client.fetch(link, Call(f"create_{kind[:-1]}", f"/{kind}", "POST", json=[item]))
        return _made(body, kind)

    async def find_record(
        self, link: CrmLink, kind: WrittenKind, made: Create, since: datetime, known: frozenset[int]
    ) -> int | None:
        query: Query = (("order[created_at]", "desc"), ("limit", LARGEST_PAGE))
        call = Call(f"find_{kind[:-1]}", f"/{kind}", query=query)
        async for row in self._client.rows(link, call, kind, pages=READ_BACK_PAGES):
            if row.get("name") == made.name and _is_new(row, since, known) and not _is_other(kind, row, made):
                return as_id(row.get("id"))
        return None

    async def link_contact(self, link: CrmLink, lead_id: int, contact_id: int) -> None:
        """Source: crm_platform/entity-links-api. A contact is linked after it was made: making one names no
        deal.
        """
        item = {"to_entity_id": contact_id, "to_entity_type": "contacts", "metadata": {"is_main": True}}
        await self._client.fetch(link, Call("link_contact", f"/leads/{lead_id}/link", "POST", json=[item]))

    async def create_note(self, link: CrmLink, new: NewNote) -> int:
        path = f"/{new.entity}/{new.entity_id}/notes"
        body = await self._client.fetch(link, Call("create_note", path, "POST", json=[_note(new)]))
        return _made(body, "notes")

    async def find_note(
        self, link: CrmLink, new: NewNote, since: datetime, known: frozenset[int]
    ) -> int | None:
        wanted = _note(new)
        query: Query = (("order[id]", "desc"), ("limit", LARGEST_PAGE))
        call = Call("find_note", f"/{new.entity}/{new.entity_id}/notes", query=query)
        async for row in self._client.rows(link, call, "notes", pages=READ_BACK_PAGES):
            if row.get("note_type") == wanted["note_type"] and _is_new(row, since, known):
                params, ours = as_map(row.get("params")), as_map(wanted["params"])
                key = "uniq" if "uniq" in ours else "text"
                if as_text(params.get(key)) == ours[key]:
                    return as_id(row.get("id"))
        return None


def _lead_values(body: Row) -> Mapping[str, Held] | None:
    lead = read_lead(body)
    if lead is None:
        return None
    values: dict[str, Held] = {
        "name": Plain(lead.name),
        "price": Plain(lead.price),
        "responsible_user_id": Plain(lead.responsible_user_id),
        "tags": Tags(tuple(tag.name for tag in lead.tags)),
    }
    if lead.pipeline_id is not None and lead.stage_id is not None:
        values["place"] = Place(lead.pipeline_id, lead.stage_id)
    return values | _custom(lead.fields)


def _contact_values(body: Row) -> Mapping[str, Held] | None:
    contact = read_contact(body)
    if contact is None:
        return None
    values: dict[str, Held] = {
        "name": Plain(contact.name),
        "first_name": Plain(contact.first_name),
        "last_name": Plain(contact.last_name),
        "responsible_user_id": Plain(contact.responsible_user_id),
        "tags": Tags(tuple(tag.name for tag in contact.tags)),
    }
    return values | _custom(contact.fields)


def _custom(fields: tuple[FieldValue, ...]) -> dict[str, Held]:
    return {field_key(one.field_id): Custom(one) for one in fields}


def _written(values: Mapping[str, Held], current: Mapping[str, Held]) -> dict[str, object]:
    """Return the body of a partial write. Tags are written as steps from what the record has."""
    item: dict[str, object] = {}
    custom: list[FieldValue] = []
    for key, held in values.items():
        match held:
            case Plain(value=value):
                item[key] = value if value is not None else 0 if key == "price" else ""
            case Place():
                item |= {"pipeline_id": held.pipeline_id, "status_id": held.stage_id}
            case Custom(field=field):
                custom.append(field)
            case Tags(names=names):
                item |= _tag_steps(names, current.get("tags"))
    if custom:
        item["custom_fields_values"] = write_fields(custom)
    return item


def _tag_steps(wanted: tuple[str, ...], current: Held | None) -> dict[str, object]:
    had = current.names if isinstance(current, Tags) else ()
    kept, known = {name.casefold() for name in wanted}, {name.casefold() for name in had}
    steps = {
        "tags_to_add": [{"name": name} for name in wanted if name.casefold() not in known],
        "tags_to_delete": [{"name": name} for name in had if name.casefold() not in kept],
    }
    return {key: tags for key, tags in steps.items() if tags}


def _note(new: NewNote) -> dict[str, object]:
    note = new.note
    if note.kind == "common":
        return {"note_type": "common", "params": {"text": note.text}}
    if note.kind == "meeting":
        return {"note_type": "service_message", "params": {"service": MEETING, "text": note.text}}
    params: dict[str, object] = {
        "uniq": new.uniq,
        "duration": note.duration,
        "source": CALLER,
        "phone": note.phone,
        "call_responsible": CALLER,
    }
    if note.link:
        params["link"] = note.link
    return {"note_type": note.kind, "params": params}


def _made(body: object, name: str) -> int:
    for row in wire.embedded(body, name):
        if (made := as_id(row.get("id"))) is not None:
            return made
    raise no_answer(is_write=True)


def _is_other(kind: WrittenKind, row: Row, made: Create) -> bool:
    """Whether a record has another phone or e-mail than was written: it is somebody else's of that name."""
    there = (_lead_values(row) if kind == "leads" else _contact_values(row)) or {}
    for key, held in made.values.items():
        now = there.get(key)
        if isinstance(held, Custom) and isinstance(now, Custom) and held.field.type == "multitext":
            written, read = _reach(held.field), _reach(now.field)
            if written and read and not written & read:
                return True
    return False


def _reach(field: FieldValue) -> set[str]:
    """Return phones by their last digits and addresses in small letters, however the CRM writes them."""
    said = [text_of(one).casefold() for one in field.values]
    return {one if "@" in one else "".join(filter(str.isdigit, one))[-PHONE_DIGITS:] for one in said} - {""}


def _is_new(row: Row, since: datetime, known: frozenset[int]) -> bool:
    is_young = wire.moment(row.get("created_at")) >= since.replace(microsecond=0)
    return is_young and as_int(row.get("id")) not in known
