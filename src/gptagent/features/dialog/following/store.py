"""All SQL of follow-ups. Locks come after the conversation."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.kernel.db import Session


@dataclass(frozen=True, slots=True)
class Watched:
    """A silence that is waited for: after which message, at which stage, and since when."""

    agent_id: UUID
    stage_id: int
    after_seq: int
    silent_since: datetime
    due_at: datetime


async def put(
    session: Session, conversation_id: UUID, agent_id: UUID, stage_id: int, wait: timedelta
) -> None:
    """Wait from now on, after the latest message; what was waited for before is forgotten."""
    await session.execute(
        """insert into app.follow_up as f (conversation_id, agent_id, stage_id, after_seq, due_at)
           select id, $2, $3, last_seq, clock_timestamp() + $4::interval from app.conversation where id = $1
           on conflict (org_id, conversation_id) do update
              set agent_id = excluded.agent_id, stage_id = excluded.stage_id, after_seq = excluded.after_seq,
                  silent_since = excluded.silent_since, due_at = excluded.due_at""",
        conversation_id,
        agent_id,
        stage_id,
        wait,
    )


async def select_watched(session: Session, conversation_id: UUID) -> Watched | None:
    row = await session.fetchrow(
        """select agent_id, stage_id, after_seq, silent_since, due_at from app.follow_up
            where conversation_id = $1""",
        conversation_id,
    )
    return Watched(**dict(row)) if row else None


async def put_off(session: Session, conversation_id: UUID, until: datetime) -> None:
    await session.execute(
        "update app.follow_up set due_at = $2 where conversation_id = $1", conversation_id, until
    )


async def forget(session: Session, conversation_id: UUID) -> None:
    await session.execute("delete from app.follow_up where conversation_id = $1", conversation_id)


async def due(session: Session, most: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch("select org_id, conversation_id from app.follow_ups_due($1)", most)
    return [(row["org_id"], row["conversation_id"]) for row in rows]
