"""What the lists of the editor offer, by name; what is chosen and lost stays, to be taken out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gptagent.features.agents.model import (
    CONTACT_FIELDS,
    CUSTOM_FIELD,
    LANGUAGES,
    LEAD_FIELDS,
    WRITTEN_CONTACT_FIELDS,
    WRITTEN_LEAD_FIELDS,
    Problem,
)
from gptagent.features.agents.references import pipeline_name, written_fields
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions.model import WrittenKind
from gptagent.features.crm.actions.service import has_choices
from gptagent.features.crm.model import Connection
from gptagent.features.knowledge import service as knowledge
from gptagent.kernel.db import Session

# What the CRM's own fields are called.
FIELD_NAMES: Mapping[str, str] = {
    "name": "Name",
    "price": "Budget",
    "pipeline": "Pipeline",
    "stage": "Stage",
    "responsible": "Responsible person",
    "tags": "Tags",
    "phone": "Phone",
    "email": "E-mail",
}

# What actions are called, and how far an agent goes with them.
ACTION_NAMES: Mapping[str, str] = {
    "move_deal": "Move the deal to a stage",
    "create_task": "Create a task",
    "add_note": "Add a note",
    "change_responsible": "Change the responsible person",
    "add_tags": "Add tags",
    "create_contact": "Create the deal's contact",
    "fill_contact": "Add the phone and e-mail that the customer names",
    "send_message": "Prepare a message about the payment",
    "send_email": "Prepare an e-mail",
}
DEGREE_NAMES: Mapping[str, str] = {
    "off": "Never",
    "suggest": "Suggest beside the conversation",
    "approve": "Ask for approval",
    "alone": "Do it alone",
}


@dataclass(frozen=True, slots=True)
class StageChoice:
    id: int
    name: str
    is_lost: bool


@dataclass(frozen=True, slots=True)
class PipelineChoice:
    """`key` is what its fields in the form are named by."""

    key: str
    name: str
    is_lost: bool
    stages: tuple[StageChoice, ...]


async def offered_in_basics(session: Session, problems: Sequence[Problem]) -> dict[str, Any]:
    connections = await crm.list_connections(session)
    tree = await knowledge.read_tree(session)
    lost = lost_of(problems)
    channels = {
        channel.origin: crm.CHANNELS.get(channel.origin, channel.origin)
        for one in connections
        for channel in await crm.list_channels(session, one.id)
    }
    return {
        "pipelines": await _pipelines(session, connections, set(lost.get("pipelines.chosen", ()))),
        "has_connection": bool(connections),
        "channels": _with_lost(
            sorted(channels.items(), key=lambda one: one[1]), lost.get("channels.chosen", ()), crm.CHANNELS
        ),
        "categories": [(str(one.id), one.title, depth) for one, depth in tree.walk()],
        "lost": lost,
    }


async def offered_in_fields(session: Session, problems: Sequence[Problem]) -> dict[str, Any]:
    connections = await crm.list_connections(session)
    found: dict[str, dict[str, str]] = {"leads": {}, "contacts": {}}
    for one in connections:
        for kind, names in found.items():
            for field in await crm.list_fields(session, one.id):
                if field.entity == kind:
                    names[f"{CUSTOM_FIELD}{field.id}"] = field.name
    lost = lost_of(problems)
    return {
        "own_fields": FIELD_NAMES,
        "lead_own": LEAD_FIELDS,
        "contact_own": CONTACT_FIELDS,
        "lead_custom": _with_lost(list(found["leads"].items()), lost.get("readable.lead", ())),
        "contact_custom": _with_lost(list(found["contacts"].items()), lost.get("readable.contact", ())),
        "has_connection": bool(connections),
        "lost": lost,
        "rule_fields": {
            "lead": await _rule_fields(session, "leads", WRITTEN_LEAD_FIELDS),
            "contact": await _rule_fields(session, "contacts", WRITTEN_CONTACT_FIELDS),
        },
        "actions": ACTION_NAMES,
        "degrees": DEGREE_NAMES,
    }


@dataclass(frozen=True, slots=True)
class RuleField:
    """A field that a rule may write. `is_own`: its name is a msgid. `choices`: the values it is one of."""

    key: str
    name: str
    is_own: bool
    choices: tuple[str, ...] = ()


async def _rule_fields(session: Session, kind: WrittenKind, own: Sequence[str]) -> list[RuleField]:
    custom = [
        RuleField(f"{CUSTOM_FIELD}{one.id}", one.name, False, tuple(enum.value for enum in one.enums))
        if has_choices(one)
        else RuleField(f"{CUSTOM_FIELD}{one.id}", one.name, False)
        for one in await written_fields(session, kind)
    ]
    return [*(RuleField(key, FIELD_NAMES[key], True) for key in own), *custom]


def languages() -> list[tuple[str, str]]:
    return [(code, own) for code, (_english, own) in LANGUAGES.items()]


def lost_of(problems: Sequence[Problem]) -> dict[str, list[str]]:
    lost: dict[str, list[str]] = {}
    for one in problems:
        lost.setdefault(one.setting, []).append(one.reference)
    return lost


def _with_lost(
    found: Sequence[tuple[str, str]], lost: Iterable[str], names: Mapping[str, str] | None = None
) -> list[tuple[str, str, int]]:
    """Return the options of a list; what is lost has its own name if it is known, else its number."""
    gone = [(one, (names or {}).get(one, one)) for one in lost]
    return [(value, label, 1) for value, label in (*found, *gone)]


async def _pipelines(
    session: Session, connections: Sequence[Connection], lost: set[str]
) -> list[PipelineChoice]:
    """Return the pipelines in the CRM's order with their stages; of those it has lost only what is named."""
    names = {one.id: one.name or one.host for one in connections}
    several = len(names) > 1
    choices = []
    for pipeline in await crm.list_pipelines(session, removed=True):
        key = pipeline_name(pipeline.connection_id, pipeline.id)
        stages = tuple(
            StageChoice(stage.id, stage.name, stage.removed_at is not None)
            for stage in pipeline.stages
            if stage.removed_at is None or f"{key}/{stage.id}" in lost
        )
        if pipeline.removed_at is not None and key not in lost:
            continue
        name = f"{names.get(pipeline.connection_id, '')} · {pipeline.name}" if several else pipeline.name
        choices.append(PipelineChoice(key, name, pipeline.removed_at is not None, stages))
    known = {one.key for one in choices}
    # A pipeline whose account is no longer connected has no name any more.
    gone = sorted(one for one in lost if one.count("/") == 1 and one not in known)
    return [*choices, *(PipelineChoice(one, one.rpartition("/")[2], True, ()) for one in gone)]
