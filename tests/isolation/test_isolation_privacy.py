"""Every column has its level; what is personal is handed out and erased, what is secret to nobody.

Read from the catalogue, so that a new table or column fails until somebody has decided about it.
"""

import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from PIL import Image

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import service as identity
from gptagent.features.privacy import service
from gptagent.kernel.postgres import read_roles
from gptagent.migrations.sealed import SEALED
from isolation.estate import CONTACT, PASSWORD, furnish, insert
from members import add_member

PAGE = (Path(__file__).resolve().parents[2] / "docs/security/privacy.md").read_text()
LEVELS = ("secret", "personal", "confidential", "internal")

# Under which kind of the two files the rows of a table are.
HANDED_OUT = {
    "action_proposal": "proposed_actions",
    "action_run": "action_runs",
    "api_grant": "api_log_ins",
    "asked_question": "questions",
    "attachment": "attachments",
    "audit_event": "audit",
    "conversation": "conversations",
    "crm_action": "actions",
    "crm_change": "changes",
    "crm_contact": "contacts",
    "crm_delivery": "deliveries",
    "crm_event": "events",
    "crm_lead": "deals",
    "crm_task": "tasks",
    "gap_word": "question_words",
    "knowledge_draft": "article_drafts",
    "handoff": "handoffs",
    "member": "memberships",
    "memory": "memories",
    "message": "messages",
    "oidc_identity": "sign_in_providers",
    "outgoing": "outgoing_messages",
    "passkey": "passkeys",
    "person": "person",
    "rehearsal": "rehearsals",
    "replayed_turn": "replayed_turns",
    "reply_file": "reply_files",
    "suggestion": "suggestions",
    "test_chat": "test_chats",
    "turn": "turns",
    "turn_trace": "turn_traces",
    "web_session": "sessions",
}
# Handed out under another name than the column's.
RENAMED = {"person.avatar_key": "picture"}
# Tables that refer to a customer or a person and have nothing to hand out, or give it to somebody else.
NOTHING_TO_HAND_OUT = {
    "agent_version": "who published it: told by the audit; its settings are the workspace's",
    "article_version": "who changed an article: told by the audit; its texts are the workspace's",
    "api_key": "who made it: told by the audit; the key is the workspace's",
    "crm_lead_claim": "a deal's number, for the minute in which a reply to it is sent",
    "crm_reply_slot": "a deal's number and the customer's last words, sealed, for a day",
    "memory_reading": "how far a conversation was read for it; goes with the conversation",
    "conversation_read": "how far a member has read a conversation; goes with either",
    "delivery_watch": "when to ask after a reply; goes with the conversation",
    "follow_up": "until when a customer's silence is waited for; goes with the conversation",
    "draft_watch": "how far a conversation was read for an article; goes with the conversation",
    "credential": "a hash; when it was changed is handed out",
    "crm_consent": "that the person is on the way to a CRM's consent page, for ten minutes",
    "idempotency_key": "answers the person was given, sealed, for a day",
    "invitation": "the workspace's word to an address, which a letter has told; erased with the person",
    "knowledge_question": "who saved it: told by the audit; its text is the workspace's",
    "lane": "numbers of what is to be answered; goes with the conversation",
    "one_time_token": "hashes of links; erased with the person",
    "person_key": "a sealed key, which opens what the audit's rows tell; destroyed with the person",
    "recovery_code": "hashes",
    "refresh_token": "hashes; the log-in they belong to is handed out",
    "totp": "a sealed secret; when it was set up is handed out",
}
# Whose rows stay when everybody is erased, and why nobody is known by them.
LEFT = {
    "agent_version": "the workspace's; it names an emptied row",
    "article_version": "the workspace's; it names an emptied row",
    "api_key": "the workspace's; it names an emptied row",
    "audit_event": "what it holds of a person is sealed under a key that is gone",
    "crm_contact": "the number only, so that no reading of the CRM copies the contact again",
    "idempotency_key": "sealed, and gone after a day",
    "knowledge_question": "the workspace's; it names an emptied row",
    "person": "emptied: others refer to it",
}
REFERS = re.compile(
    r"^(person_id|personal_of|conversation_id|contact_id|lead_id|chat_id|actor_id|acting_for|caller|grant_id"
    r"|\w+_by|impersonator_id)$"
)


def levels():
    """Return each named column, as `table.column`, with its level."""
    found = []
    for line in PAGE.partition("\n## Levels\n")[2].partition("\n## ")[0].splitlines():
        if match := re.match(r"^\| `(\w+)` \|(.*)\|$", line):
            cells = match[2].split("|")
            for level, cell in zip(LEVELS, cells, strict=True):
                found += [(f"{match[1]}.{column}", level) for column in re.findall(r"`(\w+)`", cell)]
    assert len(found) == len(dict(found)), "a column has one level"
    return dict(found)


def of_level(level):
    return {column for column, its in levels().items() if its == level}


@pytest.fixture(scope="module")
def owner(house):
    with psycopg.connect(read_roles(house).owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def columns(owner):
    """Return each column of the schema with its type."""
    rows = owner.execute(
        """select c.relname || '.' || a.attname, format_type(a.atttypid, null)
             from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p')
              and a.attnum > 0 and not a.attisdropped"""
    )
    return dict(rows.fetchall())


def test_every_column_that_can_hold_words_has_its_level(columns):
    can = {name for name, kind in columns.items() if kind.startswith(("text", "char", "bytea", "json"))}
    assert can - levels().keys() == set()
    assert levels().keys() - columns.keys() == set()


def test_what_is_secret_is_sealed_or_hashed(columns):
    sealed = {f"{one.table}.{one.column}" for one in SEALED}
    of_no_secret = {"idempotency_key.request_hash", "erased_message.message_hash"}
    hashed = {name for name in columns if name.endswith("_hash")} - of_no_secret
    assert of_level("secret") == sealed | hashed


def test_every_table_that_refers_to_somebody_is_handed_out_or_has_its_reason(columns):
    refers = {name.split(".")[0] for name in columns if REFERS.match(name.split(".")[1])}
    personal = {name.split(".")[0] for name in of_level("personal")}
    assert refers | personal == HANDED_OUT.keys() | NOTHING_TO_HAND_OUT.keys()


# Somebody of whom there is a row in every table


async def somebody(platform, owner, canary):
    """Furnish a workspace whose owner and customer have left something everywhere; another owner stays."""
    estate = await furnish(platform.db, platform.vault, canary)
    person = estate.person_id
    await add_member(platform.db, estate.scope, "owner")
    about = json.dumps({"id": CONTACT, "name": canary})
    entry = Entry("member.seen", "person", str(person), personal={"name": canary}, personal_of=person)
    async with platform.db.session(estate.scope) as session:
        await audit.record(session, entry, origin=replace(estate.scope.origin, address="192.0.2.7"))
        await session.execute("update app.conversation set talk_id = 5")
        await session.execute("update app.crm_lead set price = 5")
        await session.execute("update app.crm_event set payload = $1", about)
        await session.execute("update app.crm_delivery set payload = $1", about)
        await session.execute("update app.invitation set email = $1", estate.email)
        await session.execute("update app.api_key set created_by = $1", person)
        await session.execute("update app.idempotency_key set caller = $1", f"person:{person}")
        await insert(session, "totp", person_id=person, secret_sealed=b"sealed")
        await insert(session, "recovery_code", person_id=person, code_hash=b"hash")
        known_as = {"provider_id": estate.provider_id, "subject": canary}
        await insert(session, "oidc_identity", person_id=person, **known_as)
    owner.execute(
        """insert into app.one_time_token (person_id, token_hash, kind, expires_at)
           values (%s, %s, 'oidc', now())""",
        [person, canary.encode()],
    )
    owner.execute(
        "insert into app.refresh_token (grant_id, token_hash, expires_at) values (%s, %s, now())",
        [estate.grant_id, canary.encode()],
    )
    file = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    await identity.set_avatar(platform.db, platform.files, person, file.getvalue())
    return estate


async def handed_out(platform, estate):
    """Return both files as one object."""
    kept = {}
    for pieces in (
        await service.export_customer(platform.db, estate.scope, estate.conversation_id),
        await service.export_person(platform.db, platform.files, estate.person_id, estate.scope.origin),
    ):
        kept |= json.loads(b"".join([piece async for piece in pieces]))
    return kept


async def test_all_that_is_personal_and_nothing_secret_is_handed_out(platform, owner):
    kept = await handed_out(platform, await somebody(platform, owner, "dunlin4v6w"))
    for column in sorted(of_level("personal")):
        table, name = column.split(".")
        if column in RENAMED:
            assert kept[RENAMED[column]], column
        elif table not in NOTHING_TO_HAND_OUT:
            assert any(row.get(name) is not None for row in kept[HANDED_OUT[table]]), column
    for column in of_level("secret"):
        table, name = column.split(".")
        assert not any(name in row for row in kept.get(HANDED_OUT.get(table), [])), column
    assert "sealed" not in json.dumps(kept)


def rows_of(owner, columns, estate, table):
    """Return the rows that belong to the person, or else to the workspace, as text."""
    owner.execute("select set_config('app.org_id', %s, false)", [str(estate.scope.org_id)])
    belongs = {
        "api_key": f"created_by = '{estate.person_id}'",
        "idempotency_key": f"caller = 'person:{estate.person_id}'",
        "person": f"id = '{estate.person_id}'",
        "refresh_token": f"grant_id = '{estate.grant_id}'",
    }
    key = "person_id" if f"{table}.person_id" in columns else "org_id"
    whose = estate.person_id if key == "person_id" else estate.scope.org_id
    where = belongs.get(table, f"{key} = '{whose}'")
    return [row for (row,) in owner.execute(f"select to_jsonb(t) from app.{table} t where {where}")]  # noqa: S608 - names of this file


async def test_all_that_is_personal_is_erased(platform, owner, columns):
    canary = "redstart8f3j"
    estate = await somebody(platform, owner, canary)
    tables = sorted(HANDED_OUT.keys() | NOTHING_TO_HAND_OUT.keys())
    empty = [table for table in tables if not rows_of(owner, columns, estate, table)]
    assert empty == [], "of these nothing would be shown"
    async with platform.db.session(estate.scope) as session:
        await service.erase_customer(session, estate.conversation_id)
    await service.erase_person(platform.db, platform.files, estate.person_id, PASSWORD, estate.scope.origin)
    left = {table: rows for table in tables if (rows := rows_of(owner, columns, estate, table))}
    assert left.keys() == LEFT.keys()
    personal = of_level("personal")
    told = [
        (table, name)
        for table, rows in left.items()
        for row in rows
        for name, value in row.items()
        if f"{table}.{name}" in personal and canary in str(value)
    ]
    assert told == []
    async with platform.db.session(estate.scope) as session:
        entries = await audit.list_entries(session)
    assert {entry.personal for entry in entries} == {None}
