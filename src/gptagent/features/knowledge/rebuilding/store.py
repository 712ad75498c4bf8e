"""All SQL of rebuilding. Tenancy is the database's: no statement names the workspace."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.inference.model import EmbeddingModel
from gptagent.features.knowledge.vectors.store import as_text
from gptagent.kernel.db import Session


@dataclass(frozen=True, slots=True)
class Kept:
    """The index of vectors that serves, and how its votes count."""

    id: UUID
    model: EmbeddingModel
    size: int
    weight: float
    lowest: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage with what is embedded of it."""

    chunk_id: int
    source_id: UUID
    text: str


async def fetch_workspaces(session: Session) -> list[UUID]:
    """Return the ids of all workspaces; each is then opened in a transaction of its own."""
    return [row["org_id"] for row in await session.fetch("select org_id from app.workspaces_to_tidy()")]


async def hold_words(session: Session) -> None:
    """Let nobody else change passages or their words until the end, and wait for those who do.

    Both locks, in the order of who deletes passages: one who has deleted postings and waits for the
    statistics would else be waited for.
    """
    await session.execute("select pg_advisory_xact_lock(hashtextextended('graph ' || app.org()::text, 0))")
    await session.execute("select from app.lexical_stats for update")


async def forget_grams(session: Session) -> None:
    """Delete the 3-grams of all words; words that are written bring theirs."""
    await session.execute("delete from app.gram")


async def count_words(session: Session) -> None:
    """Count anew how many passages hold each word; from here on what is deleted and written keeps it true."""
    await session.execute("delete from app.lexeme")
    await session.execute(
        "insert into app.lexeme (lexeme, chunks) select lexeme, count(*) from app.posting group by lexeme"
    )


async def pieces_after(session: Session, after: int, limit: int) -> list[tuple[int, str, str, str]]:
    """Return passages by id: their id, the title of their source, their heading and content."""
    rows = await session.fetch(
        """select c.id, coalesce(a.title, d.title) as title, c.heading, c.content
             from app.chunk c left join app.article a on a.id = c.article_id
                  left join app.document d on d.id = c.document_id
            where c.id > $1 order by c.id limit $2""",
        after,
        limit,
    )
    return [(row["id"], row["title"], row["heading"], row["content"]) for row in rows]


async def index_words(session: Session, chunk_ids: Sequence[int], words: Sequence[str]) -> None:
    """Write the words of passages in the place of those that they had."""
    await session.execute("delete from app.posting where chunk_id = any($1::bigint[])", list(chunk_ids))
    await session.execute(
        """with input as (
              select i.id, v.lexemes,
                     (select coalesce(sum(cardinality(positions)), 0) from unnest(v.lexemes))::int as length
                from unnest($1::bigint[], $2::text[]) as i (id, words),
                     lateral (select to_tsvector('russian', i.words) as lexemes) v
            ), sized as (
              update app.chunk c set length = input.length from input where c.id = input.id
            )
            insert into app.posting (lexeme, chunk_id, tf, length)
            select l.lexeme, input.id, cardinality(l.positions), input.length
              from input, unnest(input.lexemes) l""",
        list(chunk_ids),
        list(words),
    )


async def sum_up(session: Session) -> None:
    """Count passages and words anew."""
    await session.execute(
        """update app.lexical_stats
              set chunks = c.chunks, lexemes = c.lexemes
             from (select count(*) as chunks, coalesce(sum(length), 0) as lexemes from app.chunk) c"""
    )


async def fetch_serving(session: Session) -> Kept | None:
    """Return the index that serves, used or not. Reads what the release before has as well: an upgrade is
    proved before the database is brought to this release.
    """
    row = await session.fetchrow(
        """select id, base_url, model, asked_size, size, weight, lowest from app.vector_index
            where ready_at is not null and size is not null"""
    )
    if row is None:
        return None
    model = EmbeddingModel(row["base_url"], row["model"], row["asked_size"])
    return Kept(row["id"], model, row["size"], row["weight"], row["lowest"])


async def pieces_to_compare(session: Session, after: int, limit: int) -> list[Piece]:
    """Return passages by id, behind this one."""
    rows = await session.fetch(
        """select c.id, coalesce(c.article_id, c.document_id) as source_id,
                  concat_ws(E'\n', coalesce(a.title, d.title), nullif(c.heading, ''), c.content) as text
             from app.chunk c left join app.article a on a.id = c.article_id
                  left join app.document d on d.id = c.document_id
            where c.id > $1 order by c.id limit $2""",
        after,
        limit,
    )
    return [Piece(row["id"], row["source_id"], row["text"]) for row in rows]


async def compare(
    session: Session,
    chunk_ids: Sequence[int],
    made: Sequence[Sequence[float]],
    questions: Sequence[Sequence[float]],
    above: Sequence[float],
) -> list[tuple[int, int, float]]:
    """Return how similar passages are to questions, where that is `above` what is given for the question: the
    question's place from 0, the passage's id, the similarity. Vectors are of halves, as they are stored.
    """
    rows = await session.fetch(
        """with passage as (
              select g.id, g.vector::halfvec as vector from unnest($1::bigint[], $2::text[]) as g (id, vector)
            ), question as (
              select q.vector::halfvec as vector, q.above, q.number - 1 as number
                from unnest($3::text[], $4::float8[]) with ordinality as q (vector, above, number)
            )
            select q.number, p.id, -(p.vector <#> q.vector) as similarity
              from passage p join question q on -(p.vector <#> q.vector) > q.above""",
        list(chunk_ids),
        [as_text(vector) for vector in made],
        [as_text(vector) for vector in questions],
        list(above),
    )
    return [(row["number"], row["id"], float(row["similarity"])) for row in rows]
