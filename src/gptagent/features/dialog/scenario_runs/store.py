"""All SQL of runs and of their attempts."""
# ruff: noqa: S608 - what is put into statements are this module's constants

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.agents.model import Settings
from gptagent.features.dialog.scenario_runs.model import (
    Attempt,
    Cost,
    Kind,
    Line,
    Planned,
    Run,
    State,
)
from gptagent.features.dialog.scenarios.model import Failure
from gptagent.features.dialog.scenarios.store import packed
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Order, Page, orders

ORDERS = orders(created_at="asked_at")
ATTEMPT_ORDERS = {"place": Order("place", "place", "number", id_column="place", id_type="bigint")}
_COLUMNS = ", ".join(f"r.{one.name}" for one in fields(Run))
_RUN = f"select {_COLUMNS} from app.scenario_run r"
_GOES_ON = "state in ('queued', 'running')"
_ATTEMPT = """select position, number, is_passed, failures, transcript, cost_micro_usd, tokens_in, tokens_out,
                     millis from app.scenario_attempt"""
_settings = msgspec.json.Decoder(Settings)
_suites = msgspec.json.Decoder(tuple[Planned, ...])
_failures = msgspec.json.Decoder(tuple[Failure, ...])
_lines = msgspec.json.Decoder(tuple[Line, ...])


async def insert_run(
    session: Session, run: Run, settings: Settings, suite: Sequence[Planned], turns: Sequence[UUID]
) -> bool:
    """Return False if a run of the workspace is going on."""
    done = await session.fetchval(
        """insert into app.scenario_run (id, kind, agent_id, target, settings, fingerprint, suite,
                  suite_fingerprint, is_whole, turns, since, until, repeats, total, budget_micro_usd,
                  asked_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
           on conflict (org_id) where state in ('queued', 'running') do nothing returning true""",
        run.id,
        run.kind,
        run.agent_id,
        run.target,
        packed(settings),
        run.fingerprint,
        packed(suite),
        run.suite_fingerprint,
        run.is_whole,
        list(turns),
        run.since,
        run.until,
        run.repeats,
        run.total,
        run.budget_micro_usd,
        run.asked_at,
    )
    return bool(done)


async def drop_lost(session: Session, now: datetime, lost_after: timedelta) -> None:
    """End a run that no worker will go on with."""
    await session.execute(
        f"""update app.scenario_run set state = 'failed', ended_at = $1, updated_at = $1, claim = claim + 1
             where {_GOES_ON} and updated_at < $1::timestamptz - $2::interval""",
        now,
        lost_after,
    )


async def forget_runs(session: Session, agent_id: UUID, kept: int) -> None:
    await session.execute(
        f"""delete from app.scenario_run where agent_id = $1 and not {_GOES_ON} and id not in (
              select id from app.scenario_run where agent_id = $1 order by asked_at desc, id limit $2)""",
        agent_id,
        kept,
    )


async def take(session: Session, run_id: UUID, now: datetime) -> tuple[Run, Record] | None:
    """Raise the claim of a run that goes on; None if it does not."""
    row = await session.fetchrow(
        f"""update app.scenario_run r set state = 'running', claim = claim + 1, updated_at = $2,
                   began_at = coalesce(began_at, $2)
             where id = $1 and {_GOES_ON} returning {_COLUMNS}, claim, settings, suite, turns""",
        run_id,
        now,
    )
    return (_run(row), row) if row else None


def frozen_of(row: Record) -> tuple[Settings, tuple[Planned, ...], tuple[UUID, ...]]:
    """Return the settings, scenarios and turns of a run as they were when it was asked for."""
    return _settings.decode(row["settings"]), _suites.decode(row["suite"]), tuple(row["turns"])


async def is_held(session: Session, run_id: UUID, claim: int, *, lock: bool = False) -> bool:
    """Whether the run goes on, and with this worker."""
    row = await session.fetchrow(
        f"""select from app.scenario_run where id = $1 and claim = $2 and state = 'running'
            {"for no key update" if lock else ""}""",
        run_id,
        claim,
    )
    return row is not None


async def add_result(session: Session, run_id: UUID, cost: Cost, now: datetime, *, passed: int) -> None:
    await session.execute(
        "update app.scenario_run set done = done + 1, passed = passed + $2 where id = $1", run_id, passed
    )
    await add_cost(session, run_id, cost, now)


async def add_cost(session: Session, run_id: UUID, cost: Cost, now: datetime) -> None:
    """Count what was used, also where nothing came of it."""
    await session.execute(
        """update app.scenario_run
              set cost_micro_usd = cost_micro_usd + coalesce($2, 0),
                  is_priced = is_priced and $2::bigint is not null, tokens_in = tokens_in + $3,
                  tokens_out = tokens_out + $4, updated_at = $5
            where id = $1""",
        run_id,
        cost.micro_usd,
        cost.tokens_in,
        cost.tokens_out,
        now,
    )


async def end(session: Session, run_id: UUID, state: State, now: datetime) -> bool:
    """Return False if it has ended already. Whoever works at it finds its claim gone."""
    done = await session.fetchval(
        f"""update app.scenario_run set state = $2, ended_at = $3, updated_at = $3, claim = claim + 1
             where id = $1 and {_GOES_ON} returning true""",
        run_id,
        state,
        now,
    )
    return bool(done)


async def fetch_run(session: Session, run_id: UUID, *, lock: bool = False) -> Run | None:
    row = await session.fetchrow(f"{_RUN} where id = $1{' for update' if lock else ''}", run_id)
    return _run(row) if row else None


async def suite_of(session: Session, run_id: UUID) -> tuple[Planned, ...]:
    suite = await session.fetchval("select suite from app.scenario_run where id = $1", run_id)
    return _suites.decode(suite) if suite else ()


async def latest_runs(session: Session, agent_id: UUID | None, limit: int) -> list[Run]:
    rows = await session.fetch(
        f"{_RUN} where $1::uuid is null or agent_id = $1 order by asked_at desc, id limit $2", agent_id, limit
    )
    return [_run(row) for row in rows]


async def going_on(session: Session) -> Run | None:
    row = await session.fetchrow(f"{_RUN} where {_GOES_ON}")
    return _run(row) if row else None


async def latest_whole(session: Session, agent_id: UUID) -> Run | None:
    """Return the agent's latest run of all of its scenarios against its draft."""
    row = await session.fetchrow(
        f"""{_RUN} where agent_id = $1 and kind = 'scenarios' and target = 'draft' and is_whole
             order by asked_at desc, id desc limit 1""",
        agent_id,
    )
    return _run(row) if row else None


async def page_runs(session: Session, page: Page, agent_id: UUID | None, kind: Kind | None) -> list[Run]:
    rows = await session.fetch(
        f"""{_RUN} where ($1::uuid is null or agent_id = $1) and ($2::text is null or kind = $2)
              and {page.clause(3)}""",
        agent_id,
        kind,
        *page.args,
    )
    return [_run(row) for row in rows]


async def insert_attempt(session: Session, run_id: UUID, attempt: Attempt) -> bool:
    """Return False if it is there already."""
    done = await session.fetchval(
        """insert into app.scenario_attempt (run_id, position, number, is_passed, failures, transcript,
                  cost_micro_usd, tokens_in, tokens_out, millis)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning true""",
        run_id,
        attempt.position,
        attempt.number,
        attempt.is_passed,
        packed(attempt.failures),
        packed(attempt.transcript),
        attempt.cost.micro_usd,
        attempt.cost.tokens_in,
        attempt.cost.tokens_out,
        attempt.cost.millis,
    )
    return bool(done)


async def made_attempts(session: Session, run_id: UUID) -> set[tuple[int, int]]:
    rows = await session.fetch("select position, number from app.scenario_attempt where run_id = $1", run_id)
    return {(row["position"], row["number"]) for row in rows}


async def list_attempts(session: Session, run_id: UUID) -> list[Attempt]:
    rows = await session.fetch(f"{_ATTEMPT} where run_id = $1 order by position, number", run_id)
    return [_attempt(row) for row in rows]


async def page_attempts(session: Session, run_id: UUID, page: Page) -> list[Attempt]:
    """Return attempts by their place: a hundred numbers for each scenario."""
    rows = await session.fetch(
        f"""select * from (select a.*, a.position::bigint * 100 + a.number as place from ({_ATTEMPT}
              where run_id = $1) a) placed where {page.clause(2)}""",
        run_id,
        *page.args,
    )
    return [_attempt(row) for row in rows]


async def average_cost(session: Session, agent_id: UUID, since: datetime) -> tuple[int, int | None, float]:
    """Return how many of the agent's turns asked a model, what one cost on average, and its tokens."""
    row = await session.fetchrow(
        """with used as (
             select u.turn_id, sum(u.tokens_in + u.tokens_out) as tokens,
                    case when bool_and(u.cost_micro_usd is not null) then sum(u.cost_micro_usd) end as cost
               from app.llm_usage u join app.turn t on t.id = u.turn_id
              where t.agent_id = $1 and u.created_at > $2 group by u.turn_id)
           select count(*) as turns, avg(cost)::bigint as cost, coalesce(avg(tokens), 0)::float as tokens
             from used""",
        agent_id,
        since,
    )
    return (row["turns"], row["cost"], row["tokens"]) if row else (0, None, 0.0)


def _run(row: Record) -> Run:
    return Run(**{one.name: row[one.name] for one in fields(Run)})


def _attempt(row: Record) -> Attempt:
    return Attempt(
        row["position"],
        row["number"],
        row["is_passed"],
        _failures.decode(row["failures"]),
        _lines.decode(row["transcript"]),
        Cost(row["cost_micro_usd"], row["tokens_in"], row["tokens_out"], row["millis"]),
    )
