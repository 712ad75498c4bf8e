"""Verbs of inference."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from gptagent.features.inference import store
from gptagent.features.inference.model import EmbeddingModel, Embeddings, ModelReply, Purpose, TurnUsage
from gptagent.features.inference.paying import counted, embed, pay, tokens_of, transcribe
from gptagent.kernel.db import Session

__all__ = (
    "claim_usage",
    "count_calls",
    "counted",
    "embed",
    "pay",
    "record_embedding",
    "record_usage",
    "resting_models",
    "sum_cost",
    "tokens_of",
    "transcribe",
    "usage_of_turns",
)

ASKED_WITHIN = timedelta(minutes=10)


async def record_usage(
    session: Session,
    turn_id: UUID | None,
    reply: ModelReply,
    purpose: Purpose = "other",
    *,
    subject: UUID | None = None,
) -> None:
    """Keep what a call used, by the provider's own numbers. `turn_id`: of the turn it was for, if any.

    `subject`: of what it was, where a turn may come to be about it later, such as a customer's file.
    """
    await store.insert_usage(session, turn_id, reply, purpose, subject)


async def claim_usage(
    session: Session, turn_id: UUID, subjects: Sequence[UUID], purpose: Purpose
) -> list[ModelReply]:
    """Let a turn have the calls that were made about these before it; return them. Done again the same."""
    return await store.claim_usage(session, turn_id, subjects, purpose) if subjects else []


async def count_calls(session: Session, purpose: Purpose, within: timedelta) -> int:
    """Return how often a model was asked for this lately, whatever became of its answers."""
    return await store.count_calls(session, purpose, within)


async def sum_cost(session: Session, purpose: Purpose) -> int | None:
    """Return what all calls for this have cost, in millionths of a US dollar.

    None as soon as one of them has no price, or there was none.
    """
    return await store.sum_cost(session, purpose)


async def record_embedding(
    session: Session, model: EmbeddingModel, answer: Embeddings, turn_id: UUID | None = None
) -> ModelReply:
    """Keep what vectors cost, if the provider told it. Returns that."""
    used = ModelReply(
        "", model.name, answer.tokens, 0, answer.duration_ms, cost_micro_usd=answer.cost_micro_usd
    )
    if answer.tokens:
        await store.insert_usage(session, turn_id, used, "embedding")
    return used


async def usage_of_turns(session: Session, turn_ids: Sequence[UUID]) -> Mapping[UUID, TurnUsage]:
    """Return what turns have used; those for which no model was asked are missing."""
    return await store.select_usage(session, turn_ids) if turn_ids else {}


async def resting_models(session: Session) -> list[str]:
    """Return the models, each with its endpoint, that are left alone because they do not answer."""
    return await store.resting_models(session, ASKED_WITHIN)
