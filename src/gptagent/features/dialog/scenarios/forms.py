"""The forms of scenarios: what stands in them, and what was typed into them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, cast
from uuid import UUID

from starlette.datastructures import FormData

from gptagent.features.agents.model import LANGUAGES
from gptagent.features.dialog.acting.web import ACTIONS as ACTING
from gptagent.features.dialog.scenario_runs.model import BUDGET_MICRO_USD, MICRO
from gptagent.features.dialog.scenarios.model import (
    CHECKS_MAX,
    Check,
    NewScenario,
    Play,
    Scenario,
    Subject,
    Where,
)
from gptagent.kernel.errors import Invalid
from gptagent.ui.web import words

BLANK_ROWS = 3
# What a row of the form may look at, to be translated. What has a colon needs no words beside it.
LOOKS: Mapping[str, str] = {
    "contains": "say",
    "words": "have the words",
    "source": "cite the source",
    "field": "write the field",
    "outcome:reply": "answer from the knowledge base",
    "outcome:not_found": "say that nothing is known",
    "outcome:handed_off": "hand over to a person",
    "outcome:refused": "leave it without an answer",
}
# What an agent may plan with an answer, by the code a check names it with.
ACTIONS: Mapping[str, str] = {
    **ACTING,
    "write_field": "Write a field",
    "send_reply": "Send the reply",
    "put_down_draft": "Leave a draft for approval",
    "send_file": "Send a file",
}
STATES: Mapping[str, str] = {
    "queued": "Waits for its turn",
    "running": "Goes on",
    "done": "Ended",
    "stopped": "Stopped: the budget is used up",
    "cancelled": "Cancelled",
    "failed": "Failed",
}
VERDICTS: Mapping[str, str] = {
    "now_not_found": "Now not found",
    "now_answered": "Now answered",
    "differs": "Differs",
    "failed": "No answer",
    "same": "Same",
}
ENDS: Mapping[str, str] = {
    "reply": "Answered",
    "not_found": "Not found",
    "handed_off": "Handed over",
    "refused": "No answer",
}
WRONG_NUMBER = "Write a number."


@dataclass(frozen=True, slots=True)
class Row:
    """A check as a row of the form: `look` is a key of LOOKS, or `action:` or `language:` and a code."""

    look: str = ""
    value: str = ""
    must: bool = True
    at: str = "0"


def values_of(name: str, agent_id: UUID | None, play: Play) -> dict[str, Any]:
    """Return what stands in the form of a scenario."""
    return {
        "name": name,
        "agent_id": str(agent_id or ""),
        "customer": play.customer,
        "messages": joined(play.messages),
        "persona": play.persona,
        "goal": play.goal,
        "turns": play.turns,
        "channel": play.where.channel,
        "stage": stage_key(play.where),
        "rows": [*(_row(check) for check in play.checks), *[Row()] * BLANK_ROWS][:CHECKS_MAX],
    }


def blank(agent_id: UUID | None) -> dict[str, Any]:
    return values_of("", agent_id, Play())


def saved(scenario: Scenario) -> dict[str, Any]:
    return values_of(scenario.name, scenario.agent_id, scenario.play)


def read_scenario(form: FormData) -> NewScenario:
    """Return what was typed; rows with nothing in them are left out."""
    play = Play(
        customer="played" if words(form, "customer") == "played" else "fixed",
        messages=split(words(form, "messages")),
        persona=words(form, "persona"),
        goal=words(form, "goal"),
        turns=number(words(form, "turns")) or 0,
        where=_where(words(form, "stage"), words(form, "channel")),
        checks=tuple(_checks(form)),
    )
    return NewScenario(words(form, "name"), play, id_of(words(form, "agent_id")))


def joined(messages: tuple[str, ...]) -> str:
    """Return messages as one text: a line each, or with empty lines between once one has several lines."""
    if any("\n" in one for one in messages):
        return "\n\n".join(messages) + "\n\n"
    return "\n".join(messages)


def split(text: str) -> tuple[str, ...]:
    """Return the messages of a text as `joined` writes it."""
    apart = "\n\n" if "\n\n" in text.lstrip("\n") else "\n"
    return tuple(one.strip() for one in text.split(apart) if one.strip())


def stage_key(where: Where) -> str:
    """Return how a place is named in a form; empty if it is left open."""
    if where.connection_id is None or where.pipeline_id is None:
        return ""
    return f"{where.connection_id}/{where.pipeline_id}/{where.stage_id or ''}"


def read_budget(form: FormData) -> int:
    """Return a sum of dollars in millionths; the usual one if none was typed. Raises Invalid."""
    typed = words(form, "budget").strip().replace(",", ".")
    if not typed:
        return BUDGET_MICRO_USD
    try:
        sum_ = Decimal(typed)
    except InvalidOperation as error:
        raise Invalid.field("budget_micro_usd", WRONG_NUMBER) from error
    if not sum_.is_finite() or abs(sum_) > 1_000_000:
        raise Invalid.field("budget_micro_usd", WRONG_NUMBER)
    return int(sum_ * MICRO)


def read_number(form: FormData, name: str) -> int:
    """Raises Invalid."""
    found = number(words(form, name))
    if found is None:
        raise Invalid.field(name, WRONG_NUMBER)
    return found


def number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _row(check: Check) -> Row:
    if check.subject in {"outcome", "language", "action"}:
        return Row(f"{check.subject}:{check.value}", "", check.must, str(check.at))
    return Row(check.subject, check.value, check.must, str(check.at))


def _checks(form: FormData) -> Iterator[Check]:
    for place in range(CHECKS_MAX):
        look, value = words(form, f"check-{place}-look"), words(form, f"check-{place}-value")
        subject, _, coded = look.partition(":")
        if not look and not value.strip():
            continue
        must = words(form, f"check-{place}-must") != "not"
        at = number(words(form, f"check-{place}-at")) or 0
        # What is half filled in is refused by its name, as any other subject that is none.
        yield Check(cast("Subject", subject), coded or value, must, at)


def _where(stage: str, channel: str) -> Where:
    connection, _, rest = stage.partition("/")
    pipeline, _, number_of_stage = rest.partition("/")
    connection_id = id_of(connection)
    if connection_id is None:
        return Where(channel)
    return Where(channel, connection_id, number(pipeline), number(number_of_stage))


def looks(rows: Iterable[Row] = ()) -> list[tuple[str, str]]:
    """Return the keys of what a row may look at with their English words; languages by their own names.

    An action of one of the `rows` that there is not, or no more, goes by its code.
    """
    actions = {f"action:{code}": name for code, name in ACTIONS.items()}
    unknown = (row.look for row in rows if row.look.startswith("action:") and row.look not in actions)
    actions |= {look: look.removeprefix("action:") for look in unknown}
    languages = ((f"language:{code}", own) for code, (_english, own) in LANGUAGES.items())
    return [*LOOKS.items(), *actions.items(), *languages]
