"""Leads, contacts and companies: lists, reads, and partial writes with the vendor's rules."""

from collections.abc import Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.rest import hal, shapes
from gptagent.sandbox.kommo.rest.changes import apply
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import Entity, EntityKind, now
from gptagent.sandbox.wire import Json

SHAPES = {"leads": shapes.lead, "contacts": shapes.contact, "companies": shapes.company}
ORDERS = ("updated_at", "created_at", "id")


async def list_leads(request: Request) -> Response:
    return _list(Call.of(request), "leads")


async def list_contacts(request: Request) -> Response:
    return _list(Call.of(request), "contacts")


async def list_companies(request: Request) -> Response:
    return _list(Call.of(request), "companies")


async def get_lead(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.leads.get(call.path_id())
    return hal.found(None if row is None else shapes.lead(call, row))


async def get_contact(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.contacts.get(call.path_id())
    return hal.found(None if row is None else shapes.contact(call, row))


async def get_company(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.companies.get(call.path_id())
    return hal.found(None if row is None else shapes.company(call, row))


async def add_leads(request: Request) -> Response:
    return await _add(Call.of(request), "leads")


async def add_contacts(request: Request) -> Response:
    return await _add(Call.of(request), "contacts")


async def add_companies(request: Request) -> Response:
    return await _add(Call.of(request), "companies")


async def patch_leads(request: Request) -> Response:
    return await _patch_many(Call.of(request), "leads")


async def patch_contacts(request: Request) -> Response:
    return await _patch_many(Call.of(request), "contacts")


async def patch_companies(request: Request) -> Response:
    return await _patch_many(Call.of(request), "companies")


async def patch_lead(request: Request) -> Response:
    return await _patch_one(Call.of(request), "leads")


async def patch_contact(request: Request) -> Response:
    return await _patch_one(Call.of(request), "contacts")


async def patch_company(request: Request) -> Response:
    return await _patch_one(Call.of(request), "companies")


def _list(call: Call, kind: EntityKind) -> Response:
    return hal.cut(call, kind, _filtered(call, kind), SHAPES[kind])


def _filtered(call: Call, kind: EntityKind) -> Iterator[Entity]:
    table = call.account.entities(kind)
    if call.is_amocrm and not call.account.knobs.api_filter:  # an option that costs
        yield from (row for row in _ordered(call, table.values()) if row.id not in call.account.hidden)
        return
    ids = call.numbers("id")
    rows = (table[id_] for id_ in ids if id_ in table) if ids else _ordered(call, table.values())
    pipelines, people = call.numbers("pipeline_id"), call.numbers("responsible_user_id")
    stages = _stage_filter(call)
    created, updated = call.span("created_at"), call.span("updated_at")
    words = call.request.query_params.get("query", "").casefold()
    for row in rows:
        if (
            (not pipelines or row.pipeline_id in pipelines)
            and (not people or row.responsible_user_id in people)
            and (not stages or (row.pipeline_id, row.status_id) in stages)
            and created[0] <= row.created_at <= created[1]
            and updated[0] <= row.updated_at <= updated[1]
            and words in row.name.casefold()
            and row.id not in call.account.hidden
        ):
            yield row


def _ordered(call: Call, rows: Iterable[Entity]) -> Iterable[Entity]:
    for name in ORDERS:
        direction = call.request.query_params.get(f"order[{name}]")
        if direction is not None:
            return sorted(rows, key=lambda row: (getattr(row, name), row.id), reverse=direction == "desc")
    return rows


def _stage_filter(call: Call) -> set[tuple[int, int]]:
    query = call.request.query_params
    prefix = "filter[statuses]["
    indexes = {key[len(prefix) :].split("]")[0] for key in query if key.startswith(prefix)}
    return {
        (
            int(query.get(f"{prefix}{index}][pipeline_id]", 0)),
            int(query.get(f"{prefix}{index}][status_id]", 0)),
        )
        for index in indexes
    }


async def _add(call: Call, kind: EntityKind) -> Response:
    thin: list[Json] = []
    for index, item in enumerate(await call.array()):
        row = _blank(call, kind)
        apply(call, kind, row, item, index)
        call.account.entities(kind)[row.id] = row
        call.desk.announce_entity(call.account, kind, "add", row)
        thin.append({"id": row.id, "request_id": hal.request_id(item, index)})
    return hal.written(call, kind, kind, thin)


def _blank(call: Call, kind: EntityKind) -> Entity:
    account, moment = call.account, now()
    row = Entity(
        call.desk.world.ids.next(),
        "",
        account.main_user,
        account.main_user,
        account.main_user,
        moment,
        moment,
    )
    if kind == "leads":
        row.name = f"Lead #{row.id}"
        row.pipeline_id = account.main_pipeline.id
        row.status_id = account.main_pipeline.first_open_stage()
    return row


async def _patch_many(call: Call, kind: EntityKind) -> Response:
    thin = []
    for index, item in enumerate(await call.array()):
        id_ = item.get("id")
        if not isinstance(id_, int):
            raise hal.invalid(f"{index}.id", "This field is missing.", code="FieldMissing")
        row = _changed(call, kind, id_, item, index)
        thin.append({"id": row.id, "updated_at": row.updated_at, "request_id": hal.request_id(item, index)})
    return hal.written(call, kind, kind, thin)


async def _patch_one(call: Call, kind: EntityKind) -> Response:
    item = await call.object()
    row = _changed(call, kind, call.path_id(), item, 0)
    body = {"id": row.id, "updated_at": row.updated_at, "request_id": hal.request_id(item, 0)}
    return hal.hal({**body, "_links": hal.self_link(call, kind, row.id)})


def _changed(call: Call, kind: EntityKind, id_: int, item: Json, index: int) -> Entity:
    row = call.account.entities(kind).get(id_)
    if row is None:
        raise hal.invalid(f"{index}.id", "Element not found", code="NotFound", request_id=str(index))
    apply(call, kind, row, item, index)
    return row
