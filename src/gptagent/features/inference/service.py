"""Verbs of inference."""

from uuid import UUID

from gptagent.features.inference import store
from gptagent.features.inference.model import ModelReply
from gptagent.kernel.db import Session


async def record_usage(session: Session, turn_id: UUID | None, reply: ModelReply) -> None:
    """Keep what a call used, by the provider's own numbers."""
    await store.insert_usage(session, turn_id, reply)
