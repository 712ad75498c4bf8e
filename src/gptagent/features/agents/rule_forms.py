"""Update rules in a form, which works without a script: its buttons send it to be rearranged."""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.datastructures import FormData

from gptagent.features.agents.table import CONDITION_MAX_CHARS, RULES_MAX
from gptagent.kernel.errors import FieldError
from gptagent.ui.web import words

# The button's value: what to do, the setting, the rule's place in the list.
REARRANGE = "rearrange"
LISTS = ("update_rules.lead", "update_rules.contact")
Rules = list[dict[str, Any]]


def read_rules(form: FormData, path: str) -> Iterator[dict[str, Any]]:
    """Yield the rules in the order in which they stand in the form."""
    places = [one for one in form.getlist(f"{path}.shown") if isinstance(one, str)]
    for place in places[: RULES_MAX + 1]:
        name = f"{path}.{place[:4]}"
        yield {
            "field": words(form, f"{name}.field"),
            "condition": words(form, f"{name}.condition").replace("\r\n", "\n"),
            "overwrite": words(form, f"{name}.overwrite") == "on",
        }


def whole_lists(typed: Mapping[str, object]) -> tuple[dict[str, object], list[FieldError]]:
    """Return what was typed without rules that are half typed, and a fault for each field of those."""
    whole, faults = dict(typed), []
    for path in LISTS:
        rules = typed.get(path)
        if not isinstance(rules, list):
            continue
        wrong = [list(_faults(rule, f"{path}.{place}")) for place, rule in enumerate(rules)]
        faults += [fault for found in wrong for fault in found]
        whole[path] = [rule for rule, found in zip(rules, wrong, strict=True) if not found]
    return whole, faults


def _faults(rule: Mapping[str, str], name: str) -> Iterator[FieldError]:
    if not rule["field"]:
        yield FieldError(f"{name}.field", "Choose a field.")
    if not 1 <= len(rule["condition"].strip()) <= CONDITION_MAX_CHARS:
        high = {"high": CONDITION_MAX_CHARS}
        yield FieldError(
            f"{name}.condition", "Say when it is to be written, in 1 to {high} characters.", high
        )


def rearranged(typed: dict[str, Any], order: str) -> dict[str, Any]:
    """Return what was typed with a rule added, moved or taken out; what makes no sense does nothing."""
    verb, _, rest = order.partition("/")
    path, _, place = rest.partition("/")
    if path not in LISTS:
        return typed
    rules: Rules = list(typed.get(path, []))
    number = int(place) if place.isascii() and place.isdecimal() and len(place) < 4 else -1
    if verb == "add" and len(rules) < RULES_MAX:
        rules.append({"field": "", "condition": "", "overwrite": False})
    elif verb == "delete" and 0 <= number < len(rules):
        del rules[number]
    elif verb == "up" and 0 < number < len(rules):
        rules[number - 1 : number + 1] = rules[number - 1 : number + 1][::-1]
    elif verb == "down" and 0 <= number < len(rules) - 1:
        rules[number : number + 2] = rules[number : number + 2][::-1]
    return {**typed, path: rules}
