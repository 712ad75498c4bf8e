"""What the search is kept in, made anew from the texts; and the proof that it finds the same afterwards.

Passages stay, with their ids. Words, their statistics and grams and the vectors are caches of them.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.knowledge import retrieval
from gptagent.features.knowledge.lexical import normalise
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.questions.service import sample
from gptagent.features.knowledge.rebuilding import store
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.kernel.db import Database, Session
from gptagent.kernel.scope import Scope

PIECES_PER_STATEMENT = 200
SAMPLE = 200
MEASURED_AT = 5


@dataclass(frozen=True, slots=True)
class Found:
    """How many of so many questions find a right passage among the first five, and their mean 1 / rank."""

    asked: int
    recall: float
    mrr: float


@dataclass(frozen=True, slots=True)
class Proof:
    """What a base found before its search was made anew, and after."""

    before: Found
    after: Found

    @property
    def is_kept(self) -> bool:
        return self.after.recall >= self.before.recall and self.after.mrr >= self.before.mrr


class _UndoneError(Exception):
    """Rolls a transaction back that was only to show what would be."""


async def rebuild(session: Session) -> int:
    """Make the workspace's words, statistics and grams anew and queue its vectors; return its passages.

    All or nothing: until the transaction ends others find what was there before.
    """
    count = await _rebuild_words(session)
    await vectors.begin_anew(session)
    return count


async def prove(db: Database, scope: Scope) -> Proof:
    """Measure the base before and after making its search anew, in a transaction that is rolled back."""
    proof = None
    with suppress(_UndoneError):
        async with db.session(scope) as session:
            asked = await sample(session, SAMPLE)
            before = await _measure(session, asked)
            await _rebuild_words(session)
            proof = Proof(before, await _measure(session, asked))
            raise _UndoneError
    if proof is None:
        raise LookupError("nothing was measured")
    return proof


async def workspaces(session: Session) -> list[UUID]:
    """Return all workspaces. For commands of operators."""
    return await store.fetch_workspaces(session)


async def _rebuild_words(session: Session) -> int:
    await store.hold_words(session)
    await store.forget_grams(session)
    await store.count_words(session)
    after, count = 0, 0
    while rows := await store.pieces_after(session, after, PIECES_PER_STATEMENT):
        words = [normalise(f"{title}\n{heading}\n{content}") for _, title, heading, content in rows]
        await store.index_words(session, [row[0] for row in rows], words)
        after, count = rows[-1][0], count + len(rows)
    await store.sum_up(session)
    return count


async def _measure(session: Session, asked: Sequence[Asked]) -> Found:
    ranks = []
    for one in asked:
        passages = await retrieval.search(session, one.text, limit=MEASURED_AT)
        right = (n for n, p in enumerate(passages, 1) if one.is_answered_by(p.chunk_id, p.source_id))
        ranks.append(next(right, 0))
    hits = [rank for rank in ranks if rank]
    count = max(len(ranks), 1)
    return Found(len(ranks), len(hits) / count, sum(1 / rank for rank in hits) / count)
