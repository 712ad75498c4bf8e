"""All SQL of the files that come with messages."""

from datetime import timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session

_SHOWN = """select id, seq, kind, name, state, size_bytes, hearing, heard_as, heard_by, words,
                   unheard_reason"""


async def insert_attachment(
    session: Session,
    attachment_id: UUID,
    conversation_id: UUID,
    seq: int,
    *,
    kind: str,
    name: str,
    url_sealed: bytes,
    hearing: str,
) -> None:
    await session.execute(
        """insert into app.attachment (id, conversation_id, seq, kind, name, url_sealed, hearing)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        attachment_id,
        conversation_id,
        seq,
        kind,
        name,
        url_sealed,
        hearing,
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
        """update app.attachment set state = $2, url_sealed = null,
                  hearing = case when hearing = 'waiting' then 'unheard' else hearing end,
                  unheard_reason = case when hearing = 'waiting' then 'not_fetched' end
            where id = $1 and state = 'pending'""",
        attachment_id,
        state,
    )


async def select_attachments(session: Session, conversation_id: UUID, seqs: list[int]) -> list[Record]:
    return await session.fetch(
        f"{_SHOWN} from app.attachment where conversation_id = $1 and seq = any($2) order by seq, id",
        conversation_id,
        seqs,
    )


async def select_attachment(session: Session, conversation_id: UUID, attachment_id: UUID) -> Record | None:
    return await session.fetchrow(
        f"{_SHOWN}, blob_key from app.attachment where conversation_id = $1 and id = $2",
        conversation_id,
        attachment_id,
    )


async def select_unheard(session: Session, attachment_id: UUID) -> Record | None:
    """Return a file that is here and waits to be heard."""
    return await session.fetchrow(
        """select id, conversation_id, seq, kind, name, blob_key as key, size_bytes from app.attachment
            where id = $1 and state = 'stored' and hearing = 'waiting'""",
        attachment_id,
    )


async def end_hearing(
    session: Session,
    attachment_id: UUID,
    *,
    medium: str | None = None,
    by: str | None = None,
    words: str = "",
    reason: str | None = None,
) -> bool:
    done = await session.fetchval(
        """update app.attachment
              set hearing = case when $4 = '' then 'unheard' else 'heard' end,
                  heard_as = $2, heard_by = $3, words = $4, unheard_reason = $5, heard_at = clock_timestamp()
            where id = $1 and hearing = 'waiting' returning true""",
        attachment_id,
        medium,
        by,
        words,
        reason,
    )
    return bool(done)


async def is_waiting(session: Session, conversation_id: UUID, seqs: list[int], within: timedelta) -> bool:
    found: bool = await session.fetchval(
        """select exists (select from app.attachment
                           where conversation_id = $1 and seq = any($2) and hearing = 'waiting'
                             and created_at > clock_timestamp() - $3::interval)""",
        conversation_id,
        seqs,
        within,
    )
    return found


async def count_heard(session: Session, conversation_id: UUID, within: timedelta) -> int:
    found: int = await session.fetchval(
        """select count(*) from app.attachment
            where conversation_id = $1 and hearing = 'heard' and heard_by is not null
              and heard_at > clock_timestamp() - $2::interval""",
        conversation_id,
        within,
    )
    return found


async def garbage_workspaces(session: Session) -> list[UUID]:
    return [row["org_id"] for row in await session.fetch("select org_id from app.garbage_workspaces()")]


async def garbage(session: Session, limit: int) -> list[str]:
    return [row["key"] for row in await session.fetch("select key from app.file_garbage limit $1", limit)]


async def forget_garbage(session: Session, key: str) -> None:
    await session.execute("delete from app.file_garbage where key = $1", key)
