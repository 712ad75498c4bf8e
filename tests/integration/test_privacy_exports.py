"""What is kept is handed out whole, and written while it is read: neither rows nor a connection are held."""

import asyncio
import json

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm.model import OtherEvent
from gptagent.features.identity import service as identity
from gptagent.features.privacy import people, service
from gptagent.features.privacy.keeping.store import PAGE_ROWS
from gptagent.kernel.db import POOL_MAX_CONNECTIONS
from gptagent.kernel.errors import NotFound
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Origin
from members import add_member, cookie_of, set_password
from readers import reader_of
from scenes import Scene

WORDS = "My parcel canary5511 is lost"
BUSY = """select count(*) from pg_stat_activity
           where usename = current_user and pid <> pg_backend_pid() and state <> 'idle'"""


async def told(pieces):
    return json.loads(b"".join([piece async for piece in pieces]))


@pytest.fixture
def files(tmp_path):
    return LocalFiles(tmp_path)


@pytest.fixture
async def scene(world):
    """A customer who wrote, was answered, and of whom the CRM reported something nobody acts on."""
    scene = await Scene.open(world)
    await scene.set_agent(not_found_task=True)
    await scene.says(WORDS)
    await scene.calm()
    contact = {"id": str(scene.chat["contact_id"]), "name": "Ann canary5511"}
    await scene.hears(OtherEvent("contacts[update]", contact))
    await scene.hears(OtherEvent("calls[add]", {"id": "1"}))
    async with world.db.session(world.scope) as session:
        await session.execute(  # of the release before
            "insert into app.crm_event (connection_id, kind, payload) values ($1, 'contacts[update]', $2)",
            world.hook.connection_id,
            json.dumps(contact),
        )
        await session.execute(
            "insert into app.crm_contact (connection_id, external_id, name) values ($1, $2, 'Ann')",
            world.hook.connection_id,
            scene.chat["contact_id"],
        )
        await act(session, world.hook.connection_id, scene)
    return scene


async def act(session, connection_id, scene):
    """Something was written into the customer's deal, and a file came with the first message."""
    request = json.dumps({"type": "update", "values": {"name": {"type": "plain", "value": "Ann"}}})
    action_id = new_id()
    await session.execute(
        """insert into app.crm_action (id, connection_id, entity, entity_id, kind, actor_kind, request)
           values ($1, $2, 'leads', $3, 'update_lead', 'system', $4)""",
        action_id,
        connection_id,
        scene.chat["lead_id"],
        request,
    )
    await session.execute(
        """insert into app.crm_change (id, connection_id, action_id, entity, entity_id, key, before, after)
           values ($1, $2, $3, 'leads', $4, 'name', $5, $5)""",
        new_id(),
        connection_id,
        action_id,
        scene.chat["lead_id"],
        json.dumps({"type": "plain", "value": "Ann"}),
    )
    await session.execute(
        """insert into app.attachment (id, conversation_id, seq, kind, name)
           values ($1, $2, 1, 'file', 'a.pdf')""",
        new_id(),
        scene.conversation_id,
    )
    await session.execute(
        """insert into app.memory (id, conversation_id, seq, kind, topic, text, confidence, author, said_at)
           values ($1, $2, 1, 'fact', 'parcel', 'Has a parcel', 1, 'pattern', now())""",
        new_id(),
        scene.conversation_id,
    )
    await session.execute(
        """insert into app.knowledge_draft (id, conversation_id, made_by, question, talk, title, content,
                                            created_at, updated_at)
           values ($1, $2, 'words', 'Where?', '[]', 'Where', 'Here, as ever.', now(), now())""",
        new_id(),
        scene.conversation_id,
    )
    await session.execute(
        """insert into app.action_run (turn_id, conversation_id, intent)
           select id, conversation_id, 'complaint' from app.turn where conversation_id = $1 limit 1""",
        scene.conversation_id,
    )
    await session.execute(
        """insert into app.action_proposal
             (id, turn_id, conversation_id, action, fields, shown, degree, confidence, key)
           select $1, id, conversation_id, 'add_note', '{"text": "Call"}', 'Call', 'approve', 0.5, 'k'
             from app.turn where conversation_id = $2 limit 1""",
        new_id(),
        scene.conversation_id,
    )
    await session.execute(
        """insert into app.outgoing (id, conversation_id, seq, kind) values ($1, $2, 1, 'reply')""",
        new_id(),
        scene.conversation_id,
    )
    await session.execute(
        "insert into app.suggestion (conversation_id, id, upto_seq) values ($1, $2, 1)",
        scene.conversation_id,
        new_id(),
    )
    await session.execute(
        """insert into app.handoff (id, conversation_id, made_by, by_name, reason)
           values ($1, $2, 'agent', 'Agent', 'asked_for_person')""",
        new_id(),
        scene.conversation_id,
    )
    await try_out(session, scene)
    await session.execute(
        """insert into app.reply_file (turn_id, file_id, conversation_id, position, name, size_bytes)
           select id, $1, conversation_id, 1, 'price.pdf', 1
             from app.turn where conversation_id = $2 limit 1""",
        new_id(),
        scene.conversation_id,
    )


async def try_out(session, scene):
    """A member has tested the agent as this customer, and had the turn played again."""
    chat_id, person_id = new_id(), session.scope.actor.id
    await session.execute(
        """insert into app.test_chat (id, person_id, agent_id, connection_id, lead_id)
           select $1, $2, (select id from app.agent limit 1), connection_id, lead_id
             from app.conversation where id = $3""",
        chat_id,
        person_id,
        scene.conversation_id,
    )
    await session.execute(
        "insert into app.rehearsal (id, person_id, chat_id, question) values ($1, $2, $3, 'And now?')",
        new_id(),
        person_id,
        chat_id,
    )
    await session.execute(
        """insert into app.rehearsal (id, person_id, turn_id, conversation_id, question)
           select $1, $2, id, conversation_id, '' from app.turn where conversation_id = $3 limit 1""",
        new_id(),
        person_id,
        scene.conversation_id,
    )
    run_id, agent_id = new_id(), await session.fetchval("select min(id::text)::uuid from app.agent")
    await session.execute(
        """insert into app.scenario_run (id, kind, agent_id, target, settings, fingerprint, is_whole, repeats,
                                         total, state, budget_micro_usd, asked_at, updated_at)
           values ($1, 'replay', $2, 'draft', '{}', '', false, 1, 1, 'done', 1, now(), now())""",
        run_id,
        agent_id,
    )
    await session.execute(
        """insert into app.replayed_turn (run_id, turn_id, conversation_id, verdict, answer, tokens_in,
                                          tokens_out, millis, created_at)
           select $1, id, conversation_id, 'same', '{"text": "As ever", "outcome": "reply"}', 1, 1, 1, now()
             from app.turn where conversation_id = $2 limit 1""",
        run_id,
        scene.conversation_id,
    )


async def say_much(scene, count, text="More"):
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute(
            """insert into app.message (conversation_id, seq, author, text, sent_at)
               select $1, 2 + n, 'customer', $3, now() from generate_series(1, $2::int) n""",
            scene.conversation_id,
            count,
            text,
        )


async def test_a_customers_data_is_handed_out_whole(scene, world):
    kept = await told(await service.export_customer(world.db, world.scope, scene.conversation_id))
    assert kept["messages"][0]["text"] == WORDS
    of_crm = ("deals", "contacts", "tasks", "actions", "changes", "events", "deliveries")
    of_chat = ("conversations", "messages", "attachments", "memories", "turns", "turn_traces", "reply_files")
    of_chat += ("replays", "rehearsals", "test_chats", "action_runs", "proposed_actions")
    of_chat += ("questions", "question_words", "article_drafts")
    of_chat += ("replayed_turns", "outgoing_messages", "handoffs", "suggestions")
    assert {kind: bool(rows) for kind, rows in kept.items()} == dict.fromkeys((*of_crm, *of_chat), True)
    assert [event["payload"]["name"] for event in kept["events"]] == ["Ann canary5511"]
    assert [delivery["kind"] for delivery in kept["deliveries"]] == ["InboundMessage", "contacts[update]"]
    assert str(world.scope.org_id) not in str(kept)
    async with world.db.session(world.scope) as session:
        newest = (await audit.list_entries(session))[0]
    assert newest.action == "customer.exported" and newest.changes["messages"] == (None, 2)


async def test_a_long_chat_comes_page_by_page_each_message_once(scene, world):
    await say_much(scene, 3 * PAGE_ROWS)
    pieces = [
        piece async for piece in await service.export_customer(world.db, world.scope, scene.conversation_id)
    ]
    assert max(piece.count(b'"seq":') for piece in pieces) == PAGE_ROWS
    kept = json.loads(b"".join(pieces))
    assert [message["seq"] for message in kept["messages"]] == list(range(1, 3 * PAGE_ROWS + 3))


async def test_the_rest_is_not_read_before_it_is_asked_for(scene, world):
    """What is erased while a file is written is not in the part that is still to come."""
    await say_much(scene, 3 * PAGE_ROWS)
    pieces = await service.export_customer(world.db, world.scope, scene.conversation_id)
    begun = b""
    while WORDS.encode() not in begun.partition(b'"messages"')[2]:
        begun += await anext(pieces)
    async with world.db.session(world.scope) as session:
        await service.erase_customer(session, scene.conversation_id)
    kept = json.loads(begun + b"".join([piece async for piece in pieces]))
    assert len(kept["messages"]) == PAGE_ROWS and kept["turns"] == []


async def test_nobody_elses_conversation_is_begun(scene, world, other_scope):
    with pytest.raises(NotFound):
        await service.export_customer(world.db, other_scope, scene.conversation_id)


async def test_a_reader_who_stalls_or_leaves_holds_no_connection(scene, world, web):
    await say_much(scene, 10_000, "x" * 2_000)  # far more than the buffers of two sockets
    async with reader_of(web, world.db, world.scope) as alice:
        path = f"{alice.base}/settings/privacy/customers/{scene.conversation_id}"
        for _ in range(POOL_MAX_CONNECTIONS + 2):
            async with alice.http.stream("GET", path) as export:
                assert export.status_code == 200
                pieces = export.aiter_bytes()
                await anext(pieces)
                assert await rests(world)  # the reader stalls
        assert (await alice.open("/settings/privacy")).status_code == 200  # and has left each time


async def rests(world):
    for _ in range(1200):
        async with world.db.session(world.scope) as session:
            if await session.fetchval(BUSY) == 0:
                return True
        await asyncio.sleep(0.05)
    return False


# People


def origin_of(scope):
    return Origin(Actor("person", scope.actor.id), "a-request", "192.0.2.7")


@pytest.fixture
async def bob(database, scope):
    """A member who has logged in, and of whom a record says something personal."""
    bob = await add_member(database, scope, "member", email=f"bob{new_id().hex}@canary5511.test")
    await set_password(database, bob)
    await cookie_of(database, bob)
    async with database.session(scope) as session:
        entry = Entry(
            "member.seen", "person", str(bob.actor.id), personal={"name": "Bob"}, personal_of=bob.actor.id
        )
        await audit.record(session, entry, origin=origin_of(bob))
    return bob


async def test_a_person_gets_everything_kept_about_them_and_nothing_of_others(database, scope, files, bob):
    kept = await told(await service.export_person(database, files, bob.actor.id, origin_of(bob)))
    (person,) = kept["person"]
    assert person["id"] == str(bob.actor.id) and len(kept["sessions"]) == len(kept["password"]) == 1
    assert [one["role"] for one in kept["memberships"]] == ["member"] and kept["picture"] == []
    rows = {row["action"]: row for row in kept["audit"]}
    assert {"member.seen", "person.exported"} <= rows.keys()
    assert rows["member.seen"]["address"] == "192.0.2.7"
    assert rows["member.seen"]["personal"] == {"name": "Bob"}
    assert str(scope.actor.id) not in str(kept["audit"]) and "hash" not in str(kept)


async def test_what_others_did_is_told_without_where_they_were(database, scope, files, bob):
    async with database.session(scope) as session:
        await audit.record(
            session, Entry("member.changed", "member", str(bob.actor.id)), origin=origin_of(scope)
        )
    kept = await told(await service.export_person(database, files, bob.actor.id, origin_of(bob)))
    (row,) = (row for row in kept["audit"] if row["action"] == "member.changed")
    assert row["by_person"] is False and row["address"] is None


async def test_a_persons_picture_and_a_long_record_are_in_the_file(
    database, files, bob, monkeypatch, picture
):
    monkeypatch.setattr(people, "AUDIT_ROWS", 2)
    await identity.set_avatar(database, files, bob.actor.id, picture)
    for _ in range(4):
        kept = await told(await service.export_person(database, files, bob.actor.id, origin_of(bob)))
    assert [one["media_type"] for one in kept["picture"]] == ["image/webp"]
    found = [row["action"] for row in kept["audit"]]
    assert found.count("person.exported") == 4 and "member.seen" in found


@pytest.fixture
def picture():
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    return file.getvalue()
