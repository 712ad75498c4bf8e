"""Giving an action that was proposed to the CRM's queue: for the deal or contact it was proposed for."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service as crm_actions
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.model import Action, Email, Evidence, Note, Task, WrittenKind, field_key
from gptagent.features.crm.actions.service import REASON_MAX_CHARS, Target
from gptagent.features.dialog.acting.contacts import reach_fields, values_of
from gptagent.features.dialog.acting.model import TASK_TYPES, UNKNOWN, KeptProposal
from gptagent.kernel.db import Session
from gptagent.kernel.errors import NotFound


async def do(
    session: Session, proposal: KeptProposal, *, now: datetime, sends_letters: bool = False
) -> Action:
    """Owe the action. Raises Invalid or NotFound if the CRM is no longer as it was, Conflict or RateLimited
    if an e-mail cannot be sent now.
    """
    lead, contact = target_of(proposal, "leads"), target_of(proposal, "contacts")
    if proposal.action in {"create_task", "add_note"}:
        return await _leave(session, proposal, lead, contact, now)
    if proposal.action == "fill_contact":
        return await _fill_contact(session, proposal, contact)
    if proposal.action == "send_email":
        return await _send_email(session, proposal, contact, now, sends_letters=sends_letters)
    if lead is None or proposal.action == UNKNOWN:
        raise NotFound
    if proposal.action == "create_contact":
        return await _create_contact(session, proposal, lead)
    return await _change_deal(session, proposal, lead)


def target_of(of: Conversation | KeptProposal, kind: WrittenKind) -> Target | None:
    record_id = of.lead_id if kind == "leads" else of.contact_id
    return None if record_id is None else Target(of.connection_id, kind, record_id)


async def _leave(
    session: Session, proposal: KeptProposal, lead: Target | None, contact: Target | None, now: datetime
) -> Action:
    """Leave a note or a task: on the deal or, without one, on the contact."""
    fields, evidence = proposal.fields, _evidence(proposal)
    target = lead if lead is not None and await _is_known(session, lead) else contact
    if target is None:
        raise NotFound
    text = _text(fields["text"])
    if proposal.action == "add_note":
        return await crm_actions.add_note(session, target, Note("common", text), evidence)
    due = now + timedelta(minutes=_whole(fields["due_in_minutes"]))
    kind = TASK_TYPES[_text(fields.get("kind", "call"))]  # proposed before there were kinds: a call
    return await crm_actions.create_task(session, target, Task(text, due, kind), evidence, now=now)


async def _create_contact(session: Session, proposal: KeptProposal, lead: Target) -> Action:
    values = values_of(await _reach_fields(session, lead), proposal.fields)
    asked = Asked({"name": _text(proposal.fields["name"])}, fields=values)
    return await crm_actions.create_record(
        session, lead.connection_id, "contacts", asked, lead_id=lead.id, evidence=_evidence(proposal)
    )


async def _fill_contact(session: Session, proposal: KeptProposal, contact: Target | None) -> Action:
    if contact is None:
        raise NotFound
    values = values_of(await _reach_fields(session, contact), proposal.fields)
    keep = [field_key(one) for one in values]  # what somebody has filled in meanwhile stays
    return await crm_actions.update_record(
        session, contact, Asked({}, fields=values), _evidence(proposal), keep=keep
    )


async def _send_email(
    session: Session, proposal: KeptProposal, contact: Target | None, now: datetime, *, sends_letters: bool
) -> Action:
    if contact is None:
        raise NotFound
    email = Email(_text(proposal.fields["subject"]), _text(proposal.fields["text"]))
    return await crm_actions.send_email(
        session, contact, email, _evidence(proposal), sends_letters=sends_letters, now=now
    )


async def _change_deal(session: Session, proposal: KeptProposal, lead: Target) -> Action:
    fields, evidence = proposal.fields, _evidence(proposal)
    if proposal.action == "move_deal":
        asked = Asked({}, pipeline_id=_whole(fields["pipeline_id"]), stage_id=_whole(fields["stage_id"]))
        return await crm_actions.update_record(session, lead, asked, evidence, kind="change_stage")
    if proposal.action == "change_responsible":
        asked = Asked({"responsible_user_id": _whole(fields["user_id"])})
        return await crm_actions.update_record(session, lead, asked, evidence, kind="change_responsible")
    names = fields["names"]
    tags = [_text(one) for one in names] if isinstance(names, list) else []
    return await crm_actions.update_record(session, lead, Asked({}, tags_add=tags), evidence, kind="add_tags")


async def _reach_fields(session: Session, target: Target) -> Mapping[str, int]:
    return reach_fields((await crm_actions.known_of(session, target.connection_id)).fields)


async def _is_known(session: Session, target: Target) -> bool:
    return await crm.get_lead_card(session, target.connection_id, target.id) is not None


def _evidence(proposal: KeptProposal) -> Evidence:
    reason = proposal.reason[:REASON_MAX_CHARS]
    return Evidence(proposal.conversation_id, None, proposal.turn_id, reason)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotFound
    return value
