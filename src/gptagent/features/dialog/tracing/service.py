"""Verbs of explanations: keep what a turn did, and tell of it."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from gptagent.features.dialog.model import Turn
from gptagent.features.dialog.tracing import store
from gptagent.features.dialog.tracing.model import Explanation, Trace
from gptagent.kernel.db import Session


async def keep(session: Session, turn: Turn, trace: Trace) -> None:
    """Freeze what the turn has done so far beside it: part of the transaction that records its answer."""
    await store.upsert_trace(session, turn.id, turn.conversation_id, trace.explanation())


async def add(session: Session, conversation_id: UUID, turn_id: UUID, later: Trace) -> None:
    """Add the tools and the calls of models of what was done for a turn after its answer."""
    kept = await store.select_trace(session, conversation_id, turn_id)
    if kept is None:
        return
    tools, calls = (*kept.tools, *later.tools), (*kept.calls, *later.calls)
    await store.upsert_trace(session, turn_id, conversation_id, replace(kept, tools=tools, calls=calls))


async def find_explanation(session: Session, conversation_id: UUID, turn_id: UUID) -> Explanation | None:
    """Return what the turn did; None if it is another conversation's, older than explanations, or past
    the time they are kept for. What a further part of a reply did, its first part tells.
    """
    return await store.select_trace(
        session, conversation_id, await made_with(session, conversation_id, turn_id)
    )


async def made_with(session: Session, conversation_id: UUID, turn_id: UUID) -> UUID:
    """Return whose explanation tells of this turn: of a reply in parts the first part, else the turn."""
    return await store.made_with(session, conversation_id, turn_id) or turn_id


async def explained_turns(session: Session, turn_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return those of the turns of which it is kept what they did, each with the turn that tells it."""
    return await store.traced_turns(session, list(turn_ids)) if turn_ids else {}
