"""Readers of what deliveries tell about records: leads, contacts, customers, tasks, notes, lists."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

import msgspec

from gptagent.adapters.kommo.tree import Tree, as_flag, as_id, as_int, as_list, as_map, as_text
from gptagent.adapters.kommo.wire import LAST_SECOND, LeadChange
from gptagent.features.crm.deliveries.model import (
    Call,
    CatalogItemChanged,
    ContactChanged,
    CustomerChanged,
    IncomingChange,
    IncomingLeadChanged,
    LeadTriggered,
    NoteAdded,
    NoteKind,
    RecordChange,
    RecordKind,
    RecordRef,
    TaskChange,
    TaskChanged,
    Trigger,
)
from gptagent.features.crm.model import CrmEvent, LeadChanged
from gptagent.features.crm.records import Tag

ELEMENT_TYPES: Mapping[int, RecordKind] = {1: "contact", 2: "lead", 3: "company", 12: "customer"}
NOTE_KINDS: Mapping[int, NoteKind] = {4: "text", 5: "file", 10: "call_in", 11: "call_out"}
# Of the CRM's `call_status`, 1 to 7: only 4 says that somebody spoke.
SPOKE = 4
MAX_METADATA_CHARS = 20_000
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)

_Reader = Callable[[Tree], CrmEvent | None]


def lead(change: LeadChange) -> _Reader:
    def read(fields: Tree) -> LeadChanged | None:
        lead_id = as_id(fields.get("id"))
        if lead_id is None:
            return None
        return LeadChanged(
            lead_id=lead_id,
            change=change,
            pipeline_id=as_id(fields.get("pipeline_id")),
            stage_id=as_id(fields.get("status_id")),
            name=_name(fields),
            responsible_user_id=as_id(fields.get("responsible_user_id")),
            old_pipeline_id=as_id(fields.get("old_pipeline_id")),
            old_stage_id=as_id(fields.get("old_status_id")),
            old_responsible_user_id=as_id(fields.get("old_responsible_user_id")),
            price=as_int(fields.get("price")),
            changed_at=_changed_at(fields),
            changed_by=as_int(fields.get("modified_user_id")),
            fields=_listed(fields, "custom_fields"),
            tags=_tags(fields),
        )

    return read


def _trigger(name: Trigger) -> _Reader:
    def read(fields: Tree) -> LeadTriggered | None:
        lead_id = as_id(fields.get("id"))
        if lead_id is None:
            return None
        return LeadTriggered(lead_id, name, as_id(fields.get("pipeline_id")), as_id(fields.get("status_id")))

    return read


def _contact(change: RecordChange) -> _Reader:
    """Contacts and companies come under one key; `type` tells them apart."""

    def read(fields: Tree) -> ContactChanged | None:
        number = as_id(fields.get("id"))
        if number is None:
            return None
        kind: RecordKind = "company" if as_text(fields.get("type")) == "company" else "contact"
        linked = as_map(fields.get("linked_leads_id"))  # linked_leads_id[ID][ID]=ID
        return ContactChanged(
            record=RecordRef(kind, number),
            change=change,
            name=_name(fields),
            responsible_user_id=as_id(fields.get("responsible_user_id")),
            old_responsible_user_id=as_id(fields.get("old_responsible_user_id")),
            linked_lead_ids=tuple(filter(None, map(as_id, linked))),
            company_id=as_id(fields.get("linked_company_id")),
            fields=_listed(fields, "custom_fields"),
            tags=_tags(fields),
            changed_at=_changed_at(fields),
            changed_by=as_int(fields.get("modified_user_id")),
        )

    return read


def _customer(change: RecordChange) -> _Reader:
    def read(fields: Tree) -> CustomerChanged | None:
        number = as_id(fields.get("id"))
        if number is None:
            return None
        return CustomerChanged(
            customer_id=number,
            change=change,
            name=_name(fields),
            responsible_user_id=as_id(fields.get("responsible_user_id")) or as_id(fields.get("main_user_id")),
            fields=_listed(fields, "custom_fields"),
            changed_at=_changed_at(fields),
        )

    return read


def _note(owner: RecordKind) -> _Reader:
    """`leads[note][0][note][...]`, with the record's `type` beside it."""

    def read(fields: Tree) -> NoteAdded | None:
        note = as_map(fields.get("note"))
        number = as_id(note.get("id"))
        record = _record(note) or _named(owner, fields, note)
        if number is None or record is None:
            return None
        kind = _note_kind(note.get("note_type"))
        text = as_text(note.get("text"))
        return NoteAdded(
            note_id=number,
            record=record,
            kind=kind,
            text=text,
            created_by=as_int(note.get("created_by")),
            responsible_user_id=as_id(note.get("main_user_id")),
            call=_call(note, text, inbound=kind == "call_in") if kind in {"call_in", "call_out"} else None,
            changed_at=_changed_at(note),
        )

    return read


def _named(owner: RecordKind, fields: Tree, note: Mapping[str, object]) -> RecordRef | None:
    number, word = as_id(note.get("element_id")), as_text(fields.get("type"))
    kinds: Mapping[str, RecordKind] = {"lead": "lead", "contact": "contact", "company": "company"}
    return None if number is None else RecordRef(kinds.get(word, owner), number)


def _note_kind(value: object) -> NoteKind:
    """Deliveries number the kinds, REST names them."""
    number, word = as_int(value), as_text(value)
    if number is not None:
        return NOTE_KINDS.get(number, "other")
    named: Mapping[str, NoteKind] = {"common": "text", "attachment": "file"}
    return cast("NoteKind", word) if word in {"call_in", "call_out"} else named.get(word, "other")


def _call(note: Mapping[str, object], text: str, *, inbound: bool) -> Call:
    """Read a call's facts: JSON in the text or beside it, with keys in capitals or not."""
    facts = {
        key.lower(): value
        for source in (note.get("metadata"), text, note.get("params"))
        for key, value in _object(source).items()
    }
    seconds = max(as_int(facts.get("duration")) or 0, 0)
    status = as_int(facts.get("call_status"))
    unanswered = seconds == 0 if status is None else status != SPOKE
    return Call(as_text(facts.get("phone")), seconds, inbound and unanswered)


def _object(value: object) -> Mapping[str, object]:
    if isinstance(value, str) and value.startswith("{") and len(value) <= MAX_METADATA_CHARS:
        try:
            return as_map(msgspec.json.decode(value))
        except (msgspec.DecodeError, RecursionError):
            return {}
    return as_map(value)


def _task(change: TaskChange) -> _Reader:
    def read(fields: Tree) -> TaskChanged | None:
        number = as_id(fields.get("id"))
        if number is None:
            return None
        return TaskChanged(
            task_id=number,
            change=change,
            record=_record(fields),
            kind=as_id(fields.get("task_type")),
            text=_optional(fields, "text"),
            old_text=_optional(fields, "old_text"),
            is_done=as_flag(fields.get("status")),
            result=as_text(as_map(fields.get("result")).get("text")) or None,
            due_at=_time(fields.get("complete_before")) or _time(fields.get("complete_till")),
            responsible_user_id=as_id(fields.get("responsible_user_id")),
            changed_at=_changed_at(fields),
        )

    return read


def _incoming(change: IncomingChange) -> _Reader:
    """An incoming lead; its deletion says whether somebody accepted or declined it."""

    def read(fields: Tree) -> IncomingLeadChanged | None:
        uid = as_text(fields.get("uid"))
        if not uid:
            return None
        outcomes: Mapping[str, IncomingChange] = {"accept": "accepted", "decline": "declined"}
        outcome = outcomes.get(as_text(fields.get("action")), change) if change == "deleted" else change
        result = as_map(fields.get("accept_result")) or as_map(fields.get("decline_result"))
        result = result or as_map(fields.get("data"))
        lead_id, source = as_id(fields.get("lead_id")), as_map(fields.get("source_data"))
        return IncomingLeadChanged(
            uid=uid,
            change=outcome,
            category=as_text(fields.get("category")),
            lead_ids=_ids(result.get("leads")) or ((lead_id,) if lead_id else ()),
            contact_ids=_ids(result.get("contacts")),
            pipeline_id=as_id(fields.get("pipeline_id")),
            source=as_text(source.get("service")) or as_text(fields.get("source")),
            text=next((as_text(as_map(one).get("text")) for one in as_list(source.get("data"))), ""),
        )

    return read


def _catalog_item(change: RecordChange) -> _Reader:
    def read(fields: Tree) -> CatalogItemChanged | None:
        number, catalog = as_id(fields.get("id")), as_id(fields.get("catalog_id"))
        if number is None or catalog is None:
            return None
        return CatalogItemChanged(catalog, number, change, _name(fields))

    return read


def _record(fields: Mapping[str, object]) -> RecordRef | None:
    kind, number = ELEMENT_TYPES.get(as_int(fields.get("element_type")) or 0), as_id(fields.get("element_id"))
    return RecordRef(kind, number) if kind and number else None


def _ids(value: object) -> tuple[int, ...]:
    """Return numbers of a list of numbers, or of objects that have an `id`."""
    listed = (one.get("id") if isinstance(one, dict) else one for one in as_list(value))
    return tuple(filter(None, map(as_id, listed)))


def _tags(fields: Tree) -> tuple[Tag, ...] | None:
    listed = _listed(fields, "tags")
    if listed is None:
        return None
    tags = (Tag(as_id(tag.get("id")) or 0, as_text(tag.get("name"))) for tag in map(as_map, as_list(listed)))
    return tuple(tag for tag in tags if tag.name)


def _listed(fields: Tree, key: str) -> object:
    """Return a list as it came, None if the delivery does not speak of it."""
    value = fields.get(key)
    return value if isinstance(value, dict | list) else None


def _name(fields: Tree) -> str | None:
    return _optional(fields, "name")


def _optional(fields: Tree, key: str) -> str | None:
    return as_text(fields[key]) if key in fields else None


def _changed_at(fields: Mapping[str, object]) -> datetime | None:
    return next(filter(None, (_time(fields.get(key)) for key in ("updated_at", "last_modified"))), None)


def _time(value: object) -> datetime | None:
    """Read unix seconds, or `2024-09-17 13:18:58`, which is UTC in the vendor's examples."""
    seconds = as_int(value)
    if seconds is not None:
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds <= LAST_SECOND else None
    text = as_text(value)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if _WRITTEN.fullmatch(text) else None
    except ValueError:
        return None


READERS: Mapping[str, _Reader] = {
    "leads[add]": lead("added"),
    "leads[update]": lead("updated"),
    "leads[delete]": lead("deleted"),
    "leads[restore]": lead("restored"),
    "leads[status]": lead("moved"),
    "leads[responsible]": lead("responsible"),
    "leads[note]": _note("lead"),
    "leads[mail_in]": _trigger("mail_in"),
    "leads[call_in]": _trigger("call_in"),
    "leads[chat]": _trigger("chat"),
    "leads[site_visit]": _trigger("site_visit"),
    "contacts[add]": _contact("added"),
    "contacts[update]": _contact("updated"),
    "contacts[responsible]": _contact("updated"),
    "contacts[delete]": _contact("deleted"),
    "contacts[restore]": _contact("restored"),
    "contacts[note]": _note("contact"),
    "companies[note]": _note("company"),
    "customers[add]": _customer("added"),
    "customers[update]": _customer("updated"),
    "customers[responsible]": _customer("updated"),
    "customers[delete]": _customer("deleted"),
    "customers[note]": _note("customer"),
    "task[add]": _task("added"),
    "task[update]": _task("updated"),
    "task[responsible]": _task("updated"),
    "task[delete]": _task("deleted"),
    "unsorted[add]": _incoming("added"),
    "unsorted[update]": _incoming("updated"),
    "unsorted[delete]": _incoming("deleted"),
    "catalogs[add]": _catalog_item("added"),
    "catalogs[update]": _catalog_item("updated"),
    "catalogs[delete]": _catalog_item("deleted"),
}
