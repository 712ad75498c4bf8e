"""Verbs of acting: look at a turn once, do or propose what it calls for, decide about what waits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import DEGREES, HISTORY_MAX_MESSAGES, Agent, Degree
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service as crm_actions
from gptagent.features.crm.actions.model import Evidence
from gptagent.features.crm.actions.service import REASON_MAX_CHARS
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.acting import store
from gptagent.features.dialog.acting.doing import do, target_of
from gptagent.features.dialog.acting.forms import TEXT_MAX_CHARS
from gptagent.features.dialog.acting.model import (
    REPEATED_WITHIN,
    UNKNOWN,
    Called,
    Considered,
    FieldWrite,
    KeptProposal,
    Plan,
    Proposal,
    Run,
    wants_acting,
)
from gptagent.features.dialog.acting.prompting import TAKEN
from gptagent.features.dialog.acting.rules import asked_of
from gptagent.features.dialog.acting.tools import WRITE_FIELD
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.model import Answer, Turn
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.reaching import reached
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.dialog.tracing.model import Trace
from gptagent.features.inference.model import ModelReply
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.paging import Order, Page

ACT = "dialog.act"
BEHIND_REPLIES = -1
SHOWN = 12  # beside a conversation
ALONE_AT_MOST = 10  # in a conversation within ALONE_WITHIN; what comes after them waits for approval
ALONE_WITHIN = timedelta(hours=1)
ORDERS = {
    "-created_at": Order("-created_at", "created_at", descending=True),
    "created_at": Order("created_at", "created_at"),
}
WORDED = ("create_task", "add_note", "send_message", "send_email")  # a person may word them otherwise
# Of these only the newest counts: an older one that waits is taken back.
SINGLE = ("move_deal", "change_responsible", "create_contact", "send_message", "send_email")


@dataclass(frozen=True, slots=True)
class Taken:
    """A turn to be looked at."""

    turn_id: UUID
    considered: Considered


async def owe_acting(session: Session, turn: Turn, agent: Agent | None) -> None:
    """Have the turn looked at, if its agent may do anything: once, the job leaves with the transaction."""
    if agent is None or not wants_acting(agent):
        return
    if await store.insert_run(session, turn.id, turn.conversation_id):
        await session.enqueue(ACT, {"turn_id": str(turn.id)}, priority=BEHIND_REPLIES)


async def take(session: Session, turn_id: UUID) -> Taken | None:
    """Return what is to be looked at; None if it was, or may not be any more, which is noted."""
    turn = await store.pending_turn(session, turn_id)
    if turn is None:
        return None
    conversation = await conversations.get_conversation(session, turn.conversation_id)
    agent = await agents.find_agent(session, turn.agent_id)
    closed = "draft_not_sent" if turn.is_stale else await _closed(session, conversation, agent)
    if closed is not None or agent is None:
        await store.end_run(session, turn_id, "skipped", Plan(), closed)
        return None
    lead = None
    if conversation.lead_id is not None:
        lead = await crm.get_lead_card(session, conversation.connection_id, conversation.lead_id)
    since = max(1, turn.first_seq - HISTORY_MAX_MESSAGES)
    messages = await conversations.list_messages(
        session, conversation.id, from_seq=since, to_seq=turn.last_seq
    )
    asked = [one for one in messages if one.seq >= turn.first_seq and one.author == "customer"]
    # A turn begins after the message answered last: what lies between is our answer to that.
    first = asked[0].seq if asked else turn.first_seq
    considered = await _considered(
        session,
        agent,
        conversation,
        await reached(session, [one for one in messages if one.seq < first]),
        asked,
        turn.answer.whole if turn.answer else "",
        lead,
    )
    has_task = turn.answer is not None and bool(turn.answer.promises)
    return Taken(turn_id, replace(considered, turn_id=turn_id, has_task=has_task))


async def consider(session: Session, context: TurnContext, answer: Answer) -> Considered:
    """Return what a turn's actions are planned from, before or without its end. See `prompting.plan`."""
    considered = await _considered(
        session,
        context.agent,
        context.conversation,
        context.history,
        context.unanswered,
        answer.text,
        context.lead,
    )
    return replace(considered, has_task=bool(answer.promises))


def told_of(plan: Plan, reply: ModelReply | None, trace: Trace, *, is_played: bool) -> None:
    """Note in a trace what the model was asked and has called. `is_played`: nothing of it is done."""
    if reply is not None:
        trace.called("actions", reply)
    if plan.error is not None:
        trace.failed("actions", "", plan.error)
    for one in plan.calls:
        is_done = one.degree in {"", "alone"} and not is_played
        state: Literal["done", "planned", "refused"] = "done" if is_done else "planned"
        trace.used(
            one.tool or "?",
            one.arguments,
            state if one.verdict == TAKEN else "refused",
            one.degree if one.verdict == TAKEN else one.verdict,
        )


async def keep(session: Session, taken: Taken, plan: Plan, reply: ModelReply | None) -> None:
    """Do and propose what was planned, all in one transaction, and once: a second run finds it done.

    A person who took the chat meanwhile, or an agent switched off, ends it without an effect.
    """
    conversation = taken.considered.conversation
    await crm.hold_connection(session, conversation.connection_id)
    await conversations.pin_conversation(session, conversation.id)
    conversation = await conversations.get_conversation(session, conversation.id)
    agent = await agents.find_agent(session, taken.considered.agent.id)
    closed = await _closed(session, conversation, agent)
    if closed is not None:
        await store.end_run(session, taken.turn_id, "skipped", replace(plan, writes=(), proposals=()), closed)
        return
    plan, failed = _allowed_now(plan, agent), list[Called]()
    if not await store.end_run(session, taken.turn_id, "done", plan):
        return
    failed += await _write(session, taken, plan.writes)
    await store.outdate(
        session,
        conversation.id,
        [one.action for one in plan.proposals if one.action in SINGLE],
        # E-mails are all the same, however they are worded: the newest one says what is the case now.
        [one.key for one in plan.proposals if one.action != "send_email"],
    )
    for proposal in plan.proposals:
        await _propose(session, taken, conversation, proposal)
    await store.outdate_answered(session, conversation.id)
    trace = Trace()
    told_of(plan, reply, trace, is_played=False)
    await tracing.add(session, conversation.id, taken.turn_id, trace)
    if failed:
        await store.note_calls(session, taken.turn_id, (*plan.calls, *failed))
    await conversations.tell(session, conversation.id)


async def fail(session: Session, turn_id: UUID, code: str) -> None:
    """Note that nobody could be asked what is to be done."""
    await store.end_run(session, turn_id, "failed", Plan(), code)


async def approve(
    session: Session,
    conversation_id: UUID,
    proposal_id: UUID,
    *,
    by: str,
    text: str | None = None,
    sends_letters: bool = False,
) -> KeptProposal:
    """Have a proposal done: once, whoever else says so too. `text`: other words of what is WORDED.

    A message to the customer is a colleague's from then on, like a reply they wrote themselves. It says
    nothing to what is not answered yet, and whatever a colleague writes is an answer to that: it waits.

    Raises NotFound; Invalid; Conflict if it was decided or is outdated, if the CRM is no longer as it was (an
    amount that nobody has worded otherwise is no longer the deal's), or if nothing can be sent now;
    RateLimited after too many e-mails.
    """
    conversation = await conversations.get_conversation(session, conversation_id)
    proposal = await get_proposal(session, conversation_id, proposal_id)
    if proposal.action == UNKNOWN:
        raise Conflict(
            "proposal_unknown",
            "A newer release has proposed this: it can be done as soon as that one runs here too.",
        )
    is_edited = text is not None and _plain(text) != proposal.fields.get("text")
    if text is not None and is_edited:
        proposal = _reworded(proposal, text)
    await crm.hold_connection(session, conversation.connection_id)
    await conversations.get_conversation(session, conversation_id, lock=True)  # before what waits in it
    if not await store.decide(session, conversation_id, proposal_id, "done", by):
        raise _decided()
    if proposal.action == "send_message":
        await _send(session, proposal, by, is_edited=is_edited)
    else:
        try:
            action = await do(session, proposal, now=utcnow(), sends_letters=sends_letters)
        except Invalid as error:
            if is_edited and any(one.pointer.endswith("text") for one in error.fields):
                raise
            raise _impossible() from error
        except NotFound as error:
            raise _impossible() from error
        await store.set_action(session, proposal_id, action.id)
    if is_edited:
        await store.reword(session, proposal)
    await _note_decision(session, proposal, "action_proposal.approved", is_edited=is_edited)
    return await get_proposal(session, conversation_id, proposal_id)


async def _is_priced_so(session: Session, proposal: KeptProposal) -> bool:
    """Tell whether the deal still has the value that the prepared words name."""
    price = proposal.fields.get("price")
    if price is None or proposal.lead_id is None:
        return True
    lead = await crm.get_lead_card(session, proposal.connection_id, proposal.lead_id)
    return lead is not None and lead.price == price


async def _send(session: Session, proposal: KeptProposal, by: str, *, is_edited: bool) -> None:
    """Write the prepared words to the customer, by the way of every reply of a colleague."""
    if await store.customer_waits(session, proposal.conversation_id):
        raise Conflict(
            "customer_waits",
            "The customer waits for an answer, and these words would count as it. Let that be given first, "
            "or put them into a reply of your own.",
        )
    if not is_edited and not await _is_priced_so(session, proposal):
        raise _impossible()
    _owed, event = await outgoing.write(
        session,
        proposal.conversation_id,
        str(proposal.fields["text"]),
        by=by,
        now=utcnow(),
        reply_id=proposal.id,
    )
    if event is not None:
        await lanes.Lanes().on_hold_changed(session, event)


def _reworded(proposal: KeptProposal, text: str) -> KeptProposal:
    """Return the proposal with a person's words. Raises Invalid."""
    if proposal.action not in WORDED:
        raise Invalid.field(
            "text", "Only the words of a task, a note, a message or an e-mail can be changed."
        )
    words = _plain(text)
    if not 1 <= len(words) <= TEXT_MAX_CHARS:
        raise Invalid.field("text", "Write 1 to {most} characters.", most=TEXT_MAX_CHARS)
    shown = f"{proposal.fields['subject']}\n{words}" if proposal.action == "send_email" else words
    return replace(proposal, fields={**proposal.fields, "text": words}, shown=shown)


def _plain(text: str) -> str:
    """Return words as they are kept; a form sends every end of a line as two characters."""
    return text.replace("\r\n", "\n").replace("\0", "").strip()


async def reject(session: Session, conversation_id: UUID, proposal_id: UUID, *, by: str) -> None:
    """Raises NotFound, Conflict."""
    await conversations.get_conversation(session, conversation_id)
    proposal = await get_proposal(session, conversation_id, proposal_id)
    if not await store.decide(session, conversation_id, proposal_id, "rejected", by):
        raise _decided()
    await _note_decision(session, proposal, "action_proposal.rejected")


async def get_proposal(session: Session, conversation_id: UUID, proposal_id: UUID) -> KeptProposal:
    found = await store.select_proposal(session, conversation_id, proposal_id)
    if found is None:
        raise NotFound
    return found


async def list_latest(session: Session, conversation_id: UUID) -> list[KeptProposal]:
    """Return what stands beside a conversation: those that wait, then the latest that were decided."""
    return await store.select_latest(session, conversation_id, SHOWN)


async def page_proposals(
    session: Session,
    page: Page,
    *,
    conversation_id: UUID | None = None,
    state: str | None = None,
    degree: str | None = None,
) -> tuple[list[KeptProposal], str | None]:
    """Return a page of those of one conversation, or of all. Raises NotFound for an unknown conversation."""
    if conversation_id is not None:
        await conversations.get_conversation(session, conversation_id)
    found = await store.select_page(session, page, conversation_id, state, degree)
    return page.cut(found, lambda one: (one.created_at, one.id))


async def count_queue(session: Session) -> int:
    """Return how much waits for a person's approval in all conversations."""
    return await store.count_queue(session)


async def latest_run(session: Session, conversation_id: UUID) -> Run | None:
    return await store.latest_run(session, conversation_id)


async def list_runs(session: Session, turn_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """Return what looking at these turns has come to, with the tools the model has called."""
    return await store.select_runs(session, turn_ids) if turn_ids else {}


async def _considered(  # noqa: PLR0917 - what a conversation is made of
    session: Session,
    agent: Agent,
    conversation: Conversation,
    history: Sequence[Message],
    unanswered: Sequence[Message],
    reply: str,
    lead: crm.LeadCard | None,
) -> Considered:
    connection_id, contact = conversation.connection_id, None
    if conversation.contact_id is not None:
        contact = await crm.get_contact_card(session, connection_id, conversation.contact_id)
    tags = await crm.list_tags(session, connection_id, "leads")
    target = target_of(conversation, "leads") or target_of(conversation, "contacts")
    return Considered(
        agent=agent,
        conversation=conversation,
        lead=lead,
        contact=contact,
        history=tuple(history),
        unanswered=tuple(one for one in unanswered if one.said),
        reply=reply,
        known=await crm_actions.known_of(session, connection_id),
        tags=tuple(one.name for one in tags),
        locale=await organizations.get_locale(session),
        new_contact=await store.new_contact(session, conversation.id),
        notes=await crm_actions.count_notes(session, target) if target else 0,
    )


async def _closed(session: Session, conversation: Conversation, agent: Agent | None) -> str | None:
    """Return why the agent may do nothing here now."""
    if agent is None or not agent.is_active:
        return "no_active_agent"
    if conversation.held_by_person:
        return "taken_over"
    silence = await organizations.find_silence(session)
    if silence is not None:
        return silence
    connection = await crm.get_connection(session, conversation.connection_id)
    return None if connection.is_active and connection.status == "connected" else "connection_off"


def _allowed_now(plan: Plan, agent: Agent | None) -> Plan:
    """Return the plan without what the agent's settings no longer allow: they count as they are now."""
    if agent is None:
        return Plan(calls=plan.calls)
    actions, rules = agent.settings.actions, agent.settings.update_rules
    still = {*rules.lead, *rules.contact}
    return replace(
        plan,
        writes=tuple(one for one in plan.writes if one.rule in still),
        proposals=tuple(
            replace(one, degree=_lower(one.degree, getattr(actions, one.action)))
            for one in plan.proposals
            if getattr(actions, one.action) != "off"
        ),
    )


def _lower(planned: Degree, allowed: Degree) -> Degree:
    return min(planned, allowed, key=DEGREES.index)


async def _write(session: Session, taken: Taken, writes: Sequence[FieldWrite]) -> list[Called]:
    """Have the values written, those of a record in one action; return what was not possible any more."""
    failed = []
    for entity in ("leads", "contacts"):
        own = [one for one in writes if one.entity == entity]
        target = target_of(taken.considered.conversation, "leads" if entity == "leads" else "contacts")
        if not own or target is None:
            continue
        reason = "; ".join(dict.fromkeys(one.rule.condition for one in own))
        try:
            await crm_actions.update_record(
                session,
                target,
                asked_of([(one.key, one.value) for one in own]),
                _evidence(taken, reason),
                keep=[one.key for one in own if one.keep],
            )
        except (Invalid, NotFound, Conflict) as error:
            failed.append(Called(WRITE_FIELD, error.code))
    return failed


async def _propose(session: Session, taken: Taken, conversation: Conversation, proposal: Proposal) -> None:
    if proposal.action == "create_contact" and await store.new_contact(session, conversation.id) == "made":
        return  # by another turn, which was looked at meanwhile
    asked_for, lately = taken.considered.conversation, store.Lately(REPEATED_WITHIN, SINGLE)
    proposal_id = await store.insert_proposal(session, asked_for, taken.turn_id, proposal, lately)
    if proposal_id is None or proposal.degree != "alone":
        return
    if await store.count_alone(session, conversation.id, ALONE_WITHIN) >= ALONE_AT_MOST:
        await store.ask_instead(session, proposal_id, "too_many_alone")
        return
    kept = await get_proposal(session, conversation.id, proposal_id)
    try:
        action = await do(session, kept, now=utcnow())
    except (Invalid, NotFound, Conflict) as error:
        await store.ask_instead(session, proposal_id, error.code)
        return
    await store.decide(session, conversation.id, proposal_id, "done", None)
    await store.set_action(session, proposal_id, action.id)


def _evidence(taken: Taken, reason: str) -> Evidence:
    considered = taken.considered
    return Evidence(considered.conversation.id, considered.last_seq, taken.turn_id, reason[:REASON_MAX_CHARS])


def _impossible() -> Conflict:
    return Conflict("proposal_impossible", "This cannot be done any more: the CRM is no longer as it was.")


def _decided() -> Conflict:
    return Conflict("proposal_decided", "Somebody has decided about this already, or it is outdated.")


async def _note_decision(
    session: Session, proposal: KeptProposal, action: str, *, is_edited: bool = False
) -> None:
    changes: dict[str, tuple[object, object] | None] = {"action": (None, proposal.action)}
    if is_edited:
        changes["text"] = None
    await audit.record(session, Entry(action, "conversation", str(proposal.conversation_id), changes))
    await conversations.tell(session, proposal.conversation_id)
