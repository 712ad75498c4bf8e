"""All SQL of questions. Tenancy is the database's: no statement names the workspace."""

from gptagent.features.knowledge.questions.model import Asked, Excerpt
from gptagent.kernel.db import Session


async def fetch_expecting(session: Session, limit: int) -> list[Asked]:
    """Return saved questions with the sources that they expect; those that expect none are left out."""
    rows = await session.fetch(
        """select q.text, array_agg(coalesce(s.article_id, s.document_id)) as sources
             from app.knowledge_question q join app.knowledge_question_source s on s.question_id = q.id
            group by q.id, q.text order by q.id limit $1""",
        limit,
    )
    return [Asked(row["text"], frozenset(), frozenset(row["sources"])) for row in rows]


async def choose_excerpts(session: Session, limit: int) -> list[Excerpt]:
    """Return passages spread over the whole base: the same ones as long as it holds the same."""
    rows = await session.fetch(
        """with chosen as (
             select id, article_id, document_id, ordinal, heading, content from app.chunk
              order by md5(coalesce(article_id, document_id)::text || ordinal), id limit $1
           )
           select c.id, coalesce(c.article_id, c.document_id) as source_id, c.content,
                  coalesce(nullif(c.heading, ''), a.title, d.title) as heading,
                  array(select s.id from app.chunk s
                         where (s.article_id = c.article_id or s.document_id = c.document_id)
                           and s.heading = c.heading) as siblings,
                  array(select n.id from app.chunk n
                         where (n.article_id = c.article_id or n.document_id = c.document_id)
                           and n.ordinal between c.ordinal - 1 and c.ordinal + 1 order by n.id) as near,
                  array(select n.content from app.chunk n
                         where (n.article_id = c.article_id or n.document_id = c.document_id)
                           and n.ordinal between c.ordinal - 1 and c.ordinal + 1 order by n.id) as told
             from chosen c left join app.article a on a.id = c.article_id
                  left join app.document d on d.id = c.document_id
            order by md5(coalesce(c.article_id, c.document_id)::text || c.ordinal), c.id""",
        limit,
    )
    doubles = await _doubles(session, [row["id"] for row in rows])
    return [
        Excerpt(
            chunk_id=row["id"],
            source_id=row["source_id"],
            heading=row["heading"],
            content=row["content"],
            siblings=frozenset(row["siblings"]),
            around=(
                *zip(row["near"], row["told"], strict=True),
                *((other, row["content"]) for other in doubles.get(row["id"], ())),
            ),
        )
        for row in rows
    ]


async def _doubles(session: Session, chunk_ids: list[int]) -> dict[int, list[int]]:
    """Return which other passages say the same, word for word."""
    rows = await session.fetch(
        """select c.id, array_agg(o.id) as others
             from app.chunk c join app.chunk o on o.content = c.content and o.id <> c.id
            where c.id = any($1::bigint[]) group by c.id""",
        chunk_ids,
    )
    return {row["id"]: row["others"] for row in rows}
