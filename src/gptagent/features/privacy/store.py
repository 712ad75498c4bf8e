"""All SQL of privacy. It knows every table in which something about a person or a customer is kept.

Locks: connection, conversation, lane, turn - always in this order.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session

# Events name a customer by one of these numbers, at any depth and as a number or a text.
_ABOUT = """connection_id = $1 and jsonb_path_exists(
              payload, '$.** ? (@ == $ids[*] || @ == $texts[*])',
              jsonb_build_object('ids', to_jsonb($2::bigint[]), 'texts', to_jsonb($3::text[])))"""

_KEPT_OF_PERSON = {
    "person": """select id, email, full_name, locale, is_platform_admin, created_at, email_verified_at
                   from app.person""",
    "password": "select changed_at from app.credential",
    "sessions": """select id, device, address, created_at, last_seen_at, expires_at, remembered
                     from app.web_session""",
    "api_log_ins": """select id, workspace_id, device, address, created_at, last_used_at, revoked_at
                        from app.api_grant""",
    "passkeys": "select id, name, created_at, last_used_at from app.passkey",
    "second_factor": "select confirmed_at, created_at from app.totp",
    "sign_in_providers": "select provider_id, subject, created_at, last_used_at from app.oidc_identity",
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


async def kept_of_customer(
    session: Session, connection_id: UUID, ids: Sequence[UUID], leads: Sequence[int], numbers: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return every row about a customer, by its kind."""
    queries: dict[str, tuple[str, list[object]]] = {
        "conversations": ("select * from app.conversation where id = any($1) order by id", [list(ids)]),
        "messages": (
            "select * from app.message where conversation_id = any($1) order by conversation_id, seq",
            [list(ids)],
        ),
        "attachments": (
            """select id, conversation_id, seq, kind, name, state, size_bytes, sha256, created_at
                 from app.attachment where conversation_id = any($1) order by conversation_id, seq""",
            [list(ids)],
        ),
        "turns": ("select * from app.turn where conversation_id = any($1) order by created_at", [list(ids)]),
        "deals": (
            "select * from app.crm_lead where connection_id = $1 and external_id = any($2)",
            [connection_id, list(leads)],
        ),
        "tasks": (
            "select * from app.crm_task where connection_id = $1 and lead_id = any($2) order by created_at",
            [connection_id, list(leads)],
        ),
        "events": (
            f"select kind, payload, received_at from app.crm_event where {_ABOUT} order by id",  # noqa: S608 - a constant
            [connection_id, *_as_values(numbers)],
        ),
    }
    return {kind: await _rows(session, sql, *args) for kind, (sql, args) in queries.items()}


async def erase_customer(
    session: Session, connection_id: UUID, ids: Sequence[UUID], leads: Sequence[int], numbers: Sequence[str]
) -> int:
    """Delete every row about a customer; messages, lanes and turns go with their conversation.

    Returns how many messages there were. A deal that other customers share stays.
    """
    messages: int = await session.fetchval(
        "select count(*) from app.message where conversation_id = any($1)", list(ids)
    )
    await session.execute("delete from app.conversation where id = any($1)", list(ids))
    about = f"delete from app.crm_event where {_ABOUT}"  # noqa: S608 - a constant
    await session.execute(about, connection_id, *_as_values(numbers))
    gone = await session.fetch(
        """select lead from unnest($2::bigint[]) lead
            where not exists (select from app.conversation c
                               where c.connection_id = $1 and c.lead_id = lead)""",
        connection_id,
        list(leads),
    )
    own = [row["lead"] for row in gone]
    await session.execute(
        "delete from app.crm_task where connection_id = $1 and lead_id = any($2)", connection_id, own
    )
    await session.execute(
        "delete from app.crm_reply_slot where connection_id = $1 and lead_id = any($2)", connection_id, own
    )
    await session.execute(
        "delete from app.crm_lead where connection_id = $1 and external_id = any($2)", connection_id, own
    )
    return messages


def _as_values(numbers: Sequence[str]) -> tuple[list[int], list[str]]:
    return [int(one) for one in numbers if one.isdecimal()], list(numbers)


async def kept_of_person(session: Session) -> dict[str, list[dict[str, Any]]]:
    """Return what the person of the transaction has, by its kind. The policies show nobody else's."""
    return {kind: await _rows(session, sql) for kind, sql in _KEPT_OF_PERSON.items()}


async def audit_about(session: Session, person_id: UUID, limit: int) -> list[dict[str, Any]]:
    """Return rows of the transaction's chain that the person caused or that are about them."""
    return await _rows(
        session,
        """select seq, at, action, target_kind, target_id, changes, actor_id = $1 as by_person
             from app.audit_event
            where org_id = app.org()
              and (actor_id = $1 or acting_for = $1 or personal_of = $1 or target_id = $1::text)
            order by seq desc limit $2""",
        person_id,
        limit,
    )


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


async def forget_answers(session: Session, age: timedelta, limit: int) -> int:
    return await _count(
        session,
        """update app.turn set answer = null where id in (
             select id from app.turn
              where answer is not null and state in ('ended', 'superseded')
                and ended_at < now() - $1::interval
              limit $2 for update skip locked)""",
        age,
        limit,
    )


async def _count(session: Session, sql: str, *args: object) -> int:
    return int((await session.execute(sql, *args)).rpartition(" ")[2])


async def _rows(session: Session, sql: str, *args: object) -> list[dict[str, Any]]:
    """Return rows as they are stored, in values of JSON, without the tenant's id."""
    as_json = f"select (to_jsonb(kept) - 'org_id')::text as row from ({sql}) kept"  # noqa: S608 - of this file
    found = await session.fetch(as_json, *args)
    return [json.loads(record["row"]) for record in found]
