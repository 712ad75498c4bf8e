"""All SQL of what the knowledge base takes. Tenancy is the database's."""

from uuid import UUID

from gptagent.kernel.db import Session


async def lock(session: Session) -> None:
    """Let nobody else add to this workspace's base until the commit."""
    await session.execute(
        "select pg_advisory_xact_lock(hashtextextended('knowledge:' || app.org()::text, 0))"
    )


async def count_articles(session: Session) -> int:
    count: int = await session.fetchval("select count(*) from app.article")
    return count


async def sum_bytes(session: Session) -> int:
    total: int = await session.fetchval(
        """select (select coalesce(sum(size_bytes), 0) from app.document)::bigint
                  + (select coalesce(sum(size_bytes), 0) from app.article_file)::bigint"""
    )
    return total


async def size_of_replaced(session: Session, file_name: str, agent_id: UUID | None) -> int:
    """Return the bytes of the document whose place a file of this name takes, among the agent's or, with
    None, the workspace's; 0 if there is none.
    """
    size: int | None = await session.fetchval(
        """select size_bytes from app.document
            where file_name = $1 and page_id is null and agent_id is not distinct from $2
            order by id desc limit 1""",
        file_name,
        agent_id,
    )
    return size or 0


async def size_of_page(session: Session, page_id: UUID) -> int:
    """Return the bytes of a site's page; 0 if none were taken."""
    size: int | None = await session.fetchval(
        "select size_bytes from app.document where page_id = $1", page_id
    )
    return size or 0
