"""All SQL of suggested replies."""

from datetime import timedelta
from uuid import UUID

import msgspec

from gptagent.features.dialog.model import Answer
from gptagent.features.dialog.store import read_answer
from gptagent.features.dialog.suggesting.model import Suggestion
from gptagent.kernel.db import Session

_encode = msgspec.json.encode


async def put(session: Session, conversation_id: UUID, one: UUID, upto_seq: int, stuck: timedelta) -> bool:
    """Note that one is asked for; False if one is being made for these very words."""
    done = await session.fetchval(
        """insert into app.suggestion as s (conversation_id, id, upto_seq) values ($1, $2, $3)
           on conflict (org_id, conversation_id) do update
              set id = excluded.id, upto_seq = excluded.upto_seq, state = 'pending', answer = null,
                  asked_at = excluded.asked_at
            where s.state <> 'pending' or s.upto_seq <> excluded.upto_seq
               or s.asked_at < clock_timestamp() - $4::interval
        returning true""",
        conversation_id,
        one,
        upto_seq,
        stuck,
    )
    return bool(done)


async def select_one(session: Session, conversation_id: UUID) -> Suggestion | None:
    row = await session.fetchrow(
        """select id, upto_seq, state, answer, asked_at from app.suggestion where conversation_id = $1""",
        conversation_id,
    )
    if row is None:
        return None
    return Suggestion(row["id"], row["upto_seq"], row["state"], read_answer(row["answer"]), row["asked_at"])


async def settle(
    session: Session, conversation_id: UUID, one: UUID, state: str, answer: Answer | None
) -> bool:
    """Keep what came of it, unless another was asked for meanwhile."""
    done = await session.fetchval(
        """update app.suggestion set state = $3, answer = $4
            where conversation_id = $1 and id = $2 and state = 'pending' returning true""",
        conversation_id,
        one,
        state,
        _encode(answer).decode() if answer is not None else None,
    )
    return bool(done)
