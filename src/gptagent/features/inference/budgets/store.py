"""All SQL of budgets. Tenancy is the database's: no statement names the workspace."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.inference.budgets.model import (
    Amount,
    Bearer,
    Budgets,
    Level,
    Limits,
    Period,
    UseOf,
)
from gptagent.features.inference.model import Use
from gptagent.kernel.db import Session


async def lock(session: Session) -> None:
    """Let nobody else reserve in this workspace until the commit."""
    await session.execute("select pg_advisory_xact_lock(hashtextextended('budget:' || app.org()::text, 0))")


async def fetch_budgets(session: Session) -> Budgets:
    row = await session.fetchrow("select * from app.budget")
    return _budgets(row) if row else Budgets()


async def save_budgets(
    session: Session, wanted: Budgets, version: int | None, now: datetime
) -> Budgets | None:
    """Return None if there is another version by now; a `version` of None takes any."""
    row = await session.fetchrow(
        """insert into app.budget as b (day_cents, month_cents, day_tokens, month_tokens,
                  contact_day_cents, contact_month_cents, contact_day_tokens, contact_month_tokens,
                  when_exhausted, version, updated_at)
           select $1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $11
            where coalesce($10::int, 0) = 0 or exists (select from app.budget)
           on conflict (org_id) do update
             set day_cents = excluded.day_cents, month_cents = excluded.month_cents,
                 day_tokens = excluded.day_tokens, month_tokens = excluded.month_tokens,
                 contact_day_cents = excluded.contact_day_cents,
                 contact_month_cents = excluded.contact_month_cents,
                 contact_day_tokens = excluded.contact_day_tokens,
                 contact_month_tokens = excluded.contact_month_tokens,
                 when_exhausted = excluded.when_exhausted, version = b.version + 1,
                 updated_at = excluded.updated_at
           where $10::int is null or b.version = $10
           returning *""",
        wanted.workspace.day_cents,
        wanted.workspace.month_cents,
        wanted.workspace.day_tokens,
        wanted.workspace.month_tokens,
        wanted.contact.day_cents,
        wanted.contact.month_cents,
        wanted.contact.day_tokens,
        wanted.contact.month_tokens,
        wanted.when_exhausted,
        version,
        now,
    )
    return _budgets(row) if row else None


async def fetch_used(session: Session, bearer: Bearer, period: Period, begin: datetime) -> Amount:
    row = await session.fetchrow(
        """select micro_usd, tokens from app.budget_use
            where level = $1 and subject = $2 and period = $3 and began_at = $4""",
        bearer.level,
        bearer.id,
        period,
        begin,
    )
    return Amount(row["micro_usd"], row["tokens"]) if row else Amount()


async def fetch_held(session: Session, bearer: Bearer) -> Amount:
    """Return what is reserved by calls that go on."""
    row = await session.fetchrow(
        """select coalesce(sum(micro_usd), 0)::bigint as micro_usd, coalesce(sum(tokens), 0)::bigint as tokens
             from app.budget_hold
            where expires_at > clock_timestamp()
              and ($1 = 'workspace' or ($1 = 'agent' and agent_id = $2)
                   or ($1 = 'contact' and contact = $2))""",
        bearer.level,
        bearer.id,
    )
    return Amount(row["micro_usd"], row["tokens"]) if row else Amount()


async def insert_hold(  # noqa: PLR0917 - whose it is and how much
    session: Session,
    hold_id: UUID,
    agent_id: UUID | None,
    contact: UUID | None,
    amount: Amount,
    lasts: timedelta,
) -> None:
    await session.execute(
        """insert into app.budget_hold (id, agent_id, contact, micro_usd, tokens, expires_at)
           values ($1, $2, $3, $4, $5, clock_timestamp() + $6::interval)""",
        hold_id,
        agent_id,
        contact,
        amount.micro_usd,
        amount.tokens,
        lasts,
    )


async def delete_hold(session: Session, hold_id: UUID) -> bool:
    """Return whether it was still there."""
    found: UUID | None = await session.fetchval(
        "delete from app.budget_hold where id = $1 returning id", hold_id
    )
    return found is not None


async def take_expired(session: Session, lasts: timedelta) -> list[tuple[Use, Amount, datetime]]:
    """Forget the holds that have expired: whose each was, how much, and since when; the newest first."""
    rows = await session.fetch(
        """with gone as (delete from app.budget_hold where expires_at <= clock_timestamp() returning *)
           select agent_id, contact, micro_usd, tokens, expires_at - $1::interval as held_at
             from gone order by expires_at desc""",
        lasts,
    )
    return [
        (
            Use(session.scope, row["contact"], row["agent_id"]),
            Amount(row["micro_usd"], row["tokens"]),
            row["held_at"],
        )
        for row in rows
    ]


async def add_use(
    session: Session, bearer: Bearer, period: Period, begin: datetime, amount: Amount
) -> tuple[Amount, bool]:
    """Count what a call has used; return what is used by now, and whether this is the first of the period.

    Holds the row until the commit.
    """
    row = await session.fetchrow(
        """insert into app.budget_use as u (level, subject, period, began_at, micro_usd, tokens)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (org_id, level, subject, period, began_at) do update
             set micro_usd = u.micro_usd + excluded.micro_usd, tokens = u.tokens + excluded.tokens
           returning micro_usd, tokens, xmax = 0 as is_first""",
        bearer.level,
        bearer.id,
        period,
        begin,
        amount.micro_usd,
        amount.tokens,
    )
    assert row is not None
    return Amount(row["micro_usd"], row["tokens"]), row["is_first"]


async def note_told(session: Session, bearer: Bearer, period: Period, begin: datetime, percent: int) -> bool:
    """Return whether nobody has been told so far that so much is used."""
    told: int | None = await session.fetchval(
        """update app.budget_use set told_percent = $5
            where level = $1 and subject = $2 and period = $3 and began_at = $4 and told_percent < $5
           returning told_percent""",
        bearer.level,
        bearer.id,
        period,
        begin,
        percent,
    )
    return told is not None


async def take_unwritten(session: Session) -> list[tuple[Level, Period, int]]:
    """Return of what the owners have no letter yet, by now as if they had."""
    rows = await session.fetch(
        """update app.budget_use set written_percent = told_percent where written_percent < told_percent
           returning level, period, told_percent"""
    )
    return [(row["level"], row["period"], row["told_percent"]) for row in rows]


async def list_uses(session: Session, levels: Sequence[Level], day: datetime, month: datetime) -> list[UseOf]:
    rows = await session.fetch(
        """select level, subject, period, micro_usd, tokens from app.budget_use
            where level = any($1)
              and ((period = 'day' and began_at = $2) or (period = 'month' and began_at = $3))
            order by level, subject, period""",
        list(levels),
        day,
        month,
    )
    return [
        UseOf(row["level"], row["subject"], row["period"], Amount(row["micro_usd"], row["tokens"]))
        for row in rows
    ]


async def delete_old_uses(session: Session, level: Level, before: datetime) -> None:
    await session.execute("delete from app.budget_use where level = $1 and began_at < $2", level, before)


def _budgets(row: Record) -> Budgets:
    return Budgets(
        workspace=Limits(row["day_cents"], row["month_cents"], row["day_tokens"], row["month_tokens"]),
        contact=Limits(
            row["contact_day_cents"],
            row["contact_month_cents"],
            row["contact_day_tokens"],
            row["contact_month_tokens"],
        ),
        when_exhausted=row["when_exhausted"],
        version=row["version"],
        updated_at=row["updated_at"],
    )
