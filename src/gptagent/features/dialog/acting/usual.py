"""What usually follows from what a customer wants, proposed where the model has not said it itself. Pure."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gptagent.features.dialog.acting import contacts, tools
from gptagent.features.dialog.acting.model import ActionName, Considered, Intent, Proposal
from gptagent.kernel.i18n import translate

WORDS_MAX_CHARS = 500  # of the customer, in a task or note
_HOUR = 60


@dataclass(frozen=True, slots=True)
class Usual:
    """`says` has the customer's `{words}`; `kind` and `due_in_minutes` are of tasks."""

    intent: Intent
    action: ActionName
    confidence: float
    says: str
    kind: str = "call"
    due_in_minutes: int = 0


# Sentences as msgids. Who is to pay gets a message: the reply. Further notes are the model's to propose.
USUAL = (
    Usual(
        "request_callback",
        "create_task",
        0.9,
        "The customer wants to be called: “{words}”",
        due_in_minutes=_HOUR,
    ),
    Usual(
        "booking",
        "create_task",
        0.8,
        "The customer wants an appointment: “{words}”",
        kind="meeting",
        due_in_minutes=24 * _HOUR,
    ),
    Usual("complaint", "add_note", 0.7, "The customer complains: “{words}”"),
    Usual(
        "complaint",
        "create_task",
        0.8,
        "Look after the customer, who complains: “{words}”",
        due_in_minutes=2 * _HOUR,
    ),
)
NEW_CONTACT_CONFIDENCE = 0.5


def usual(
    considered: Considered, intent: Intent | None, confidence: float, said: Sequence[Proposal]
) -> list[Proposal]:
    """Return what is proposed besides what the model `said`: no more certain than the model is of the intent.

    An action that it proposed itself is not proposed again, nor a task where the reply promises one.
    """
    done = {one.action for one in said}
    if considered.has_task:
        done.add("create_task")
    found = [*_of_intent(considered, intent, confidence), *_of_deal(considered)]
    return [one for one in found if one.action not in done]


def _of_intent(considered: Considered, intent: Intent | None, confidence: float) -> Iterator[Proposal]:
    words = " ".join(considered.unanswered[-1].said.split())[:WORDS_MAX_CHARS]
    for one in USUAL:
        if one.intent != intent or not tools.may_call(considered, one.action):
            continue
        text = translate(considered.locale, one.says, words=words)
        fields: dict[str, object] = {"text": text}
        if one.action == "create_task":
            fields |= {"kind": one.kind, "due_in_minutes": one.due_in_minutes}
        yield _proposal(considered, one.action, fields, text, min(one.confidence, confidence), one.intent)


def _of_deal(considered: Considered) -> Iterator[Proposal]:
    """Propose the contact of a deal that has none, by the name the customer goes by in the channel."""
    name = considered.conversation.customer_name.strip()[: contacts.NAME_MAX_CHARS]
    if name and considered.new_contact == "none" and tools.may_call(considered, "create_contact"):
        fields: dict[str, object] = {"name": name}
        yield _proposal(considered, "create_contact", fields, name, NEW_CONTACT_CONFIDENCE, "deal")


def _proposal(  # noqa: PLR0917 - what a proposal is made of
    considered: Considered,
    action: ActionName,
    fields: dict[str, object],
    shown: str,
    confidence: float,
    why: str,
) -> Proposal:
    """`why` makes it the same however the customer puts it: who complains twice gets one task."""
    key = hashlib.sha256(f"{action} {why}".encode()).hexdigest()[:32]
    degree = tools.degree_of(considered, action, fields, confidence)
    return Proposal(action, fields, degree, confidence, key, shown)
