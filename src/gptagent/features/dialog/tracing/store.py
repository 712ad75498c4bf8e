"""All SQL of traces."""

from uuid import UUID

import msgspec

from gptagent.features.dialog.tracing.model import Explanation
from gptagent.kernel.db import Session

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Explanation).decode


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


async def traced_turns(session: Session, turn_ids: list[UUID]) -> set[UUID]:
    rows = await session.fetch("select turn_id from app.turn_trace where turn_id = any($1)", turn_ids)
    return {row["turn_id"] for row in rows}
