"""Incoming leads of chats: taken up or turned away."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.rest import hal
from gptagent.sandbox.kommo.rest.changes import move
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import INCOMING_STAGE_TYPE, Chat
from gptagent.sandbox.wire import Json


async def accept(request: Request) -> Response:
    """Put the lead on a stage, the pipeline's first one if none is named."""
    call, item = await _asked(request)
    chat = _chat(call)
    lead = call.account.leads[chat.lead_id]
    pipeline = call.account.pipelines[lead.pipeline_id]
    asked = item.get("status_id")
    status_id = asked if isinstance(asked, int) and asked in pipeline.stages else pipeline.first_open_stage()
    uid = _tell(call, chat, "accept", _user(call, item))
    move(call.desk, call.account, lead, (pipeline.id, status_id))
    return _answer(call, chat, uid)


async def decline(request: Request) -> Response:
    """The vendor answers 200 with a body, though it is a DELETE. The lead goes to the bin."""
    call, item = await _asked(request)
    chat = _chat(call)
    uid = _tell(call, chat, "decline", _user(call, item))
    lead = call.account.leads.pop(chat.lead_id)
    call.desk.announce_entity(call.account, "leads", "delete", lead)
    return _answer(call, chat, uid)


async def _asked(request: Request) -> tuple[Call, Json]:
    call = Call.of(request)
    is_empty = (await request.body()).strip() in {b"", b"{}", b"[]"}  # whom and where to is optional
    return call, {} if is_empty else await call.object()


def _user(call: Call, item: Json) -> int:
    asked = item.get("user_id")
    return asked if isinstance(asked, int) and asked in call.account.users else call.account.main_user


def _chat(call: Call) -> Chat:
    uid = call.request.path_params["uid"]
    for chat in call.account.chats.values():
        lead = call.account.leads.get(chat.lead_id)
        stage = call.account.pipelines[lead.pipeline_id].stages.get(lead.status_id) if lead else None
        if stage is not None and stage.type == INCOMING_STAGE_TYPE and _uid(chat) == uid:
            return chat
    raise hal.problem(404, "Requested entity not found")


def _uid(chat: Chat) -> str:
    return forms.unsorted_uid(chat, chat.messages[0] if chat.messages else None)


def _tell(call: Call, chat: Chat, action: Literal["accept", "decline"], user_id: int) -> str:
    tree = forms.unsorted_gone(call.account, chat, action, user_id)
    call.desk.announce(call.account, "unsorted", "delete", tree, key=f"leads/{chat.lead_id}")
    return _uid(chat)


def _answer(call: Call, chat: Chat, uid: str) -> Response:
    row = {"id": chat.lead_id, "_links": hal.self_link(call, "leads", chat.lead_id)}
    contact = {"id": chat.contact_id, "_links": hal.self_link(call, "contacts", chat.contact_id)}
    body = {
        "uid": uid,
        "category": "chats",
        "_links": hal.self_link(call, "leads", "unsorted", uid),
        "_embedded": {"leads": [row], "contacts": [contact], "companies": []},
    }
    return hal.hal(body)
