"""All SQL of scenarios and of what publishing waits for."""

from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record, UniqueViolationError

from gptagent.features.dialog.scenarios.model import Condition, NewScenario, Play, Scenario
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page, orders

ORDERS = orders(name="lower(name)")
_SCENARIO = "select id, agent_id, name, play, version, created_at, updated_at from app.scenario"
_OF_AGENT = "($1::uuid is null or agent_id is null or agent_id = $1)"
_plays = msgspec.json.Decoder(Play)


async def insert_scenario(session: Session, scenario_id: UUID, new: NewScenario, now: datetime) -> bool:
    """Return False if the name is taken: the transaction is then of no more use."""
    try:
        await session.execute(
            """insert into app.scenario (id, agent_id, name, play, created_at, updated_at)
               values ($1, $2, $3, $4, $5, $5)""",
            scenario_id,
            new.agent_id,
            new.name,
            packed(new.play),
            now,
        )
    except UniqueViolationError:
        return False
    return True


async def update_scenario(session: Session, scenario_id: UUID, new: NewScenario, now: datetime) -> bool:
    """Raise its version. False: see insert_scenario."""
    try:
        await session.execute(
            """update app.scenario
                  set agent_id = $2, name = $3, play = $4, version = version + 1, updated_at = $5
                where id = $1""",
            scenario_id,
            new.agent_id,
            new.name,
            packed(new.play),
            now,
        )
    except UniqueViolationError:
        return False
    return True


async def find_named(session: Session, agent_id: UUID | None, name: str) -> Scenario | None:
    row = await session.fetchrow(
        f"{_SCENARIO} where agent_id is not distinct from $1 and lower(name) = lower($2) for update",
        agent_id,
        name,
    )
    return _scenario(row) if row else None


async def delete_scenario(session: Session, scenario_id: UUID) -> bool:
    done = await session.fetchval("delete from app.scenario where id = $1 returning true", scenario_id)
    return bool(done)


async def fetch_scenario(session: Session, scenario_id: UUID, *, lock: bool = False) -> Scenario | None:
    row = await session.fetchrow(f"{_SCENARIO} where id = $1{' for update' if lock else ''}", scenario_id)
    return _scenario(row) if row else None


async def list_scenarios(session: Session, agent_id: UUID | None) -> list[Scenario]:
    """Return those an agent is run against, or all, by name."""
    rows = await session.fetch(f"{_SCENARIO} where {_OF_AGENT} order by lower(name), id", agent_id)
    return [_scenario(row) for row in rows]


async def page_scenarios(session: Session, page: Page, agent_id: UUID | None) -> list[Scenario]:
    rows = await session.fetch(f"{_SCENARIO} where {_OF_AGENT} and {page.clause(2)}", agent_id, *page.args)
    return [_scenario(row) for row in rows]


async def count_scenarios(session: Session) -> int:
    count: int = await session.fetchval("select count(*) from app.scenario")
    return count


async def fetch_condition(session: Session, agent_id: UUID) -> Condition:
    row = await session.fetchrow(
        "select is_on, repeats from app.publish_condition where agent_id = $1", agent_id
    )
    return Condition(**row) if row else Condition()


async def save_condition(session: Session, agent_id: UUID, condition: Condition) -> None:
    await session.execute(
        """insert into app.publish_condition (agent_id, is_on, repeats) values ($1, $2, $3)
           on conflict (org_id, agent_id) do update set is_on = excluded.is_on, repeats = excluded.repeats""",
        agent_id,
        condition.is_on,
        condition.repeats,
    )


def packed(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _scenario(row: Record) -> Scenario:
    return Scenario(**{**dict(row), "play": _plays.decode(row["play"])})
