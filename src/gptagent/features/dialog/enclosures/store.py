"""All SQL of replies' files. Locks: conversation, then the file."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.dialog.enclosures.model import ReplyFile
from gptagent.features.dialog.model import Turn
from gptagent.features.knowledge.model import ArticleFile
from gptagent.kernel.db import Session

_FILE = """turn_id, file_id, conversation_id, name, size_bytes, state, reason, drive_uuid,
           provider_message_id, failures, sends, send_started_at, send_talk_id,
           coalesce(clock_timestamp() - send_started_at, interval '0') as unknown_for"""


async def owe_files(
    session: Session,
    turn: Turn,
    files: Sequence[ArticleFile],
    *,
    reason: str | None,
    again_after: timedelta,
) -> int:
    """Note what is to be sent, or why it is not; leave out what the chat has got or is about to get.

    Returns how many are to be sent.
    """
    rows = await session.fetch(
        """insert into app.reply_file
             (turn_id, file_id, conversation_id, position, name, size_bytes, state, reason, settled_at)
           select $1, f.id, $2, f.position, f.name, f.size_bytes,
                  case when $6::text is null then 'waiting' else 'not_sent' end, $6,
                  case when $6::text is null then null else clock_timestamp() end
             from unnest($3::uuid[], $4::text[], $5::bigint[]) with ordinality
                  as f (id, name, size_bytes, position)
            where not exists (select from app.reply_file r
                               where r.conversation_id = $2 and r.file_id = f.id and r.state <> 'not_sent'
                                 and coalesce(r.settled_at, 'infinity') > clock_timestamp() - $7::interval)
           on conflict do nothing returning state""",
        turn.id,
        turn.conversation_id,
        [file.id for file in files],
        [file.name for file in files],
        [file.size_bytes for file in files],
        reason,
        again_after,
    )
    return sum(row["state"] == "waiting" for row in rows)


async def open_files(session: Session, turn_id: UUID) -> list[ReplyFile]:
    """Return those of a turn of which it is not known yet what becomes of them, in their order."""
    rows = await session.fetch(
        f"""select {_FILE} from app.reply_file
             where turn_id = $1 and state in ('waiting', 'sending') order by position""",
        turn_id,
    )
    return [ReplyFile(**dict(row)) for row in rows]


async def files_of(session: Session, turn_ids: Sequence[UUID]) -> list[ReplyFile]:
    rows = await session.fetch(
        f"select {_FILE} from app.reply_file where turn_id = any($1) order by turn_id, position",
        list(turn_ids),
    )
    return [ReplyFile(**dict(row)) for row in rows]


async def note_uploaded(session: Session, file: ReplyFile, drive_uuid: str) -> None:
    await session.execute(
        "update app.reply_file set drive_uuid = $3 where turn_id = $1 and file_id = $2",
        file.turn_id,
        file.file_id,
        drive_uuid,
    )


async def start_sending(session: Session, file: ReplyFile, talk_id: int) -> bool:
    """The file's fence: only one of all that try passes, and only once for each send."""
    done = await session.fetchval(
        """update app.reply_file set state = 'sending', sends = sends + 1, send_talk_id = $3,
                  send_started_at = clock_timestamp()
            where turn_id = $1 and file_id = $2 and state = 'waiting' and sends = $4 returning true""",
        file.turn_id,
        file.file_id,
        talk_id,
        file.sends,
    )
    return bool(done)


async def settle(
    session: Session, file: ReplyFile, state: str, *, message_id: str | None = None, reason: str | None = None
) -> bool:
    """End a file's way. What the CRM has reported as sent stays so; False then, and where it is not `sent`
    also if another run has begun a send since this one looked.
    """
    done = await session.fetchval(
        """update app.reply_file set state = $3, provider_message_id = coalesce(provider_message_id, $4),
                  reason = $5, settled_at = clock_timestamp()
            where turn_id = $1 and file_id = $2 and state in ('waiting', 'sending')
              and ($3::text = 'sent' or (state = $6 and sends = $7)) returning true""",
        file.turn_id,
        file.file_id,
        state,
        message_id,
        reason,
        file.state,
        file.sends,
    )
    return bool(done)


async def reopen(session: Session, file: ReplyFile) -> None:
    """Its request certainly had no effect: it may go through the fence again, unless another run has."""
    await session.execute(
        """update app.reply_file set state = 'waiting', failures = failures + 1
            where turn_id = $1 and file_id = $2 and state = $3 and sends = $4
              and state in ('waiting', 'sending')""",
        file.turn_id,
        file.file_id,
        file.state,
        file.sends,
    )


async def known_ids(session: Session, conversation_id: UUID, ids: Sequence[str]) -> set[str]:
    """Return which of these messages files or replies of the conversation have accounted for."""
    rows = await session.fetch(
        """select provider_message_id as id from app.reply_file
            where conversation_id = $1 and provider_message_id = any($2)
           union all
           select provider_message_id from app.turn
            where conversation_id = $1 and provider_message_id = any($2)""",
        conversation_id,
        list(ids),
    )
    return {row["id"] for row in rows}


async def candidates(session: Session, conversation_id: UUID, provider_id: str) -> list[Record]:
    """Return the file that is known by this message's id, or those whose message is not known yet."""
    return await session.fetch(
        """select turn_id, file_id, name, drive_uuid, state, provider_message_id from app.reply_file
            where conversation_id = $1
              and (provider_message_id = $2
                   or (provider_message_id is null and sends > 0 and state <> 'not_sent'
                       and send_started_at > clock_timestamp() - interval '1 hour'))
            order by provider_message_id is null, position""",
        conversation_id,
        provider_id,
    )


async def note_reported(session: Session, turn_id: UUID, file_id: UUID, provider_id: str) -> None:
    """The CRM has told of the file's message: it left, whatever was thought of it."""
    await session.execute(
        """update app.reply_file set state = 'sent', provider_message_id = $3, reason = null,
                  settled_at = coalesce(settled_at, clock_timestamp())
            where turn_id = $1 and file_id = $2""",
        turn_id,
        file_id,
        provider_id,
    )


async def agent_of(session: Session, file: ReplyFile) -> UUID | None:
    """Return whose reply the file belongs to."""
    agent_id: UUID | None = await session.fetchval(
        "select agent_id from app.turn where id = $1", file.turn_id
    )
    return agent_id
