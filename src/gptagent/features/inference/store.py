"""All SQL of inference."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from gptagent.features.inference.model import CIRCUIT, ModelReply, Purpose, TurnUsage
from gptagent.kernel.db import Session

_INSERT_PLAIN = """
insert into app.llm_usage (turn_id, model, outcome, purpose, calls, tokens_in, tokens_out, tokens_cached,
                           duration_ms, cost_micro_usd)
values ($1, $2, 'ok', $3, $4, $5, $6, $7, $8, $9)"""
_INSERT_WITH_SUBJECT = """
insert into app.llm_usage (turn_id, model, outcome, purpose, calls, tokens_in, tokens_out, tokens_cached,
                           duration_ms, cost_micro_usd, seconds, subject)
values ($1, $2, 'ok', $3, $4, $5, $6, $7, $8, $9, $10, $11)"""


async def insert_usage(
    session: Session,
    turn_id: UUID | None,
    reply: ModelReply,
    purpose: Purpose,
    subject: UUID | None = None,
) -> None:
    """What the release before kept as well is written as it did: `upgrade --check` asks models for its proof
    before the database is brought to this release.
    """
    plain = (
        turn_id,
        reply.model,
        purpose,
        reply.calls,
        reply.tokens_in,
        reply.tokens_out,
        reply.tokens_cached,
        reply.duration_ms,
        reply.cost_micro_usd,
    )
    if reply.seconds or subject is not None:
        await session.execute(_INSERT_WITH_SUBJECT, *plain, reply.seconds, subject)
    else:
        await session.execute(_INSERT_PLAIN, *plain)


async def claim_usage(
    session: Session, turn_id: UUID, subjects: Sequence[UUID], purpose: Purpose
) -> list[ModelReply]:
    """Only of the last two days: an older message is answered by no turn. What a turn has had that is over
    without an end, as the customer went on writing, is the next one's.
    """
    rows = await session.fetch(
        """with claimed as (
             update app.llm_usage u set turn_id = $1
              where subject = any($2) and purpose = $3
                and created_at > clock_timestamp() - interval '2 days'
                and (turn_id is null or turn_id = $1
                     or not exists (select from app.turn t
                                     where t.id = u.turn_id and t.state <> 'superseded'))
             returning *)
           select model, calls, tokens_in, tokens_out, tokens_cached, duration_ms, cost_micro_usd, seconds
             from claimed order by id""",
        turn_id,
        list(subjects),
        purpose,
    )
    return [ModelReply(text="", **row) for row in rows]


async def count_calls(session: Session, purpose: Purpose, within: timedelta) -> int:
    calls: int = await session.fetchval(
        """select coalesce(sum(calls), 0)::bigint from app.llm_usage
            where purpose = $1 and created_at > clock_timestamp() - $2::interval""",
        purpose,
        within,
    )
    return calls


async def sum_cost(session: Session, purpose: Purpose) -> int | None:
    cost: int | None = await session.fetchval(
        """select case when bool_and(cost_micro_usd is not null) then sum(cost_micro_usd)::bigint end
             from app.llm_usage where purpose = $1""",
        purpose,
    )
    return cost


async def select_usage(session: Session, turn_ids: Sequence[UUID]) -> dict[UUID, TurnUsage]:
    rows = await session.fetch(
        """select turn_id, sum(calls)::bigint as calls, sum(tokens_in)::bigint as tokens_in,
                  sum(tokens_out)::bigint as tokens_out, sum(tokens_cached)::bigint as tokens_cached,
                  sum(duration_ms)::bigint as duration_ms,
                  case when bool_and(cost_micro_usd is not null) then sum(cost_micro_usd)::bigint end
                    as cost_micro_usd
             from app.llm_usage where turn_id = any($1) group by turn_id""",
        list(turn_ids),
    )
    return {row["turn_id"]: TurnUsage(**{name: row[name] for name in TurnUsage.__slots__}) for row in rows}


async def ask_circuit(session: Session, key: str) -> tuple[int, float]:
    """Return how many failures in a row there were, and for how many seconds the model is left alone."""
    row = await session.fetchrow(
        "select failures, open_for from app.ask_circuit($1, $2, $3)", key, CIRCUIT.trip, CIRCUIT.probe
    )
    return (row["failures"], row["open_for"]) if row else (0, 0.0)


async def note_circuit(session: Session, key: str, *, failed: bool) -> int:
    """Count a failure or forget them all; return how many there are in a row."""
    failures: int | None = await session.fetchval(
        "select app.note_circuit($1, $2, $3, $4, $5)",
        key,
        failed,
        CIRCUIT.trip,
        CIRCUIT.first,
        CIRCUIT.longest,
    )
    return failures or 0


async def resting_models(session: Session, asked_within: timedelta) -> list[str]:
    rows = await session.fetch(
        "select name from app.resting_models($1, $2) as name", CIRCUIT.trip, asked_within
    )
    return [row["name"] for row in rows]
