"""All SQL of memory. Locks: a conversation comes before its reading, and that before what is remembered."""

from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.conversations.memory.model import Found, NewMemory
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id

LAST = 2**63 - 1  # no conversation has a message after it

# All conversations of the customer who has the conversation $1.
_KIN = """select $1::uuid as id union
          select c.id from app.conversation named join app.conversation c
              on c.connection_id = named.connection_id and c.contact_id = named.contact_id
           where named.id = $1"""
_COLUMNS = """id, conversation_id, seq, kind, topic, text, quote, confidence, author, said_at, expires_on,
              version, created_at, updated_at"""
# The workspace's period counts at once, not only when the rows are deleted at night.
_LIVE = f"""with kin as ({_KIN}), newest as (
              select distinct on (m.kind, m.topic) m.*
                from app.memory m join kin on kin.id = m.conversation_id
               order by m.kind, m.topic, m.said_at desc, m.id)
            select {_COLUMNS} from (
              select n.id, n.conversation_id, n.seq, n.kind, n.topic, n.text, n.quote, n.confidence, n.author,
                     n.said_at, n.version, n.created_at, n.updated_at,
                     least(n.expires_on, (n.said_at at time zone 'UTC')::date
                           + (o.settings->'retention'->>'memories')::int) as expires_on
                from newest n cross join app.organization o) live
             where (expires_on is null or expires_on >= (now() at time zone 'UTC')::date)"""  # noqa: S608 - constants


async def select_memories(session: Session, conversation_id: UUID) -> list[Record]:
    """Return what is remembered of the customer who has this conversation, the newest first."""
    return await session.fetch(f"{_LIVE} order by said_at desc, id", conversation_id)


async def select_memory(session: Session, conversation_id: UUID, memory_id: UUID) -> Record | None:
    return await session.fetchrow(f"{_LIVE} and id = $2", conversation_id, memory_id)


async def insert_memory(
    session: Session, conversation_id: UUID, found: Found, author: str, seq: int | None
) -> UUID:
    memory_id = new_id()
    await session.execute(
        """insert into app.memory (id, conversation_id, seq, kind, topic, text, quote, confidence, author,
                                   said_at, expires_on)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        memory_id,
        conversation_id,
        seq,
        found.kind,
        found.topic,
        found.text,
        found.quote,
        found.confidence,
        author,
        found.said_at,
        found.expires_on,
    )
    return memory_id


async def replace_memory(
    session: Session, memory_id: UUID, conversation_id: UUID, found: Found, author: str
) -> None:
    """Put what was said later in the place of what was said before."""
    await session.execute(
        """update app.memory set conversation_id = $2, seq = $3, kind = $4, topic = $5, text = $6, quote = $7,
                  confidence = $8, author = $9, said_at = $10, expires_on = $11, version = version + 1,
                  updated_at = now()
            where id = $1 and said_at <= $10""",
        memory_id,
        conversation_id,
        found.seq,
        found.kind,
        found.topic,
        found.text,
        found.quote,
        found.confidence,
        author,
        found.said_at,
        found.expires_on,
    )


async def update_memory(
    session: Session, memory_id: UUID, new: NewMemory, now: datetime, *, keeps_day: bool = False
) -> None:
    """Write what a person has made of it: they are sure of it."""
    await session.execute(
        """update app.memory set kind = $2, text = $3, author = 'person', confidence = 1,
                  expires_on = case when $6 then expires_on else $4::date end,
                  said_at = $5, version = version + 1, updated_at = $5
            where id = $1""",
        memory_id,
        new.kind,
        new.text,
        new.expires_on,
        now,
        keeps_day,
    )


async def delete_memory(session: Session, conversation_id: UUID, memory_id: UUID) -> bool:
    """Delete it and what it has superseded in other conversations of the customer."""
    done = await session.execute(
        f"""with kin as ({_KIN})
            delete from app.memory m using kin, app.memory named
             where named.id = $2 and named.conversation_id in (select id from kin)
               and m.conversation_id = kin.id and m.kind = named.kind and m.topic = named.topic""",  # noqa: S608 - a constant
        conversation_id,
        memory_id,
    )
    return _count(done) > 0


async def delete_memories(session: Session, conversation_id: UUID) -> int:
    """Delete all that is remembered of the customer."""
    done = await session.execute(
        f"with kin as ({_KIN}) delete from app.memory m using kin where m.conversation_id = kin.id",  # noqa: S608 - a constant
        conversation_id,
    )
    return _count(done)


async def trim_memories(session: Session, conversation_id: UUID, keep: int) -> None:
    """Delete the oldest beyond so many, but nothing that a person wrote."""
    await session.execute(
        f"""delete from app.memory where author <> 'person' and id in (
              select m.id from app.memory m join ({_KIN}) kin on kin.id = m.conversation_id
               order by m.said_at desc, m.id offset $2)""",  # noqa: S608 - a constant
        conversation_id,
        keep,
    )


async def note_due(session: Session, conversation_id: UUID, delay: timedelta, lost: timedelta) -> bool:
    """Whether a reading is to be queued: none is on its way, or for so long that it must be lost."""
    done = await session.fetchval(
        """insert into app.memory_reading as r (conversation_id, due_at)
           values ($1, clock_timestamp() + $2::interval)
           on conflict (org_id, conversation_id) do update set due_at = excluded.due_at
             where r.due_at is null or r.due_at < clock_timestamp() - $3::interval
           returning true""",
        conversation_id,
        delay,
        lost,
    )
    return bool(done)


async def pass_over(session: Session, conversation_id: UUID, up_to: int = LAST) -> None:
    """Count messages as read, all that there are or those up to one."""
    await session.execute(
        """insert into app.memory_reading as r (conversation_id, read_seq)
           select id, least(last_seq, $2) from app.conversation where id = $1
           on conflict (org_id, conversation_id) do update
              set read_seq = greatest(r.read_seq, excluded.read_seq)""",
        conversation_id,
        up_to,
    )


async def select_reading(session: Session, conversation_id: UUID) -> Record | None:
    return await session.fetchrow(
        "select read_seq, error_code from app.memory_reading where conversation_id = $1", conversation_id
    )


async def clear_due(session: Session, conversation_id: UUID) -> None:
    """What is written from now on is for another reading."""
    await session.execute(
        "update app.memory_reading set due_at = null where conversation_id = $1", conversation_id
    )


async def advance_reading(
    session: Session, conversation_id: UUID, old_seq: int, new_seq: int, error_code: str | None
) -> bool:
    """Note how far it is read. False: another has read these messages meanwhile."""
    done = await session.fetchval(
        """update app.memory_reading set read_seq = $3, error_code = $4
            where conversation_id = $1 and read_seq = $2 returning true""",
        conversation_id,
        old_seq,
        new_seq,
        error_code,
    )
    return bool(done)


def _count(done: str) -> int:
    return int(done.rpartition(" ")[2])
