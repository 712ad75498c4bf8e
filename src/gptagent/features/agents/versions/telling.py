"""Differences of settings as a person reads them: what a setting is called, and its value line by line. Pure.

A setting that has no title here is called by its path; its sentence from the table stands below it anyway.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from gptagent.features.agents.forms import WEEKDAYS
from gptagent.features.agents.model import LANGUAGES
from gptagent.features.agents.table import SETTINGS
from gptagent.features.agents.versions.model import Difference

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
    "reply_max_chars": "Longest answer, characters",
    "markdown": "Markdown",
    "welcome_text": "Welcome message",
    "hours.is_on": "Answer in working hours only",
    "hours.timezone": "Time zone",
    "hours.week": "Days and hours",
    "hours.holidays": "Days off",
    "remembers_customers": "Remember what customers say about themselves",
}
WORDS: Mapping[object, str] = {
    True: "yes",
    False: "no",
    "precise": "Precise",
    "balanced": "Balanced",
    "creative": "Creative",
}
ALL_STAGES, STAGE_TOLD, RULE_OFF = "all stages", "told at “%(stage)s”: %(text)s", "off"
FOLLOW_UP = "follow-up at “%(stage)s” after %(hours)s h: %(text)s"
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
    if isinstance(value, bool | str) and value in WORDS:
        return say(WORDS[value])
    return names.get(str(value), str(value))


def _pipelines(value: Any, names: Mapping[str, str], say: Say) -> Iterable[str]:
    for rule in value:
        key = f"{rule['connection_id']}/{rule['pipeline_id']}"
        name = names.get(key, str(rule["pipeline_id"]))
        stages = [names.get(f"{key}/{stage}", str(stage)) for stage in rule["stages"]]
        where = say(ALL_STAGES) if rule["all_stages"] else ", ".join(stages)
        yield f"{name}: {where if rule['is_active'] else say(RULE_OFF)}"
        for one in rule["instructions"]:
            stage = names.get(f"{key}/{one['stage_id']}", str(one["stage_id"]))
            yield f"{name}, {say(STAGE_TOLD) % {'stage': stage, 'text': one['text']}}"
        for one in rule.get("follow_ups", ()):
            stage = names.get(f"{key}/{one['stage_id']}", str(one["stage_id"]))
            after = {"stage": stage, "hours": one["after_hours"], "text": one["text"]}
            yield f"{name}, {say(FOLLOW_UP) % after}"


def _week(value: Any, _names: Mapping[str, str], say: Say) -> Iterable[str]:
    return (f"{say(WEEKDAYS[one['day'] - 1])} {one['opens']}–{one['closes']}" for one in value)


def _language(value: Any, _names: Mapping[str, str], _say: Say) -> Iterable[str]:
    return [LANGUAGES[value][1]]


_SPECIAL: Mapping[str, Callable[[Any, Mapping[str, str], Say], Iterable[str]]] = {
    "pipelines.chosen": _pipelines,
    "hours.week": _week,
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
