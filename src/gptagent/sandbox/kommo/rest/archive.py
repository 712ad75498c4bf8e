"""Lists of the account, its incoming leads, its log, and what is linked to what."""

import heapq
from collections.abc import Iterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.rest import hal, shapes
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import (
    INCOMING_STAGE_TYPE,
    Account,
    Catalog,
    Chat,
    CustomField,
    Entity,
    LogEntry,
    now,
)
from gptagent.sandbox.wire import Json

EVENTS_PER_PAGE = 100


async def list_catalogs(request: Request) -> Response:
    call = Call.of(request)
    return hal.cut(call, "catalogs", call.account.catalogs.values(), shapes.catalog)


async def get_catalog(request: Request) -> Response:
    call = Call.of(request)
    return hal.hal(shapes.catalog(call, _catalog(call)))


async def list_elements(request: Request) -> Response:
    call = Call.of(request)
    catalog = _catalog(call)
    words = request.query_params.get("query", "").casefold()
    rows = (row for row in catalog.elements.values() if words in row.name.casefold())
    return hal.cut(call, "elements", rows, partial(_element, catalog))


async def list_catalog_fields(request: Request) -> Response:
    call = Call.of(request)
    catalog = _catalog(call)
    return hal.counted(
        call, "custom_fields", list(catalog.fields.values()), partial(_catalog_field, catalog), at_most=50
    )


def _catalog(call: Call) -> Catalog:
    catalog = call.account.catalogs.get(call.path_id())
    if catalog is None:
        raise hal.problem(404, "Requested entity not found")
    return catalog


def _element(catalog: Catalog, call: Call, row: Entity) -> Json:
    return shapes.element(call, catalog, row)


def _catalog_field(catalog: Catalog, call: Call, row: CustomField) -> Json:
    return shapes.custom_field(call, "catalogs", row, "catalogs", catalog.id)


async def list_unsorted(request: Request) -> Response:
    """The chats whose lead still stands on the stage of incoming leads."""
    call = Call.of(request)
    wanted = set(request.query_params.getlist("filter[category][]"))
    wanted |= set(request.query_params.getlist("filter[category]"))
    rows = _incoming(call) if not wanted or "chats" in wanted else iter(())
    return hal.cut(call, "unsorted", rows, _unsorted)


def _incoming(call: Call) -> Iterator[Chat]:
    for chat in call.account.chats.values():
        lead = call.account.leads.get(chat.lead_id)
        stage = call.account.pipelines[lead.pipeline_id].stages.get(lead.status_id) if lead else None
        if stage is not None and stage.type == INCOMING_STAGE_TYPE:
            yield chat


def _unsorted(call: Call, chat: Chat) -> Json:
    lead, message = call.account.leads[chat.lead_id], chat.messages[0] if chat.messages else None
    uid = forms.unsorted_uid(chat, message)
    return {
        "uid": uid,
        "source_uid": f"amojo:{chat.origin}:{chat.id}",
        "source_name": call.account.name,
        "category": "chats",
        "pipeline_id": lead.pipeline_id,
        "created_at": lead.created_at,
        "metadata": {
            "from": chat.name,
            "to": call.account.amojo_id,
            "received_at": lead.created_at,
            "service": chat.origin,
            "client": {"name": chat.name, "avatar": None},
            "origin": {"chat_id": chat.id, "ref": None, "visitor_uid": None},
            "last_message_text": message.text if message else "",
            "source_name": call.account.name,
        },
        "account_id": call.account.id,
        "_links": hal.self_link(call, "leads", "unsorted", uid),
        "_embedded": {
            "contacts": [{"id": chat.contact_id, "_links": hal.self_link(call, "contacts", chat.contact_id)}],
            "companies": [],
            "leads": [{"id": lead.id, "_links": hal.self_link(call, "leads", lead.id)}],
        },
    }


async def list_events(request: Request) -> Response:
    call = Call.of(request)
    return hal.cut(call, "events", _events(call), shapes.log_entry, largest=EVENTS_PER_PAGE)


def _events(call: Call) -> Iterator[LogEntry]:
    query = call.request.query_params
    types = {*query.getlist("filter[type][]"), *query.getlist("filter[type]")}
    entities = {*query.getlist("filter[entity][]"), *query.getlist("filter[entity]")}
    ids, people = call.numbers("entity_id"), call.numbers("created_by")
    since, until = call.span("created_at")
    for row in heapq.merge(
        reversed(call.account.log), _chat_events(call.account), key=lambda row: row.created_at, reverse=True
    ):
        if (
            (not types or row.type in types)
            and (not entities or row.entity_type in entities)
            and (not ids or row.entity_id in ids)
            and (not people or row.created_by in people)
            and since <= row.created_at <= until
        ):
            yield row


def _chat_events(account: Account) -> Iterator[LogEntry]:
    """Yield what was said in the chats, the latest first; the log tells no text."""
    said = [(message, chat) for chat in account.chats.values() for message in chat.messages]
    for message, chat in sorted(said, key=lambda pair: pair[0].created_at, reverse=True):
        incoming = message.author_type == "external"
        value: Json = {"message": {"id": message.id, "talk_id": message.talk_id, "origin": chat.origin}}
        yield LogEntry(
            id=f"01{message.id.replace('-', '')[:24]}",
            type="incoming_chat_message" if incoming else "outgoing_chat_message",
            entity_type="lead",
            entity_id=chat.lead_id,
            created_by=message.user_id or 0,
            created_at=message.created_at,
            value_after=[value],
            value_before=[],
        )


async def list_links(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.entities(call.kind).get(call.path_id())
    if row is None:
        raise hal.problem(404, "Requested entity not found")
    names = {"leads": "contacts", "contacts": "leads"}
    links: list[Json] = [
        {
            "to_entity_id": id_,
            "to_entity_type": names.get(call.kind, "contacts"),
            "metadata": {"main_contact": index == 0} if call.kind == "leads" else None,
        }
        for index, id_ in enumerate(row.links)
    ]
    links += [{"to_entity_id": id_, "to_entity_type": "companies", "metadata": None} for id_ in row.companies]
    return hal.counted(call, "links", links, _as_it_is)


async def link_contacts(request: Request) -> Response:
    """Link contacts to a lead; one that is linked already stays so."""
    call = Call.of(request)
    row = call.account.leads.get(call.path_id())
    if row is None:
        raise hal.problem(404, "Requested entity not found")
    given = await call.array()
    for item in given:
        contact = call.account.contacts.get(_whole(item.get("to_entity_id")))
        if contact is None or item.get("to_entity_type") != "contacts":
            raise hal.invalid("to_entity_id", "Entity not found")
        if contact.id not in row.links:
            row.links.append(contact.id)
            contact.links.append(row.id)
    row.updated_by, row.updated_at = call.account.main_user, now()
    call.desk.announce_entity(call.account, "leads", "update", row)
    return await list_links(request)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _as_it_is(call: Call, row: Json) -> Json:
    del call
    return row
