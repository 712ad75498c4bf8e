"""Tabs of the editor, and their forms read by the table of settings."""

from collections.abc import Mapping
from typing import Literal

from starlette.datastructures import FormData

from gptagent.features.agents.checking import described
from gptagent.features.agents.model import SETTINGS, Agent
from gptagent.ui.web import words

Tab = Literal["edit", "advanced-settings"]
# What each tab shows, by the last part of its address; the name stands on the first one.
TABS: Mapping[Tab, tuple[str, ...]] = {
    "edit": (
        "instructions",
        "check_before_sending",
        "knowledge.all",
        "knowledge.categories",
        "not_found_task",
        "not_found_text",
    ),
    "advanced-settings": ("model", "creativity", "response_delay_seconds", "remembers_customers"),
}
LONGEST_NUMBER = 9


def shown(tab: Tab, *, with_model: bool) -> list[str]:
    """Return the settings of a tab; without a model those that need one are left out."""
    return [path for path in TABS[tab] if with_model or not SETTINGS[path].needs_model]


def values_of(agent: Agent) -> dict[str, object]:
    """Return what the fields show."""
    return {"name": agent.name, **described(agent.settings)}


def read(form: FormData, tab: Tab, *, with_model: bool) -> dict[str, object]:
    """Return what was typed, by path; what is of a wrong kind is left to the service to refuse."""
    typed = {path: _read(form, path) for path in shown(tab, with_model=with_model)}
    return {"name": words(form, "name"), **typed} if tab == "edit" else typed


def _read(form: FormData, path: str) -> object:
    kind = SETTINGS[path].kind
    if kind == "switch":
        return words(form, path) == "on"
    if kind == "number":
        return _number(words(form, path).strip())
    if kind == "categories":
        return [one for one in form.getlist(path) if isinstance(one, str)]
    return words(form, path)


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else text
