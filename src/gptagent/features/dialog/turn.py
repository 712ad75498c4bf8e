"""One turn from its claim to its end: gather, gate, answer, send, settle."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.memory import service as memory
from gptagent.features.conversations.memory.model import Memory
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import Connection, CrmLink
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import service, store
from gptagent.features.dialog.context import HISTORY_MESSAGES, Responder, Spent, TurnContext, not_found
from gptagent.features.dialog.ending import finish
from gptagent.features.dialog.model import ANSWER_WINDOW, Answer, Pace, Turn
from gptagent.features.dialog.scripting import scripts_of
from gptagent.features.dialog.sending import Sender
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.service import Reranking, Understanding
from gptagent.features.organizations import service as organizations
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import CONNECTION_LOST, Database, Session
from gptagent.kernel.errors import AppError, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

PASSAGES = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gate is closed: the messages are recorded as not answered, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """The turn cannot go on now; it is looked at again later."""


@dataclass(frozen=True, slots=True)
class TurnRunner:
    """The job handler with the ports a turn calls."""

    crm: CrmPort
    vault: Vault
    responder: Responder
    fallback: Responder
    pace: Pace
    understanding: Understanding = field(default_factory=lambda: Understanding(None))
    reranking: Reranking = field(default_factory=lambda: Reranking(None))

    async def advance(self, ctx: JobContext, /, conversation_id: str) -> None:
        """Take the lane if it is due and bring its turn to an end, or to its next waiting point."""
        async with ctx.db.session(ctx.scope) as session:
            turn = await service.claim_lane(session, UUID(conversation_id), ctx.job_id, self.pace.lease)
        if turn is None:
            return
        started = time.monotonic()
        try:
            async with _lease_renewed(ctx.db, ctx.scope, turn, self.pace):
                await self._run(ctx.db, ctx.scope, turn)
        except service.StaleClaim:
            observe.TURNS.labels("fenced").inc()
            log.info("turn_fenced", conversation_id=conversation_id)
        observe.TURN_SECONDS.observe(time.monotonic() - started)

    async def give_up(self, ctx: JobContext, /, conversation_id: str) -> None:
        """The job failed for good: a person is asked, so that the customer is not left waiting."""
        async with ctx.db.session(ctx.scope) as session:
            turn = await service.claim_lane(session, UUID(conversation_id), ctx.job_id, self.pace.lease)
        if turn is not None and turn.state == "open":
            answer = Answer("", "handed_off", "gate", reason="failed")
            await finish(ctx.db, ctx.scope, turn, answer)

    async def _run(self, db: Database, scope: Scope, turn: Turn) -> None:
        sender = Sender(db, scope, self.crm, self.vault, self.pace)
        if turn.state == "sending":
            await sender.settle(turn)
            return
        gathered = await self._gather(db, scope, turn)
        if isinstance(gathered, Postponed):
            return
        if isinstance(gathered, Refusal):
            await finish(db, scope, turn, Answer("", "refused", "gate", reason=gathered.reason))
            return
        if turn.answer is None:
            gathered = await self._refresh(db, scope, gathered)
            turn = await self._answer(db, scope, turn, gathered)
        await sender.send(turn, gathered)

    async def _gather(self, db: Database, scope: Scope, turn: Turn) -> TurnContext | Refusal | Postponed:
        """Read what the turn needs and check the gates, in the order of the message pipeline."""
        async with db.session(scope) as session:
            conversation = await conversations.get_conversation(session, turn.conversation_id)
            connection = await crm_service.get_connection(session, conversation.connection_id)
            closed = await _closed(session, conversation, connection, turn)
            if closed is not None:
                return Refusal(closed)
            agent = await agents.choose_agent(session)
            if agent is None:
                return Refusal("no_active_agent")
            messages = await conversations.list_messages(
                session, conversation.id, from_seq=max(1, turn.first_seq - HISTORY_MESSAGES)
            )
            unanswered = tuple(
                m for m in messages if turn.first_seq <= m.seq <= turn.last_seq and m.author == "customer"
            )
            if _is_too_late(conversation, unanswered):
                return Refusal("too_late")
            pause = await self._pause(session, connection.status, conversation.id)
            if pause is not None:
                await service.give_back(session, turn, due_in=pause)
                return Postponed()
            lead = None
            if conversation.lead_id is not None:
                lead = await crm_service.get_lead_card(session, connection.id, conversation.lead_id)
        return TurnContext(
            conversation=conversation,
            agent=agent,
            lead=lead,
            history=tuple(m for m in messages if m.seq < turn.first_seq),
            unanswered=unanswered,
        )

    async def _pause(self, session: Session, status: str, conversation_id: UUID) -> timedelta | None:
        """Return how long to wait: for the owner, or because two robots talk, or one customer very fast."""
        if status == "broken":
            return self.pace.broken_connection_retry
        sent = await store.count_recent_replies(session, conversation_id, timedelta(minutes=1))
        return self.pace.crowded_retry if sent >= self.pace.replies_per_minute else None

    async def _refresh(self, db: Database, scope: Scope, context: TurnContext) -> TurnContext:
        """Read what the mirror lacks, in one call at most; in none where the reply takes two, so that no turn
        costs more. A CRM that does not answer stops no reply.
        """
        conversation, lead = context.conversation, context.lead
        needs_lead = conversation.lead_id is not None and (lead is None or not lead.is_fresh)
        needs_name = not conversation.customer_name and conversation.contact_id is not None
        if not needs_lead and not needs_name:
            return context
        try:
            async with db.session(scope) as session:
                link = await crm_service.open_link(session, conversation.connection_id, self.vault)
                route = await replying.find_route(session, link, conversation.lead_id, conversation.talk_id)
            if route == "salesbot":
                return context
            if needs_lead:
                return await self._read_lead(db, scope, context, link)
            return await self._read_name(db, scope, context, link)
        except AppError as error:
            log.info("crm_not_read", error=error.code, conversation_id=str(conversation.id))
        return context

    async def _read_lead(
        self, db: Database, scope: Scope, context: TurnContext, link: CrmLink
    ) -> TurnContext:
        conversation = context.conversation
        lead = await self.crm.fetch_lead(link, conversation.lead_id or 0)
        if lead is None:  # an incoming lead that nobody has accepted yet cannot be read
            return context
        async with db.session(scope) as session:
            await crm_service.save_lead(session, link.connection_id, lead, now=utcnow())
            card = await crm_service.get_lead_card(session, link.connection_id, lead.id)
        return replace(context, lead=card)

    async def _read_name(
        self, db: Database, scope: Scope, context: TurnContext, link: CrmLink
    ) -> TurnContext:
        conversation = context.conversation
        contact = await self.crm.fetch_contact(link, conversation.contact_id or 0)
        if contact is None or not contact.name:
            return context
        async with db.session(scope) as session:
            await conversations.name_customer(session, conversation.id, contact.name)
        return replace(context, conversation=replace(conversation, customer_name=contact.name))

    async def _answer(self, db: Database, scope: Scope, turn: Turn, context: TurnContext) -> Turn:
        """Generate and record the answer. Raises StaleClaim if the lane was lost meanwhile."""
        answer, spent = await self._generate(db, scope, context)
        async with db.session(scope) as session:
            if spent.calls:
                await store.add_usage(session, turn.id, spent.calls, spent.tokens_in, spent.tokens_out)
            if not await store.record_answer(session, turn, context.agent.id, answer):
                raise service.StaleClaim
        return replace(turn, answer=answer, agent_id=context.agent.id)

    async def _generate(self, db: Database, scope: Scope, context: TurnContext) -> tuple[Answer, Spent]:
        if not context.question:
            return not_found(context.agent, "gate"), Spent()
        question, within = context.question, context.within
        meaning = await self.understanding.understand(db, scope, question)
        order = await self.reranking.order(db, scope, question, meaning=meaning, within=within)
        async with db.session(scope) as session:
            found = await knowledge.search(
                session, question, limit=PASSAGES, meaning=meaning, within=within, order=order
            )
            passages = await knowledge.add_related(session, question, found, within=within)
            company = (await knowledge.get_facts(session)).content
            memories, scripts = await _recall(session, context), await scripts_of(session, context)
            context = replace(context, company=company, memories=memories, scripts=scripts)
        support = max((one.support for one in passages), default=0.0)
        try:
            answer, spent = await self.responder.respond(db, scope, context, passages)
        except AppError as error:
            # The model is away or refuses: the base's own words, or the not-found path, are an answer.
            log.warning("model_failed", error=error.code, conversation_id=str(context.conversation.id))
            answer, spent = await self.fallback.respond(db, scope, context, passages)
            answer = replace(answer, reason=answer.reason or error.code)
        return replace(answer, support=support), spent


async def _recall(session: Session, context: TurnContext) -> tuple[Memory, ...]:
    """Return what the agent may know of the customer; nothing once its memory is off, also for this turn."""
    agent = await agents.find_agent(session, context.agent.id)
    if agent is None or not agent.settings.remembers_customers:
        return ()
    return await memory.recall(session, context.conversation.id, context.question)


async def _closed(
    session: Session, conversation: Conversation, connection: Connection, turn: Turn
) -> str | None:
    """Return why no agent may answer here, whichever it is."""
    if conversation.held_by_person:
        return "taken_over"
    silence = await organizations.find_silence(session)
    if silence is not None:
        return silence
    return "connection_off" if await _is_off(session, connection, turn) else None


async def _is_off(session: Session, connection: Connection, turn: Turn) -> bool:
    """Whether the account is switched off, or was when the last of the messages came."""
    if not connection.is_active or connection.active_since is None:
        return not connection.is_active
    asked = await conversations.asked_at(session, turn.conversation_id, turn.first_seq, turn.last_seq)
    return asked is not None and asked < connection.active_since


def _is_too_late(conversation: Conversation, unanswered: tuple[Message, ...]) -> bool:
    """Nobody waits any more. Where the channel itself closes, a task with the reply is made instead."""
    last = max((message.sent_at for message in unanswered), default=None)
    if last is None or last >= utcnow() - ANSWER_WINDOW:
        return False
    return not replying.window_is_closed(conversation.channel, last, utcnow())


@asynccontextmanager
async def _lease_renewed(db: Database, scope: Scope, turn: Turn, pace: Pace) -> AsyncIterator[None]:
    """Keep the lane while the turn runs: a model may think longer than the lease."""
    task = asyncio.create_task(_renew(db, scope, turn, pace))
    try:
        yield
    finally:
        task.cancel()


async def _renew(db: Database, scope: Scope, turn: Turn, pace: Pace) -> None:
    while True:
        await asyncio.sleep(pace.lease_renewal.total_seconds())
        try:
            async with db.session(scope) as session:
                if not await store.renew_lease(session, turn.conversation_id, turn.claim, pace.lease):
                    return
        except (*CONNECTION_LOST, UpstreamUnavailable):
            continue  # the fence, not the lease, keeps the promise
