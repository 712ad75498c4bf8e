"""All SQL of vectors. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from gptagent.features.inference.masking.model import KINDS, Kind
from gptagent.features.inference.model import EmbeddingModel
from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.categories.store import asked_of, chunks_within
from gptagent.features.knowledge.staging.store import chunks_elsewhere
from gptagent.features.knowledge.vectors.model import Benefit, Meaning, Near, Progress, VectorIndex
from gptagent.kernel.db import Session

_INDEX = """id, base_url, model, asked_size, size, ready_at, error_code, claim, tokens, weight, lowest,
            sample_size, recall_words, recall_both, mrr_words, mrr_both, measured_at, measured_chunks,
            changed_chunks, measure_wanted, missed_at, hidden, outdated"""
_OF_MODEL = "base_url = $1 and model = $2 and asked_size is not distinct from $3"
_MEASURED = ["sample_size", "recall_words", "recall_both", "mrr_words", "mrr_both", "weight", "lowest"]
# An index of the model whose texts were told to the provider as they would be now.
_OF_TEXTS = f"({_OF_MODEL} and hidden is not distinct from $4::text[] and not outdated)"
# What is embedded of a passage `c`, and whence.
EMBEDDED = "concat_ws(E'\\n', coalesce(a.title, d.title), nullif(c.heading, ''), c.content)"
PIECES = """from app.chunk c left join app.article a on a.id = c.article_id
                  left join app.document d on d.id = c.document_id"""


async def has_vectors(session: Session) -> bool:
    """Whether the database has pgvector, and so the table."""
    return bool(await session.fetchval("select to_regclass('app.chunk_vector') is not null"))


async def has_index(session: Session) -> bool:
    return bool(await session.fetchval("select exists (select from app.vector_index)"))


async def fetch_due(session: Session, model: EmbeddingModel, pause: timedelta, most: int) -> list[UUID]:
    """Return workspaces, of all, whose index has to be made, mended or looked at."""
    rows = await session.fetch(
        "select org_id from app.vectors_due($1, $2, $3, $4, $5, $6)",
        *_key(model),
        pause,
        most,
        list(KINDS),
    )
    return [row["org_id"] for row in rows]


async def open_index(session: Session, model: EmbeddingModel, hidden: Sequence[Kind], index_id: UUID) -> None:
    """Make an index of the model and of texts without what is `hidden` unless there is one; another one that
    never served is dropped.
    """
    key = (*_key(model), list(hidden))
    await session.execute(f"delete from app.vector_index where ready_at is null and not {_OF_TEXTS}", *key)
    await session.execute(
        f"""insert into app.vector_index (base_url, model, asked_size, hidden, id, created_at, updated_at)
            select $1, $2, $3, $4, $5, now(), now()
             where not exists (select from app.vector_index where {_OF_TEXTS})
            on conflict do nothing""",
        *key,
        index_id,
    )
    await session.execute(f"update app.vector_index set updated_at = now() where {_OF_TEXTS}", *key)


async def empty_index(session: Session, index: VectorIndex) -> None:
    """Forget the vectors of the index: its model answers with others than it did. Those of another index of
    the model that serves are in doubt too, and not taken over.
    """
    await session.execute("delete from app.vector_index where ready_at is null and id <> $1", index.id)
    await session.execute("delete from app.chunk_vector where index_id = $1", index.id)
    await session.execute(
        """update app.vector_index
              set size = null, ready_at = null, error_code = null, weight = 0, sample_size = null
            where id = $1""",
        index.id,
    )
    await session.execute(
        f"""update app.vector_index set error_code = 'embedding_size'
             where {_OF_MODEL} and ready_at is not null""",
        *_key(index.model),
    )


async def claim_index(
    session: Session, model: EmbeddingModel, hidden: Sequence[Kind], job_id: int, lease: timedelta
) -> VectorIndex | None:
    """Take the index of the model and these texts for a while; None if there is none or a job has it."""
    row = await session.fetchrow(
        f"""update app.vector_index
               set claim = claim + 1, job_id = $5, lease_until = clock_timestamp() + $6, updated_at = now()
             where {_OF_TEXTS} and (lease_until < clock_timestamp() or job_id = $5) returning {_INDEX}""",
        *_key(model),
        list(hidden),
        job_id,
        lease,
    )
    return _index(row) if row else None


async def hold_index(session: Session, index: VectorIndex, lease: timedelta) -> bool:
    """Lock the index, renew the lease. False if another job has it by now."""
    return bool(
        await session.fetchval(
            """update app.vector_index set lease_until = clock_timestamp() + $3, updated_at = now()
                where id = $1 and claim = $2 returning true""",
            index.id,
            index.claim,
            lease,
        )
    )


async def release_index(session: Session, index: VectorIndex, error_code: str | None) -> bool:
    return bool(
        await session.fetchval(
            """update app.vector_index
                  set lease_until = '-infinity', error_code = $3, updated_at = now()
                where id = $1 and claim = $2 returning true""",
            index.id,
            index.claim,
            error_code,
        )
    )


async def bury_job(session: Session, job_id: int, error_code: str) -> bool:
    """Note that the job that has an index died over it; what it noted itself stays."""
    return bool(
        await session.fetchval(
            """update app.vector_index
                  set error_code = coalesce(error_code, $2), lease_until = '-infinity', updated_at = now()
                where job_id = $1 returning true""",
            job_id,
            error_code,
        )
    )


async def doubt_index(session: Session, index_id: UUID) -> None:
    """Note that the model answers with vectors of another size than those kept."""
    await session.execute(
        "update app.vector_index set error_code = 'embedding_size', missed_at = now() where id = $1", index_id
    )


async def missing_pieces(session: Session, index_id: UUID, limit: int) -> list[tuple[int, str]]:
    """Return passages without a vector in the index: their id and what is embedded of them."""
    rows = await session.fetch(
        f"""select c.id, {EMBEDDED} as text {PIECES}
            where not exists (select from app.chunk_vector v where v.chunk_id = c.id and v.index_id = $1)
            order by c.id limit $2""",
        index_id,
        limit,
    )
    return [(row["id"], row["text"]) for row in rows]


async def insert_vectors(
    session: Session, index: VectorIndex, chunk_ids: Sequence[int], vectors: Sequence[Sequence[float]]
) -> int:
    """Store the vectors of those passages that are still there; return how many."""
    rows = await session.fetch(
        """with given as (select * from unnest($2::bigint[], $3::text[]) as g (id, embedding))
           insert into app.chunk_vector (chunk_id, index_id, embedding, bits)
           select g.id, $1, g.embedding::halfvec, binary_quantize(g.embedding::halfvec) from given g
            where exists (select from app.chunk c where c.id = g.id for key share)
           on conflict do nothing returning chunk_id""",
        index.id,
        list(chunk_ids),
        [as_text(vector) for vector in vectors],
    )
    return len(rows)


async def sign_vectors(session: Session, index_id: UUID, limit: int) -> int:
    """Give vectors that the release before has stored their signs; return to how many."""
    rows = await session.fetch(
        """update app.chunk_vector set bits = binary_quantize(embedding)
            where index_id = $1 and chunk_id in (
                select chunk_id from app.chunk_vector where index_id = $1 and bits is null
                 order by chunk_id limit $2)
           returning chunk_id""",
        index_id,
        limit,
    )
    return len(rows)


async def count_vectors(session: Session, index: VectorIndex, size: int, stored: int, tokens: int) -> None:
    await session.execute(
        """update app.vector_index
              set size = $2, changed_chunks = changed_chunks + $3, tokens = tokens + $4 where id = $1""",
        index.id,
        size,
        stored,
        tokens,
    )


async def save_benefit(session: Session, index: VectorIndex, benefit: Benefit, chunks: int) -> None:
    await session.execute(
        """update app.vector_index
              set sample_size = $2, recall_words = $3, recall_both = $4, mrr_words = $5, mrr_both = $6,
                  weight = $7, lowest = $8, measured_at = now(), measured_chunks = $9, changed_chunks = 0,
                  measure_wanted = false
            where id = $1""",
        index.id,
        benefit.sample_size,
        benefit.recall_words,
        benefit.recall_both,
        benefit.mrr_words,
        benefit.mrr_both,
        benefit.weight,
        benefit.lowest,
        chunks,
    )


async def make_ready(session: Session, index: VectorIndex) -> None:
    """Let the index serve in the place of the one that did."""
    await session.execute("delete from app.vector_index where ready_at is not null and id <> $1", index.id)
    await session.execute(
        "update app.vector_index set ready_at = now() where id = $1 and ready_at is null", index.id
    )


async def want_measuring(session: Session) -> None:
    """Let the next job measure again; what was measured counts until then."""
    await session.execute("update app.vector_index set measure_wanted = true")


async def outdate_indexes(session: Session) -> None:
    """Have everything embedded anew; the index that serves does so until then."""
    await session.execute("delete from app.vector_index where ready_at is null")
    await session.execute("update app.vector_index set outdated = true")


async def fetch_indexes(session: Session) -> list[VectorIndex]:
    return [_index(row) for row in await session.fetch(f"select {_INDEX} from app.vector_index")]


async def fetch_index(session: Session, index_id: UUID) -> VectorIndex | None:
    row = await session.fetchrow(f"select {_INDEX} from app.vector_index where id = $1", index_id)
    return _index(row) if row else None


async def fetch_alike(session: Session, index: VectorIndex) -> VectorIndex | None:
    """Return the index that serves, if it is another one of the same model whose vectors are good."""
    row = await session.fetchrow(
        f"""select {_INDEX} from app.vector_index
             where {_OF_MODEL} and ready_at is not null and id <> $4 and not outdated
               and error_code is distinct from 'embedding_size'""",
        *_key(index.model),
        index.id,
    )
    return _index(row) if row else None


async def fetch_serving(session: Session) -> VectorIndex | None:
    """Return the index that questions may be put to, if it is worth it."""
    row = await session.fetchrow(
        f"select {_INDEX} from app.vector_index where ready_at is not null and weight > 0"
    )
    return _index(row) if row else None


async def note_missed(session: Session, index_id: UUID) -> None:
    await session.execute("update app.vector_index set missed_at = now() where id = $1", index_id)


async def count_chunks(session: Session) -> int:
    return int(await session.fetchval("select coalesce(sum(chunks), 0) from app.lexical_stats"))


async def count_progress(session: Session, index_id: UUID | None) -> Progress:
    """Return how far an index is; only the key of its vectors is read."""
    row = await session.fetchrow(
        """select (select count(*) from app.chunk_vector where index_id = $1) as embedded,
                  (select coalesce(sum(chunks), 0) from app.lexical_stats)::bigint as chunks""",
        index_id,
    )
    return Progress(row["embedded"], row["chunks"]) if row else Progress(0, 0)


# From so many passages on the exact scan takes too long: signs name those that are then compared exactly.
EXACT_MAX = 2_000
ALIKE = 400
_ALIKE = f"""alike as (
  select chunk_id from app.chunk_vector
   where index_id = $1 $only order by bits <~> binary_quantize($2::halfvec)
   limit greatest({ALIKE}, 4 * $3::int)
), """
_NEAR = """near as (
  select chunk_id, -(embedding <#> $2::halfvec) as similarity from app.chunk_vector
   where index_id = $1 $only order by embedding <#> $2::halfvec, chunk_id limit $3
)
select n.chunk_id, n.similarity, coalesce(c.article_id, c.document_id) as source_id
  from near n join app.chunk c on c.id = n.chunk_id
 where n.similarity >= $4 order by n.similarity desc, n.chunk_id"""
_NEAREST = f"with {_NEAR.replace('$only', '')}"
_NEAREST_BY_BITS = f"""with {_ALIKE.replace("$only", "")}
{_NEAR.replace("$only", "and chunk_id = any(array(select chunk_id from alike))")}"""
_HERE = "and (chunk_id in (select id from chunk_elsewhere)) is not true"
_NEAREST_HERE = f"with {chunks_elsewhere(5)}, {_NEAR.replace('$only', _HERE)}"
_NEAREST_HERE_BY_BITS = f"""with {chunks_elsewhere(5)}, {_ALIKE.replace("$only", _HERE)}
{_NEAR.replace("$only", "and chunk_id = any(array(select chunk_id from alike))")}"""
_NEAREST_WITHIN = f"""with recursive {chunks_within(5)},
{_NEAR.replace("$only", "and chunk_id in (select id from chunk_within)")}"""


async def nearest(session: Session, meaning: Meaning, limit: int, within: Within | None = None) -> list[Near]:
    """Return the passages most similar to a question: an exact scan of the tenant's vectors, in a large base
    of those whose signs are most like the question's. What is in some categories is always scanned exactly.
    """
    whole, here = _NEAREST, _NEAREST_HERE
    if (within is None or within.categories is None) and await _are_signed(session, meaning.index_id):
        whole, here = _NEAREST_BY_BITS, _NEAREST_HERE_BY_BITS
    statement, part = asked_of(within, whole, here, _NEAREST_WITHIN)
    rows = await session.fetch(
        statement,
        meaning.index_id,
        as_text(meaning.vector),
        limit,
        meaning.lowest,
        *part,
    )
    return [Near(row["chunk_id"], row["source_id"], float(row["similarity"])) for row in rows]


async def _are_signed(session: Session, index_id: UUID) -> bool:
    """Whether the base is so large that signs are needed, and all its vectors have theirs."""
    return bool(
        await session.fetchval(
            """select coalesce((select sum(chunks) from app.lexical_stats), 0) > $2
                  and not exists (select from app.chunk_vector where index_id = $1 and bits is null)""",
            index_id,
            EXACT_MAX,
        )
    )


def _key(model: EmbeddingModel) -> tuple[str, str, int | None]:
    return model.base_url, model.name, model.size


def as_text(vector: Sequence[float]) -> str:
    """Return a vector as pgvector reads it."""
    return f"[{','.join(f'{value:.6g}' for value in vector)}]"


def _index(row: asyncpg.Record) -> VectorIndex:
    values: dict[str, Any] = dict(row)
    model = EmbeddingModel(values.pop("base_url"), values.pop("model"), values.pop("asked_size"))
    measured = {name: values.pop(name) for name in _MEASURED}
    benefit = Benefit(**measured) if measured["sample_size"] is not None else None
    values["hidden"] = None if values["hidden"] is None else tuple(values["hidden"])
    return VectorIndex(model=model, benefit=benefit, **values)
