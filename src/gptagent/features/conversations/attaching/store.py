"""All SQL of the files that come with messages."""

from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session


async def insert_attachment(
    session: Session,
    attachment_id: UUID,
    conversation_id: UUID,
    seq: int,
    *,
    kind: str,
    name: str,
    url_sealed: bytes,
) -> None:
    await session.execute(
        """insert into app.attachment (id, conversation_id, seq, kind, name, url_sealed)
           values ($1, $2, $3, $4, $5, $6)""",
        attachment_id,
        conversation_id,
        seq,
        kind,
        name,
        url_sealed,
    )


async def select_pending(session: Session, attachment_id: UUID) -> Record | None:
    return await session.fetchrow(
        """select a.url_sealed, a.conversation_id, c.connection_id
             from app.attachment a join app.conversation c on c.id = a.conversation_id
            where a.id = $1 and a.state = 'pending'""",
        attachment_id,
    )


async def keep_attachment(session: Session, attachment_id: UUID, key: str, size: int, sha256: str) -> bool:
    done = await session.fetchval(
        """update app.attachment set state = 'stored', blob_key = $2, size_bytes = $3, sha256 = $4,
                  url_sealed = null where id = $1 returning true""",
        attachment_id,
        key,
        size,
        sha256,
    )
    return bool(done)


async def end_attachment(session: Session, attachment_id: UUID, state: str) -> None:
    await session.execute(
        "update app.attachment set state = $2, url_sealed = null where id = $1 and state = 'pending'",
        attachment_id,
        state,
    )


async def select_attachments(session: Session, conversation_id: UUID, seqs: list[int]) -> list[Record]:
    return await session.fetch(
        """select id, seq, kind, name, state, size_bytes from app.attachment
            where conversation_id = $1 and seq = any($2) order by seq, id""",
        conversation_id,
        seqs,
    )


async def select_attachment(session: Session, conversation_id: UUID, attachment_id: UUID) -> Record | None:
    return await session.fetchrow(
        """select id, seq, kind, name, state, size_bytes, blob_key from app.attachment
            where conversation_id = $1 and id = $2""",
        conversation_id,
        attachment_id,
    )


async def garbage_workspaces(session: Session) -> list[UUID]:
    return [row["org_id"] for row in await session.fetch("select org_id from app.garbage_workspaces()")]


async def garbage(session: Session, limit: int) -> list[str]:
    return [row["key"] for row in await session.fetch("select key from app.file_garbage limit $1", limit)]


async def forget_garbage(session: Session, key: str) -> None:
    await session.execute("delete from app.file_garbage where key = $1", key)
