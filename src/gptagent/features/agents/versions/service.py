"""Verbs of versions: looked at, compared, published anew. What makes one is in changing.py."""

from uuid import UUID

from gptagent.features.agents.changing import restore
from gptagent.features.agents.model import Agent, Settings
from gptagent.features.agents.ports import PublishCondition, may_always_publish
from gptagent.features.agents.reading import get_agent
from gptagent.features.agents.versions import store
from gptagent.features.agents.versions.model import NOT_PASSED, AgentVersion, Difference, differences
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.paging import Order, Page

VERSION_ORDERS = {"-number": Order("-number", "number", "number", descending=True)}


async def get_version(session: Session, agent_id: UUID, number: int) -> AgentVersion:
    """Raise NotFound if the agent is not there, or has no such version (any more)."""
    found = await store.select_version(session, agent_id, number)
    if found is None:
        raise NotFound
    return found


async def page_versions(
    session: Session, page: Page, agent_id: UUID
) -> tuple[list[AgentVersion], str | None]:
    """Return a page of an agent's versions, newest first, and the next one's cursor. Raises NotFound."""
    await get_agent(session, agent_id)
    found = await store.select_page(session, page, agent_id)
    return page.cut(found, lambda one: (one.number, one.agent_id))


async def restore_version(
    session: Session,
    agent_id: UUID,
    number: int,
    *,
    note: str = "",
    condition: PublishCondition = may_always_publish,
    anyway: bool = False,
) -> Agent:
    """Publish an earlier version anew: it becomes the newest one. Nothing changes if it is what is published.

    What `condition` holds against it does not close the way back, but has to be known: Conflict, unless it is
    wanted `anyway`. What waits in a draft stays there. Raises NotFound, Invalid on `note` and on what the
    plan does not allow.
    """
    agent = await get_agent(session, agent_id, lock=True)
    version = await get_version(session, agent_id, number)
    held_back = version.settings != agent.settings and await _is_held_back(session, agent, version, condition)
    if held_back and not anyway:
        raise Conflict("version_not_passed", NOT_PASSED, params={"number": number})
    return await restore(session, agent, version.settings, number, note, held_back=held_back)


async def _is_held_back(
    session: Session, agent: Agent, version: AgentVersion, condition: PublishCondition
) -> bool:
    try:
        await condition(session, agent, version.settings)
    except Conflict:
        return True
    return False


async def compare(
    session: Session, agent_id: UUID, before: int | None, after: int | None
) -> tuple[Settings, Settings, list[Difference]]:
    """Return two documents and what differs, in the order of the table of settings. Raises NotFound.

    `before` None is what is published; `after` None the draft, or what is published if there is none.
    """
    agent = await get_agent(session, agent_id)
    old = (await get_version(session, agent_id, before)).settings if before else agent.settings
    draft = agent.draft or agent.settings
    new = (await get_version(session, agent_id, after)).settings if after else draft
    return old, new, list(differences(old, new))
