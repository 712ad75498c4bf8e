"""All SQL of inference."""

from uuid import UUID

from gptagent.features.inference.model import ModelReply
from gptagent.kernel.db import Session


async def insert_usage(session: Session, turn_id: UUID | None, reply: ModelReply) -> None:
    await session.execute(
        """insert into app.llm_usage (turn_id, model, outcome, tokens_in, tokens_out, duration_ms)
           values ($1, $2, 'ok', $3, $4, $5)""",
        turn_id,
        reply.model,
        reply.tokens_in,
        reply.tokens_out,
        reply.duration_ms,
    )
