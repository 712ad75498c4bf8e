"""Verbs of agents."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from gptagent.features.agents import store
from gptagent.features.agents.changing import (
    TOPIC,
    discard_draft,
    invalid,
    preview_settings,
    publish,
    publish_draft,
    save_draft,
    tell,
    update_agent,
)
from gptagent.features.agents.checking import merge
from gptagent.features.agents.choosing import (
    choose,
    fits,
    overshadowed_by,
    stage_follow_up,
    stage_goal,
    stage_text,
    takes_all,
    takes_channel,
    takes_deal,
)
from gptagent.features.agents.copying import free_name
from gptagent.features.agents.limits import check_plan, plan_faults, take_agent
from gptagent.features.agents.model import (
    DEFAULT_HANDOFF,
    DEFAULT_INSTRUCTIONS,
    DEFAULT_NOT_FOUND,
    Agent,
    Settings,
)
from gptagent.features.agents.naming import NAME_TAKEN, check_name
from gptagent.features.agents.opening import wait_until_open
from gptagent.features.agents.presets.model import PresetKey
from gptagent.features.agents.presets.service import list_presets
from gptagent.features.agents.reading import as_edited, find_agent, get_agent, list_active, list_agents
from gptagent.features.agents.references import find_problems
from gptagent.features.agents.table import NAME_MAX_CHARS
from gptagent.features.agents.versions import store as versions
from gptagent.features.agents.versions.model import NewVersion
from gptagent.features.agents.versions.service import get_version
from gptagent.features.agents.versions.telling import titles_that_differ
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import service as knowledge
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.i18n import translate
from gptagent.kernel.ids import new_id

__all__ = [
    "TOPIC",
    "as_edited",
    "choose",
    "copy_agent",
    "create_agent",
    "delete_agent",
    "discard_draft",
    "find_agent",
    "find_problems",
    "fits",
    "get_agent",
    "get_version",
    "import_agent",
    "list_active",
    "list_agents",
    "overshadowed_by",
    "preview_settings",
    "publish",
    "publish_draft",
    "save_draft",
    "stage_follow_up",
    "stage_goal",
    "stage_text",
    "takes_all",
    "takes_channel",
    "takes_deal",
    "titles_that_differ",
    "update_agent",
    "wait_until_open",
]


async def create_agent(session: Session, name: str, *, locale: str, preset: PresetKey | None = None) -> Agent:
    """Create a silent agent that has nothing but its name, or what a template has.

    Raises Invalid on `name`, Conflict if the plan has room for no more.
    """
    checked, faults = await check_name(session, name, None)
    if faults:
        raise invalid(faults)
    settings = first_settings(locale)
    if preset is not None:
        settings = list_presets(locale)[preset].put_into(settings)
    return await _insert(session, checked, settings, "agent.created")


async def import_agent(session: Session, name: str, settings: Mapping[str, object], *, locale: str) -> Agent:
    """Create a silent agent from an exported document; what it does not name has its default.

    What it names and this workspace does not have stays, as a problem of the agent. A name that is taken gets
    a number. Raises Invalid naming every wrong field, Conflict if the plan has room for no more.
    """
    checked = name.strip()
    if not 1 <= len(checked) <= NAME_MAX_CHARS:
        raise Invalid.field("name", "From {low} to {high} characters.", low=1, high=NAME_MAX_CHARS)
    document, faults = merge(first_settings(locale), settings)
    faults += await plan_faults(session, None, document)
    if faults:
        raise invalid([replace(one, pointer=f"settings.{one.pointer}") for one in faults])
    if await store.name_taken(session, checked, None):
        checked = await free_name(session, checked, locale=locale)
    return await _insert(session, checked, document, "agent.imported")


def first_settings(locale: str) -> Settings:
    """Return what a new agent has, its texts in the language of who makes it."""
    return Settings(
        instructions=translate(locale, DEFAULT_INSTRUCTIONS),
        not_found_text=translate(locale, DEFAULT_NOT_FOUND),
        handoff_text=translate(locale, DEFAULT_HANDOFF),
    )


async def copy_agent(session: Session, agent_id: UUID, *, locale: str) -> Agent:
    """Create a silent agent with all settings of this one, called "<name> (copy)". Raises NotFound.

    What waits in a draft waits in the copy's as well; earlier versions and the agent's own files are not
    copied. Raises Conflict if the
    plan has room for no more, Invalid on settings that it does not allow (any more).
    """
    source = await get_agent(session, agent_id, lock=True)
    name = await free_name(session, source.name, locale=locale)
    return await _insert(session, name, source.settings, "agent.copied", source=source)


async def delete_agent(session: Session, agent_id: UUID) -> None:
    """Delete the agent with its own files. Raises NotFound if the workspace has no such agent."""
    await knowledge.delete_documents_of(session, agent_id)
    if not await store.delete_agent(session, agent_id):
        raise NotFound
    await tell(session, agent_id)
    await audit.record(session, Entry("agent.deleted", "agent", str(agent_id)))


async def _insert(
    session: Session, name: str, settings: Settings, action: str, source: Agent | None = None
) -> Agent:
    await take_agent(session)
    await check_plan(session, None, settings)
    agent_id = new_id()
    await versions.insert_version(session, agent_id, 1, settings, NewVersion())
    if not await store.insert_agent(session, agent_id, name, settings, source.draft if source else None):
        raise Invalid.field("name", NAME_TAKEN)
    await tell(session, agent_id)
    origin = {"copied_from": (None, str(source.id))} if source else {}
    await audit.record(session, Entry(action, "agent", str(agent_id), origin))
    return await get_agent(session, agent_id)
