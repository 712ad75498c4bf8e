"""What the workspace's plan allows of agents: how many, how long instructions, which models.

What customers get already stays, whatever the plan becomes: only what is changed is held against it, and
whatever begins to count by being published, restored, copied, taken from a file or switched on.
"""

from gptagent.features.agents import store
from gptagent.features.agents.model import Settings, UpdateRules
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import Entitlements
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid

# Models of one maker get shorter instructions, as the price list has it.
SHORT_MODELS = "claude"  # lint: making-of - what names of models begin with
SHORT_MAX_CHARS = 20_000
INSTRUCTIONS_TOO_LONG = (
    "The instructions may have at most {high} characters in your plan with this model. Shorten them, or ask "
    "for a larger plan."
)
MODEL_NOT_IN_PLAN = (
    "The model {model} is not in your plan, which has these models: {models}. Choose one of them, or ask for "
    "a larger plan."
)


async def take_agent(session: Session) -> None:
    """Make sure that there is room for one more agent; others wait until the commit. Raises Conflict."""
    plan = await organizations.get_entitlements(session)
    if plan.agents_max is None:
        return
    await store.lock_number(session)
    if await store.count(session) >= plan.agents_max:
        raise Conflict(
            "agent_limit",
            "The plan has room for so many agents: {max}. Delete one that is not needed, or ask for a larger "
            "plan.",
            params={"max": plan.agents_max},
        )


async def plan_faults(session: Session, old: Settings | None, new: Settings) -> list[FieldError]:
    """Return what of the new settings, as far as they differ from the old ones, the plan does not allow."""
    faults = await _rule_faults(session, old, new)
    if old is not None and (old.instructions, old.model) == (new.instructions, new.model):
        return faults
    plan = await organizations.get_entitlements(session)
    longest = instructions_max(plan, new.model)
    if len(new.instructions) > longest:
        faults.append(FieldError("instructions", INSTRUCTIONS_TOO_LONG, {"high": longest}))
    is_other = old is None or old.model != new.model
    if is_other and new.model is not None and plan.models is not None and new.model not in plan.models:
        names = {"model": new.model, "models": ", ".join(sorted(plan.models))}
        faults.append(FieldError("model", MODEL_NOT_IN_PLAN, names))
    return faults


async def check_plan(session: Session, old: Settings | None, new: Settings) -> None:
    """Raise Invalid naming what of the new settings the plan does not allow; see `plan_faults`."""
    faults = await plan_faults(session, old, new)
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))


def instructions_max(plan: Entitlements, model: str | None) -> int:
    """Return how many characters the instructions may have for this model."""
    is_short = (model or "").lower().startswith(SHORT_MODELS)
    return min(plan.instructions_max_chars, SHORT_MAX_CHARS) if is_short else plan.instructions_max_chars


async def _rule_faults(session: Session, old: Settings | None, new: Settings) -> list[FieldError]:
    """Return where there are new rules that write fields, if the plan has no field updates."""
    had, wanted = old.update_rules if old else UpdateRules(), new.update_rules
    added = {
        "update_rules.lead": set(wanted.lead) - set(had.lead),
        "update_rules.contact": set(wanted.contact) - set(had.contact),
    }
    if not any(added.values()) or (await organizations.get_entitlements(session)).field_updates:
        return []
    message = "Your plan has no rules that write fields."
    return [FieldError(path, message) for path, rules in added.items() if rules]
