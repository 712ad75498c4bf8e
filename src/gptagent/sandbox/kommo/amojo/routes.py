"""The Chats API itself: `https://amojo.../v2/origin/custom/...`."""

from typing import Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo import chats
from gptagent.sandbox.kommo.amojo.book import Channel, ChannelScope, Conversation, Person, Said, Words
from gptagent.sandbox.kommo.amojo.signing import check, refusal
from gptagent.sandbox.kommo.controls.find import desk_of
from gptagent.sandbox.kommo.state import Account, new_uuid
from gptagent.sandbox.wire import answer, number

T = TypeVar("T")
HISTORY_LIMIT = 50
MAX_SOURCE_CHARS = 40


class Connect(msgspec.Struct):
    account_id: str
    title: str = ""
    hook_api_version: Literal["v1", "v2"] = "v2"
    is_time_window_disabled: bool = False


class Disconnect(msgspec.Struct):
    account_id: str


class Source(msgspec.Struct):
    external_id: str

    def __post_init__(self) -> None:
        if len(self.external_id) > MAX_SOURCE_CHARS:
            raise ValueError("source.external_id: too long")


class NewChat(msgspec.Struct):
    conversation_id: str
    user: Person
    source: Source | None = None


class Payload(msgspec.Struct):
    timestamp: int
    msgid: str
    sender: Person
    message: Words
    conversation_id: str | None = None
    conversation_ref_id: str | None = None
    msec_timestamp: int | None = None
    receiver: Person | None = None
    source: Source | None = None
    silent: bool = False


class Event(msgspec.Struct):
    event_type: Literal["new_message", "edit_message"]
    payload: Payload


class Delivery(msgspec.Struct):
    status_code: Literal[1, 2, -1]
    error_code: Literal[901, 902, 903, 904, 905] | None = None
    error: str | None = None


class Typing(msgspec.Struct):
    conversation_id: str
    sender: Person
    duration_ms: int = 5000


class Reaction(msgspec.Struct):
    type: Literal["react", "unreact"]
    user: Person
    conversation_id: str | None = None
    conversation_ref_id: str | None = None
    id: str | None = None
    msgid: str | None = None
    emoji: str = ""


async def connect(request: Request) -> Response:
    channel, wanted = await _of_channel(request, Connect)
    account = _account(request, wanted.account_id)
    scope_id = f"{channel.id}_{account.amojo_id}"
    if scope_id not in channel.scopes:
        channel.scopes[scope_id] = ChannelScope(scope_id, account.subdomain, wanted.title)
    channel.scopes[scope_id].title = wanted.title
    return answer(
        {
            "account_id": account.amojo_id,
            "scope_id": scope_id,
            "title": wanted.title,
            "hook_api_version": wanted.hook_api_version,
            "is_time_window_disabled": wanted.is_time_window_disabled,
        }
    )


async def disconnect(request: Request) -> Response:
    channel, wanted = await _of_channel(request, Disconnect)
    channel.scopes.pop(f"{channel.id}_{wanted.account_id}", None)
    return Response(status_code=200)


async def new_chat(request: Request) -> Response:
    channel, scope, wanted = await _of_scope(request, NewChat)
    conversation = _open(request, channel, scope, wanted.conversation_id, wanted.user)
    user = {
        "id": conversation.user.ref_id,
        "client_id": conversation.user.id,
        "name": conversation.user.name,
        "avatar": conversation.user.avatar,
        "phone": conversation.user.profile.phone if conversation.user.profile else None,
        "email": conversation.user.profile.email if conversation.user.profile else None,
    }
    return answer({"id": conversation.id, "user": {k: v for k, v in user.items() if v is not None}})


async def event(request: Request) -> Response:
    channel, scope, wanted = await _of_scope(request, Event)
    told = wanted.payload
    conversation = scope.find(told.conversation_ref_id or told.conversation_id)
    if wanted.event_type == "edit_message":
        said = _said(conversation, told.msgid)
        said.words = told.message
        return _accepted(conversation, said)
    if conversation is None:
        if told.conversation_id is None or told.receiver is not None:
            raise refusal(404, "CHAT_NOT_FOUND", "conversation not found")
        conversation = _open(request, channel, scope, told.conversation_id, told.sender)
    known = next((one for one in conversation.said if one.msgid == told.msgid), None)
    if known is None:
        known = Said(told.msgid, new_uuid(), told.sender, told.message, told.timestamp, told.receiver)
        conversation.said.append(known)
        _show(request, channel, scope, conversation, told)
    return _accepted(conversation, known)


def _show(
    request: Request, channel: Channel, scope: ChannelScope, conversation: Conversation, told: Payload
) -> None:
    """Let the account's people see it; what the channel imports of its own bot is told to nobody."""
    desk = desk_of(request)
    account = desk.world.accounts[scope.subdomain]
    if told.silent or told.receiver is not None or told.sender.ref_id == channel.bot_id:
        return
    words = told.message
    attachment = {"type": words.type, "link": words.media or ""} if words.media else None
    if attachment and words.file_name:
        attachment["file_name"] = words.file_name
    chats.customer_writes(desk, account, account.chats[conversation.chat_id], [words.text], attachment)


async def delivery_status(request: Request) -> Response:
    _, scope, wanted = await _of_scope(request, Delivery)
    msgid = request.path_params["msgid"]
    for conversation in scope.conversations.values():
        for said in conversation.said:
            if msgid in {said.msgid, said.ref_id}:
                said.delivery, said.error_code = wanted.status_code, wanted.error_code
                return Response(status_code=200)
    raise refusal(404, "MESSAGE_NOT_FOUND", "message not found")


async def history(request: Request) -> Response:
    _, scope, _ = await _of_scope(request, None)
    conversation = scope.find(request.path_params["conversation"])
    offset, limit = int(number(request, "offset")), int(number(request, "limit", HISTORY_LIMIT))
    if limit > HISTORY_LIMIT or limit < 1 or offset < 0:
        raise refusal(400, "BAD_REQUEST", "limit: 1 to 50")
    rows = (conversation.said if conversation else [])[offset : offset + limit]
    if not rows:
        return Response(status_code=204)
    return answer({"messages": [_listed(said) for said in rows]})


async def typing(request: Request) -> Response:
    _, scope, wanted = await _of_scope(request, Typing)
    conversation = scope.find(wanted.conversation_id)
    if conversation is None:
        raise refusal(404, "CHAT_NOT_FOUND", "conversation not found")
    conversation.typing += 1
    return Response(status_code=204)


async def react(request: Request) -> Response:
    _, scope, wanted = await _of_scope(request, Reaction)
    conversation = scope.find(wanted.conversation_ref_id or wanted.conversation_id)
    said = _said(conversation, wanted.id or wanted.msgid or "")
    who = wanted.user.ref_id or wanted.user.id or ""
    if wanted.type == "react":
        said.reactions[who] = wanted.emoji
    else:
        said.reactions.pop(who, None)
    return Response(status_code=200)


def _open(
    request: Request, channel: Channel, scope: ChannelScope, conversation_id: str, user: Person
) -> Conversation:
    """Return the conversation of this id, new if there is none: asked twice, it is the same one."""
    known = scope.conversations.get(conversation_id)
    if known is not None:
        return known
    desk = desk_of(request)
    phone = user.profile.phone if user.profile else None
    customer = chats.Customer(user.name or "Guest", channel.code, phone)
    chat = chats.open_chat(desk, desk.world.accounts[scope.subdomain], customer)
    user.ref_id = chat.client_id
    made = Conversation(new_uuid(), conversation_id, user, chat.id)
    scope.conversations[conversation_id] = made
    return made


def _accepted(conversation: Conversation | None, said: Said) -> Response:
    return answer(
        {
            "new_message": {
                "conversation_id": conversation.id if conversation else None,
                "sender_id": said.sender.ref_id or (conversation.user.ref_id if conversation else None),
                "receiver_id": said.receiver.ref_id if said.receiver else None,
                "msgid": said.msgid,
                "ref_id": said.ref_id,
            }
        }
    )


def _listed(said: Said) -> dict[str, object]:
    return {
        "timestamp": said.timestamp,
        "sender": {"id": said.sender.ref_id, "client_id": said.sender.id, "name": said.sender.name},
        "message": {
            "id": said.ref_id,
            "client_id": said.msgid,
            "type": said.words.type,
            "text": said.words.text,
            "media": said.words.media or "",
        },
    }


def _said(conversation: Conversation | None, name: str) -> Said:
    for said in conversation.said if conversation else ():
        if name in {said.msgid, said.ref_id}:
            return said
    raise refusal(404, "MESSAGE_NOT_FOUND", "message not found")


def _account(request: Request, amojo_id: str) -> Account:
    for account in desk_of(request).world.accounts.values():
        if account.amojo_id == amojo_id:
            return account
    raise refusal(404, "ACCOUNT_NOT_FOUND", "account not found")


async def _of_channel(request: Request, shape: type[T]) -> tuple[Channel, T]:
    channel = desk_of(request).channels.by_id.get(request.path_params["channel"])
    if channel is None:
        raise refusal(404, "ORIGIN_NOT_REGISTERED", "origin not registered")
    return channel, await _read(request, channel, shape)


async def _of_scope(request: Request, shape: type[T] | None) -> tuple[Channel, ChannelScope, T]:
    scope_id = request.path_params["scope"]
    channel = desk_of(request).channels.by_id.get(scope_id.partition("_")[0])
    if channel is None:
        raise refusal(404, "ORIGIN_NOT_REGISTERED", "origin not registered")
    wanted = await _read(request, channel, shape)
    if scope_id not in channel.scopes:
        raise refusal(404, "SCOPE_NOT_FOUND", "the channel is not connected")
    return channel, channel.scopes[scope_id], wanted


async def _read(request: Request, channel: Channel, shape: type[T] | None) -> T:
    """Check the signature first, then the types, as strictly as the vendor."""
    body = await request.body()
    check(request, body, channel.secret)
    try:
        return msgspec.json.decode(body or b"{}", type=shape or dict)  # type: ignore[return-value]  # nothing is asked of a GET
    except msgspec.DecodeError as error:
        raise refusal(400, "BAD_REQUEST", str(error)) from error


_CUSTOM = "/v2/origin/custom"
ROUTES = [
    Route(f"{_CUSTOM}/{{channel}}/connect", connect, methods=["POST"]),
    Route(f"{_CUSTOM}/{{channel}}/disconnect", disconnect, methods=["DELETE"]),
    Route(f"{_CUSTOM}/{{scope}}/chats", new_chat, methods=["POST"]),
    Route(f"{_CUSTOM}/{{scope}}/chats/{{conversation}}/history", history, methods=["GET"]),
    Route(f"{_CUSTOM}/{{scope}}/typing", typing, methods=["POST"]),
    Route(f"{_CUSTOM}/{{scope}}/react", react, methods=["POST"]),
    Route(f"{_CUSTOM}/{{scope}}/{{msgid}}/delivery_status", delivery_status, methods=["POST"]),
    Route(f"{_CUSTOM}/{{scope}}", event, methods=["POST"]),
]
