"""All SQL of test chats and rehearsals."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.dialog.rehearsing.model import Place, Rehearsed
from gptagent.features.dialog.trying.model import NewChat, Played, TestChat
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_encode = msgspec.json.encode
_result = msgspec.json.Decoder(Rehearsed).decode
_mapping = msgspec.json.Decoder(dict[str, Any]).decode
_CHAT = """select c.id, c.agent_id, c.title, c.connection_id, c.channel, c.pipeline_id, c.stage_id, c.lead_id,
                  c.contact_id, c.overrides, c.created_at, c.updated_at,
                  coalesce((select r.question from app.rehearsal r where r.chat_id = c.id
                             order by r.seq limit 1), '') as first_text
             from app.test_chat c"""
_PLAYED = """select id, chat_id, turn_id, seq, question, overrides, state, draft, result, error_code,
                    created_at from app.rehearsal"""


async def select_chats(
    session: Session, person_id: UUID, agent_id: UUID | None, page: Page
) -> list[TestChat]:
    rows = await session.fetch(
        f"""{_CHAT} where c.person_id = $1 and ($2::uuid is null or c.agent_id = $2)
              and {page.clause(3)}""",
        person_id,
        agent_id,
        *page.args,
    )
    return [_chat(row) for row in rows]


async def select_chat(
    session: Session, person_id: UUID, chat_id: UUID, *, lock: bool = False
) -> TestChat | None:
    if lock:
        await session.execute("select from app.test_chat where id = $1 for update", chat_id)
    row = await session.fetchrow(f"{_CHAT} where c.person_id = $1 and c.id = $2", person_id, chat_id)
    return _chat(row) if row else None


async def find_chat(session: Session, chat_id: UUID) -> TestChat | None:
    """Return it whosever it is: for the worker."""
    row = await session.fetchrow(f"{_CHAT} where c.id = $1", chat_id)
    return _chat(row) if row else None


async def count_chats(session: Session, person_id: UUID) -> int:
    found: int = await session.fetchval("select count(*) from app.test_chat where person_id = $1", person_id)
    return found


async def insert_chat(session: Session, chat_id: UUID, person_id: UUID, new: NewChat) -> None:
    await session.execute(
        """insert into app.test_chat (id, person_id, agent_id, title, connection_id, channel, pipeline_id,
                                      stage_id, lead_id, contact_id, overrides)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        chat_id,
        person_id,
        *_columns(new),
    )


async def update_chat(session: Session, chat_id: UUID, new: NewChat) -> None:
    await session.execute(
        """update app.test_chat set agent_id = $2, title = $3, connection_id = $4, channel = $5,
                  pipeline_id = $6, stage_id = $7, lead_id = $8, contact_id = $9, overrides = $10,
                  updated_at = now() where id = $1""",
        chat_id,
        *_columns(new),
    )


async def touch_chat(session: Session, chat_id: UUID) -> None:
    await session.execute("update app.test_chat set updated_at = now() where id = $1", chat_id)


async def delete_chat(session: Session, chat_id: UUID) -> None:
    await session.execute("delete from app.test_chat where id = $1", chat_id)


async def clear_chat(session: Session, chat_id: UUID) -> None:
    await session.execute("delete from app.rehearsal where chat_id = $1", chat_id)


async def page_played(session: Session, chat_id: UUID, page: Page) -> list[Played]:
    rows = await session.fetch(f"{_PLAYED} where chat_id = $1 and {page.clause(2)}", chat_id, *page.args)
    return [_played(row) for row in rows]


async def select_played(session: Session, chat_id: UUID) -> list[Played]:
    rows = await session.fetch(f"{_PLAYED} where chat_id = $1 order by seq", chat_id)
    return [_played(row) for row in rows]


async def select_replays(session: Session, turn_id: UUID, page: Page) -> list[Played]:
    """Return a page of how a turn was played again."""
    rows = await session.fetch(f"{_PLAYED} where turn_id = $1 and {page.clause(2)}", turn_id, *page.args)
    return [_played(row) for row in rows]


async def select_rehearsal(session: Session, rehearsal_id: UUID) -> Played | None:
    row = await session.fetchrow(f"{_PLAYED} where id = $1", rehearsal_id)
    return _played(row) if row else None


async def insert_rehearsal(
    session: Session,
    rehearsal_id: UUID,
    person_id: UUID,
    *,
    chat_id: UUID | None = None,
    turn_id: UUID | None = None,
    conversation_id: UUID | None = None,
    seq: int = 1,
    question: str,
    overrides: Mapping[str, Any],
) -> None:
    await session.execute(
        """insert into app.rehearsal (id, person_id, chat_id, turn_id, conversation_id, seq, question,
                                      overrides)
           values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        rehearsal_id,
        person_id,
        chat_id,
        turn_id,
        conversation_id,
        seq,
        question,
        _encode(overrides).decode(),
    )


async def delete_rehearsal(session: Session, rehearsal_id: UUID) -> None:
    await session.execute("delete from app.rehearsal where id = $1", rehearsal_id)


async def begin(session: Session, rehearsal_id: UUID) -> UUID | None:
    """Let it be spoken, also anew by a worker that takes over; None if it is over or gone."""
    begun: UUID | None = await session.fetchval(
        """update app.rehearsal set state = 'speaking', draft = ''
            where id = $1 and state in ('waiting', 'speaking') returning id""",
        rehearsal_id,
    )
    return begun


async def conversation_of(session: Session, rehearsal_id: UUID) -> UUID | None:
    found: UUID | None = await session.fetchval(
        "select conversation_id from app.rehearsal where id = $1", rehearsal_id
    )
    return found


async def say(session: Session, rehearsal_id: UUID, draft: str) -> None:
    await session.execute(
        "update app.rehearsal set draft = $2 where id = $1 and state = 'speaking'", rehearsal_id, draft
    )


async def end(session: Session, rehearsal_id: UUID, result: Rehearsed | None, error_code: str | None) -> bool:
    done = await session.fetchval(
        """update app.rehearsal set state = case when $2::jsonb is null then 'failed' else 'done' end,
                  draft = '', result = $2, error_code = $3, ended_at = now()
            where id = $1 and state in ('waiting', 'speaking') returning true""",
        rehearsal_id,
        _encode(result).decode() if result else None,
        error_code,
    )
    return bool(done)


def _columns(new: NewChat) -> tuple[object, ...]:
    place = new.place
    return (
        new.agent_id,
        new.title,
        place.connection_id,
        place.channel,
        place.pipeline_id,
        place.stage_id,
        place.lead_id,
        place.contact_id,
        _encode(new.overrides).decode(),
    )


def _chat(row: Record) -> TestChat:
    place = Place(
        row["channel"],
        row["connection_id"],
        row["pipeline_id"],
        row["stage_id"],
        row["lead_id"],
        row["contact_id"],
    )
    return TestChat(
        row["id"],
        row["agent_id"],
        row["title"],
        place,
        _mapping(row["overrides"]),
        row["created_at"],
        row["updated_at"],
        row["first_text"],
    )


def _played(row: Record) -> Played:
    return Played(
        row["id"],
        row["chat_id"],
        row["turn_id"],
        row["seq"],
        row["question"],
        _mapping(row["overrides"]),
        row["state"],
        row["draft"],
        _result(row["result"]) if row["result"] else None,
        row["error_code"],
        row["created_at"],
    )
