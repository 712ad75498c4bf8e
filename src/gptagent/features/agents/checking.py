"""Changes of an agent's settings, checked against the table: what is named changes, the rest stays."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

import msgspec

from gptagent.features.agents.model import SETTINGS, Kind, Setting, Settings
from gptagent.kernel.errors import FieldError

GROUPS = {path.rpartition(".")[0] for path in SETTINGS if "." in path}
UNKNOWN = "There is no such setting."
NOT_OFFERED = "Choose one of the offered values."


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
        clean = _cleaned(setting, value)
        fault = _CHECKS[setting.kind](path, setting, clean)
        if fault is not None:
            faults.append(fault)
        else:
            _put(document, path, clean)
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


def _put(document: dict[str, Any], path: str, value: object) -> None:
    *groups, key = path.split(".")
    for group in groups:
        document = document[group]
    document[key] = value


def _cleaned(setting: Setting, value: object) -> object:
    """Return texts without outer space and lists without doubles; what is of another kind as it is."""
    if isinstance(value, str):
        value = value.strip()
    if setting.is_optional and value == "":
        return None
    if isinstance(value, list | tuple):
        plain = [str(one) if isinstance(one, UUID) else one for one in value]
        return list(dict.fromkeys(plain)) if all(isinstance(one, str | int) for one in plain) else plain
    return value


def _text(path: str, setting: Setting, value: object) -> FieldError | None:
    if value is None and setting.is_optional:
        return None
    if isinstance(value, str) and setting.low <= len(value) <= setting.high:
        return None
    return FieldError(path, "From {low} to {high} characters.", {"low": setting.low, "high": setting.high})


def _number(path: str, setting: Setting, value: object) -> FieldError | None:
    if value is None and setting.is_optional:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and setting.low <= value <= setting.high:
        return None
    limits = {"low": setting.low, "high": setting.high}
    return FieldError(path, "A whole number from {low} to {high}.", limits)


def _choice(path: str, setting: Setting, value: object) -> FieldError | None:
    return None if value in setting.options else FieldError(path, NOT_OFFERED)


def _switch(path: str, _setting: Setting, value: object) -> FieldError | None:
    return None if isinstance(value, bool) else FieldError(path, "Yes or no.")


def _uuids(path: str, setting: Setting, value: object) -> FieldError | None:
    try:
        found = msgspec.convert(value, tuple[UUID, ...])
    except msgspec.ValidationError:
        return FieldError(path, NOT_OFFERED)
    return _too_many(path, setting, len(found))


def _too_many(path: str, setting: Setting, count: int) -> FieldError | None:
    return FieldError(path, "At most {high}.", {"high": setting.high}) if count > setting.high else None


_CHECKS: Mapping[Kind, Callable[[str, Setting, object], FieldError | None]] = {
    "text": _text,
    "number": _number,
    "choice": _choice,
    "switch": _switch,
    "categories": _uuids,
}


def _contradictions(settings: Settings) -> list[FieldError]:
    """Return what each setting alone allows and all together do not."""
    faults = []
    if not settings.knowledge.all and not settings.knowledge.categories:
        faults.append(FieldError("knowledge.categories", "Choose at least one category."))
    return faults
