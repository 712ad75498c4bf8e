"""Tabs of the editor, and their forms read by the table of settings."""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal

import msgspec
from starlette.datastructures import FormData

from gptagent.features.agents.checking import described
from gptagent.features.agents.model import Agent
from gptagent.features.agents.naming_models import read_model
from gptagent.features.agents.rule_forms import read_rules
from gptagent.features.agents.stage_forms import number, read_pipelines
from gptagent.features.agents.table import SETTINGS, Kind
from gptagent.ui.web import words

Tab = Literal["edit", "leads-contacts", "advanced-settings"]
# What each tab shows, by the last part of its address; the name stands on the first one.
TABS: Mapping[Tab, tuple[str, ...]] = {
    "edit": (
        "instructions",
        "check_before_sending",
        "goal",
        "pipelines.all",
        "pipelines.chosen",
        "channels.all",
        "channels.chosen",
        "knowledge.all",
        "knowledge.categories",
        "not_found_task",
        "not_found_text",
        "handoff_text",
    ),
    "leads-contacts": (
        "readable.lead",
        "readable.contact",
        "update_rules.lead",
        "update_rules.contact",
        "actions.move_deal",
        "actions.create_task",
        "actions.add_note",
        "actions.change_responsible",
        "actions.add_tags",
        "actions.create_contact",
        "actions.fill_contact",
        "actions.send_message",
        "actions.send_email",
        "actions.confidence",
    ),
    "advanced-settings": (
        "model",
        "language.detect",
        "language.fixed",
        "creativity",
        "response_delay_seconds",
        "presence_penalty",
        "frequency_penalty",
        "history_messages",
        "reply_max_chars",
        "markdown",
        "split_replies",
        "welcome_text",
        "hours.is_on",
        "hours.timezone",
        "hours.week",
        "hours.holidays",
        "remembers_customers",
        "budget.day_cents",
        "budget.month_cents",
        "budget.day_tokens",
        "budget.month_tokens",
    ),
}
DECIMAL = re.compile(r"-?[0-9]{1,3}(?:[.,][0-9]{1,3})?")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def shown(tab: Tab, *, with_model: bool) -> list[str]:
    """Return the settings of a tab; without a model those that need one are left out."""
    return [path for path in TABS[tab] if with_model or not SETTINGS[path].needs_model]


def values_of(agent: Agent) -> dict[str, Any]:
    """Return what the fields show."""
    return {"name": agent.name, **described(agent.settings)}


def version_of(agent: Agent, tab: Tab) -> str:
    """Return a sign that changes with what the tab's form holds: not with other tabs, nor with the switch."""
    values = values_of(agent)
    held = [values[path] for path in (("name", *TABS[tab]) if tab == "edit" else TABS[tab])]
    return sha256(msgspec.json.encode(held)).hexdigest()[:16]


def rules_of(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rules of pipelines by the pipeline's name, the texts of each by stage."""
    return {
        f"{rule['connection_id']}/{rule['pipeline_id']}": {
            **rule,
            "texts": {one["stage_id"]: one["text"] for one in rule["instructions"]},
            "goals": {one["stage_id"]: one for one in rule["goals"]},
            "follows": {one["stage_id"]: one for one in rule["follow_ups"]},
        }
        for rule in values["pipelines.chosen"]
    }


def read(form: FormData, tab: Tab, *, with_model: bool) -> dict[str, Any]:
    """Return what was typed, by path; what is of a wrong kind is left to the service to refuse."""
    typed = {
        path: _read(form, path)
        for path in shown(tab, with_model=with_model)
        if path in form or not path.startswith("actions.")
    }
    return {"name": words(form, "name"), **typed} if tab == "edit" else typed


def nested(typed: Mapping[str, object]) -> dict[str, Any]:
    """Return the settings by path as the document they are part of."""
    document: dict[str, Any] = {}
    for path, value in typed.items():
        *groups, key = path.split(".")
        place = document
        for group in groups:
            place = place.setdefault(group, {})
        place[key] = value
    return document


def _read(form: FormData, path: str) -> object:
    if path == "model":
        return read_model(form)
    kind = SETTINGS[path].kind
    return _READERS[kind](form, path) if kind in _READERS else words(form, path)


def _all(form: FormData, name: str) -> list[str]:
    return [one for one in form.getlist(name) if isinstance(one, str)]


def _week(form: FormData, path: str) -> Iterator[dict[str, Any]]:
    for day in _all(form, f"{path}.day"):
        opens, closes = (words(form, f"{path}.{part}.{day}")[:5] for part in ("opens", "closes"))
        yield {"day": number(day), "opens": opens, "closes": closes}


def _decimal(text: str) -> float | str:
    """Return the number, with a comma too; 0 of nothing. What is none is left to the service to refuse."""
    if not text:
        return 0.0
    return float(text.replace(",", ".")) if DECIMAL.fullmatch(text) else text


_READERS: Mapping[Kind, Callable[[FormData, str], object]] = {
    "switch": lambda form, path: words(form, path) == "on",
    "number": lambda form, path: number(words(form, path).strip()),
    "decimal": lambda form, path: _decimal(words(form, path).strip()),
    "categories": _all,
    "channels": _all,
    "fields": _all,
    "rules": lambda form, path: list(read_rules(form, path)),
    "pipelines": lambda form, path: list(read_pipelines(form, path)),
    "week": lambda form, path: list(_week(form, path)),
    "days": lambda form, path: words(form, path).split(),
}
