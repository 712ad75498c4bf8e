"""The registry of all tools a model may call: what each is offered with, and how its arguments are read.

No tool takes the number of a deal, contact, person or workspace: where it acts is settled by the conversation
before a model is asked. A call with an argument the tool does not have is refused whole.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from gptagent.features.agents.model import Degree
from gptagent.features.crm.actions.checking import check_stage, check_tags, check_user
from gptagent.features.crm.service import MirroredPipeline
from gptagent.features.dialog.acting import contacts
from gptagent.features.dialog.acting.forms import (
    SUBJECT_MAX_CHARS,
    TEXT_MAX_CHARS,
    Read,
    Schema,
    idle,
    text_form,
    words,
    wrong,
)
from gptagent.features.dialog.acting.model import (
    INTENTS,
    TASK_DUE_MAX_HOURS,
    TASK_TYPES,
    ActionName,
    Considered,
    Declined,
    Intent,
    Proposal,
)
from gptagent.features.inference.masking.service import marks_left
from gptagent.features.inference.model import ToolCall, ToolSpec
from gptagent.kernel.errors import Invalid

REASON_MAX_CHARS = 300
PEOPLE_MAX, STAGES_MAX, TAGS_MAX = 60, 60, 100  # offered to a model
TAGS_AT_ONCE = 5
WORDS = ("text", "subject", "value", "reason", "name", "phone", "email")  # arguments that are a model's own
CLOSING = frozenset({"won", "lost"})
SENT = frozenset({"send_message", "send_email"})  # to the customer: a person says the word, always
EMAIL_CONFIDENCE = 0.3  # at most: where nothing else is to be done


@dataclass(frozen=True, slots=True)
class FieldSaid:
    """A rule's value as the model has it, by the rule's number."""

    number: int
    value: str


@dataclass(frozen=True, slots=True)
class IntentSaid:
    intent: Intent
    confidence: float


@dataclass(frozen=True, slots=True)
class Tool:
    """`form` returns the schemas of its own arguments, or None where it cannot be called in this
    conversation. `action` is the setting that allows it; None: allowed wherever it is offered.
    """

    name: str
    says: str
    form: Callable[[Considered], Schema | None]
    action: ActionName | None = None
    read: Callable[[Considered, Mapping[str, object]], Read] | None = None


def offered(considered: Considered, *, rules: int) -> list[ToolSpec]:
    """Return the tools of this conversation; `rules`: how many rules may write a field."""
    return [
        ToolSpec(tool.name, tool.says, _object(form))
        for tool in TOOLS.values()
        if (form := _form(tool, considered, rules)) is not None
    ]


def read_call(considered: Considered, call: ToolCall, *, rules: int) -> FieldSaid | IntentSaid | Proposal:
    """Return what a call asks for, checked. Raises Declined."""
    tool = TOOLS.get(call.name)
    if tool is None:
        raise Declined("unknown_tool")
    form = _form(tool, considered, rules)
    if form is None:
        raise Declined("tool_not_allowed")
    if not call.arguments.keys() <= form.keys():
        raise Declined("unknown_argument")
    if _has_made_up_mark(considered, call.arguments):
        raise wrong()
    if tool.name == WRITE_FIELD:
        return _field_said(call.arguments, rules)
    if tool.name == TELL_INTENT:
        return _intent_said(call.arguments)
    assert tool.action is not None  # the others have both
    assert tool.read is not None
    fields, shown = _checked(tool.read, considered, call.arguments)
    confidence = _confidence(call.arguments)
    if tool.action == "send_email":
        confidence = min(confidence, EMAIL_CONFIDENCE)
    return Proposal(
        action=tool.action,
        fields=fields,
        degree=degree_of(considered, tool.action, fields, confidence),
        confidence=confidence,
        key=_key(tool.action, fields),
        shown=shown,
        reason=words(call.arguments.get("reason", ""), REASON_MAX_CHARS, required=False),
    )


def closes(considered: Considered, fields: Mapping[str, object]) -> bool:
    """Whether a deal that is moved so is won or lost by it."""
    found = _pipeline(considered)
    stages = found.stages if found else ()
    return any(one.id == fields.get("stage_id") and one.kind in CLOSING for one in stages)


def degree_of(
    considered: Considered, action: ActionName, fields: Mapping[str, object], confidence: float
) -> Degree:
    """Return how far the agent goes. Closing a deal, and what it is not sure of, it does not do alone, nor
    does it ever write to a customer besides its reply.
    """
    degree: Degree = getattr(considered.actions, action)
    is_sure = confidence * 100 >= considered.actions.confidence
    closing = action == "move_deal" and closes(considered, fields)
    if degree == "alone" and (not is_sure or closing or action in SENT):
        return "approve"
    return degree


def may_call(considered: Considered, action: ActionName) -> bool:
    """Tell whether the agent may do this in this conversation, in whichever degree."""
    return _form(TOOLS[action], considered, 0) is not None


def _has_made_up_mark(considered: Considered, arguments: Mapping[str, object]) -> bool:
    """Tell whether its words have a mark of personal data that stands for nothing, and that nobody wrote."""
    said = [one.told for one in (*considered.told_history, *considered.unanswered)]
    written = " ".join(str(arguments[name]) for name in WORDS if name in arguments)
    return any(not any(mark in text for text in said) for mark in marks_left(written))


def _form(tool: Tool, considered: Considered, rules: int) -> Schema | None:
    if tool.name == WRITE_FIELD and not rules:
        return None
    if tool.action is not None and getattr(considered.actions, tool.action) == "off":
        return None
    form = tool.form(considered)
    if form is None or tool.action is None:
        return form
    return {**form, **_WHY}


def _checked(
    read: Callable[[Considered, Mapping[str, object]], Read],
    considered: Considered,
    arguments: Mapping[str, object],
) -> Read:
    try:
        return read(considered, arguments)
    except Invalid as error:
        raise wrong() from error


def _field_said(arguments: Mapping[str, object], rules: int) -> FieldSaid:
    number, value = arguments.get("rule"), arguments.get("value")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= rules:
        raise wrong()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong()
    return FieldSaid(number, str(value))


def _intent_said(arguments: Mapping[str, object]) -> IntentSaid:
    found = next((one for one in INTENTS if one == arguments.get("intent")), None)
    if found is None:
        raise wrong()
    return IntentSaid(found, _confidence(arguments))


def _confidence(arguments: Mapping[str, object]) -> float:
    """Return 0 to 1; what is no number is no certainty at all."""
    value = arguments.get("confidence")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return 0.0
    return round(float(value), 3)


def _key(action: ActionName, fields: Mapping[str, object]) -> str:
    """Return what is the same for actions that come to the same: when a task is due does not count, nor how
    an e-mail is worded.
    """
    if action == "send_email":
        fields = {}
    counted = {
        key: " ".join(value.casefold().split()) if isinstance(value, str) else value
        for key, value in sorted(fields.items())
        if key != "due_in_minutes"
    }
    return hashlib.sha256(action.encode() + msgspec.json.encode(counted)).hexdigest()[:32]


def _object(form: Schema) -> Schema:
    return {"type": "object", "properties": dict(form), "required": list(form), "additionalProperties": False}


_CERTAINTY: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "description": "How sure you are, 0 to 1.",
}
_WHY: Schema = {
    "reason": text_form("Why, in a few words for a colleague, in the company's language.", REASON_MAX_CHARS),
    "confidence": _CERTAINTY,
}


# Moving the deal


def _pipeline(considered: Considered) -> MirroredPipeline | None:
    lead = considered.lead
    if lead is None:
        return None
    found = (one for one in considered.known.pipelines if one.id == lead.pipeline_id)
    return next((one for one in found if one.removed_at is None), None)


def stages_here(considered: Considered) -> dict[str, int]:
    """Return the stages the deal may be moved to, by a name that is its own."""
    found, names = _pipeline(considered), dict[str, int]()
    for one in found.stages if found else ():
        if one.removed_at is None and one.kind != "incoming" and len(names) < STAGES_MAX:
            names[one.name if one.name not in names else f"{one.name} ({one.id})"] = one.id
    return names


def _stage_form(considered: Considered) -> Schema | None:
    names = list(stages_here(considered))
    return {"stage": {"type": "string", "enum": names}} if len(names) > 1 else None


def _read_stage(considered: Considered, arguments: Mapping[str, object]) -> Read:
    stage_id, lead = stages_here(considered).get(str(arguments.get("stage"))), considered.lead
    if stage_id is None or lead is None:
        raise wrong()
    if stage_id == lead.stage_id:
        raise idle()
    place = check_stage(considered.known, lead.pipeline_id, stage_id, lead.pipeline_id)
    pipeline = _pipeline(considered)
    shown = f"{pipeline.name if pipeline else ''} → {arguments.get('stage')}"
    return {"pipeline_id": place.pipeline_id, "stage_id": place.stage_id}, shown


# Tasks and notes, on the deal or, without one, on the contact


def _has_record(considered: Considered) -> bool:
    return considered.lead is not None or considered.conversation.contact_id is not None


def _task_form(considered: Considered) -> Schema | None:
    if not _has_record(considered):
        return None
    due: Schema = {
        "type": "number",
        "minimum": 0.1,
        "maximum": TASK_DUE_MAX_HOURS,
        "description": "In how many hours it is due.",
    }
    kind: Schema = {
        "type": "string",
        "enum": list(TASK_TYPES),
        "description": "A meeting has a place or a link.",
    }
    return {"text": text_form("What a colleague is to do."), "kind": kind, "due_in_hours": due}


def _read_task(_considered: Considered, arguments: Mapping[str, object]) -> Read:
    text, hours = words(arguments.get("text"), TEXT_MAX_CHARS), arguments.get("due_in_hours")
    kind = arguments.get("kind", "call")
    if kind not in TASK_TYPES:
        raise wrong()
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= TASK_DUE_MAX_HOURS:
        raise wrong()
    return {"text": text, "kind": kind, "due_in_minutes": max(1, round(hours * 60))}, text


def _note_form(considered: Considered) -> Schema | None:
    return {"text": text_form("The note.")} if _has_record(considered) else None


def _read_note(_considered: Considered, arguments: Mapping[str, object]) -> Read:
    text = words(arguments.get("text"), TEXT_MAX_CHARS)
    return {"text": text}, text


# The responsible person and tags of the deal


def _people(considered: Considered) -> dict[str, int]:
    names: dict[str, int] = {}
    for one in considered.known.users:
        if one.removed_at is None and one.is_active and len(names) < PEOPLE_MAX:
            names[one.name if one.name not in names else f"{one.name} ({one.id})"] = one.id
    return names


def _person_form(considered: Considered) -> Schema | None:
    names = list(_people(considered))
    return {"person": {"type": "string", "enum": names}} if considered.lead and len(names) > 1 else None


def _read_person(considered: Considered, arguments: Mapping[str, object]) -> Read:
    name = str(arguments.get("person"))
    user_id, lead = _people(considered).get(name), considered.lead
    if user_id is None or lead is None:
        raise wrong()
    if user_id == lead.responsible_user_id:
        raise idle()
    return {"user_id": check_user(considered.known, user_id)}, name


def _tag_form(considered: Considered) -> Schema | None:
    tags = list(considered.tags[:TAGS_MAX])
    if considered.lead is None or not tags:
        return None
    items = {"type": "string", "enum": tags}
    return {"tags": {"type": "array", "items": items, "minItems": 1, "maxItems": TAGS_AT_ONCE}}


def _read_tags(considered: Considered, arguments: Mapping[str, object]) -> Read:
    asked, lead = arguments.get("tags"), considered.lead
    if not isinstance(asked, list) or not 1 <= len(asked) <= TAGS_AT_ONCE or lead is None:
        raise wrong()
    known = {one.casefold(): one for one in considered.tags[:TAGS_MAX]}
    if any(not isinstance(one, str) or one.casefold() not in known for one in asked):
        raise wrong()
    had = {one.casefold() for one in lead.tags}
    names = sorted({known[one.casefold()] for one in asked if one.casefold() not in had})
    if not names:
        raise idle()
    return {"names": list(check_tags(names, "tags"))}, ", ".join(names)


# An e-mail, which a person sends


def _email_form(considered: Considered) -> Schema | None:
    contact = considered.contact
    if not considered.sends_letters or contact is None or not contact.emails:
        return None
    return {"subject": text_form("Its subject.", SUBJECT_MAX_CHARS), "text": text_form("Its text.")}


def _read_email(_considered: Considered, arguments: Mapping[str, object]) -> Read:
    subject = " ".join(words(arguments.get("subject"), SUBJECT_MAX_CHARS).split())
    text = words(arguments.get("text"), TEXT_MAX_CHARS)
    if "{{" in subject + text:  # a place that the CRM's data would be put into
        raise wrong()
    return {"subject": subject, "text": text}, f"{subject}\n{text}"


# What a rule found, and what the customer wants


def _field_form(_considered: Considered) -> Schema:
    return {
        "rule": {"type": "integer", "minimum": 1, "description": "The number of the rule."},
        "value": text_form("What the customer said, as the rule's type and values want it."),
    }


def _intent_form(_considered: Considered) -> Schema:
    return {"intent": {"type": "string", "enum": list(INTENTS)}, "confidence": _CERTAINTY}


WRITE_FIELD: Literal["write_field"] = "write_field"
TELL_INTENT: Literal["tell_intent"] = "tell_intent"
TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(TELL_INTENT, "Tell what the customer wants. Call it once.", _intent_form),
        Tool(WRITE_FIELD, "Write a value that a rule asks for, once for each rule that is met.", _field_form),
        Tool("move_deal", "Move the deal to another stage.", _stage_form, "move_deal", _read_stage),
        Tool(
            "create_task",
            "Make a task for a colleague: a call or something else to do, or a meeting.",
            _task_form,
            "create_task",
            _read_task,
        ),
        Tool("add_note", "Leave a note for colleagues.", _note_form, "add_note", _read_note),
        Tool(
            "change_responsible",
            "Make another colleague responsible for the deal.",
            _person_form,
            "change_responsible",
            _read_person,
        ),
        Tool("add_tags", "Add tags to the deal.", _tag_form, "add_tags", _read_tags),
        Tool(
            "create_contact",
            "Make the contact of the deal, which has none.",
            contacts.new_form,
            "create_contact",
            contacts.read_new,
        ),
        Tool(
            "fill_contact",
            "Write down the phone number or e-mail address that the customer has named.",
            contacts.fill_form,
            "fill_contact",
            contacts.read_fill,
        ),
        Tool(
            "send_email",
            "Prepare an e-mail to the customer in their language, which a colleague checks and sends. Only "
            "if nothing else is to be done and it says more than the reply, but nothing not said here.",
            _email_form,
            "send_email",
            _read_email,
        ),
    )
}
