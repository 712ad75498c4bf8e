"""Play one turn of an agent through the real generation, with no effect on anybody."""

import time
from dataclasses import replace
from uuid import UUID

from gptagent.features.agents import service as agents
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm import service as crm
from gptagent.features.crm.service import ContactCard, LeadCard
from gptagent.features.dialog.acting import service as acting
from gptagent.features.dialog.acting.model import FieldWrite, wants_acting
from gptagent.features.dialog.acting.promising import promise_task
from gptagent.features.dialog.acting.prompting import plan as plan_actions
from gptagent.features.dialog.context import TurnContext, stage_of
from gptagent.features.dialog.drafts.service import DRAFT_TASK
from gptagent.features.dialog.enclosures.model import article_of
from gptagent.features.dialog.ending import FACT_GATE_TASK, NOT_FOUND_TASK, TASK_QUESTION_CHARS
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.handing.model import hands_over
from gptagent.features.dialog.model import FACT_GATE, Answer
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.rehearsing.model import (
    DRAFT,
    FILE,
    SEND,
    TASK,
    Place,
    Plan,
    Rehearsal,
    Rehearsed,
    Said,
)
from gptagent.features.dialog.tracing.model import Trace
from gptagent.features.dialog.tracing.seeing import seen_by, thawed
from gptagent.features.dialog.wording import welcoming
from gptagent.features.inference import service as inference
from gptagent.features.inference.model import Hear
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import At
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.i18n import translate
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope

NOBODY = UUID(int=0)  # stands for an account of the CRM where none is named

__all__ = ["Place", "Plan", "Rehearsal", "Rehearsed", "Said", "rehearse"]


async def rehearse(
    db: Database, scope: Scope, generation: Generation, wanted: Rehearsal, *, hear: Hear | None = None
) -> Rehearsed:
    """Return what the agent would answer to the message, and what would be done then.

    It is the way of every turn from the search to the words: settings, stage, fact gate. Nothing is sent,
    written into the CRM, remembered or counted as a question; only what models used is recorded, for
    `rehearsal`. The gates are looked at and told of, but answered all the same. `hear` is given the pieces of
    the model's words before the fact gate has seen them. Holds no transaction while a model thinks; raises
    NotFound if the place names what is not there.
    """
    began = time.monotonic()
    async with db.session(scope) as session:
        context = await _context(session, await _within_budget(session, wanted))
    context = replace(context, hear=hear)
    answer, _spent, context = await generation.generate(db, scope, context)
    if not any(one.author == "agent" for one in wanted.history):
        answer = welcoming(answer, context.settings.welcome_text)
    writes = await _act(db, scope, generation, context, answer)
    async with db.session(scope) as session:
        plans = await _plans(session, context, answer)
    explanation = seen_by(context).explanation()
    tokens_in, tokens_out = explanation.tokens
    return Rehearsed(
        text=answer.text,
        outcome=answer.outcome,
        reason=answer.reason,
        by=answer.by,
        sources=answer.sources,
        plans=plans,
        explanation=explanation,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_micro_usd=explanation.cost_micro_usd,
        millis=round((time.monotonic() - began) * 1000),
        silence=next((gate.name for gate in explanation.gates if not gate.is_passed), None),
        fields=tuple((_name_of(one), str(one.value)) for one in writes),
    )


def _name_of(write: FieldWrite) -> str:
    return f"{'lead' if write.entity == 'leads' else 'contact'}.{write.rule.field}"


async def _act(
    db: Database, scope: Scope, generation: Generation, context: TurnContext, answer: Answer
) -> tuple[FieldWrite, ...]:
    """Ask what the agent would do in the CRM after this answer, and note it in the trace.

    Return the fields it would write.
    """
    responder = generation.responder
    if not isinstance(responder, ModelResponder) or not wants_acting(context.agent):
        return ()
    async with db.session(scope) as session:
        considered = await acting.consider(session, context, answer)
    try:
        plan, reply = await plan_actions(responder.model, scope, considered)
    except AppError as error:
        context.trace.failed("actions", context.settings.model or "", error.code)
        return ()
    acting.told_of(plan, reply, context.trace, is_played=True)
    if reply is not None:
        async with db.session(scope) as session:
            await inference.record_usage(session, None, reply, "rehearsal")
    return plan.writes


async def _within_budget(session: Session, wanted: Rehearsal) -> Rehearsal:
    """Return it with the limits that the agent really has, whatever settings it is played with.

    By others the owners would be told that its budget is used up, and no more once it is.
    """
    agent = await agents.find_agent(session, wanted.agent.id)
    if agent is None:
        return wanted
    settings = replace(wanted.agent.settings, budget=agent.settings.budget)
    return replace(wanted, agent=replace(wanted.agent, settings=settings))


async def place_at(session: Session, place: Place) -> At:
    """Return at which stage the customer is taken to write."""
    return At(stage_of(place.connection_id or NOBODY, await _lead(session, place)))


async def _context(session: Session, wanted: Rehearsal) -> TurnContext:
    lead = await _lead(session, wanted.place, thawed(wanted.lead, LeadCard))
    contact = thawed(wanted.contact, ContactCard)
    name = wanted.place.customer_name
    if not name and contact is None:
        contact = await _contact(session, wanted.place)
    conversation = _conversation(wanted, lead, name or (contact.name if contact else ""))
    talk = [*wanted.history, Said("customer", wanted.message)]
    *history, question = [_message(seq, said) for seq, said in enumerate(talk, start=1)]
    context = TurnContext(
        conversation=conversation,
        lead=lead,
        history=tuple(history),
        unanswered=(question,),
        asks_stage=False,
        is_unread=False,
        agent=wanted.agent,
        contact=contact,
        is_rehearsal=True,
    )
    _look_at_gates(context, context.trace)
    return context


def _look_at_gates(context: TurnContext, trace: Trace) -> None:
    """Note at which gates a real message would have stopped. Where no place is named, any is meant."""
    settings = context.settings
    is_anywhere = context.conversation.connection_id == NOBODY
    checks = {
        "channel": not context.conversation.channel
        or agents.takes_channel(settings, context.conversation.channel),
        "stage": is_anywhere or agents.takes_deal(settings, context.place),
        "hours": agents.wait_until_open(settings.hours, utcnow()) is None,
    }
    for name, is_open in checks.items():
        if is_open:
            trace.passed(name)
        else:
            trace.closed(name)


async def _lead(session: Session, place: Place, lead: LeadCard | None = None) -> LeadCard | None:
    """Return the deal: as it was frozen, as the mirror knows it, or nothing but a stage."""
    if lead is None and place.connection_id is not None and place.lead_id is not None:
        lead = await crm.get_lead_card(session, place.connection_id, place.lead_id)
    if place.pipeline_id is None or place.connection_id is None:
        return lead
    pipeline, stage = await _names(session, place)
    moved = lead or LeadCard(0, None, None, None, None, None, is_fresh=True, has_contact=True)
    return replace(
        moved, pipeline=pipeline, stage=stage, pipeline_id=place.pipeline_id, stage_id=place.stage_id
    )


async def _names(session: Session, place: Place) -> tuple[str | None, str | None]:
    for pipeline in await crm.list_pipelines(session):
        if (pipeline.connection_id, pipeline.id) == (place.connection_id, place.pipeline_id):
            stages = {stage.id: stage.name for stage in pipeline.stages}
            return pipeline.name, stages.get(place.stage_id or 0)
    return None, None


async def _contact(session: Session, place: Place) -> ContactCard | None:
    if place.connection_id is None or place.contact_id is None:
        return None
    return await crm.get_contact_card(session, place.connection_id, place.contact_id)


def _conversation(wanted: Rehearsal, lead: LeadCard | None, name: str) -> Conversation:
    """Return a chat that nobody has."""
    now, place = utcnow(), wanted.place
    return Conversation(
        id=new_id(),
        connection_id=place.connection_id or NOBODY,
        chat_id="",
        talk_id=None,
        contact_id=place.contact_id,
        lead_id=lead.id if lead else None,
        customer_name=name,
        channel=place.channel,
        last_seq=len(wanted.history) + 1,
        last_text=wanted.message,
        last_message_at=now,
        taken_over_at=None,
        taken_over_by=None,
        created_at=now,
        assignee_id=None,
        resume_at=None,
    )


def _message(seq: int, said: Said) -> Message:
    return Message(seq, said.author, "", said.text, None, None, utcnow())


async def _plans(session: Session, context: TurnContext, answer: Answer) -> tuple[Plan, ...]:
    """Return what would be done with the answer, and what the agent would do besides."""
    settings, locale = context.settings, await organizations.get_locale(session)
    question = context.question[:TASK_QUESTION_CHARS]
    plans = [
        Plan(one.name, one.result, one.arguments) for one in context.trace.tools if one.state == "planned"
    ]
    if hands_over(answer):  # no draft: the words leave with the rest, or the customer is told nothing
        return (*plans, *(() if context.is_checked else (Plan(SEND),)))
    if context.is_checked:
        plans.append(Plan(DRAFT))
        plans.append(Plan(TASK, translate(locale, DRAFT_TASK, question=question)))
        return tuple(plans)
    if answer.text:
        plans.append(Plan(SEND))
    if answer.promises:
        plans.append(Plan(TASK, promise_task(locale, answer)))
    if answer.outcome == "not_found" and settings.not_found_task:
        task = FACT_GATE_TASK if answer.reason == FACT_GATE else NOT_FOUND_TASK
        plans.append(Plan(TASK, translate(locale, task, question=question)))
    article_id = article_of(answer)
    files = await knowledge.files_to_send(session, article_id) if article_id else []
    return (*plans, *(Plan(FILE, file.name) for file in files))
