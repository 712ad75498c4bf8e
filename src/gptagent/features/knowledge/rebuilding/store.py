"""All SQL of rebuilding. Tenancy is the database's: no statement names the workspace."""

from collections.abc import Sequence
from uuid import UUID

from gptagent.kernel.db import Session


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
