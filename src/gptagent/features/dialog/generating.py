"""From a context to an answer: search, recall, words. The one way, for turns and for rehearsals."""

from dataclasses import dataclass, field, replace

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.conversations.memory import service as memory
from gptagent.features.conversations.memory.model import Memory
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.service import ContactCard
from gptagent.features.dialog.acting import promising
from gptagent.features.dialog.context import Responder, Spent, TurnContext
from gptagent.features.dialog.extractive import BY as EXTRACTIVE
from gptagent.features.dialog.guarding.degrading import instead
from gptagent.features.dialog.handing import turns as handing
from gptagent.features.dialog.hearing import service as hearing
from gptagent.features.dialog.model import Answer
from gptagent.features.dialog.paying import use_of
from gptagent.features.dialog.scripting import scripts_of
from gptagent.features.dialog.wording import worded
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import Passage
from gptagent.features.knowledge.service import Reranking, Understanding
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

PASSAGES = 5


@dataclass(frozen=True, slots=True)
class Generation:
    """`fallback` speaks where the `responder` cannot. Without `reranking` passages stay as they are found."""

    responder: Responder
    fallback: Responder
    understanding: Understanding
    reranking: Reranking = field(default_factory=lambda: Reranking(None))

    async def generate(
        self, db: Database, scope: Scope, context: TurnContext
    ) -> tuple[Answer, Spent, TurnContext]:
        """Return the answer, what it cost, and the context with all that was found for it.

        Nothing leaves the platform but questions to models, and nothing is stored but what those used.
        """
        trace = context.trace
        if not context.question:
            async with db.session(scope) as session:
                return await hearing.answer_wordless(session, context), Spent(), context
        if (handed := handing.asked_for(context)) is not None:
            return handed, Spent(), context
        question, within, use = context.question, context.within, use_of(scope, context)
        with trace.timed("understand"):
            meaning = await self.understanding.understand(db, scope, question, use=use, witness=trace)
        order = None
        if self.reranking.model is not None:
            with trace.timed("rerank"):
                order = await self.reranking.order(
                    db, scope, question, meaning=meaning, within=within, use=use, witness=trace
                )
        with trace.timed("gather"):
            async with db.session(scope) as session:
                asking = await knowledge.read_question(session, question, within)
                found = await knowledge.search(session, asking, limit=PASSAGES, meaning=meaning, order=order)
                passages = await knowledge.add_related(session, asking, found)
                context = await _told(session, replace(context, asking=asking))
                await hearing.count_in(session, context)
        trace.found(found, passages[len(found) :])
        with trace.timed("answer"):
            answer, spent = await self._respond(db, scope, context, passages)
        support = max((one.support for one in passages), default=0.0)
        return replace(answer, support=support, stage=context.stage), spent, context

    async def _respond(
        self, db: Database, scope: Scope, context: TurnContext, passages: list[Passage]
    ) -> tuple[Answer, Spent]:
        try:
            answer, spent = await self.responder.respond(db, scope, context, passages)
            if answer.by != EXTRACTIVE:  # quotations are the base's own words
                known = [one.content for one in passages]
                answer = promising.settled(context, worded(answer, context.settings), known)
        except AppError as error:
            # The model is away or refuses: the base's own words, or the not-found path, are an answer.
            log.warning("model_failed", error=error.code, conversation_id=str(context.conversation.id))
            context.trace.failed("reply", context.settings.model or "", error.code)
            handed_off = instead(error)
            if handed_off is not None:
                return handed_off, Spent()
            answer, spent = await self.fallback.respond(db, scope, context, passages)
            answer = replace(answer, reason=answer.reason or error.code)
        return answer, spent


async def _told(session: Session, context: TurnContext) -> TurnContext:
    """Return the context with what the base and the CRM have to say besides passages."""
    return replace(
        context,
        company=await knowledge.choose_facts(session, context.agent.id, context.stage),
        memories=await _recall(session, context),
        scripts=await scripts_of(session, context),
        contact=await _contact(session, context),
    )


async def _contact(session: Session, context: TurnContext) -> ContactCard | None:
    """Return who the customer is in the CRM, as the mirror knows it, for an agent that may know."""
    conversation = context.conversation
    if conversation.contact_id is None or not context.settings.readable.contact:
        return None
    return context.contact or await crm_service.get_contact_card(
        session, conversation.connection_id, conversation.contact_id
    )


async def _recall(session: Session, context: TurnContext) -> tuple[Memory, ...]:
    """Return what the agent may know of the customer; nothing once its memory is off, also for this turn.

    A rehearsal is nobody's conversation: there is nothing to remember.
    """
    if context.is_rehearsal or not context.settings.remembers_customers:
        return ()
    known = await memory.recall(session, context.conversation.id, context.question)
    agent = await agents.find_agent(session, context.agent.id) if known else None
    return known if agent is not None and agent.settings.remembers_customers else ()
