"""The verb of renewing: vectors of texts that the provider would be told as it was are taken over."""

from collections.abc import Collection, Sequence

from gptagent.features.inference.masking.model import KINDS, Kind
from gptagent.features.inference.masking.service import hidden
from gptagent.features.knowledge.renewing import store
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.model import VectorIndex
from gptagent.features.knowledge.vectors.store import fetch_alike
from gptagent.kernel.db import Session


async def take_over(session: Session, index: VectorIndex, limit: int) -> bool:
    """Take vectors from the index that serves: of passages which the provider was told as it would be now.

    Looks at up to `limit` passages behind those that it has looked at, in whichever job; False if there are
    no more. Raises Conflict if the index was taken over.
    """
    await vectors.hold(session, index)
    other = await fetch_alike(session, index)
    if other is None:
        return False
    pieces = await store.pieces_elsewhere(session, index.id, other.id, limit)
    texts = [text for _, text in pieces]
    told, now = told_as(texts, other.hidden), told_as(texts, index.hidden)
    same = [
        chunk_id
        for (chunk_id, _), before, after in zip(pieces, told, now, strict=True)
        if before is not None and before == after
    ]
    if same:
        await store.copy_vectors(session, index.id, other, same)
    if pieces:
        await store.note_taken(session, index.id, pieces[-1][0])
    return bool(pieces)


def told_as(texts: Sequence[str], kinds: Collection[Kind] | None) -> Sequence[str | None]:
    """Return texts as a provider is told them without these kinds of personal data.

    None are those of which it is not known, because it is not known what was hidden and they have some.
    """
    if kinds is not None:
        return hidden(texts, kinds)
    return [text if text == plain else None for text, plain in zip(texts, hidden(texts, KINDS), strict=True)]
