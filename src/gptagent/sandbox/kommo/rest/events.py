"""The feed of events: what was said in chats, without its words."""

from collections.abc import Iterator
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.rest import hal
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import Chat, Message
from gptagent.sandbox.wire import Json

LARGEST_PAGE = 100


async def list_events(request: Request) -> Response:
    call = Call.of(request)
    page, limit = hal.window(call)
    if limit > LARGEST_PAGE:
        raise hal.problem(422, f"Limit {LARGEST_PAGE} per page")
    start = (page - 1) * limit
    rows = list(islice(_chosen(call), start, start + limit + 1))
    return hal.page_of(call, "events", [_shape(call, *row) for row in rows[:limit]], more=len(rows) > limit)


def _chosen(call: Call) -> Iterator[tuple[Chat, Message]]:
    """Newest first. An entity's id needs its kind beside it."""
    kinds = _listed(call, "type")
    entities, ids = _listed(call, "entity"), call.numbers("entity_id")
    if ids and len(entities) != 1:
        raise hal.problem(400, "filter[entity_id] needs one filter[entity]")
    people = call.numbers("created_by")
    since, until = call.span("created_at")
    found = [
        (chat, message)
        for chat in call.account.chats.values()
        if not entities or ("lead" in entities and (not ids or chat.lead_id in ids))
        for message in chat.messages
        if since <= message.created_at <= until
    ]
    for chat, message in sorted(found, key=lambda row: (row[1].at, row[1].seq), reverse=True):
        if (not kinds or _kind(message) in kinds) and (not people or _author(message) in people):
            yield chat, message


def _listed(call: Call, name: str) -> list[str]:
    query = call.request.query_params
    given = [*query.getlist(f"filter[{name}]"), *query.getlist(f"filter[{name}][]")]
    return [word for value in given for word in value.split(",") if word]


def _kind(message: Message) -> str:
    return "incoming_chat_message" if message.author_type == "external" else "outgoing_chat_message"


def _author(message: Message) -> int:
    """A robot is nobody, as everywhere in the account."""
    return message.user_id or 0


def _shape(call: Call, chat: Chat, message: Message) -> Json:
    event_id = message.id.replace("-", "")[:26]
    return {
        "id": event_id,
        "type": _kind(message),
        "entity_id": chat.lead_id,
        "entity_type": "lead",
        "created_by": _author(message),
        "created_at": message.created_at,
        "value_after": [{"message": {"id": message.id, "talk_id": message.talk_id, "origin": chat.origin}}],
        "value_before": [],
        "account_id": call.account.id,
        "_links": hal.self_link(call, "events", event_id),
        "_embedded": {"entity": {"id": chat.lead_id, "_links": hal.self_link(call, "leads", chat.lead_id)}},
    }
