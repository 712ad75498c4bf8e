"""All SQL of renewing an index. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are columns of the store of vectors

from collections.abc import Sequence
from uuid import UUID

from gptagent.features.knowledge.vectors.model import VectorIndex
from gptagent.features.knowledge.vectors.store import EMBEDDED, PIECES
from gptagent.kernel.db import Session


async def pieces_elsewhere(
    session: Session, index_id: UUID, other_id: UUID, limit: int
) -> list[tuple[int, str]]:
    """Return the next passages by id that have a vector in the other index and none in this one: id and text.

    Those before the last one that was looked at stay to be embedded.
    """
    rows = await session.fetch(
        f"""select c.id, {EMBEDDED} as text {PIECES}
             where c.id > (select taken_until from app.vector_index where id = $1)
               and exists (select from app.chunk_vector v where v.chunk_id = c.id and v.index_id = $2)
               and not exists (select from app.chunk_vector v where v.chunk_id = c.id and v.index_id = $1)
             order by c.id limit $3""",
        index_id,
        other_id,
        limit,
    )
    return [(row["id"], row["text"]) for row in rows]


async def note_taken(session: Session, index_id: UUID, until: int) -> None:
    """Go on behind this passage."""
    await session.execute("update app.vector_index set taken_until = $2 where id = $1", index_id, until)


async def copy_vectors(
    session: Session, index_id: UUID, other: VectorIndex, chunk_ids: Sequence[int]
) -> None:
    """Take the vectors of these passages from the other index."""
    await session.execute(
        """insert into app.chunk_vector (chunk_id, index_id, embedding, bits)
           select v.chunk_id, $1, v.embedding, v.bits from app.chunk_vector v
            where v.index_id = $2 and v.chunk_id = any($3::bigint[])
              and exists (select from app.chunk c where c.id = v.chunk_id for key share)
           on conflict do nothing""",
        index_id,
        other.id,
        list(chunk_ids),
    )
    await session.execute("update app.vector_index set size = $2 where id = $1", index_id, other.size)
