"""All SQL of agents."""

from collections.abc import Mapping
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page, orders

COLUMNS = (
    "name",
    "is_active",
    "instructions",
    "model",
    "creativity",
    "response_delay_seconds",
    "not_found_text",
    "not_found_task",
    "remembers_customers",
)
ORDERS = orders(name="name")
_AGENT = f"""select id, {", ".join(COLUMNS)}, version, created_at, updated_at from app.agent"""  # noqa: S608 - names of columns, from COLUMNS


async def insert_agent(
    session: Session, agent_id: UUID, name: str, instructions: str, not_found: str
) -> bool:
    """Return False if somebody took the name in the meantime: the transaction is then of no more use."""
    try:
        await session.execute(
            "insert into app.agent (id, name, instructions, not_found_text) values ($1, $2, $3, $4)",
            agent_id,
            name,
            instructions,
            not_found,
        )
    except UniqueViolationError:
        return False
    return True


async def update_agent(session: Session, agent_id: UUID, changes: Mapping[str, object]) -> bool:
    """Write the named columns (all of COLUMNS) and raise the version. False: see insert_agent."""
    sets = ", ".join(f"{column} = ${number}" for number, column in enumerate(changes, start=2))
    try:
        await session.execute(
            f"update app.agent set {sets}, version = version + 1, updated_at = now() where id = $1",  # noqa: S608 - names of columns, from COLUMNS
            agent_id,
            *changes.values(),
        )
    except UniqueViolationError:
        return False
    return True


async def delete_agent(session: Session, agent_id: UUID) -> bool:
    return bool(await session.fetchval("delete from app.agent where id = $1 returning true", agent_id))


async def select_agent(session: Session, agent_id: UUID, *, lock: bool = False) -> Record | None:
    return await session.fetchrow(f"{_AGENT} where id = $1{' for update' if lock else ''}", agent_id)


async def select_page(session: Session, page: Page, is_active: bool | None) -> list[Record]:
    return await session.fetch(
        f"{_AGENT} where ($1::boolean is null or is_active = $1) and {page.clause(2)}", is_active, *page.args
    )


async def select_agents(session: Session) -> list[Record]:
    return await session.fetch(f"{_AGENT} order by created_at, id")


async def select_active(session: Session) -> Record | None:
    """Return who answers customers. In a suspended workspace nobody does."""
    return await session.fetchrow(
        f"""{_AGENT} where is_active and exists (select from app.organization where suspended_at is null)
            order by created_at, id limit 1"""
    )


async def name_taken(session: Session, name: str, except_id: UUID | None) -> bool:
    return bool(
        await session.fetchval(
            """select exists (select from app.agent
                               where lower(name) = lower($1) and id is distinct from $2)""",
            name,
            except_id,
        )
    )
