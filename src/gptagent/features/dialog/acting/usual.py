"""What usually follows from what a customer wants, proposed where the model has not said it itself. Pure."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gptagent.features.dialog.acting import contacts, tools
from gptagent.features.dialog.acting.model import ActionName, Considered, Intent, Proposal
from gptagent.kernel.i18n import translate

WORDS_MAX_CHARS = 500  # of the customer, in a task or note
_HOUR = 60
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Usual:
    """`says` has the customer's `{words}`; `kind` and `due_in_minutes` are of tasks. `is_priced`: only where
    the deal has a value, which `says` has as `{price}`.
    """

    intent: Intent
    action: ActionName
    confidence: float
    says: str
    kind: str = "call"
    due_in_minutes: int = 0
    is_priced: bool = False


# Sentences as msgids. The last one only while no message about the payment may be prepared.
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
    Usual(
        "payment",
        "create_task",
        0.6,
        "The customer speaks of payment, the deal is about {price}: “{words}” Write to them how to pay.",
        due_in_minutes=_HOUR,
        is_priced=True,
    ),
)
# In the customer's language as far as there are words in it; whoever sends it may word it otherwise.
PAYMENT_MESSAGE = "You asked about the payment. Your order comes to {price}. How would you like to pay?"
PAYMENT_CONFIDENCE = 0.6
NEW_CONTACT_CONFIDENCE = 0.5
NOTES_FEW, NOTE_CONFIDENCE = 2, 0.4  # with fewer a deal says too little of its customer
NOTE = "The customer writes: “{words}”"


def usual(
    considered: Considered, intent: Intent | None, confidence: float, said: Sequence[Proposal]
) -> list[Proposal]:
    """Return what is proposed besides what the model `said`: no more certain than the model is of the intent.

    An action that it proposed itself is not proposed again, nor a task where the reply promises one.
    """
    done = {one.action for one in said}
    if considered.has_task:
        done.add("create_task")
    found = [
        *_of_intent(considered, intent, confidence),
        *_of_payment(considered, intent, confidence),
        *_of_deal(considered),
    ]
    if intent is not None and all(one.action != "add_note" for one in found):
        found += _of_few_notes(considered, confidence)
    return [one for one in found if one.action not in done]


def may_write(considered: Considered) -> bool:
    """Tell whether a message about the payment may be prepared in this conversation."""
    return considered.actions.send_message != "off" and bool(considered.lead and considered.lead.price)


def _of_intent(considered: Considered, intent: Intent | None, confidence: float) -> Iterator[Proposal]:
    price = considered.lead.price if considered.lead else None
    for one in USUAL:
        if one.intent != intent or not tools.may_call(considered, one.action):
            continue
        if one.is_priced and (not price or may_write(considered)):
            continue
        told = _amount(considered, considered.locale)
        text = translate(considered.locale, one.says, words=_words(considered), price=told)
        fields: dict[str, object] = {"text": text}
        if one.action == "create_task":
            fields |= {"kind": one.kind, "due_in_minutes": one.due_in_minutes}
        yield _proposal(considered, one.action, fields, text, min(one.confidence, confidence), one.intent)


def _of_payment(considered: Considered, intent: Intent | None, confidence: float) -> Iterator[Proposal]:
    """Prepare what a colleague may send to who speaks of paying: the agent itself has answered, once."""
    if intent != "payment" or not may_write(considered):
        return
    price = (considered.lead.price if considered.lead else None) or 0
    locale = _customers_locale(considered)
    text = translate(locale, PAYMENT_MESSAGE, price=_amount(considered, locale))
    sure = min(PAYMENT_CONFIDENCE, confidence)
    # Another value makes it another message: the one with the old value is taken back.
    yield _proposal(
        considered, "send_message", {"text": text, "price": price}, text, sure, f"{intent} {price}"
    )


def _amount(considered: Considered, locale: str) -> str:
    from gptagent.ui.formats import money_in

    lead = considered.lead
    return money_in(locale, lead.price or 0, lead.currency) if lead else ""


def _customers_locale(considered: Considered) -> str:
    said = considered.unanswered[-1].said
    if _CYRILLIC.search(said):
        return "ru"
    return "en" if _LATIN.search(said) else considered.locale


def _of_few_notes(considered: Considered, confidence: float) -> Iterator[Proposal]:
    """Propose a note where few were left, whatever the customer wants."""
    if considered.notes < NOTES_FEW and tools.may_call(considered, "add_note"):
        text = translate(considered.locale, NOTE, words=_words(considered))
        fields: dict[str, object] = {"text": text}
        yield _proposal(considered, "add_note", fields, text, min(NOTE_CONFIDENCE, confidence), "few")


def _words(considered: Considered) -> str:
    return " ".join(considered.unanswered[-1].said.split())[:WORDS_MAX_CHARS]


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
