"""All SQL of drafts. Locks: conversation, lane, turn, as for every turn."""

from uuid import UUID

from asyncpg import Record

from gptagent.features.dialog.drafts.model import Draft
from gptagent.features.dialog.store import read_answer
from gptagent.kernel.db import Session

_DRAFT = """select id, agent_id, draft_state, answer, first_seq, last_seq, draft_at, draft_decided_at,
                   draft_by, draft_is_edited, draft_note
              from app.turn where conversation_id = $1 and answer is not null"""


async def put_down(session: Session, turn_id: UUID, reason: str | None) -> bool:
    """End an open turn as a draft. False if it is not open any more."""
    done = await session.fetchval(
        """update app.turn set state = 'ended', outcome = 'draft', reason = $2, ended_at = now(),
                  draft_state = 'waiting', draft_at = clock_timestamp()
            where id = $1 and state = 'open' and answer is not null returning true""",
        turn_id,
        reason,
    )
    return bool(done)


async def take_back(session: Session, conversation_id: UUID) -> int | None:
    """Outdate the draft that waits, if one does; return the first message that is unanswered again.

    The caller has locked the lane.
    """
    first: int | None = await session.fetchval(
        """with old as (
             update app.turn set draft_state = 'outdated', draft_decided_at = clock_timestamp()
              where conversation_id = $1 and draft_state = 'waiting' returning first_seq)
           update app.lane l set done = least(l.done, old.first_seq - 1)
             from old where l.conversation_id = $1 returning old.first_seq""",
        conversation_id,
    )
    return first


async def was_told(session: Session, conversation_id: UUID, first_seq: int) -> bool:
    """Whether a task asks for these messages already: an earlier draft answered some of them."""
    return bool(
        await session.fetchval(
            """select exists (select from app.turn where conversation_id = $1 and draft_state = 'outdated'
                                 and last_seq >= $2)""",
            conversation_id,
            first_seq,
        )
    )


async def approve(session: Session, conversation_id: UUID, draft_id: UUID, by: str, text: str | None) -> bool:
    """Open the turn of the draft again, for the lane as it stands now, and let the lane be due.

    Words of a person's own are drawn from no source: what hangs on the sources does not go with them.
    False if it does not wait any more, or something newer is to be answered.
    """
    lane = await session.fetchrow(
        "select epoch, wanted from app.lane where conversation_id = $1 for no key update", conversation_id
    )
    if lane is None:
        return False
    first = await session.fetchval(
        """update app.turn
              set state = 'open', outcome = null, reason = null, ended_at = null, epoch = $3,
                  draft_state = 'approved', draft_by = $4, draft_decided_at = clock_timestamp(),
                  draft_is_edited = $5::text is not null,
                  answer = case when $5::text is null then answer
                                else answer || jsonb_build_object('text', $5::text, 'outcome', 'reply',
                                                              'reason', null, 'sources', '[]'::jsonb) end
            where id = $2 and conversation_id = $1 and draft_state = 'waiting' and state = 'ended'
              and answer is not null and last_seq >= $6
        returning first_seq""",
        conversation_id,
        draft_id,
        lane["epoch"],
        by,
        text,
        lane["wanted"],
    )
    if first is None:
        return False
    await session.execute(
        """update app.lane set done = least(done, $2 - 1), due_at = clock_timestamp(),
                  wake_at = clock_timestamp() where conversation_id = $1""",
        conversation_id,
        first,
    )
    return True


async def reject(session: Session, conversation_id: UUID, draft_id: UUID, by: str, note: str | None) -> bool:
    done = await session.fetchval(
        """update app.turn set outcome = 'rejected', reason = 'rejected', draft_state = 'rejected',
                  draft_by = $3, draft_note = $4, draft_decided_at = clock_timestamp()
            where id = $2 and conversation_id = $1 and draft_state = 'waiting' returning true""",
        conversation_id,
        draft_id,
        by,
        note,
    )
    return bool(done)


async def select_draft(session: Session, conversation_id: UUID, draft_id: UUID) -> Draft | None:
    row = await session.fetchrow(
        f"{_DRAFT} and id = $2 and draft_state is not null", conversation_id, draft_id
    )
    return _draft(row) if row else None


async def select_current(session: Session, conversation_id: UUID) -> Draft | None:
    """Return the draft that waits, or was approved and is on its way."""
    row = await session.fetchrow(
        f"""{_DRAFT} and (draft_state = 'waiting'
                          or (draft_state = 'approved' and state in ('open', 'sending')))
             order by created_at desc limit 1""",
        conversation_id,
    )
    return _draft(row) if row else None


async def select_next(session: Session, conversation_id: UUID) -> UUID | None:
    found: UUID | None = await session.fetchval(
        """select conversation_id from app.turn where draft_state = 'waiting' and conversation_id <> $1
            order by draft_at limit 1""",
        conversation_id,
    )
    return found


def _draft(row: Record) -> Draft:
    answer = read_answer(row["answer"])
    assert answer is not None
    return Draft(
        id=row["id"],
        agent_id=row["agent_id"],
        state=row["draft_state"],
        answer=answer,
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        waits_since=row["draft_at"],
        decided_at=row["draft_decided_at"],
        decided_by=row["draft_by"],
        is_edited=row["draft_is_edited"],
        note=row["draft_note"],
    )
