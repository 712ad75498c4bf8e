"""Changes of an agent's settings, checked against the table: what is named changes, the rest stays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, time
from functools import cache
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import available_timezones

import msgspec

from gptagent.features.agents.model import (
    CUSTOM_FIELD,
    WRITTEN_CONTACT_FIELDS,
    WRITTEN_LEAD_FIELDS,
    Opening,
    PipelineRule,
    Settings,
    UpdateRule,
)
from gptagent.features.agents.table import (
    CONDITION_MAX_CHARS,
    FOLLOW_UP_MAX_CHARS,
    FOLLOW_UP_MAX_HOURS,
    SETTINGS,
    STAGE_GOAL_MAX_CHARS,
    STAGE_TEXT_MAX_CHARS,
    STAGES_MAX,
    Kind,
    Setting,
)
from gptagent.kernel.errors import FieldError

GROUPS = {path.rpartition(".")[0] for path in SETTINGS if "." in path}
UNKNOWN = "There is no such setting."
NOT_OFFERED = "Choose one of the offered values."
CHANNEL_MAX_CHARS = 100

T = TypeVar("T")


class _Wrong(Exception):  # noqa: N818 - it states what a value is
    """What is wrong with a value: an English template and what fills it."""

    def __init__(self, message: str, **params: object) -> None:
        super().__init__(message)
        self.message = message
        self.params = params


def merge(old: Settings, changes: Mapping[str, object]) -> tuple[Settings, list[FieldError]]:
    """Return the document with the named settings changed, also inside of groups, and what is wrong.

    What is wrong by itself is left as it was in the document.
    """
    faults: list[FieldError] = []
    document: dict[str, Any] = msgspec.to_builtins(old)
    for path, value in flat(changes):
        setting = SETTINGS.get(path)
        if setting is None:
            faults.append(FieldError(path, "Name the settings inside of it." if path in GROUPS else UNKNOWN))
            continue
        try:
            _put(document, path, _checked(setting, msgspec.to_builtins(value)))
        except _Wrong as wrong:
            faults.append(FieldError(path, wrong.message, wrong.params or None))
    new = msgspec.convert(document, Settings)
    named = {fault.pointer for fault in faults}
    return new, [*faults, *(one for one in _contradictions(new) if one.pointer not in named)]


def flat(changes: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """Yield the path and value of each setting of a nested document."""
    for key, value in changes.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and path in GROUPS:
            yield from flat(value, f"{path}.")
        else:
            yield path, value


def described(settings: Settings) -> dict[str, Any]:
    """Return the document as plain JSON values by path."""
    return dict(flat(msgspec.to_builtins(settings)))


@cache
def timezones() -> tuple[str, ...]:
    """Return the zones to choose from: those of places, and UTC."""
    named = (zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix")))
    return ("UTC", *sorted(named))


def _put(document: dict[str, Any], path: str, value: object) -> None:
    *groups, key = path.split(".")
    for group in groups:
        document = document[group]
    document[key] = value


def _checked(setting: Setting, value: object) -> object:
    """Return the value as it is kept. Raises _Wrong."""
    if isinstance(value, str):
        value = value.strip()
    if setting.is_optional and value in (None, ""):
        return None
    return _CHECKS[setting.kind](setting, value)


def _text(setting: Setting, value: object) -> object:
    if isinstance(value, str) and setting.low <= len(value) <= setting.high:
        return value
    raise _Wrong("From {low} to {high} characters.", low=setting.low, high=setting.high)


def _number(setting: Setting, value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if setting.low <= value <= setting.high:
            return value
        if value < 0 <= setting.low:
            raise _Wrong(setting.wrong.negative)
        if value > setting.high:
            raise _Wrong(setting.wrong.large, high=setting.high)
    raise _Wrong(setting.wrong.other, low=setting.low, high=setting.high)


def _decimal(setting: Setting, value: object) -> object:
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and setting.low <= value <= setting.high
    ):
        return round(float(value), 2)
    raise _Wrong("A number from {low} to {high}, such as 0.5.", low=setting.low, high=setting.high)


def _choice(setting: Setting, value: object) -> object:
    if isinstance(value, str) and value in setting.options:
        return value
    raise _Wrong(NOT_OFFERED)


def _switch(_setting: Setting, value: object) -> object:
    if isinstance(value, bool):
        return value
    raise _Wrong("Yes or no.")


def _categories(setting: Setting, value: object) -> object:
    return _listed(setting, [str(one) for one in _as(value, tuple[UUID, ...])])


def _words(setting: Setting, value: object) -> object:
    found = _as(value, tuple[str, ...])
    if any(not 1 <= len(one) <= CHANNEL_MAX_CHARS for one in found):
        raise _Wrong(NOT_OFFERED)
    return _listed(setting, list(found))


def _pipelines(setting: Setting, value: object) -> object:
    rules = _as(value, tuple[PipelineRule, ...])
    if len({(rule.connection_id, rule.pipeline_id) for rule in rules}) < len(rules):
        raise _Wrong("A pipeline is named twice.")
    for rule in rules:
        if max(len(rule.stages), len(rule.instructions), len(rule.follow_ups)) > STAGES_MAX:
            raise _Wrong("At most {high}.", high=STAGES_MAX)
        if rule.is_active and not rule.all_stages and not rule.stages:
            raise _Wrong("Choose at least one stage of each pipeline that is on.")
        if any(len(one.text) > STAGE_TEXT_MAX_CHARS for one in rule.instructions):
            raise _Wrong("An instruction has at most {high} characters.", high=STAGE_TEXT_MAX_CHARS)
        _check_goals(rule)
        _check_follow_ups(rule)
    return _listed(setting, [_tidy(rule) for rule in rules])


def _check_goals(rule: PipelineRule) -> None:
    if len(rule.goals) > STAGES_MAX:
        raise _Wrong("At most {high}.", high=STAGES_MAX)
    if any(len(one.text) > STAGE_GOAL_MAX_CHARS for one in rule.goals):
        raise _Wrong("A stage's goal has at most {high} characters.", high=STAGE_GOAL_MAX_CHARS)
    if any(one.next_stage_id is not None and not one.text.strip() for one in rule.goals):
        raise _Wrong("A stage's goal that moves the deal on needs its text.")
    if any(one.stage_id == one.next_stage_id for one in rule.goals):
        raise _Wrong("A stage's goal leads to another stage than its own: choose a different one.")


def _check_follow_ups(rule: PipelineRule) -> None:
    if any(not one.text.strip() for one in rule.follow_ups):
        raise _Wrong("A follow-up needs its text: write it, or leave the follow-up out.")
    if any(len(one.text) > FOLLOW_UP_MAX_CHARS for one in rule.follow_ups):
        raise _Wrong("A follow-up has at most {high} characters.", high=FOLLOW_UP_MAX_CHARS)
    if any(not 1 <= one.after_hours <= FOLLOW_UP_MAX_HOURS for one in rule.follow_ups):
        raise _Wrong("A follow-up comes after 1 to {high} hours.", high=FOLLOW_UP_MAX_HOURS)


def _tidy(rule: PipelineRule) -> dict[str, Any]:
    """Return the rule without empty texts; of two for one stage the last one counts."""
    texts = {one.stage_id: one.text.strip() for one in rule.instructions}
    plain: dict[str, Any] = msgspec.to_builtins(rule)
    plain["stages"] = list(dict.fromkeys(rule.stages))
    plain["goals"] = [
        msgspec.to_builtins(replace(one, text=one.text.strip()))
        for one in {one.stage_id: one for one in rule.goals}.values()
        if one.text.strip()
    ]
    plain["follow_ups"] = [
        msgspec.to_builtins(replace(one, text=one.text.strip()))
        for one in {one.stage_id: one for one in rule.follow_ups}.values()
        if one.text.strip()
    ]
    plain["instructions"] = [{"stage_id": stage, "text": text} for stage, text in texts.items() if text]
    return plain


def _rules(setting: Setting, value: object) -> object:
    """Rules keep their order, and a field may have several. Which fields there are `_contradictions` says."""
    kept = []
    found = _as(value, tuple[UpdateRule, ...])
    if len(found) > setting.high:
        raise _Wrong("At most {high}.", high=setting.high)
    for number, rule in enumerate(found, start=1):
        condition = rule.condition.strip()
        if not rule.field:
            raise _Wrong("Rule {number}: choose a field.", number=number)
        if not 1 <= len(condition) <= CONDITION_MAX_CHARS:
            raise _Wrong(
                "Rule {number}: say when the field is to be written, in 1 to {high} characters.",
                number=number,
                high=CONDITION_MAX_CHARS,
            )
        kept.append({"field": rule.field, "condition": condition, "overwrite": rule.overwrite})
    return kept


def _timezone(_setting: Setting, value: object) -> object:
    if isinstance(value, str) and value in timezones():
        return value
    raise _Wrong(NOT_OFFERED)


def _week(_setting: Setting, value: object) -> object:
    week = sorted(_as(value, tuple[Opening, ...]), key=lambda one: one.day)
    if len({one.day for one in week}) < len(week) or any(not 1 <= one.day <= 7 for one in week):
        raise _Wrong("Name each day once.")
    if any(not _is_before(one.opens, one.closes) for one in week):
        raise _Wrong("Each day begins before it ends, with times such as 09:00.")
    return msgspec.to_builtins(week)


def _is_before(opens: str, closes: str) -> bool:
    try:
        times = [time.fromisoformat(one) for one in (opens, closes)]
    except ValueError:
        return False
    return times[0] < times[1] and [f"{one:%H:%M}" for one in times] == [opens, closes]


def _days(setting: Setting, value: object) -> object:
    try:
        found = [date.fromisoformat(one) for one in _as(value, tuple[str, ...])]
    except ValueError:
        raise _Wrong("Write each day as 2027-01-31.") from None
    return _listed(setting, [one.isoformat() for one in sorted(found)])


def _as(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise _Wrong(NOT_OFFERED) from None


def _listed(setting: Setting, found: list[Any]) -> list[Any]:
    """Return the list without doubles. Raises _Wrong if it is too long."""
    if len(found) > setting.high:
        raise _Wrong("At most {high}.", high=setting.high)
    return [one for number, one in enumerate(found) if one not in found[:number]]


_CHECKS: Mapping[Kind, Callable[[Setting, object], object]] = {
    "text": _text,
    "number": _number,
    "decimal": _decimal,
    "choice": _choice,
    "switch": _switch,
    "categories": _categories,
    "pipelines": _pipelines,
    "channels": _words,
    "fields": _words,
    "rules": _rules,
    "timezone": _timezone,
    "week": _week,
    "days": _days,
}


def is_custom(field: str) -> bool:
    """Whether a name is that of a custom field."""
    number = field.removeprefix(CUSTOM_FIELD)
    return field.startswith(CUSTOM_FIELD) and number.isascii() and number.isdecimal() and len(number) <= 18


def _contradictions(settings: Settings) -> list[FieldError]:
    """Return what each setting alone allows and all together do not."""
    faults = []
    if not settings.pipelines.all and not any(rule.is_active for rule in settings.pipelines.chosen):
        faults.append(FieldError("pipelines.chosen", "Choose at least one pipeline."))
    if not settings.channels.all and not settings.channels.chosen:
        faults.append(FieldError("channels.chosen", "Choose at least one channel."))
    if not settings.knowledge.all and not settings.knowledge.categories:
        faults.append(FieldError("knowledge.categories", "Choose at least one category."))
    rules = settings.update_rules
    for path, written, own in (
        ("update_rules.lead", rules.lead, WRITTEN_LEAD_FIELDS),
        ("update_rules.contact", rules.contact, WRITTEN_CONTACT_FIELDS),
    ):
        if any(one.field not in own and not is_custom(one.field) for one in written):
            faults.append(FieldError(path, NOT_OFFERED))
    if settings.hours.is_on and not settings.hours.week:
        faults.append(FieldError("hours.week", "Choose at least one day."))
    return faults
