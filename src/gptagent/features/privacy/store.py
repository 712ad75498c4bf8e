"""All SQL of privacy: every table in which something about a person or a customer is kept.

Locks: connection, conversation, lane, turn - always in this order.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from gptagent.features.privacy.keeping.store import ABOUT, CHATS, OF_RECORDS, TASKS, TOLD_ABOUT, as_values
from gptagent.kernel.db import Session


async def find_customers(
    session: Session, *, conversation_id: UUID | None, text: str, limit: int
) -> list[Record]:
    """Return customers by a conversation, a number of the CRM (contact or deal) or a part of the name."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
    return await session.fetch(
        """select (array_agg(c.id order by c.last_message_at desc))[1] as conversation_id, c.contact_id,
                  (array_agg(c.customer_name order by c.last_message_at desc))[1] as name,
                  (array_agg(c.channel order by c.last_message_at desc))[1] as channel,
                  count(*) as conversations, sum(c.last_seq)::bigint as messages,
                  max(c.last_message_at) as last_message_at
             from app.conversation c
            where case when $1::uuid is not null then c.id = $1
                       else c.contact_id = $2 or c.lead_id = $2
                            or ($3 <> '' and position(lower($3) in lower(c.customer_name)) > 0) end
            group by c.connection_id, c.contact_id, case when c.contact_id is null then c.id end
            order by max(c.last_message_at) desc limit $4""",
        conversation_id,
        number,
        text,
        limit,
    )


async def conversations_of(session: Session, conversation_id: UUID) -> list[Record]:
    """Return all conversations of the customer who has this one; empty if there is none such."""
    return await session.fetch(
        """select c.id, c.connection_id, c.chat_id, c.talk_id, c.contact_id, c.lead_id
             from app.conversation c join app.conversation named on named.id = $1
              and c.connection_id = named.connection_id
              and (c.id = named.id or c.contact_id = named.contact_id)
            order by c.id""",
        conversation_id,
    )


async def lock_conversations(session: Session, ids: Sequence[UUID]) -> None:
    await session.execute("select from app.conversation where id = any($1) order by id for update", list(ids))


async def erase_actions(
    session: Session, connection_id: UUID, leads: Sequence[int], contact_ids: Sequence[int]
) -> None:
    """Delete what was done with these records, and the journal of it."""
    await session.execute(
        f"delete from app.crm_action where {OF_RECORDS}",  # noqa: S608 - a constant
        connection_id,
        list(leads),
        list(contact_ids),
    )


async def forget_actions(session: Session, age: timedelta, limit: int) -> int:
    """Delete actions that are over since so long, with their lines of the journal."""
    return await _count(
        session,
        """delete from app.crm_action where id in (
             select id from app.crm_action
              where state not in ('pending', 'sending') and created_at < now() - $1::interval limit $2)""",
        age,
        limit,
    )


async def erase_customer(
    session: Session,
    connection_id: UUID,
    ids: Sequence[UUID],
    records: tuple[Sequence[int], Sequence[int]],
    numbers: Sequence[str],
) -> int:
    """Delete every row about a customer; messages, lanes and turns go with their conversation.

    Returns how many messages there were. A deal that other customers share stays. Of each message a hash of
    the CRM's id is kept, so that the same delivery again is known.
    """
    leads, contacts = records
    messages: int = await session.fetchval(
        "select count(*) from app.message where conversation_id = any($1)", list(ids)
    )
    await session.execute(
        """insert into app.erased_message (connection_id, message_hash)
           select $1, sha256(convert_to(provider_id, 'UTF8')) from app.message
            where conversation_id = any($2) and provider_id is not null
           on conflict do nothing""",
        connection_id,
        list(ids),
    )
    await session.execute("delete from app.conversation where id = any($1)", list(ids))
    # What was done for them with a deal that others share, or that their chat has left since.
    await session.execute(
        "delete from app.crm_action where connection_id = $1 and conversation_id = any($2)",
        connection_id,
        list(ids),
    )
    chats = f"delete from app.test_chat c where {CHATS}"  # noqa: S608 - a constant
    await session.execute(chats, connection_id, list(leads), list(contacts))
    about = f"delete from app.crm_event where {ABOUT}"  # noqa: S608 - a constant
    await session.execute(about, connection_id, *as_values(numbers))
    told = f"delete from app.crm_delivery where {TOLD_ABOUT}"  # noqa: S608 - a constant
    await session.execute(told, connection_id, *as_values(numbers))
    gone = await session.fetch(
        """select lead from unnest($2::bigint[]) lead
            where not exists (select from app.conversation c
                               where c.connection_id = $1 and c.lead_id = lead)""",
        connection_id,
        list(leads),
    )
    own = [row["lead"] for row in gone]
    owed = f"delete from app.crm_task where {TASKS}"  # noqa: S608 - a constant
    await session.execute(owed, connection_id, own, list(contacts), list(ids))
    # Of a task of the release before nobody knows whom it quotes: once it is in the CRM, ours is not needed.
    await session.execute(
        """delete from app.crm_task
            where connection_id = $1 and record_kind = 'lead' and lead_id = any($2)
              and conversation_id is null and state in ('done', 'failed')""",
        connection_id,
        list(leads),
    )
    await session.execute(
        "delete from app.crm_lead_claim where connection_id = $1 and lead_id = any($2)", connection_id, own
    )
    await session.execute(
        "delete from app.crm_reply_slot where connection_id = $1 and lead_id = any($2)", connection_id, own
    )
    await session.execute(
        "delete from app.crm_lead where connection_id = $1 and external_id = any($2)", connection_id, own
    )
    await erase_actions(session, connection_id, own, [])
    return messages


async def has_password(session: Session) -> bool:
    """Return whether the person of the transaction has one."""
    found: bool = await session.fetchval("select exists (select from app.credential)")
    return found


async def obstacles_to_erasure(session: Session, person_id: UUID) -> list[str]:
    """Return the names of workspaces that would be left without an owner; '' for the whole platform."""
    rows = await session.fetch("select workspace from app.obstacles_to_erasure($1)", person_id)
    return [row["workspace"] for row in rows]


async def hold_workspaces(session: Session, person_id: UUID) -> None:
    """Lock the person's workspaces: two owners who erase themselves at once do so one after the other."""
    await session.execute("select app.hold_workspaces_of($1)", person_id)


async def erase_person(session: Session, person_id: UUID, request_id: str) -> str | None:
    """Return the key of the avatar's file, to be deleted once this is committed."""
    key: str | None = await session.fetchval("select app.erase_person($1, $2)", person_id, request_id)
    return key


async def select_retention(session: Session) -> dict[str, Any]:
    found: str | None = await session.fetchval("select settings->>'retention' from app.organization")
    values: dict[str, Any] = json.loads(found) if found else {}
    return values


async def update_retention(session: Session, values: dict[str, int | None]) -> None:
    await session.execute(
        "update app.organization set settings = settings || jsonb_build_object('retention', $1::jsonb)",
        json.dumps(values),
    )


async def workspaces(session: Session) -> list[UUID]:
    return [row["org_id"] for row in await session.fetch("select org_id from app.workspaces_to_tidy()")]


async def forget_conversations(session: Session, age: timedelta, limit: int) -> int:
    """Delete the conversations silent for so long in which nothing is waited for."""
    return await _count(
        session,
        """delete from app.conversation where id in (
             select c.id from app.conversation c
              where c.last_message_at < now() - $1::interval
                and not exists (select from app.lane l where l.conversation_id = c.id and l.done < l.wanted)
                and not exists (select from app.turn t
                                 where t.conversation_id = c.id and t.state in ('open', 'sending'))
                and not exists (select from app.outgoing o
                                 where o.conversation_id = c.id and o.state in ('waiting', 'sending'))
              order by c.id limit $2 for update skip locked)""",
        age,
        limit,
    )


async def forget_tasks(session: Session, age: timedelta, limit: int) -> int:
    """Delete the tasks that were done or given up so long ago: their text holds the customer's question."""
    return await _count(
        session,
        """delete from app.crm_task where id in (
             select id from app.crm_task
              where state in ('done', 'failed') and created_at < now() - $1::interval limit $2)""",
        age,
        limit,
    )


async def forget_deals(session: Session, age: timedelta, limit: int) -> int:
    """Delete copies of deals without a conversation: the CRM tells of them again when they matter."""
    return await _count(
        session,
        """delete from app.crm_lead where (connection_id, external_id) in (
             select d.connection_id, d.external_id from app.crm_lead d
              where coalesce(d.fetched_at, '-infinity') < now() - $1::interval
                and not exists (select from app.conversation c
                                 where c.connection_id = d.connection_id and c.lead_id = d.external_id)
              limit $2)""",
        age,
        limit,
    )


async def forget_events(session: Session, age: timedelta, limit: int) -> int:
    return await _count(
        session,
        """delete from app.crm_event where id in (
             select id from app.crm_event where received_at < now() - $1::interval order by id limit $2)""",
        age,
        limit,
    )


async def forget_deliveries(session: Session, age: timedelta, limit: int) -> int:
    """Delete what the CRM told so long ago, acted on or not. There is much of it: ten steps at once."""
    return await _count(
        session,
        """delete from app.crm_delivery where id in (
             select d.id from app.crm_connection c cross join lateral (
               select id from app.crm_delivery
                where connection_id = c.id and received_at < now() - $1::interval
                order by received_at limit $2 * 10 for update skip locked) d
              limit $2 * 10)""",
        age,
        limit,
    )


async def forget_erased(session: Session, age: timedelta, limit: int) -> int:
    """Delete by what repeated deliveries were known, once no CRM repeats them any more."""
    return await _count(
        session,
        """delete from app.erased_message where message_hash in (
             select message_hash from app.erased_message where erased_at < now() - $1::interval limit $2)""",
        age,
        limit,
    )


async def forget_answers(session: Session, age: timedelta, limit: int) -> int:
    return await _count(
        session,
        """update app.turn set answer = null, draft_note = null where id in (
             select id from app.turn
              where answer is not null and state in ('ended', 'superseded')
                and ended_at < now() - $1::interval
              limit $2 for update skip locked)""",
        age,
        limit,
    )


async def forget_replays(session: Session, age: timedelta, limit: int) -> int:
    """Delete answers given anew that are as old, or whose turn's own answer is forgotten."""
    return await _count(
        session,
        """delete from app.replayed_turn where (run_id, turn_id) in (
             select p.run_id, p.turn_id from app.replayed_turn p join app.turn t on t.id = p.turn_id
              where p.created_at < now() - $1::interval or t.answer is null
              limit $2 for update of p skip locked)""",
        age,
        limit,
    )


async def forget_suggestions(session: Session, age: timedelta, limit: int) -> int:
    return await _count(
        session,
        """delete from app.suggestion where conversation_id in (
             select conversation_id from app.suggestion where asked_at < now() - $1::interval limit $2)""",
        age,
        limit,
    )


async def forget_traces(session: Session, age: timedelta, limit: int) -> int:
    return await _count(
        session,
        """delete from app.turn_trace where turn_id in (
             select x.turn_id from app.turn_trace x join app.turn t on t.id = x.turn_id
              where x.created_at < now() - $1::interval and t.state in ('ended', 'superseded')
              limit $2 for update of x skip locked)""",
        age,
        limit,
    )


async def forget_rehearsals(session: Session, age: timedelta, limit: int) -> int:
    """Delete what was played in test chats or as a turn again so long ago."""
    return await _count(
        session,
        """delete from app.rehearsal where id in (
             select id from app.rehearsal where created_at < now() - $1::interval
              limit $2 for update skip locked)""",
        age,
        limit,
    )


async def forget_memories(session: Session, age: timedelta, limit: int) -> int:
    """Delete what customers said of themselves so long ago."""
    return await _count(
        session,
        """delete from app.memory where id in (
             select id from app.memory where said_at < now() - $1::interval
              limit $2 for update skip locked)""",
        age,
        limit,
    )


async def forget_lapsed_memories(session: Session, age: timedelta, limit: int) -> int:
    """Delete what was true up to a day so long ago."""
    return await _count(
        session,
        """delete from app.memory where id in (
             select id from app.memory where expires_on < (now() - $1::interval)::date
              limit $2 for update skip locked)""",
        age,
        limit,
    )


async def _count(session: Session, sql: str, *args: object) -> int:
    return int((await session.execute(sql, *args)).rpartition(" ")[2])
