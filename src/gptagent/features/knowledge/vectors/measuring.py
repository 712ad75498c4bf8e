"""What an index of vectors is worth in this base: its questions asked by words and by meaning."""

from collections.abc import Sequence
from uuid import UUID

from gptagent.features.knowledge import retrieval
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.questions.service import sample
from gptagent.features.knowledge.vectors import store
from gptagent.features.knowledge.vectors.model import POOL, Meaning, Trial, VectorIndex
from gptagent.kernel.db import Session

__all__ = ["sample", "try_questions"]


async def try_questions(
    session: Session, index: VectorIndex, asked: Sequence[Asked], vectors: Sequence[Sequence[float]]
) -> list[Trial]:
    """Return what each way finds for each question. Every passage of a right source is right."""
    trials = []
    for one, vector in zip(asked, vectors, strict=True):
        passages = await retrieval.search(session, one.text, limit=POOL)
        near = await store.nearest(session, Meaning(index.id, vector, 1.0, -1.0), POOL)
        sources: list[tuple[int, UUID]] = [(p.chunk_id, p.source_id) for p in passages]
        sources += [(n.chunk_id, n.source_id) for n in near]
        trials.append(
            Trial(
                tuple(passage.chunk_id for passage in passages),
                tuple((n.chunk_id, n.similarity) for n in near),
                frozenset(
                    chunk_id for chunk_id, source_id in sources if one.is_answered_by(chunk_id, source_id)
                ),
            )
        )
    return trials
