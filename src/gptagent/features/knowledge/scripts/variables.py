"""Variables in scripts: which there are, and texts with their values in place. Pure."""

import re
from collections.abc import Collection, Mapping
from typing import Literal

from gptagent.features.knowledge.lexical import split_sentences

_VARIABLE = re.compile(r"\{\{\s*([^{}\n]{1,100}?)\s*\}\}")
_PLACEHOLDER = re.compile(r"\{\{[^{}\n]{0,100}\}\}")
_HELD = re.compile(r"\{\{(\d+)\}\}")
_LEAD_FIELD = re.compile(r"crm\.lead\.(.+)")

# Each with where it comes from, as people read it.
VARIABLES: Mapping[str, str] = {
    "customer_name": "Name of the customer",
    "customer_email": "E-mail of the contact in the CRM",
    "customer_phone": "Phone of the contact in the CRM",
    "company_name": "Name of this workspace",
    "agent_name": "Name of the agent",
    "lead_id": "Number of the deal",
    "lead_name": "Name of the deal",
    "lead_value": "Price of the deal",
    "lead_stage": "Stage of the deal",
    "lead_pipeline": "Pipeline of the deal",
}
LEAD_FIELD = "crm.lead.…"

Standing = Literal["known", "field", "unknown"]


def variables_of(text: str) -> list[str]:
    """Return the variables of a text, each once."""
    return list(dict.fromkeys(_VARIABLE.findall(text)))


def standing_of(name: str) -> Standing:
    """Tell whether a variable is one of those that are filled, a field of the deal, or nothing we know."""
    if name in VARIABLES:
        return "known"
    return "field" if _LEAD_FIELD.fullmatch(name) else "unknown"


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its variables filled. A sentence with one that has no value is left out."""
    lines = (_filled_line(line, values) for line in text.splitlines())
    return "\n".join(line for line in lines if line is not None).strip()


def _filled_line(line: str, values: Mapping[str, str]) -> str | None:
    """Return None if nothing is left of a line that held something."""
    if "{{" not in line:
        return line
    # A name may hold what ends a sentence: while the line is cut, its number stands for it.
    names = _VARIABLE.findall(line)
    numbers = iter(range(len(names)))
    held = _VARIABLE.sub(lambda _found: f"{{{{{next(numbers)}}}}}", line)
    kept = [s for s in split_sentences(held) if all(values.get(names[int(n)]) for n in _HELD.findall(s))]
    if not kept:
        return None
    return _HELD.sub(lambda found: values[names[int(found[1])]], " ".join(kept))


def placeholders_in(text: str) -> list[str]:
    """Return what looks like a variable in a text, with its braces, each once."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def without_sentences(text: str, marks: Collection[str]) -> str:
    """Return the text without the sentences that hold one of the marks."""
    lines = []
    for line in text.splitlines():
        if not any(mark in line for mark in marks):
            lines.append(line)
            continue
        kept = [one for one in split_sentences(line) if not any(mark in one for mark in marks)]
        lines += [" ".join(kept)] if kept else []
    return "\n".join(lines).strip()
