"""What happens in the account besides chats: calls, automations, records that go and come back."""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.desk import SETTINGS
from gptagent.sandbox.kommo.state import ENTITY_KINDS, Entity, EntityKind, Note, now
from gptagent.sandbox.wire import answer, read_as, refusal

TRIGGERS = ("add", "status", "mail_in", "call_in", "chat", "site_visit")
EVENT = re.compile(r"(\w+)\[(\w+)\]")


class PipelineHook(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    triggers: list[str] = msgspec.field(default_factory=lambda: list(TRIGGERS))


class Trigger(msgspec.Struct, forbid_unknown_fields=True):
    trigger: str


class PhoneCall(msgspec.Struct, forbid_unknown_fields=True):
    entity: EntityKind
    id: int
    phone: str = "+12025550100"
    seconds: int = 0
    direction: str = "in"
    call_status: int | None = None


class Announcement(msgspec.Struct, forbid_unknown_fields=True):
    event: str
    elements: list[dict[str, object]]
    code: str | None = None


async def put_pipeline_hook(request: Request) -> Response:
    account, wanted = account_of(request), await read_as(request, PipelineHook)
    if not set(wanted.triggers) <= set(TRIGGERS):
        raise refusal(422, f"triggers: of {', '.join(TRIGGERS)}")
    account.pipeline_hooks[wanted.url] = wanted.triggers
    return answer(account.pipeline_hooks, 201)


async def fire_trigger(request: Request) -> Response:
    account, wanted = account_of(request), await read_as(request, Trigger)
    lead = account.leads.get(request.path_params["lead"])
    if lead is None or wanted.trigger not in TRIGGERS:
        raise refusal(422, "no such lead or trigger")
    desk_of(request).trigger(account, wanted.trigger, forms.lead(account, lead))
    return answer({})


async def restore_record(request: Request) -> Response:
    """Take a record out of the bin."""
    account, kind = account_of(request), request.path_params["kind"]
    if kind not in ENTITY_KINDS:
        raise refusal(404, "no such kind of records")
    row: Entity | None = account.gone.pop((kind, request.path_params["id"]), None)
    if row is None:
        raise refusal(404, "no such record")
    row.updated_at = now()
    account.entities(kind)[row.id] = row
    desk_of(request).announce_entity(account, kind, "restore", row)
    return answer({"id": row.id})


async def phone_call(request: Request) -> Response:
    """Somebody called or was called: a note of the record tells of it. Nobody spoke for 0 seconds."""
    account, wanted = account_of(request), await read_as(request, PhoneCall)
    row = account.entities(wanted.entity).get(wanted.id)
    if row is None or wanted.direction not in {"in", "out"}:
        raise refusal(422, "no such record, or direction is not in or out")
    params: dict[str, object] = {
        "uniq": f"call{desk_of(request).world.ids.next()}",
        "duration": wanted.seconds,
        "source": "sandbox",
        "link": "",
        "phone": wanted.phone,
        "call_responsible": row.responsible_user_id,
    }
    if wanted.call_status is not None:
        params["call_status"] = wanted.call_status
    ids = desk_of(request).world.ids
    note = Note(ids.next(), row.id, f"call_{wanted.direction}", params, row.responsible_user_id, now())
    account.notes[wanted.entity, row.id].append(note)
    tree = forms.note(account, wanted.entity, note)
    head = "contacts" if wanted.entity == "companies" else wanted.entity
    desk_of(request).announce_note(account, head, wanted.entity, tree, row.id)
    return answer({"note_id": note.id}, 201)


async def remove_task(request: Request) -> Response:
    account = account_of(request)
    task = account.tasks.pop(request.path_params["task"], None)
    if task is None:
        raise refusal(404, "no such task")
    desk_of(request).announce(account, "task", "delete", {"id": task.id}, key=f"task/{task.id}")
    return answer({})


async def announce(request: Request) -> Response:
    """Send a webhook of any kind with any elements, one or several in one body."""
    account, wanted = account_of(request), await read_as(request, Announcement)
    named = EVENT.fullmatch(wanted.event)
    if named is None or not wanted.elements:
        raise refusal(422, "event: kind[action]; elements: one at least")
    kind, action = named.groups()
    noun = {**SETTINGS, "customers": "customer", "catalogs": "catalog_element"}.get(kind, kind)
    body = forms.encode_many(account, kind, action, wanted.elements)
    code = wanted.code or f"{action}_{noun}"
    desk_of(request).hooks(account).emit(code, wanted.event, body, order_key=wanted.event)
    return answer({"code": code}, 201)
