"""All SQL of traces."""
# ruff: noqa: S608 - what is put into statements is this module's constant

from uuid import UUID

import msgspec

from gptagent.features.dialog.tracing.model import Explanation
from gptagent.kernel.db import Session

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Explanation).decode
# A further part of a reply is a turn of its own and has no trace: it was made with the first one, which
# answers the same messages in the same state of the chat.
_MADE_WITH = """select asked.id as part_id, coalesce(first.id, asked.id) as turn_id
                  from app.turn asked left join lateral (
                       select f.id from app.turn f
                        where asked.part > 0 and f.conversation_id = asked.conversation_id and f.part = 0
                          and f.epoch = asked.epoch and f.first_seq = asked.first_seq
                          and f.last_seq = asked.last_seq and f.created_at <= asked.created_at
                        order by f.created_at desc limit 1) first on true"""


async def upsert_trace(
    session: Session, turn_id: UUID, conversation_id: UUID, explanation: Explanation
) -> None:
    await session.execute(
        """insert into app.turn_trace (turn_id, conversation_id, trace) values ($1, $2, $3)
           on conflict (org_id, turn_id) do update set trace = excluded.trace""",
        turn_id,
        conversation_id,
        _encode(explanation).decode(),
    )


async def select_trace(session: Session, conversation_id: UUID, turn_id: UUID) -> Explanation | None:
    found = await session.fetchval(
        "select trace from app.turn_trace where turn_id = $1 and conversation_id = $2",
        turn_id,
        conversation_id,
    )
    return _decode(found) if found else None


async def made_with(session: Session, conversation_id: UUID, turn_id: UUID) -> UUID | None:
    found: UUID | None = await session.fetchval(
        f"select turn_id from ({_MADE_WITH} where asked.id = $1 and asked.conversation_id = $2) made",
        turn_id,
        conversation_id,
    )
    return found


async def traced_turns(session: Session, turn_ids: list[UUID]) -> dict[UUID, UUID]:
    """Return by which turn's trace each of the turns is explained; left out where none is kept."""
    rows = await session.fetch(
        f"""select made.part_id, made.turn_id from ({_MADE_WITH} where asked.id = any($1)) made
              join app.turn_trace t on t.turn_id = made.turn_id""",
        turn_ids,
    )
    return {row["part_id"]: row["turn_id"] for row in rows}
