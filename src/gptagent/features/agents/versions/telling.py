"""Differences of settings as a person reads them: what a setting is called, and its value line by line. Pure.

A setting that has no title here is called by its path; its sentence from the table stands below it anyway.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from gptagent.features.agents.forms import WEEKDAYS
from gptagent.features.agents.model import LANGUAGES, Settings
from gptagent.features.agents.offering import ACTION_NAMES, DEGREE_NAMES
from gptagent.features.agents.table import SETTINGS
from gptagent.features.agents.versions.model import Difference, differences

Mark = Literal["kept", "gone", "new", "left_out"]
Say = Callable[[str], str]

TITLES: Mapping[str, str] = {
    "instructions": "Instructions for the agent",
    "check_before_sending": "Check before sending",
    "goal": "Goal",
    "pipelines.all": "All deals",
    "pipelines.chosen": "Pipelines",
    "channels.all": "All channels",
    "channels.chosen": "Chosen channels",
    "knowledge.all": "Answer from all categories",
    "knowledge.categories": "Chosen categories",
    "not_found_task": "Create a task in the deal if there is no answer",
    "not_found_text": "What the customer is told then",
    "handoff_text": "What the customer is told when a colleague takes over",
    "readable.lead": "What the agent may read of the deal",
    "readable.contact": "What the agent may read of the contact",
    "model": "Model",
    "language.detect": "Detect the customer's language",
    "language.fixed": "Language of the answers",
    "creativity": "Creativity",
    "response_delay_seconds": "Answer delay, seconds",
    "presence_penalty": "New subjects",
    "frequency_penalty": "Repeated words",
    "history_messages": "Earlier messages the agent knows",
    "reply_max_chars": "Longest answer, characters",
    "markdown": "Markdown",
    "split_replies": "Several messages",
    "welcome_text": "Welcome message",
    "hours.is_on": "Answer in working hours only",
    "hours.timezone": "Time zone",
    "hours.week": "Days and hours",
    "hours.holidays": "Days off",
    "remembers_customers": "Remember what customers say about themselves",
    "update_rules.lead": "What the agent writes into the deal",
    "update_rules.contact": "What the agent writes into the contact",
    **{f"actions.{key}": name for key, name in ACTION_NAMES.items()},
    "actions.confidence": "Least certainty to act alone, percent",
    "budget.day_cents": "US cents a day",
    "budget.month_cents": "US cents a month",
    "budget.day_tokens": "Tokens a day",
    "budget.month_tokens": "Tokens a month",
}
WORDS: Mapping[str, str] = {
    "precise": "Precise",
    "balanced": "Balanced",
    "creative": "Creative",
    **DEGREE_NAMES,
}
YES, NO = "yes", "no"
ALL_STAGES, RULE_OFF = "all stages", "off"
# What a rule of a pipeline says of single stages.
OF_STAGES: Mapping[str, str] = {
    "instructions": "told at “%(stage)s”: %(text)s",
    "goals": "to be reached at “%(stage)s”: %(text)s",
    "follow_ups": "follow-up at “%(stage)s” after %(after_hours)s h: %(text)s",
}
GOES_ON = "then the deal goes to “%(stage)s”"
OVERWRITES = "overwrites what is there"
CONTEXT_LINES = 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a value. Of many kept ones only those beside a change are shown, the rest is `left_out`."""

    mark: Mark
    text: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A setting that differs: `title` and `says` in the reader's language."""

    setting: str
    title: str
    says: str
    lines: tuple[Line, ...]


def tell(found: Iterable[Difference], names: Mapping[str, str], say: Say) -> list[Told]:
    """Return what differs as it is read. `names` are those of what settings refer to, `say` translates."""
    return [_told(one, names, say) for one in found]


def title_of(pointer: str) -> str:
    """Return what the setting is called that a fault points into, in English; empty if it is none."""
    return next((name for path, name in TITLES.items() if f"{pointer}.".startswith(f"{path}.")), "")


def titles_that_differ(before: Settings, after: Settings) -> list[str]:
    """Return what the settings are called whose values differ, in English."""
    return [TITLES.get(one.setting, one.setting) for one in differences(before, after)]


def _told(one: Difference, names: Mapping[str, str], say: Say) -> Told:
    path = one.setting
    old, new = (lines_of(path, value, names, say) for value in (one.before, one.after))
    title = say(TITLES[path]) if path in TITLES else path
    return Told(path, title, say(SETTINGS[path].says), tuple(_compared(old, new)))


def lines_of(path: str, value: Any, names: Mapping[str, str], say: Say) -> list[str]:
    """Return a setting's value in lines, none for an empty one."""
    if value is None or value in ("", []):
        return []
    if path in _SPECIAL:
        return list(_SPECIAL[path](value, names, say))
    if isinstance(value, str) and value not in WORDS:
        return value.splitlines()
    return [_item(one, names, say) for one in (value if isinstance(value, list) else [value])]


def _item(value: Any, names: Mapping[str, str], say: Say) -> str:
    """Return one value in a line; of a group each part with its name."""
    if isinstance(value, Mapping):
        shown = {key: part for key, part in value.items() if part not in (None, "", [])}
        return ", ".join(f"{key}: {_item(part, names, say)}" for key, part in shown.items())
    if isinstance(value, list):
        return ", ".join(_item(one, names, say) for one in value)
    if isinstance(value, bool):
        return say(YES if value else NO)
    if isinstance(value, str) and value in WORDS:
        return say(WORDS[value])
    return names.get(str(value), str(value))


def _pipelines(value: Any, names: Mapping[str, str], say: Say) -> Iterable[str]:
    for rule in value:
        key = f"{rule['connection_id']}/{rule['pipeline_id']}"
        name = names.get(key, str(rule["pipeline_id"]))
        stages = _Stages(names, key)
        where = say(ALL_STAGES) if rule["all_stages"] else ", ".join(stages[one] for one in rule["stages"])
        yield f"{name}: {where if rule['is_active'] else say(RULE_OFF)}"
        for kind, template in OF_STAGES.items():
            for one in rule.get(kind, ()):
                yield f"{name}, {say(template) % {**one, 'stage': stages[one['stage_id']]}}"
                if one.get("next_stage_id"):
                    yield f"{name}, {say(GOES_ON) % {'stage': stages[one['next_stage_id']]}}"


@dataclass(frozen=True, slots=True)
class _Stages:
    """Names of a pipeline's stages; a lost one has its number."""

    names: Mapping[str, str]
    pipeline: str

    def __getitem__(self, stage_id: int) -> str:
        return self.names.get(f"{self.pipeline}/{stage_id}", str(stage_id))


def _updates(value: Any, names: Mapping[str, str], say: Say) -> Iterable[str]:
    for rule in value:
        kept = f" ({say(OVERWRITES)})" if rule["overwrite"] else ""
        yield f"{names.get(rule['field'], rule['field'])}: {rule['condition']}{kept}"


def _week(value: Any, _names: Mapping[str, str], say: Say) -> Iterable[str]:
    return (f"{say(WEEKDAYS[one['day'] - 1])} {one['opens']}–{one['closes']}" for one in value)


def _language(value: Any, _names: Mapping[str, str], _say: Say) -> Iterable[str]:
    return [LANGUAGES[value][1]]


_SPECIAL: Mapping[str, Callable[[Any, Mapping[str, str], Say], Iterable[str]]] = {
    "pipelines.chosen": _pipelines,
    "hours.week": _week,
    "update_rules.lead": _updates,
    "update_rules.contact": _updates,
    "language.fixed": _language,
}


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterable[Line]:
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from _context(before[a:b], is_first=a == 0, is_last=b == len(before))
            continue
        yield from (Line("gone", text) for text in before[a:b])
        yield from (Line("new", text) for text in after[c:d])


def _context(kept: Sequence[str], *, is_first: bool, is_last: bool) -> Iterable[Line]:
    head = 0 if is_first else CONTEXT_LINES
    tail = 0 if is_last else CONTEXT_LINES
    if len(kept) <= head + tail + 1:
        yield from (Line("kept", text) for text in kept)
        return
    yield from (Line("kept", text) for text in kept[:head])
    yield Line("left_out")
    yield from (Line("kept", text) for text in kept[len(kept) - tail :])
