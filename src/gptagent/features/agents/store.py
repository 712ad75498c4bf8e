"""All SQL of agents."""

from functools import lru_cache
from uuid import UUID

import msgspec
from asyncpg import Record, UniqueViolationError

from gptagent.features.agents.model import Agent, Settings
from gptagent.kernel.db import Session

AGENT = """select id, name, is_active, settings, version, created_at, updated_at, published, draft
             from app.agent"""
_settings = msgspec.json.Decoder(Settings)


async def insert_agent(
    session: Session, agent_id: UUID, name: str, settings: Settings, draft: Settings | None = None
) -> bool:
    """Return False if somebody took the name in the meantime: the transaction is then of no more use."""
    try:
        await session.execute(
            "insert into app.agent (id, name, settings, draft) values ($1, $2, $3, $4)",
            agent_id,
            name,
            packed(settings),
            packed(draft) if draft is not None else None,
        )
    except UniqueViolationError:
        return False
    return True


async def update_agent(session: Session, agent: Agent) -> bool:
    """Write the agent and raise its version. False: see insert_agent.

    Settings are written only with a new number: a document of before some setting existed would else be
    another one by its defaults alone, and a version that nobody has published.
    """
    try:
        await session.execute(
            """update app.agent set name = $2, is_active = $3, published = $5, draft = $6,
                      settings = case when published = $5 then settings else $4::jsonb end,
                      version = version + 1, updated_at = now() where id = $1""",
            agent.id,
            agent.name,
            agent.is_active,
            packed(agent.settings),
            agent.published,
            packed(agent.draft) if agent.draft is not None else None,
        )
    except UniqueViolationError:
        return False
    return True


async def delete_agent(session: Session, agent_id: UUID) -> bool:
    return bool(await session.fetchval("delete from app.agent where id = $1 returning true", agent_id))


async def select_agent(session: Session, agent_id: UUID, *, lock: bool = False) -> Agent | None:
    row = await session.fetchrow(f"{AGENT} where id = $1{' for update' if lock else ''}", agent_id)
    return agent_of(row) if row else None


async def select_agents(session: Session) -> list[Agent]:
    return [agent_of(row) for row in await session.fetch(f"{AGENT} order by created_at, id")]


async def select_active(session: Session) -> list[Agent]:
    """Return the active agents, oldest first. A suspended workspace has none."""
    rows = await session.fetch(
        f"""{AGENT} where is_active and exists (select from app.organization where suspended_at is null)
            order by created_at, id"""
    )
    return [agent_of(row) for row in rows]


async def lock_number(session: Session) -> None:
    """Let nobody else add an agent to this workspace until the commit."""
    await session.execute("select pg_advisory_xact_lock(hashtextextended('agents:' || app.org()::text, 0))")


async def count(session: Session) -> int:
    return int(await session.fetchval("select count(*) from app.agent"))


async def name_taken(session: Session, name: str, except_id: UUID | None) -> bool:
    return bool(
        await session.fetchval(
            """select exists (select from app.agent
                               where lower(name) = lower($1) and id is distinct from $2)""",
            name,
            except_id,
        )
    )


def agent_of(row: Record) -> Agent:
    """Return the agent of a row that AGENT selects."""
    draft = row["draft"]
    documents = {"settings": unpacked(row["settings"]), "draft": unpacked(draft) if draft else None}
    return Agent(**{**dict(row), **documents})


def packed(settings: Settings) -> str:
    return msgspec.json.encode(settings).decode()


@lru_cache(maxsize=128)  # a turn looks at its agent a dozen times
def unpacked(document: str) -> Settings:
    """Return the settings of a document; what it does not name has its default."""
    return _settings.decode(document)
