"""Customers, managers and foreign bots at work."""

from itertools import islice

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo import chats
from gptagent.sandbox.kommo.controls import describe
from gptagent.sandbox.kommo.controls.find import account_of, chat_of, desk_of
from gptagent.sandbox.kommo.rest.changes import move
from gptagent.sandbox.kommo.state import now
from gptagent.sandbox.wire import answer, number, read_as, refusal


class NewChat(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    origin: str = "waba"
    phone: str | None = None
    status_id: int | None = None
    text: str | None = None
    fire: bool = False
    lead_id: int | None = None  # one more chat of a lead there is


class CustomerWords(msgspec.Struct, forbid_unknown_fields=True):
    text: str | None = None
    texts: list[str] = msgspec.field(default_factory=list)
    attachment: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if self.attachment is not None and not {"type", "link"} <= self.attachment.keys():
            raise ValueError("attachment needs type and link")


class ManagerWords(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    user_id: int | None = None


class Move(msgspec.Struct, forbid_unknown_fields=True):
    status_id: int
    pipeline_id: int | None = None


async def list_chats(request: Request) -> Response:
    account = account_of(request)
    return answer({"chats": [describe.chat(account, chat) for chat in account.chats.values()]})


async def new_chat(request: Request) -> Response:
    account, wanted = account_of(request), await read_as(request, NewChat)
    if wanted.status_id is not None and wanted.status_id not in account.main_pipeline.stages:
        raise refusal(422, "status_id: no such stage in the main pipeline")
    if wanted.lead_id is not None and wanted.lead_id not in account.leads:
        raise refusal(422, "lead_id: no such lead")
    customer = chats.Customer(
        wanted.name, wanted.origin, wanted.phone, wanted.status_id, lead_id=wanted.lead_id
    )
    chat = chats.open_chat(desk_of(request), account, customer)
    if wanted.fire or wanted.text is not None:
        chats.announce_first_contact(desk_of(request), account, chat, wanted.text)
    return answer(describe.chat(account, chat), 201)


async def customer(request: Request) -> Response:
    account, chat = chat_of(request)
    words = await read_as(request, CustomerWords)
    texts = words.texts or ([] if words.text is None else [words.text])
    if not texts:
        raise refusal(422, "text or texts must be given")
    written = chats.customer_writes(desk_of(request), account, chat, texts, words.attachment)
    return answer({"message_ids": [message.id for message in written], "talk_id": chat.talk_id}, 201)


async def manager(request: Request) -> Response:
    account, chat = chat_of(request)
    words = await read_as(request, ManagerWords)
    user_id = words.user_id or account.main_user
    if user_id not in account.users:
        raise refusal(422, "user_id: no such user")
    message = chats.manager_writes(desk_of(request), account, chat, words.text, user_id)
    return answer({"message_id": message.id, "talk_id": chat.talk_id}, 201)


async def bot(request: Request) -> Response:
    account, chat = chat_of(request)
    words = await read_as(request, ManagerWords)
    message = chats.bot_writes(desk_of(request), account, chat, words.text)
    return answer({"message_id": message.id, "talk_id": chat.talk_id}, 201)


async def messages(request: Request) -> Response:
    account, chat = chat_of(request)
    after = max(0, int(number(request, "after")))
    rows = [describe.message(account, message) for message in islice(chat.messages, after, None)]
    return answer({"talk_id": chat.talk_id, "is_open": account.talks[chat.talk_id].is_open, "messages": rows})


async def close_talk(request: Request) -> Response:
    account = account_of(request)
    talk = account.talks.get(request.path_params["talk"])
    if talk is None:
        raise refusal(404, "no such talk")
    chats.close_talk(desk_of(request), account, talk)
    return answer({"talk_id": talk.id, "is_open": talk.is_open})


async def move_lead(request: Request) -> Response:
    account, wanted = account_of(request), await read_as(request, Move)
    lead = account.leads.get(request.path_params["lead"])
    if lead is None:
        raise refusal(404, "no such lead")
    pipeline = account.pipelines.get(wanted.pipeline_id or lead.pipeline_id)
    if pipeline is None or wanted.status_id not in pipeline.stages:
        raise refusal(422, "status_id: no such stage in the pipeline")
    lead.updated_by, lead.updated_at = account.main_user, now()
    move(desk_of(request), account, lead, (pipeline.id, wanted.status_id))
    desk_of(request).announce_entity(account, "leads", "update", lead)
    return answer({"id": lead.id, "status_id": lead.status_id, "pipeline_id": lead.pipeline_id})
