"""What is kept of people and customers, as it is found to be handed out: every table that holds something."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gptagent.kernel.db import Session

# Events name a customer by one of these numbers, at any depth and as a number or a text.
OF_RECORDS = """connection_id = $1 and ((entity = 'leads' and entity_id = any($2))
                                   or (entity = 'contacts' and entity_id = any($3)))"""
_DONE_FOR = "(connection_id = $1 and conversation_id = any($4))"
_CHANGED_FOR = f"action_id in (select id from app.crm_action where {_DONE_FOR})"  # noqa: S608 - a constant
_NAMED = """jsonb_path_exists(
              payload::jsonb, '$.** ? (@ == $ids[*] || @ == $texts[*])',
              jsonb_build_object('ids', to_jsonb($2::bigint[]), 'texts', to_jsonb($3::text[])))"""
ABOUT = f"connection_id = $1 and {_NAMED}"
# Bodies are many: one is taken apart only if the number stands in it somewhere.
TOLD_ABOUT = f"""connection_id = $1 and payload is not null
              and exists (select from unnest($3::text[]) one where position(one in payload::text) > 0)
              and {_NAMED}"""
# The deals $2 and contacts $3 of a customer, and what their conversations $4 have brought about.
TASKS = """connection_id = $1 and (conversation_id = any($4::uuid[])
                                or case record_kind when 'lead' then lead_id = any($2::bigint[])
                                                    when 'contact' then lead_id = any($3::bigint[]) end)"""
# On a deal that is shared: without what another customer's conversation has brought about, and without those
# of which nobody knows whom they quote.
_OWN_TASKS = f"""{TASKS}
              and (conversation_id = any($4::uuid[])
                   or (conversation_id is null
                       and not exists (select from app.conversation c
                                        where c.connection_id = $1 and crm_task.record_kind = 'lead'
                                          and c.lead_id = crm_task.lead_id and c.id <> all($4::uuid[]))))"""

# Test chats as a customer: with one of the deals $2 or contacts $3.
CHATS = "c.connection_id = $1 and (c.lead_id = any($2::bigint[]) or c.contact_id = any($3::bigint[]))"

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
# What is kept of a conversation: how it is found, and in which order.
_OF_CONVERSATION = {
    "messages": ("select * from app.message where conversation_id = $1", ("seq",)),
    "memories": ("select * from app.memory where conversation_id = $1", ("created_at", "id")),
    "attachments": (
        """select id, conversation_id, seq, kind, name, state, size_bytes, sha256, created_at, hearing,
                  heard_as, heard_by, words, unheard_reason, heard_at
             from app.attachment where conversation_id = $1""",
        ("seq", "id"),
    ),
    "turns": ("select * from app.turn where conversation_id = $1", ("created_at", "id")),
    "questions": ("select * from app.asked_question where conversation_id = $1", ("asked_at", "turn_id")),
    "question_words": (
        """select w.lexeme, w.turn_id from app.gap_word w
             join app.asked_question q on q.turn_id = w.turn_id where q.conversation_id = $1""",
        ("turn_id", "lexeme"),
    ),
    "article_drafts": ("select * from app.knowledge_draft where conversation_id = $1", ("created_at", "id")),
    "action_runs": ("select * from app.action_run where conversation_id = $1", ("created_at", "turn_id")),
    "proposed_actions": (
        "select * from app.action_proposal where conversation_id = $1",
        ("created_at", "id"),
    ),
    "reply_files": ("select * from app.reply_file where conversation_id = $1", ("created_at", "file_id")),
    "outgoing_messages": ("select * from app.outgoing where conversation_id = $1", ("seq", "id")),
    "suggestions": ("select * from app.suggestion where conversation_id = $1", ("id",)),
    "handoffs": ("select * from app.handoff where conversation_id = $1", ("created_at", "id")),
    "turn_traces": ("select * from app.turn_trace where conversation_id = $1", ("created_at", "turn_id")),
    "replays": ("select * from app.rehearsal where conversation_id = $1", ("created_at", "id")),
    "replayed_turns": ("select * from app.replayed_turn where conversation_id = $1", ("run_id", "turn_id")),
}


def kept_of_contacts(connection_id: UUID, contact_ids: Sequence[int]) -> dict[str, list[Query]]:
    """Return what finds the copies of the customer's contacts."""
    sql = """select * from app.crm_contact
              where connection_id = $1 and external_id = any($2) and erased_at is null"""
    return {"contacts": [Query(sql, ("external_id",), args=(connection_id, list(contact_ids)))]}


def kept_of_actions(
    connection_id: UUID, leads: Sequence[int], contact_ids: Sequence[int], ids: Sequence[UUID] = ()
) -> dict[str, list[Query]]:
    """Return what finds all that was done in the CRM with the customer's deals and contacts, or for them:
    in one of these conversations.
    """
    about = (connection_id, list(leads), list(contact_ids), list(ids))
    return {
        name: [Query(f"select * from app.{table} where {condition}", ("created_at", "id"), args=about)]  # noqa: S608 - constants
        for name, table, condition in (
            ("actions", "crm_action", f"({OF_RECORDS}) or {_DONE_FOR}"),
            ("changes", "crm_change", f"({OF_RECORDS}) or {_CHANGED_FOR}"),
        )
    }


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
        **{
            kind: [Query(statement, order, args=(one,)) for one in ids]
            for kind, (statement, order) in _OF_CONVERSATION.items()
        },
        "deals": [
            Query(
                "select * from app.crm_lead where connection_id = $1 and external_id = any($2)",
                ("external_id",),
                args=deals,
            )
        ],
        "tasks": [
            Query(
                f"select * from app.crm_task where {_OWN_TASKS}",  # noqa: S608 - a constant
                ("created_at", "id"),
                args=(*deals, list(contacts), list(ids)),
            )
        ],
        "events": [
            Query(
                f"select id, kind, payload, received_at from app.crm_event where {ABOUT}",  # noqa: S608 - a constant
                ("id",),
                args=(connection_id, *as_values(numbers)),
                rows=EVENT_PAGE_ROWS,
            )
        ],
        "deliveries": [
            Query(
                f"select id, kind, payload, refs, received_at from app.crm_delivery where {TOLD_ABOUT}",  # noqa: S608 - a constant
                ("id",),
                args=(connection_id, *as_values(numbers)),
                rows=EVENT_PAGE_ROWS,
            )
        ],
    }


def kept_of_test_chats(
    connection_id: UUID, leads: Sequence[int], contacts: Sequence[int]
) -> dict[str, list[Query]]:
    """Return what finds the test chats that were held as the customer."""
    as_them = (connection_id, list(leads), list(contacts))
    return {
        "rehearsals": [
            Query(
                f"select r.* from app.rehearsal r join app.test_chat c on c.id = r.chat_id where {CHATS}",  # noqa: S608 - a constant
                ("created_at", "id"),
                args=as_them,
            )
        ],
        "test_chats": [
            Query(
                f"select c.* from app.test_chat c where {CHATS}",  # noqa: S608 - a constant
                ("created_at", "id"),
                args=as_them,
            )
        ],
    }


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


def as_values(numbers: Sequence[str]) -> tuple[list[int], list[str]]:
    return [int(one) for one in numbers if one.isdecimal()], list(numbers)
