"""Notes of leads and contacts. A note never reaches the client."""

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.rest import hal, shapes
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import Note, now
from gptagent.sandbox.wire import Json

CREATABLE = {
    "common",
    "call_in",
    "call_out",
    "service_message",
    "extended_service_message",
    "message_cashier",
    "geolocation",
    "sms_in",
    "sms_out",
    "attachment",
}


async def list_notes(request: Request) -> Response:
    call = Call.of(request)
    kind = call.kind
    page, limit = hal.window(call)
    rows = call.account.notes.get((kind, call.path_id()), [])
    start = (page - 1) * limit
    shown = [shapes.note(call, kind, note) for note in rows[start : start + limit]]
    return hal.page_of(call, "notes", shown, more=len(rows) > start + limit)


async def get_note(request: Request) -> Response:
    call = Call.of(request)
    rows = call.account.notes.get((call.kind, call.path_id()), [])
    note = next((one for one in rows if one.id == request.path_params["note"]), None)
    if note is None:
        raise hal.problem(404, "Requested entity not found")
    return hal.hal(shapes.note(call, call.kind, note))


async def add_notes(request: Request) -> Response:
    call = Call.of(request)
    kind, entity_id = call.kind, call.path_id()
    if entity_id not in call.account.entities(kind):
        raise hal.problem(404, "Requested entity not found")
    thin: list[Json] = []
    for index, item in enumerate(await call.array()):
        note = _new_note(call, entity_id, item, hal.request_id(item, index))
        call.account.notes[kind, entity_id].append(note)
        tree = forms.note(call.account, kind, note)
        # A file is told twice; companies are told among contacts.
        for _ in range(2 if note.note_type == "attachment" else 1):
            head = "contacts" if kind == "companies" else kind
            call.desk.announce_note(call.account, head, kind, tree, entity_id)
        thin.append({"id": note.id, "entity_id": entity_id, "request_id": hal.request_id(item, index)})
    return hal.written(call, "notes", f"{kind}/{entity_id}/notes", thin)


def _new_note(call: Call, entity_id: int, item: Json, request_id: str) -> Note:
    kind, params = item.get("note_type"), item.get("params")
    if kind not in CREATABLE:
        detail = "The value you selected is not a valid choice."
        raise hal.invalid("note_type", detail, request_id=request_id)
    if not isinstance(params, dict):
        raise hal.invalid("params", "This field is missing.", code="FieldMissing", request_id=request_id)
    return Note(call.desk.world.ids.next(), entity_id, str(kind), params, call.account.main_user, now())
