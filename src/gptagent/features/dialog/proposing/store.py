"""All SQL of watching for people who are done with a conversation. Locks come after the lane."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.kernel.db import Session


@dataclass(frozen=True, slots=True)
class Watch:
    """`proposed_for` is the beginning of the hold of which a draft was made."""

    read_seq: int
    proposed_for: datetime | None


async def note_hold(session: Session, conversation_id: UUID, due_in: timedelta) -> None:
    """Have the conversation looked at later; of a hold that is over and had its draft nothing is read."""
    await session.execute(
        "insert into app.draft_watch (conversation_id) values ($1) on conflict do nothing", conversation_id
    )
    await session.execute(
        """update app.draft_watch w
              set due_at = clock_timestamp() + $2::interval,
                  read_seq = case when c.taken_over_at is null and w.proposed_for is not null then c.last_seq
                                  else w.read_seq end,
                  proposed_for = case when c.taken_over_at is not null then w.proposed_for end
             from app.conversation c
            where c.id = $1 and w.conversation_id = c.id""",
        conversation_id,
        due_in,
    )


async def due(session: Session, most: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch("select org_id, conversation_id from app.drafts_due($1)", most)
    return [(row["org_id"], row["conversation_id"]) for row in rows]


async def take_due(session: Session, conversation_id: UUID) -> bool:
    """Return False if somebody else was first."""
    return bool(
        await session.fetchval(
            """update app.draft_watch set due_at = null
                where conversation_id = $1 and due_at < clock_timestamp() returning true""",
            conversation_id,
        )
    )


async def set_due(session: Session, conversation_id: UUID, due_in: timedelta) -> None:
    """Look again then, or earlier if that was said meanwhile."""
    await session.execute(
        """update app.draft_watch set due_at = least(due_at, clock_timestamp() + $2::interval)
            where conversation_id = $1""",
        conversation_id,
        due_in,
    )


async def fetch_watch(session: Session, conversation_id: UUID) -> Watch | None:
    row = await session.fetchrow(
        "select read_seq, proposed_for from app.draft_watch where conversation_id = $1", conversation_id
    )
    return Watch(**row) if row else None


async def advance(
    session: Session, conversation_id: UUID, read: tuple[int, int], proposed_for: datetime | None
) -> bool:
    """Go on from one number to another; `proposed_for` is the hold of which there is a draft now.

    False if another has read the same, or the conversation was erased.
    """
    before, after = read
    return bool(
        await session.fetchval(
            """update app.draft_watch set read_seq = $3, proposed_for = coalesce($4, proposed_for)
                where conversation_id = $1 and read_seq = $2 returning true""",
            conversation_id,
            before,
            after,
            proposed_for,
        )
    )
