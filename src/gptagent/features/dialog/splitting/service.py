"""A long reply in parts: each is a turn of its own, with the fence, the claim and the reading back of one.

The first part answers the customer's messages; when it has left, its own transaction opens a turn that holds
the next one, for the chat as it is then. Whatever stirs the lane meanwhile - the customer, a person, a moved
deal - makes that turn stale, and the rest is not sent.
"""

from dataclasses import replace
from datetime import timedelta

from gptagent.features.crm import service as crm_service
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import store
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.model import Answer, Turn
from gptagent.features.dialog.service import ADVANCE
from gptagent.features.dialog.splitting.model import cut
from gptagent.features.dialog.splitting.store import await_rest, insert_part
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import AppError

PART_GAP = timedelta(seconds=1.5)  # a person would type it meanwhile


async def in_parts(session: Session, context: TurnContext, answer: Answer, vault: Vault) -> Answer:
    """Return the answer's first part, with the rest in `rest`, where the agent is to send long replies so.

    Only where a message is one call of the CRM and keeps its order: not through a bot.
    """
    settings = context.settings
    if not settings.split_replies or context.is_checked or answer.outcome != "reply":
        return answer
    first, *rest = cut(answer.text)
    if not rest or not await _goes_by_talk(session, context, vault):
        return answer
    return replace(answer, text=first, rest=tuple(rest))


async def _goes_by_talk(session: Session, context: TurnContext, vault: Vault) -> bool:
    conversation = context.conversation
    try:
        link = await crm_service.open_link(session, conversation.connection_id, vault)
        route = await replying.find_route(session, link, conversation.lead_id, conversation.talk_id)
    except AppError:  # switched off just now: sending finds out
        return False
    return route == "talk"


async def owe_rest(session: Session, turn: Turn, answer: Answer) -> None:
    """The part has left: open the turn of the next one, unless something newer has happened.

    It is the end of the turn's own transaction, which holds its lane and has given it back.
    """
    if not answer.rest:
        return
    following = replace(answer, text=answer.rest[0], rest=answer.rest[1:], support=None)
    part_id = await insert_part(session, turn, following)
    if await await_rest(session, turn, PART_GAP):
        ids = {"conversation_id": str(turn.conversation_id)}
        await session.enqueue(ADVANCE, ids, delay=PART_GAP)
    else:
        await store.supersede_turn(session, part_id)
