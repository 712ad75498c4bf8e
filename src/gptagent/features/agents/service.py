"""Verbs of agents."""

from collections.abc import Mapping
from uuid import UUID

from gptagent.features.agents import references, store
from gptagent.features.agents.checking import described, merge
from gptagent.features.agents.choosing import (
    choose,
    fits,
    overshadowed_by,
    stage_text,
    takes_all,
    takes_channel,
    takes_deal,
)
from gptagent.features.agents.model import (
    DEFAULT_INSTRUCTIONS,
    DEFAULT_NOT_FOUND,
    Agent,
    Settings,
)
from gptagent.features.agents.opening import wait_until_open
from gptagent.features.agents.references import find_problems
from gptagent.features.agents.table import NAME_MAX_CHARS, SETTINGS
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.kernel.db import Session
from gptagent.kernel.errors import FieldError, Invalid, NotFound
from gptagent.kernel.i18n import translate
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

__all__ = [
    "ORDERS",
    "TOPIC",
    "choose",
    "create_agent",
    "delete_agent",
    "find_agent",
    "find_problems",
    "fits",
    "get_agent",
    "list_active",
    "list_agents",
    "overshadowed_by",
    "page_agents",
    "stage_text",
    "takes_all",
    "takes_channel",
    "takes_deal",
    "update_agent",
    "wait_until_open",
]

TOPIC = "agents"
ORDERS = store.ORDERS
NAME_TAKEN = "An agent with this name exists already."


async def create_agent(session: Session, name: str, *, locale: str) -> Agent:
    """Create a silent agent that has nothing but its name. Raises Invalid on `name`."""
    checked, faults = await _check_name(session, name, None)
    if faults:
        raise _invalid(faults)
    settings = Settings(
        instructions=translate(locale, DEFAULT_INSTRUCTIONS),
        not_found_text=translate(locale, DEFAULT_NOT_FOUND),
    )
    agent_id = new_id()
    if not await store.insert_agent(session, agent_id, checked, settings):
        raise Invalid.field("name", NAME_TAKEN)
    await _tell(session, agent_id)
    await audit.record(session, Entry("agent.created", "agent", str(agent_id)))
    return await get_agent(session, agent_id)


async def update_agent(session: Session, agent_id: UUID, changes: Mapping[str, object]) -> Agent:
    """Change what is named, also inside of groups, and leave the rest; it counts from the next message on.

    Raises NotFound; Invalid naming every wrong field, unknown ones and references to nothing among them.
    """
    old = await get_agent(session, agent_id, lock=True)
    name, is_active, settings = await _check(session, changes, old)
    if (name, is_active, settings) == (old.name, old.is_active, old.settings):
        return old
    if not await store.update_agent(session, agent_id, name, settings, is_active=is_active):
        raise Invalid.field("name", NAME_TAKEN)
    await _tell(session, agent_id)
    new = await get_agent(session, agent_id)
    await _record_changes(session, old, new)
    return new


async def _record_changes(session: Session, old: Agent, new: Agent) -> None:
    """Of long texts the record holds that they changed: they may name people."""
    before, after = _recorded(old), _recorded(new)
    shown = {
        key: None if key in SETTINGS and SETTINGS[key].is_quiet else (before[key], value)
        for key, value in after.items()
        if before[key] != value
    }
    await audit.record(session, Entry("agent.updated", "agent", str(old.id), shown))


def _recorded(agent: Agent) -> dict[str, object]:
    return {"name": agent.name, "is_active": agent.is_active, **described(agent.settings)}


async def delete_agent(session: Session, agent_id: UUID) -> None:
    """Raise NotFound if the workspace has no such agent."""
    if not await store.delete_agent(session, agent_id):
        raise NotFound
    await _tell(session, agent_id)
    await audit.record(session, Entry("agent.deleted", "agent", str(agent_id)))


async def get_agent(session: Session, agent_id: UUID, *, lock: bool = False) -> Agent:
    """Raise NotFound if the workspace has no such agent. `lock` keeps others from changing it meanwhile."""
    found = await store.select_agent(session, agent_id, lock=lock)
    if found is None:
        raise NotFound
    return found


async def find_agent(session: Session, agent_id: UUID | None) -> Agent | None:
    """Return the agent, or None if it is gone or nobody was named."""
    return await store.select_agent(session, agent_id) if agent_id else None


async def list_agents(session: Session) -> list[Agent]:
    return await store.select_agents(session)


async def page_agents(
    session: Session, page: Page, *, is_active: bool | None = None
) -> tuple[list[Agent], str | None]:
    """Return a page of the agents, and the cursor of the next one if there is more."""
    found = await store.select_page(session, page, is_active)
    return page.cut(found, lambda agent: (getattr(agent, page.order.column), agent.id))


async def list_active(session: Session) -> list[Agent]:
    """Return who may answer, in the order they are asked in: who was made first comes first.

    In a suspended workspace nobody does.
    """
    return await store.select_active(session)


async def _tell(session: Session, agent_id: UUID) -> None:
    await session.publish(TOPIC, "changed", {"agent_id": str(agent_id)})


async def _check(session: Session, changes: Mapping[str, object], old: Agent) -> tuple[str, bool, Settings]:
    """Return the agent's name, state and settings after the change. Raises Invalid."""
    rest = dict(changes)
    name, faults = await _check_name(session, rest.pop("name", old.name), old.id)
    is_active = rest.pop("is_active", old.is_active)
    if not isinstance(is_active, bool):
        faults.append(FieldError("is_active", "Yes or no."))
    settings, wrong = merge(old.settings, rest)
    faults += wrong
    named = {fault.pointer for fault in faults}
    unknown = await references.unknown_references(session, old.settings, settings)
    faults += [one for one in unknown if one.pointer not in named]
    if faults:
        raise _invalid(faults)
    return name, bool(is_active), settings


async def _check_name(session: Session, name: object, agent_id: UUID | None) -> tuple[str, list[FieldError]]:
    clean = name.strip() if isinstance(name, str) else ""
    if not 1 <= len(clean) <= NAME_MAX_CHARS:
        limits = {"low": 1, "high": NAME_MAX_CHARS}
        return clean, [FieldError("name", "From {low} to {high} characters.", limits)]
    if await store.name_taken(session, clean, agent_id):
        return clean, [FieldError("name", NAME_TAKEN)]
    return clean, []


def _invalid(faults: list[FieldError]) -> Invalid:
    return Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
