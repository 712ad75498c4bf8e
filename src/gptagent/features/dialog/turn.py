"""One turn from its claim to its end: gather, gate, answer, send, settle."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.conversations import service as conversations
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import gates, service, store
from gptagent.features.dialog.context import Responder, Seen, TurnContext
from gptagent.features.dialog.drafts import service as drafts
from gptagent.features.dialog.ending import finish
from gptagent.features.dialog.gates import Postponed, Refusal
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.handing import turns as handing
from gptagent.features.dialog.handing.model import hands_over
from gptagent.features.dialog.lanes import store as lane_store
from gptagent.features.dialog.model import Answer, Outcome, Pace, Turn
from gptagent.features.dialog.scripting import note_told
from gptagent.features.dialog.sending import Sender
from gptagent.features.dialog.splitting import service as splitting
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.dialog.tracing.model import Trace
from gptagent.features.dialog.tracing.seeing import seen_by
from gptagent.features.dialog.wording import welcoming
from gptagent.features.knowledge.service import Reranking, Understanding
from gptagent.features.mail.model import Mailer
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import CONNECTION_LOST, Database
from gptagent.kernel.errors import AppError, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

T = TypeVar("T", bound=Seen)


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
    mailer: Mailer | None = None

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
        sender = Sender(db, scope, self.crm, self.vault, self.pace, self.mailer)
        if turn.state == "sending":
            await sender.settle(turn)
            return
        async with db.session(scope) as session:
            seen = await gates.gather(session, turn, self.pace, trace := Trace())
            if isinstance(seen, Seen) and not _asks_first(turn, seen):
                seen = await gates.choose(session, turn, seen, self.pace)
        if isinstance(seen, Seen):
            seen = await self._learn(db, scope, turn, seen)
        if isinstance(seen, Refusal):
            outcome: Outcome = "handed_off" if seen.asks_person else "refused"
            trace.closed(seen.reason)
            told = trace if turn.answer is None else None  # how an answer was made is not forgotten over it
            await finish(db, scope, turn, Answer("", outcome, "gate", reason=seen.reason), trace=told)
        elif isinstance(seen, TurnContext) and turn.answer is not None and turn.agent_id != seen.agent.id:
            await sender.drop(turn)  # whether it may leave is not for the settings of another agent to say
        elif isinstance(seen, TurnContext):
            await self._speak(db, scope, turn, seen, sender)

    async def _speak(
        self, db: Database, scope: Scope, turn: Turn, context: TurnContext, sender: Sender
    ) -> None:
        """Answer, unless that was done already, and do with the answer what its kind asks for."""
        if turn.answer is None:
            turn = await self._answer(db, scope, turn, context)
        answer = turn.answer
        if answer is None:
            return
        if hands_over(answer):
            await handing.end_turn(db, scope, turn, context, self.pace)
        elif answer.outcome == "handed_off":  # nothing is said; a task asks a person
            await finish(db, scope, turn, answer)
        elif context.is_checked and not turn.is_approved and _is_in_parts(turn, answer):
            await sender.drop(turn)  # its customer's messages may be answered already, by its first part
        elif context.is_checked and not turn.is_approved:
            await drafts.put_down(db, scope, turn, answer, self.pace)
        else:
            await sender.send(turn, context)

    async def _learn(
        self, db: Database, scope: Scope, turn: Turn, seen: Seen
    ) -> TurnContext | Refusal | Postponed:
        """For a new answer the mirror learns what it lacks, in one call at most; it may say who speaks."""
        if isinstance(seen, TurnContext):
            return seen if turn.answer is not None else await self._refresh(db, scope, seen)
        seen = await self._refresh(db, scope, seen)
        async with db.session(scope) as session:
            now = replace(seen, candidates=tuple(await agents.list_active(session)))
            return await gates.choose(session, turn, now, self.pace)

    async def _refresh(self, db: Database, scope: Scope, context: T) -> T:
        """Read what the mirror lacks, in one call at most; in none where the reply takes two, so that no turn
        costs more: if it hangs on the deal who answers, its webhook is waited for. A CRM that does not answer
        stops no reply.
        """
        conversation, needs_lead = context.conversation, context.lacks_lead
        needs_name = not conversation.customer_name and conversation.contact_id is not None
        if not needs_lead and not needs_name:
            return context
        try:
            async with db.session(scope) as session:
                link = await crm_service.open_link(session, conversation.connection_id, self.vault)
                route = await replying.find_route(session, link, conversation.lead_id, conversation.talk_id)
            if route == "salesbot":
                return replace(context, is_unread=context.lacks_stage)
            if needs_lead:
                return await self._read_lead(db, scope, context, link)
            return await self._read_name(db, scope, context, link)
        except AppError as error:
            log.info("crm_not_read", error=error.code, conversation_id=str(conversation.id))
            return replace(context, is_unread=True)
        return context

    async def _read_lead(self, db: Database, scope: Scope, context: T, link: CrmLink) -> T:
        conversation = context.conversation
        lead = await self.crm.fetch_lead(link, conversation.lead_id or 0)
        if lead is None:  # an incoming lead that nobody has accepted yet cannot be read
            return context
        async with db.session(scope) as session:
            await crm_service.save_lead(session, link.connection_id, lead, now=utcnow())
            card = await crm_service.get_lead_card(session, link.connection_id, lead.id)
        return replace(context, lead=card)

    async def _read_name(self, db: Database, scope: Scope, context: T, link: CrmLink) -> T:
        conversation = context.conversation
        contact = await self.crm.fetch_contact(link, conversation.contact_id or 0)
        if contact is None or not contact.name:
            return context
        async with db.session(scope) as session:
            await conversations.name_customer(session, conversation.id, contact.name)
        return replace(context, conversation=replace(conversation, customer_name=contact.name))

    async def _answer(self, db: Database, scope: Scope, turn: Turn, context: TurnContext) -> Turn:
        """Generate and record the answer. Raises StaleClaim if the lane was lost meanwhile."""
        generation = Generation(self.responder, self.fallback, self.understanding, self.reranking)
        answer, spent, context = await generation.generate(db, scope, context)
        async with db.session(scope) as session:
            welcome = context.settings.welcome_text
            if welcome and not await conversations.has_spoken(session, turn.conversation_id):
                answer = welcoming(answer, welcome)
            answer = await splitting.in_parts(session, context, answer, self.vault)
            if not await store.record_answer(session, turn, context.agent, answer, spent):
                raise service.StaleClaim
            await note_told(session, context, answer)
            await tracing.keep(session, turn, seen_by(context))
        return replace(turn, answer=answer, agent_id=context.agent.id)


def _asks_first(turn: Turn, seen: Seen) -> bool:
    """Whether the CRM is asked about the deal before it is known who speaks."""
    return turn.answer is None and seen.lacks_lead


def _is_in_parts(turn: Turn, answer: Answer) -> bool:
    """Whether it was cut before replies were to be checked: as a draft it would be a piece of one."""
    return turn.part > 0 or bool(answer.rest)


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
                if not await lane_store.renew_lease(session, turn.conversation_id, turn.claim, pace.lease):
                    return
        except (*CONNECTION_LOST, UpstreamUnavailable):
            continue  # the fence, not the lease, keeps the promise
