"""What the search is kept in, made anew from the texts; and the proof that it finds the same afterwards.

Passages stay, with their ids. Words, their statistics and grams and the vectors are caches of them.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.inference.model import Embedder
from gptagent.features.knowledge.lexical import normalise
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.questions.service import sample
from gptagent.features.knowledge.rebuilding import asking, store
from gptagent.features.knowledge.rebuilding.asking import Ranks, Understood, UnprovedError
from gptagent.features.knowledge.rebuilding.model import Found, Leg, Proof
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.jobs import VectorJobs
from gptagent.features.knowledge.vectors.model import FAILURES
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.scope import Scope

PIECES_PER_STATEMENT = 200
SAMPLE = 200
LOOK_SECONDS = 0.5  # between looks at vectors that a worker makes
STILL_SECONDS = vectors.LEASE.total_seconds() + 60  # without one more vector: whoever makes them is gone
STILL = "The vectors are not made anew yet: whoever makes them does not get on."
_OPERATOR = 0  # the job that no queue knows


class _UndoneError(Exception):
    """Rolls a transaction back that was only to show what would be."""


@dataclass(frozen=True, slots=True)
class _Here:
    """A base, as the jobs know it."""

    db: Database
    scope: Scope
    job_id: int = _OPERATOR


async def rebuild(session: Session) -> int:
    """Make the workspace's words, statistics and grams anew and queue its vectors; return its passages.

    All or nothing: until the transaction ends others find what was there before. The vectors that are there
    serve until the new ones are whole.
    """
    count = await _rebuild_words(session)
    await vectors.begin_anew(session)
    return count


async def rebuild_and_prove(db: Database, scope: Scope, embedder: Embedder | None) -> tuple[int, Proof]:
    """Make the base's search anew, with its vectors if the provider answers, and measure it before and after.

    Returns how many passages it has. Without the provider the vectors are made later, and not proved.
    """
    here = _Here(db, scope)
    async with db.session(scope) as session:
        asked = await sample(session, SAMPLE)
    understood, reason = await _understand(here, embedder, asked)
    async with db.session(scope) as session:
        before = await asking.ask_stored(session, asked, understood)
    async with db.session(scope) as session:
        count = await rebuild(session)
    if understood is not None and embedder is not None:
        reason = await _make_vectors(here, embedder, understood.index.id)
    try:
        again = await asking.understand(here, embedder, asked) if understood and not reason else None
    except UnprovedError as error:
        again, reason = None, str(error)
    async with db.session(scope) as session:
        after = await asking.ask_stored(session, asked, again)
    return count, _proof(before, after, reason)


async def prove(db: Database, scope: Scope, embedder: Embedder | None = None) -> Proof:
    """Measure the base before and after making its search anew, in a transaction that is rolled back.

    Its passages are embedded anew for that, which costs what it costs, and none of the vectors are kept.
    """
    here = _Here(db, scope)
    async with db.session(scope) as session:
        asked = await sample(session, SAMPLE)
    understood, reason = await _understand(here, embedder, asked)
    nearest = None
    if understood is not None and embedder is not None:
        try:
            nearest = await asking.embed_anew(here, embedder, understood)
        except UnprovedError as error:
            understood, reason = None, str(error)
    index = understood.index if understood else None
    proof = None
    with suppress(_UndoneError):
        async with db.session(scope) as session:
            before = await asking.ask_stored(session, asked, understood)
            await _rebuild_words(session)
            proof = _proof(before, await asking.ask(session, asked, index, nearest), reason)
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


async def _understand(
    here: _Here, embedder: Embedder | None, asked: Sequence[Asked]
) -> tuple[Understood | None, str | None]:
    """Return the questions' vectors, or the reason why there are none though vectors serve."""
    try:
        return await asking.understand(here, embedder, asked), None
    except UnprovedError as error:
        return None, str(error)


async def _make_vectors(here: _Here, embedder: Embedder, old: UUID) -> str | None:
    """Embed the base until another index serves than the old one; return the reason if none does.

    A worker may be quicker: then its work is waited for.
    """
    loop = asyncio.get_running_loop()
    done, ends = -1, loop.time() + STILL_SECONDS
    while loop.time() < ends:
        with suppress(AppError):  # the index tells it
            await VectorJobs(embedder).embed(here)
        async with here.db.session(here.scope) as session:
            standing = await vectors.get_standing(session)
        if standing.serving is not None and standing.serving.id != old:
            return None
        if standing.following is not None and standing.following.error_code:
            return FAILURES.get(standing.following.error_code, FAILURES["internal"])
        if standing.progress.embedded != done:
            done, ends = standing.progress.embedded, loop.time() + STILL_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
    return STILL


def _proof(before: Ranks, after: Ranks, reason: str | None) -> Proof:
    legs = [Leg(way, Found.of(before[way]), Found.of(after[way])) for way in before if way in after]
    return Proof(tuple(legs), reason)
