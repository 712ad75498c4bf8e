"""Verbs of inference."""

from uuid import UUID

from gptagent.features.inference import store
from gptagent.features.inference.model import EmbeddingModel, Embeddings, ModelReply
from gptagent.kernel.db import Session


async def record_usage(session: Session, turn_id: UUID | None, reply: ModelReply) -> None:
    """Keep what a call used, by the provider's own numbers."""
    await store.insert_usage(session, turn_id, reply)


async def record_embedding(session: Session, model: EmbeddingModel, answer: Embeddings) -> None:
    """Keep what vectors cost, if the provider told it."""
    if answer.tokens:
        used = ModelReply("", model.name, answer.tokens, 0, answer.duration_ms)
        await store.insert_usage(session, None, used)
