"""Talks and the messages of a chat, read and sent."""

from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo import chats
from gptagent.sandbox.kommo.rest import hal, shapes
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import Message, Talk
from gptagent.sandbox.wire import Json


async def get_talk(request: Request) -> Response:
    call = Call.of(request)
    return hal.hal(shapes.talk(call, _talk(call)))


async def list_talks(request: Request) -> Response:
    call = _newer(request)
    page, limit = hal.window(call)
    contacts = call.numbers("contact_id")
    only_open = request.query_params.get("filter[only_in_work]") in {"1", "true"}
    held = call.account.talks_by_contact
    rows = (
        [talk for id_ in contacts for talk in held.get(id_, ())] if contacts else call.account.talks.values()
    )
    chosen = (talk for talk in rows if talk.is_open or not only_open)
    start = (page - 1) * limit
    cut = list(islice(chosen, start, start + limit + 1))
    return hal.page_of(call, "talks", [shapes.talk(call, row) for row in cut[:limit]], more=len(cut) > limit)


async def close_talk(request: Request) -> Response:
    call = Call.of(request)
    chats.close_talk(call.desk, call.account, _talk(call))
    return hal.hal({}, 202)


async def list_messages(request: Request) -> Response:
    """Newest first: the vendor does not say, and a limit is of use only so."""
    call = _newer(request)
    _demand_scope(call, "list_external_messages")
    page, limit = hal.window(call)
    since, until = call.span("created_at")
    start = (page - 1) * limit
    rows: list[Json] = []
    for message in islice(reversed(_talk(call).messages), start, None):
        if message.created_at < since or len(rows) > limit:
            break
        if message.created_at <= until:
            rows.append(_shape(call, message))
    return hal.page_of(call, "messages", rows[:limit], more=len(rows) > limit)


async def send_message(request: Request) -> Response:
    """202 and the message's id: accepted, not delivered. Every acceptance is in the ledger."""
    call = _newer(request)
    account, knobs = call.account, call.account.knobs
    if not knobs.plan_has_sending:
        raise hal.problem(402, "Endpoint not available for current account tariff")
    _demand_scope(call, "send_external_messages")
    talk = _talk(call)
    body = await call.object()
    text, attachment = body.get("text") or "", _attachment(call, body)
    if not isinstance(text, str) or not (text.strip() or attachment):
        raise hal.invalid("text", "This value should not be blank.", code="InvalidType")
    if not talk.is_open:
        raise hal.problem(422, "Talk is closed")
    if account.sent >= knobs.quota:
        raise hal.problem(402, "Over chat API limit")
    account.sent += 1
    message = chats.bot_writes(call.desk, account, account.chats[talk.chat_id], text, attachment)
    account.ledger.record("send", talk_id=talk.id, chat_id=talk.chat_id, id=message.id, text=text)
    return hal.hal({"id": message.id}, 202)


def _newer(request: Request) -> Call:
    """What Kommo has since 2026 and amoCRM has not."""
    call = Call.of(request)
    if not call.account.knobs.talks_api:
        raise hal.problem(404, f"Cannot {request.method} {request.url}")
    return call


def _attachment(call: Call, body: Json) -> dict[str, str] | None:
    """Return the file of the drive that the message names. Raises Refused with 400."""
    given = body.get("attachment")
    if given is None:
        return None
    uuid = given.get("drive_uuid") if isinstance(given, dict) else None
    stored = call.account.files.get(uuid) if isinstance(uuid, str) else None
    if stored is None:
        raise hal.invalid("attachment.drive_uuid", "File not found", code="NotFound")
    link = f"https://drive-c.kommo.test/download/{call.account.amojo_id}/{stored.uuid}"
    return {"type": "file", "link": link, "file_name": stored.name}


def _demand_scope(call: Call, scope: str) -> None:
    if scope not in call.token.scopes:
        raise hal.problem(403, "Invalid scope")


def _talk(call: Call) -> Talk:
    talk = call.account.talks.get(call.path_id())
    if talk is None:
        raise hal.problem(404, "Requested entity not found")
    return talk


def _shape(call: Call, message: Message) -> Json:
    incoming = message.author_type == "external"
    return {
        "id": message.id,
        "type": "incoming" if incoming else "outgoing",
        "message_type": message.attachment["type"] if message.attachment else "text",
        "origin": call.account.chats[message.chat_id].origin,
        "text": message.text,
        "created_at": message.created_at,
        "author": {
            "id": message.author_id,
            "type": message.author_type,
            "name": message.author_name,
            "avatar_url": None,
        },
        "delivery_status": chats.delivery_status(call.account, message),
        "attachment": message.attachment,
    }
