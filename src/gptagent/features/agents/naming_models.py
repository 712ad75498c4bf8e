"""Models that the editor offers by name, and which of them the plan has. Any other may be named as well."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import FormData

from gptagent.features.organizations.model import Entitlements
from gptagent.ui.web import words

# What each is called, and known for: a msgid.
MODELS: Mapping[str, tuple[str, str]] = {
    "gpt-4.1": ("OpenAI GPT-4.1", "Follows instructions to the letter"),
    "gemini-2.5-flash": ("Google Gemini 2.5 Flash", "Very fast"),
    "claude-sonnet-4": ("Claude Sonnet 4", "At its best in creative writing"),  # lint: making-of - a product
    "gpt-5": ("OpenAI GPT-5", "OpenAI's newest, reliable and natural"),
}
OTHER = "*"  # the choice beside which another name is typed


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """`says` is a msgid. Not `is_in_plan`: it may stay where it is, and cannot be chosen."""

    key: str
    name: str
    says: str
    is_in_plan: bool


def offered_models(plan: Entitlements, own: str | None) -> list[OfferedModel]:
    """Return them in order, without the installation's own, which is there anyway."""
    return [
        OfferedModel(key, name, says, plan.models is None or key in plan.models)
        for key, (name, says) in MODELS.items()
        if key != own
    ]


def read_model(form: FormData) -> str:
    """Return the model's name; OTHER itself if the other one has no name."""
    chosen = words(form, "model")
    return words(form, "model.other").strip() or OTHER if chosen == OTHER else chosen
