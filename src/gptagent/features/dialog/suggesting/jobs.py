"""Making a suggested reply by the way of every turn: gather, generate without a connection, keep."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.crm import service as crm_service
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.reaching import reached
from gptagent.features.dialog.suggesting import service, store
from gptagent.features.dialog.suggesting.model import SuggestionState, split
from gptagent.kernel.db import Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.jobs import JobContext

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SuggestionJobs:
    """Handlers with what generates. Nothing is sent or written into the CRM."""

    generation: Generation

    async def suggest(self, ctx: JobContext, /, conversation_id: str) -> None:
        """Make what was asked for; done again it changes nothing."""
        own = UUID(conversation_id)
        async with ctx.db.session(ctx.scope) as session:
            asked = await store.select_one(session, own)
            context = await _context(session, own) if asked is not None and asked.state == "pending" else None
        if asked is None or asked.state != "pending":
            return
        if context is None:
            await self._keep(ctx, own, asked.id, "none")
            return
        try:
            answer, _spent, _used = await self.generation.generate(ctx.db, ctx.scope, context)
        except AppError as error:
            log.info("suggestion_failed", error=error.code)
            await self._keep(ctx, own, asked.id, "failed")
            return
        state: SuggestionState = "ready" if answer.outcome == "reply" else "none"
        async with ctx.db.session(ctx.scope) as session:
            if await store.settle(session, own, asked.id, state, answer):
                await conversations.tell(session, own)

    async def give_up(self, ctx: JobContext, /, conversation_id: str) -> None:
        own = UUID(conversation_id)
        async with ctx.db.session(ctx.scope) as session:
            asked = await store.select_one(session, own)
        if asked is not None:
            await self._keep(ctx, own, asked.id, "failed")

    async def _keep(self, ctx: JobContext, own: UUID, asked: UUID, state: SuggestionState) -> None:
        async with ctx.db.session(ctx.scope) as session:
            if await store.settle(session, own, asked, state, None):
                await conversations.tell(session, own)


async def _context(session: Session, conversation_id: UUID) -> TurnContext | None:
    """Return what a turn would know; None if nobody answers there, or there is nothing to answer."""
    agent = await speaking.find_speaker(session, conversation_id)
    conversation = await conversations.get_conversation(session, conversation_id)
    said = await conversations.list_messages(session, conversation_id, limit=service.READ_MESSAGES)
    history, unanswered = split(await reached(session, said))
    if agent is None or not unanswered:
        return None
    lead = None
    if conversation.lead_id is not None:
        lead = await crm_service.get_lead_card(session, conversation.connection_id, conversation.lead_id)
    return TurnContext(
        conversation=conversation,
        lead=lead,
        history=history,
        unanswered=unanswered,
        asks_stage=False,
        is_unread=False,
        agent=agent,
        is_suggestion=True,
    )
