"""SQL of versions. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's own columns and the page's orders

from uuid import UUID

from asyncpg import Record

from gptagent.features.agents.model import Settings
from gptagent.features.agents.store import packed, unpacked
from gptagent.features.agents.versions.model import AgentVersion, NewVersion
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_VERSION = "agent_id, number, settings, note, restored_from, actor_kind, actor_id, created_at"


async def insert_version(
    session: Session, agent_id: UUID, number: int, settings: Settings, new: NewVersion
) -> None:
    """Keep what is published, with who does it. It comes before the agent itself is written."""
    actor = session.scope.actor
    await session.execute(
        """insert into app.agent_version (agent_id, number, settings, note, restored_from, actor_kind,
                                          actor_id)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        agent_id,
        number,
        packed(settings),
        new.note,
        new.restored_from,
        actor.kind,
        actor.id,
    )


async def forget_versions(session: Session, agent_id: UUID, up_to: int) -> None:
    await session.execute(
        "delete from app.agent_version where agent_id = $1 and number <= $2", agent_id, up_to
    )


async def select_version(session: Session, agent_id: UUID, number: int) -> AgentVersion | None:
    row = await session.fetchrow(
        f"select {_VERSION} from app.agent_version where agent_id = $1 and number = $2", agent_id, number
    )
    return _version(row) if row else None


async def select_page(session: Session, page: Page, agent_id: UUID) -> list[AgentVersion]:
    rows = await session.fetch(
        f"""select {_VERSION} from (select v.*, v.agent_id as id from app.agent_version v) v
             where agent_id = $1 and {page.clause(2)}""",
        agent_id,
        *page.args,
    )
    return [_version(row) for row in rows]


def _version(row: Record) -> AgentVersion:
    return AgentVersion(**{**dict(row), "settings": unpacked(row["settings"])})
