"""All SQL of privacy: every table in which something about a person or a customer is kept.

Locks: connection, conversation, lane, turn - always in this order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session

# Events name a customer by one of these numbers, at any depth and as a number or a text.
_OF_RECORDS = """connection_id = $1 and ((entity = 'leads' and entity_id = any($2))
                                   or (entity = 'contacts' and entity_id = any($3)))"""
_NAMED = """jsonb_path_exists(
              payload::jsonb, '$.** ? (@ == $ids[*] || @ == $texts[*])',
              jsonb_build_object('ids', to_jsonb($2::bigint[]), 'texts', to_jsonb($3::text[])))"""
_ABOUT = f"connection_id = $1 and {_NAMED}"
# Bodies are many: one is taken apart only if the number stands in it somewhere.
_TOLD_ABOUT = f"""connection_id = $1 and payload is not null
              and exists (select from unnest($3::text[]) one where position(one in payload::text) > 0)
              and {_NAMED}"""
# The deals $2 and contacts $3 of a customer.
_TASKS = """connection_id = $1 and case record_kind when 'lead' then lead_id = any($2::bigint[])
                                                    when 'contact' then lead_id = any($3::bigint[]) end"""

PAGE_ROWS = 100
EVENT_PAGE_ROWS = 10  # one may be as large as the webhook it came with: a megabyte


@dataclass(frozen=True, slots=True)
class Query:
    """Rows of one kind. A page continues after its `key`: columns that tell rows apart and never change."""

    sql: str
    key: tuple[str, ...]
    args: tuple[object, ...] = ()
    rows: int = PAGE_ROWS

    @property
    def columns(self) -> str:
        return ", ".join(self.key)

    def continued(self, after: Sequence[object] | None) -> str:
        """Return the condition of the rows after this key, whose values are the last parameters."""
        if after is None:
            return ""
        first = len(self.args) + 1
        marks = ", ".join(f"${first + place}" for place in range(len(self.key)))
        return f"where ({self.columns}) > ({marks})"


# What a person has. The policies show nobody else's.
KEPT_OF_PERSON = {
    "person": Query(
        """select id, email, full_name, given_name, family_name, locale, is_platform_admin, created_at,
                  email_verified_at
             from app.person""",
        ("id",),
    ),
    "password": Query("select changed_at from app.credential", ("changed_at",)),
    "sessions": Query(
        """select id, device, address, created_at, last_seen_at, expires_at, remembered
             from app.web_session where impersonator_id is null""",  # others' are told by the audit
        ("id",),
    ),
    "api_log_ins": Query(
        """select id, workspace_id, device, address, created_at, last_used_at, revoked_at
             from app.api_grant""",
        ("id",),
    ),
    "passkeys": Query("select id, name, created_at, last_used_at from app.passkey", ("id",)),
    "second_factor": Query("select confirmed_at, created_at from app.totp", ("created_at",)),
    "sign_in_providers": Query(
        "select provider_id, subject, created_at, last_used_at from app.oidc_identity",
        ("provider_id", "subject"),
    ),
}


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


def kept_of_contacts(connection_id: UUID, contact_ids: Sequence[int]) -> dict[str, list[Query]]:
    """Return what finds the copies of the customer's contacts."""
    sql = """select * from app.crm_contact
              where connection_id = $1 and external_id = any($2) and erased_at is null"""
    return {"contacts": [Query(sql, ("external_id",), args=(connection_id, list(contact_ids)))]}


def kept_of_actions(
    connection_id: UUID, leads: Sequence[int], contact_ids: Sequence[int]
) -> dict[str, list[Query]]:
    """Return what finds all that was done in the CRM with the customer's deals and contacts."""
    about = (connection_id, list(leads), list(contact_ids))
    return {
        name: [Query(f"select * from app.{table} where {_OF_RECORDS}", ("created_at", "id"), args=about)]  # noqa: S608 - constants
        for name, table in (("actions", "crm_action"), ("changes", "crm_change"))
    }


async def erase_actions(
    session: Session, connection_id: UUID, leads: Sequence[int], contact_ids: Sequence[int]
) -> None:
    """Delete what was done with these records, and the journal of it."""
    await session.execute(
        f"delete from app.crm_action where {_OF_RECORDS}",  # noqa: S608 - a constant
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


def kept_of_customer(
    connection_id: UUID,
    ids: Sequence[UUID],
    records: tuple[Sequence[int], Sequence[int]],
    numbers: Sequence[str],
) -> dict[str, list[Query]]:
    """Return what finds every row about a customer, by its kind. `records`: their deals and contacts."""
    leads, contacts = records
    deals = (connection_id, list(leads))
    return {
        "conversations": [
            Query("select * from app.conversation where id = any($1)", ("id",), args=(list(ids),))
        ],
        "messages": [
            Query("select * from app.message where conversation_id = $1", ("seq",), args=(one,))
            for one in ids
        ],
        "memories": [
            Query("select * from app.memory where conversation_id = $1", ("created_at", "id"), args=(one,))
            for one in ids
        ],
        "attachments": [
            Query(
                """select id, conversation_id, seq, kind, name, state, size_bytes, sha256, created_at,
                          hearing, heard_as, heard_by, words, unheard_reason, heard_at
                     from app.attachment where conversation_id = $1""",
                ("seq", "id"),
                args=(one,),
            )
            for one in ids
        ],
        "turns": [
            Query("select * from app.turn where conversation_id = $1", ("created_at", "id"), args=(one,))
            for one in ids
        ],
        "questions": [
            Query(
                "select * from app.asked_question where conversation_id = $1",
                ("asked_at", "turn_id"),
                args=(one,),
            )
            for one in ids
        ],
        "question_words": [
            Query(
                """select w.lexeme, w.turn_id from app.gap_word w
                     join app.asked_question q on q.turn_id = w.turn_id where q.conversation_id = $1""",
                ("turn_id", "lexeme"),
                args=(one,),
            )
            for one in ids
        ],
        "article_drafts": [
            Query(
                "select * from app.knowledge_draft where conversation_id = $1",
                ("created_at", "id"),
                args=(one,),
            )
            for one in ids
        ],
        "reply_files": [
            Query(
                "select * from app.reply_file where conversation_id = $1",
                ("created_at", "file_id"),
                args=(one,),
            )
            for one in ids
        ],
        "deals": [
            Query(
                "select * from app.crm_lead where connection_id = $1 and external_id = any($2)",
                ("external_id",),
                args=deals,
            )
        ],
        "tasks": [
            Query(
                f"select * from app.crm_task where {_TASKS}",  # noqa: S608 - a constant
                ("created_at", "id"),
                args=(*deals, list(contacts)),
            )
        ],
        "events": [
            Query(
                f"select id, kind, payload, received_at from app.crm_event where {_ABOUT}",  # noqa: S608 - a constant
                ("id",),
                args=(connection_id, *_as_values(numbers)),
                rows=EVENT_PAGE_ROWS,
            )
        ],
        "deliveries": [
            Query(
                f"select id, kind, payload, refs, received_at from app.crm_delivery where {_TOLD_ABOUT}",  # noqa: S608 - a constant
                ("id",),
                args=(connection_id, *_as_values(numbers)),
                rows=EVENT_PAGE_ROWS,
            )
        ],
    }


def kept_of_answers(ids: Sequence[UUID]) -> dict[str, list[Query]]:
    """Return what finds how answers in these conversations were made."""
    traces = "select * from app.turn_trace where conversation_id = $1"
    return {"turn_traces": [Query(traces, ("created_at", "turn_id"), args=(one,)) for one in ids]}


async def count(session: Session, queries: Sequence[Query]) -> int:
    """Return how many rows the queries find."""
    found = [
        await session.fetchval(f"select count(*) from ({query.sql}) kept", *query.args)  # noqa: S608 - of this file
        for query in queries
    ]
    return sum(found)


async def page(
    session: Session, query: Query, after: Sequence[object] | None
) -> tuple[list[str], Sequence[object] | None]:
    """Return rows as they are stored, as JSON without the tenant's id, and the last one's key if there may be
    more. `after` is the key of the last one of the page before.
    """
    found = await session.fetch(
        f"""select (to_jsonb(kept) - 'org_id')::text as row_as_json, {query.columns}
              from ({query.sql}) kept {query.continued(after)}
             order by {query.columns} limit {query.rows}""",  # noqa: S608 - of this file
        *query.args,
        *(after or ()),
    )
    rows = [record["row_as_json"] for record in found]
    return rows, tuple(found[-1])[1:] if len(found) == query.rows else None


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
    about = f"delete from app.crm_event where {_ABOUT}"  # noqa: S608 - a constant
    await session.execute(about, connection_id, *_as_values(numbers))
    told = f"delete from app.crm_delivery where {_TOLD_ABOUT}"  # noqa: S608 - a constant
    await session.execute(told, connection_id, *_as_values(numbers))
    gone = await session.fetch(
        """select lead from unnest($2::bigint[]) lead
            where not exists (select from app.conversation c
                               where c.connection_id = $1 and c.lead_id = lead)""",
        connection_id,
        list(leads),
    )
    own = [row["lead"] for row in gone]
    owed = f"delete from app.crm_task where {_TASKS}"  # noqa: S608 - a constant
    await session.execute(owed, connection_id, own, list(contacts))
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


def _as_values(numbers: Sequence[str]) -> tuple[list[int], list[str]]:
    return [int(one) for one in numbers if one.isdecimal()], list(numbers)


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
