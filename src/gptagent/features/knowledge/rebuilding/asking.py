"""A base's questions asked by words, by meaning and by both; and vectors made anew without being kept."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gptagent.features.inference import service as inference
from gptagent.features.inference.masking.service import get_masking, hidden
from gptagent.features.inference.model import EMBEDDED_AT_ONCE, Embedder, Use
from gptagent.features.knowledge import retrieval
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.rebuilding import store
from gptagent.features.knowledge.rebuilding.model import Way
from gptagent.features.knowledge.rebuilding.store import Kept
from gptagent.features.knowledge.vectors import store as vectors
from gptagent.features.knowledge.vectors.model import FAILURES, POOL, Meaning, fuse
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.scope import Scope

NO_PROVIDER = "No embedding model is set."
ANOTHER_MODEL = "The vectors are another provider's than the one that is set."

# Of each question the nearest passages, best first: id, source, similarity.
Nearest = Sequence[Sequence[tuple[int, UUID, float]]]
Ranks = dict[Way, list[int]]


class Place(Protocol):
    """Where the base is."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


class UnprovedError(Exception):
    """Why the vectors cannot be asked, in English."""


@dataclass(frozen=True, slots=True)
class Understood:
    """The index that serves and the questions' vectors of its model."""

    index: Kept
    vectors: Sequence[Sequence[float]]


async def understand(place: Place, embedder: Embedder | None, asked: Sequence[Asked]) -> Understood | None:
    """Return what the questions mean to the index that serves; None if none does. Raises UnprovedError.

    Holds no transaction while the provider is asked.
    """
    async with place.db.session(place.scope) as session:
        index = await store.fetch_serving(session) if await vectors.has_vectors(session) else None
    if index is None:
        return None
    if embedder is None:
        raise UnprovedError(NO_PROVIDER)
    if index.model.base_url != embedder.model.base_url:
        raise UnprovedError(ANOTHER_MODEL)
    found: list[Sequence[float]] = []
    for start in range(0, len(asked), EMBEDDED_AT_ONCE):
        texts = [one.text for one in asked[start : start + EMBEDDED_AT_ONCE]]
        found += await _embed(place, embedder, index, texts)
    return Understood(index, found)


async def embed_anew(place: Place, embedder: Embedder, understood: Understood) -> Nearest:
    """Embed all passages anew, keep none of the vectors, and return what would be nearest to each question.

    Raises UnprovedError.
    """
    best: list[list[tuple[float, int, UUID]]] = [[] for _ in understood.vectors]
    after = 0
    while True:
        async with place.db.session(place.scope) as session:
            batch = await store.pieces_to_compare(session, after, EMBEDDED_AT_ONCE)
        if not batch:
            break
        after = batch[-1].chunk_id
        made = await _embed(place, embedder, understood.index, [one.text for one in batch])
        sources = {one.chunk_id: one.source_id for one in batch}
        async with place.db.session(place.scope) as session:
            for number, chunk_id, similarity in await store.compare(
                session, list(sources), made, understood.vectors, [_least(heap) for heap in best]
            ):
                _keep(best[number], (similarity, -chunk_id, sources[chunk_id]))
    return [[(-key, source, near) for near, key, source in sorted(heap, reverse=True)] for heap in best]


async def ask_stored(session: Session, asked: Sequence[Asked], understood: Understood | None) -> Ranks:
    """Ask with the vectors that are stored, of the index that serves now."""
    if understood is None:
        return await ask(session, asked, None, None)
    near = []
    for vector in understood.vectors:
        meaning = Meaning(understood.index.id, vector, 1.0, -1.0)
        found = await vectors.nearest(session, meaning, POOL)
        near.append([(one.chunk_id, one.source_id, one.similarity) for one in found])
    return await ask(session, asked, understood.index, near)


async def ask(session: Session, asked: Sequence[Asked], index: Kept | None, nearest: Nearest | None) -> Ranks:
    """Return the place of each question's first right passage, from 1 (0: none), for each way of finding."""
    ranks: Ranks = {"words": []} if nearest is None else {"words": [], "meaning": [], "fused": []}
    for number, one in enumerate(asked):
        found = await retrieval.candidates_of_all(session, one.text, limit=POOL)
        by_words = [passage.chunk_id for passage in found]
        right = {p.chunk_id for p in found if one.is_answered_by(p.chunk_id, p.source_id)}
        ranks["words"].append(_rank(by_words, right))
        if nearest is None or index is None:
            continue
        near = nearest[number]
        right |= {chunk_id for chunk_id, source, _ in near if one.is_answered_by(chunk_id, source)}
        counted = [chunk_id for chunk_id, _, similarity in near if similarity >= index.lowest]
        ranks["meaning"].append(_rank([chunk_id for chunk_id, _, _ in near], right))
        both = fuse(by_words, counted, index.weight) if index.weight else by_words
        ranks["fused"].append(_rank(both, right))
    return ranks


async def _embed(
    place: Place, embedder: Embedder, index: Kept, texts: Sequence[str]
) -> Sequence[Sequence[float]]:
    """Embed texts as a workspace's are, and account for it. Raises UnprovedError."""
    async with place.db.session(place.scope) as session:
        kinds = (await get_masking(session)).kinds
    try:
        told, use = hidden(texts, kinds), Use(place.scope)
        answer = await inference.embed(place.db, use, embedder, told, model=index.model)
    except AppError as error:
        raise UnprovedError(FAILURES.get(error.code, error.message)) from error
    async with place.db.session(place.scope) as session:
        await inference.record_embedding(session, index.model, answer)
    if any(len(vector) != index.size for vector in answer.vectors):
        raise UnprovedError(FAILURES["embedding_size"])
    return answer.vectors


def _least(heap: Sequence[tuple[float, int, UUID]]) -> float:
    return heap[0][0] if len(heap) == POOL else -2.0


def _keep(heap: list[tuple[float, int, UUID]], one: tuple[float, int, UUID]) -> None:
    if len(heap) < POOL:
        heapq.heappush(heap, one)
    else:
        heapq.heappushpop(heap, one)


def _rank(ranked: Sequence[int], right: set[int]) -> int:
    return next((place for place, chunk_id in enumerate(ranked[:POOL], start=1) if chunk_id in right), 0)
