"""All SQL of replies in parts."""

from datetime import timedelta
from uuid import UUID

import msgspec

from gptagent.features.dialog.model import Answer, Turn
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id


async def insert_part(session: Session, turn: Turn, answer: Answer) -> UUID:
    """Open the turn of a further part: it answers the same messages, in the same state of the chat."""
    part_id = new_id()
    await session.execute(
        """insert into app.turn (id, conversation_id, epoch, first_seq, last_seq, agent_id, answer, part)
           values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        part_id,
        turn.conversation_id,
        turn.epoch,
        turn.first_seq,
        turn.last_seq,
        turn.agent_id,
        msgspec.json.encode(answer).decode(),
        turn.part + 1,
    )
    return part_id


async def await_rest(session: Session, turn: Turn, gap: timedelta) -> bool:
    """Let the lane be due for the part, if nothing has happened since this one passed its fence."""
    done = await session.fetchval(
        """update app.lane set due_at = clock_timestamp() + $3::interval,
                  wake_at = clock_timestamp() + $3::interval
            where conversation_id = $1 and epoch = $2 and done >= wanted returning true""",
        turn.conversation_id,
        turn.epoch,
        gap,
    )
    return bool(done)
