"""Verbs of agents."""

from collections.abc import Mapping
from uuid import UUID

from gptagent.features.agents import store
from gptagent.features.agents.model import (
    CREATIVITIES,
    DELAY_MAX_SECONDS,
    INSTRUCTIONS_MAX_CHARS,
    INSTRUCTIONS_MIN_CHARS,
    MODEL_MAX_CHARS,
    NAME_MAX_CHARS,
    NOT_FOUND_MAX_CHARS,
    Agent,
)
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.kernel.db import Session
from gptagent.kernel.errors import FieldError, Invalid, NotFound
from gptagent.kernel.i18n import translate
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

TOPIC = "agents"
ORDERS = store.ORDERS
DEFAULT_INSTRUCTIONS = "You are a helpful employee of our company. Answer briefly and to the point."
DEFAULT_NOT_FOUND = (
    "I do not have enough information to answer this. I will check the details and come back to you."
)
NAME_TAKEN = "An agent with this name exists already."


async def create_agent(session: Session, name: str, *, locale: str) -> Agent:
    """Create a silent agent that has nothing but its name. Raises Invalid on `name`."""
    checked = await _check(session, {"name": name}, None)
    agent_id = new_id()
    made = await store.insert_agent(
        session,
        agent_id,
        str(checked["name"]),
        translate(locale, DEFAULT_INSTRUCTIONS),
        translate(locale, DEFAULT_NOT_FOUND),
    )
    if not made:
        raise Invalid.field("name", NAME_TAKEN)
    await _tell(session, agent_id)
    await audit.record(session, Entry("agent.created", "agent", str(agent_id)))
    return await get_agent(session, agent_id)


async def update_agent(session: Session, agent_id: UUID, changes: Mapping[str, object]) -> Agent:
    """Change the named settings and leave the others. Raises NotFound; Invalid naming every wrong field."""
    old = await get_agent(session, agent_id)
    checked = await _check(session, changes, agent_id)
    if checked:
        if not await store.update_agent(session, agent_id, checked):
            raise Invalid.field("name", NAME_TAKEN)
        await _tell(session, agent_id)
        await _record_changes(session, old, checked)
    return await get_agent(session, agent_id)


async def _record_changes(session: Session, old: Agent, checked: Mapping[str, object]) -> None:
    """Of texts the record holds that they changed: they may be long, and name people."""
    pairs = {key: (getattr(old, key), value) for key, value in checked.items()}
    shown = {key: None if key in _LONG_TEXTS else pair for key, pair in pairs.items() if pair[0] != pair[1]}
    if shown:
        await audit.record(session, Entry("agent.updated", "agent", str(old.id), shown))


async def delete_agent(session: Session, agent_id: UUID) -> None:
    """Raise NotFound if the workspace has no such agent."""
    if not await store.delete_agent(session, agent_id):
        raise NotFound
    await _tell(session, agent_id)
    await audit.record(session, Entry("agent.deleted", "agent", str(agent_id)))


async def get_agent(session: Session, agent_id: UUID, *, lock: bool = False) -> Agent:
    """Raise NotFound if the workspace has no such agent. `lock` keeps others from changing it meanwhile."""
    row = await store.select_agent(session, agent_id, lock=lock)
    if row is None:
        raise NotFound
    return Agent(**dict(row))


async def find_agent(session: Session, agent_id: UUID | None) -> Agent | None:
    """Return the agent, or None if it is gone or nobody was named."""
    row = await store.select_agent(session, agent_id) if agent_id else None
    return Agent(**dict(row)) if row else None


async def list_agents(session: Session) -> list[Agent]:
    return [Agent(**dict(row)) for row in await store.select_agents(session)]


async def page_agents(
    session: Session, page: Page, *, is_active: bool | None = None
) -> tuple[list[Agent], str | None]:
    """Return a page of the agents, and the cursor of the next one if there is more."""
    found = [Agent(**dict(row)) for row in await store.select_page(session, page, is_active)]
    return page.cut(found, lambda agent: (getattr(agent, page.order.column), agent.id))


async def choose_agent(session: Session) -> Agent | None:
    """Return who answers: the workspace's first active agent."""
    row = await store.select_active(session)
    return Agent(**dict(row)) if row else None


async def _tell(session: Session, agent_id: UUID) -> None:
    await session.publish(TOPIC, "changed", {"agent_id": str(agent_id)})


async def _check(session: Session, changes: Mapping[str, object], agent_id: UUID | None) -> dict[str, object]:
    """Return the cleaned values. Raises Invalid with one error per wrong or unknown field."""
    clean = {key: value.strip() if isinstance(value, str) else value for key, value in changes.items()}
    if "model" in clean:
        clean["model"] = clean["model"] or None
    faults = [fault for key, value in clean.items() if (fault := _fault(key, value))]
    named = "name" in clean and not any(fault.pointer == "name" for fault in faults)
    if named and await store.name_taken(session, str(clean["name"]), agent_id):
        faults.append(FieldError("name", NAME_TAKEN))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    return clean


_TEXTS = {
    "name": (1, NAME_MAX_CHARS),
    "instructions": (INSTRUCTIONS_MIN_CHARS, INSTRUCTIONS_MAX_CHARS),
    "not_found_text": (1, NOT_FOUND_MAX_CHARS),
    "model": (1, MODEL_MAX_CHARS),
}
_LONG_TEXTS = {"instructions", "not_found_text"}
_SWITCHES = {"is_active", "not_found_task", "remembers_customers"}


def _fault(key: str, value: object) -> FieldError | None:
    if key in _TEXTS and not (key == "model" and value is None):
        low, high = _TEXTS[key]
        fits = isinstance(value, str) and low <= len(value) <= high
        return (
            None if fits else FieldError(key, "From {low} to {high} characters.", {"low": low, "high": high})
        )
    if key == "response_delay_seconds":
        limits = {"low": 0, "high": DELAY_MAX_SECONDS}
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DELAY_MAX_SECONDS
        return None if fits else FieldError(key, "A whole number from {low} to {high}.", limits)
    if key == "creativity":
        return None if value in CREATIVITIES else FieldError(key, "Choose one of the offered values.")
    if key in _SWITCHES:
        return None if isinstance(value, bool) else FieldError(key, "Yes or no.")
    return None if key == "model" else FieldError(key, "There is no such setting.")
