"""What is kept about customers and people: handed out, erased, forgotten in time."""

import asyncio
import json

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm.model import OtherEvent
from gptagent.features.privacy import service
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Origin
from members import PASSWORD, add_member, cookie_of, set_password
from readers import reader_of, texts
from scenes import Scene, patched

WORDS = "My parcel canary5511 is lost"
KEPT_OF_CUSTOMERS = (
    "conversation",
    "message",
    "lane",
    "turn",
    "crm_lead",
    "crm_task",
    "crm_event",
    "crm_delivery",
)


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
            """insert into app.crm_contact (connection_id, external_id, name, phones)
               values ($1, $2, 'Ann canary5511', '{canary5511}')""",
            world.hook.connection_id,
            scene.chat["contact_id"],
        )
    return scene


async def rows_of(world):
    """Return every row kept about the workspace's customers, as text."""
    async with world.db.session(world.scope) as session:
        found = [
            await session.fetch(f"select to_jsonb(t)::text as row from app.{name} t")  # noqa: S608 - a name of this file
            for name in KEPT_OF_CUSTOMERS
        ]
    return [row["row"] for rows in found for row in rows]


async def actions(world):
    async with world.db.session(world.scope) as session:
        return [(one.action, one.changes) for one in await audit.list_entries(session)]


async def test_an_erased_customer_leaves_no_row_and_no_word(scene, world):
    async with world.db.session(world.scope) as session:
        await service.erase_customer(session, scene.conversation_id)
    left = await rows_of(world)
    assert [row for row in left if "canary5511" in row or str(scene.chat["contact_id"]) in row] == []
    assert len(left) == 1  # the call of somebody else
    async with world.db.session(world.scope) as session:
        (contact,) = await session.fetch(
            "select c::text as row, external_id, erased_at from app.crm_contact c"
        )
    assert contact["external_id"] == scene.chat["contact_id"] and contact["erased_at"] is not None
    assert "canary5511" not in contact["row"]  # only the number, so that no reading copies the person again
    (action, changes) = (await actions(world))[0]
    assert action == "customer.erased" and changes == {"conversations": (1, 0), "messages": (2, 0)}
    with pytest.raises(NotFound):
        async with world.db.session(world.scope) as session:
            await service.erase_customer(session, scene.conversation_id)


async def test_what_was_done_for_an_erased_customer_with_a_deal_of_others_goes_too(scene, world):
    """PRV-2: a deal that is shared, or that the chat has left since."""
    async with world.db.session(world.scope) as session:
        await session.execute(
            """insert into app.crm_action (id, connection_id, kind, entity, entity_id, request, actor_kind,
                                           conversation_id, reason, state)
               values ($1, $2, 'add_note', 'leads', 987654, '{}', 'system', $3, 'canary5511', 'done')""",
            new_id(),
            world.hook.connection_id,
            scene.conversation_id,
        )
    pieces = [
        one async for one in await service.export_customer(world.db, world.scope, scene.conversation_id)
    ]
    assert "987654" in b"".join(pieces).decode()
    async with world.db.session(world.scope) as session:
        await service.erase_customer(session, scene.conversation_id)
        assert await session.fetchval("select count(*) from app.crm_action") == 0


async def test_a_task_that_quotes_an_erased_customer_goes_with_them_from_a_deal_that_stays(scene, world):
    """PRV-2: also one of the release before, which did not note whom it quotes, once the CRM has it"""
    neighbour = Scene(world, {**(await world.account.new_chat()), "lead_id": scene.chat["lead_id"]})
    await neighbour.says("I buy with Ann")
    await neighbour.calm()
    async with world.db.session(world.scope) as session:
        await session.execute(
            """insert into app.crm_task (id, connection_id, lead_id, text, due_at, state)
               values ($1, $2, $3, 'canary5511 of old', now(), 'done')""",
            new_id(),
            world.hook.connection_id,
            scene.chat["lead_id"],
        )
    exported = [
        one async for one in await service.export_customer(world.db, world.scope, neighbour.conversation_id)
    ]
    texts_told = [one["text"] for one in json.loads(b"".join(exported))["tasks"]]
    assert any("buy with Ann" in text for text in texts_told)
    assert not any(WORDS in text or "of old" in text for text in texts_told)
    async with world.db.session(world.scope) as session:
        await service.erase_customer(session, scene.conversation_id)
        left = [row["text"] for row in await session.fetch("select text from app.crm_task")]
        deals = await session.fetchval("select count(*) from app.crm_lead")
    assert deals == 1 and [text for text in left if "canary5511" in text] == []
    assert len(left) == 1 and "I buy with Ann" in left[0]


async def test_what_an_erased_customer_writes_begins_a_new_conversation(scene, world):
    before = scene.conversation_id
    async with world.db.session(world.scope) as session:
        await service.erase_customer(session, before)
    await scene.says("Hello again")
    await scene.calm()
    assert scene.conversation_id != before and (await scene.conversation())["last_seq"] == 2


async def test_a_delivery_repeated_after_the_erasure_brings_nothing_back(scene, world):
    again = await scene.says("A last question")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        await service.erase_customer(session, scene.conversation_id)
    await scene.says("A last question", provider_id=again)
    assert scene.conversation_id is None and "A last question" not in "".join(await rows_of(world))
    async with world.db.session(world.scope) as session:
        await session.execute("update app.erased_message set erased_at = now() - interval '31 days'")
    await service.apply_retention(world.db)
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.erased_message") == 0


async def test_a_reply_in_the_making_is_not_sent_from_erased_text(world):
    scene = await Scene.open(world)
    await scene.says(WORDS)

    async def erased_meanwhile(link):
        async with world.db.session(world.scope) as session:
            await service.erase_customer(session, scene.conversation_id)

    patched(scene, reserve_send=erased_meanwhile)
    await scene.advance()
    assert await scene.sent() == [] and await rows_of(world) == []


async def test_another_customers_data_stays(scene, world):
    other = await Scene.open(world)
    await other.says("Quite another matter")
    await other.calm()
    async with world.db.session(world.scope) as session:
        await service.erase_customer(session, scene.conversation_id)
    assert (await other.conversation())["last_seq"] == 2
    assert "Quite another matter" in "".join(await rows_of(world))


async def test_customers_are_found_by_name_number_and_conversation(scene, world):
    async with world.db.session(world.scope) as session:
        for query in (
            {"text": "ann"},
            {"text": str(scene.chat["contact_id"])},
            {"text": str(scene.chat["lead_id"])},
        ):
            (one,) = await service.find_customers(session, **query)
            assert (one.conversation_id, one.messages) == (scene.conversation_id, 2)
        (one,) = await service.find_customers(session, conversation_id=scene.conversation_id)
        assert one.contact_id == scene.chat["contact_id"]
        assert await service.find_customers(session, text=" ") == []
        assert await service.find_customers(session, text="nobody") == []


async def age(world, days):
    async with world.db.session(world.scope) as session:
        for sql in (
            "update app.conversation set last_message_at = now() - $1 * interval '1 day'",
            "update app.crm_task set state = 'done', created_at = now() - $1 * interval '1 day'",
            "update app.crm_lead set fetched_at = now() - $1 * interval '1 day'",
            "update app.crm_contact set seen_at = now() - $1 * interval '1 day'",
            "update app.crm_event set received_at = now() - $1 * interval '1 day'",
            "update app.crm_delivery set received_at = now() - $1 * interval '1 day'",
            "update app.turn set ended_at = now() - $1 * interval '1 day' where ended_at is not null",
            "update app.turn_trace set created_at = now() - $1 * interval '1 day'",
        ):
            await session.execute(sql, days)


async def keep(world, **days):
    async with world.db.session(world.scope) as session:
        await service.set_retention(session, days)


async def test_a_workspace_that_chose_nothing_keeps_chats_and_forgets_raw_events(scene, world):
    await age(world, 31)
    await service.apply_retention(world.db)
    left = await rows_of(world)
    assert (await scene.conversation())["last_seq"] == 2 and (await scene.turns())[0]["answer"] is not None
    assert not [row for row in left if "contacts[update]" in row]
    assert ("retention.applied", {"events": (1, 0), "deliveries": (3, 0)}) in await actions(world)


async def test_what_is_older_than_the_workspace_wants_goes_and_the_rest_stays(scene, world):
    await keep(world, conversations=60, answers=10, events=None)
    await age(world, 20)
    await service.apply_retention(world.db)
    assert (await scene.turns())[0]["answer"] is None
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.turn_trace") == 0
    assert [row for row in await rows_of(world) if "contacts[update]" in row]
    await age(world, 61)
    await service.apply_retention(world.db)
    left = await rows_of(world)
    assert not [row for row in left if WORDS in row]
    assert len(left) == 1  # the report of old, kept for ever here; a delivery stays no longer than chats do


async def test_a_chat_in_which_an_answer_is_waited_for_stays(world):
    scene = await Scene.open(world)
    await scene.says(WORDS)
    await keep(world, conversations=7)
    await age(world, 30)
    await service.apply_retention(world.db)
    assert (await scene.conversation())["last_seq"] == 1


async def test_much_is_forgotten_in_many_small_steps(scene, world, monkeypatch):
    from gptagent.features.privacy import retention

    monkeypatch.setattr(retention, "BATCH_ROWS", 1)
    await age(world, 31)
    await service.apply_retention(world.db)
    assert ("retention.applied", {"events": (1, 0), "deliveries": (3, 0)}) in await actions(world)


@pytest.mark.parametrize("change", [{"conversations": 6}, {"events": 0}, {"answers": 3651}])
async def test_a_period_that_is_too_short_or_too_long_is_refused(change, database, scope):
    async with database.session(scope) as session:
        with pytest.raises(Invalid) as refused:
            await service.set_retention(session, change)
    assert [fault.pointer for fault in refused.value.fields] == list(change)


# People


def origin_of(scope, **more):
    return Origin(Actor("person", scope.actor.id, **more), "a-request", "192.0.2.7")


async def bob_of(database, scope, role="member"):
    """A member who has logged in, and of whom a record says something personal."""
    bob = await add_member(database, scope, role, email=f"bob{new_id().hex}@canary5511.test")
    await set_password(database, bob)
    await cookie_of(database, bob)
    async with database.session(scope) as session:
        entry = Entry(
            "member.seen", "person", str(bob.actor.id), personal={"name": "Bob"}, personal_of=bob.actor.id
        )
        await audit.record(session, entry, origin=origin_of(bob))
    return bob


async def test_an_erased_person_cannot_be_recognised_anywhere(database, scope, files):
    bob = await bob_of(database, scope)
    await service.erase_person(database, files, bob.actor.id, PASSWORD, origin_of(bob))
    async with database.session(bob) as session:
        for table in ("credential", "web_session", "passkey", "totp", "api_grant", "member"):
            assert (
                await session.fetchval(
                    f"select count(*) from app.{table} where person_id = $1",  # noqa: S608 - a name of this test
                    bob.actor.id,
                )
                == 0
            )
        row = await session.fetchrow("select * from app.person where id = $1", bob.actor.id)
    assert (
        "canary5511" not in str(row)
        and (row["full_name"], row["family_name"]) == ("Erased", "")
        and row["erased_at"] is not None
    )
    async with database.session(scope) as session:
        entries = {one.action: one for one in await audit.list_entries(session)}
    assert entries["member.seen"].personal is None and entries["member.seen"].address is None
    assert entries["member.erased"].actor_id == bob.actor.id


async def test_an_erased_persons_name_goes_from_all_they_wrote_and_decided(scene, world, files):
    """PRV-2"""
    bob = await bob_of(world.db, world.scope)
    async with world.db.session(bob) as session:
        name = await session.fetchval("select full_name from app.person where id = $1", bob.actor.id)
    turn, chat = (await scene.turns())[-1], scene.conversation_id
    async with world.db.session(world.scope) as session:
        await session.execute("update app.turn set draft_by = $1", name)
        await session.execute("update app.message set author = 'human', author_name = $1", name)
        await session.execute(
            """insert into app.outgoing (id, conversation_id, seq, kind)
               select $1, $2, seq, 'reply' from app.message where conversation_id = $2 limit 1""",
            new_id(),
            chat,
        )
        await session.execute(
            """insert into app.handoff (id, conversation_id, made_by, by_name, reason)
               values ($1, $2, 'person', $3, 'person')""",
            new_id(),
            chat,
            name,
        )
        await session.execute(
            """insert into app.action_proposal (id, conversation_id, turn_id, action, fields, shown, degree,
                                                confidence, key, state, decided_by)
               values ($1, $2, $3, 'add_note', '{}', '', 'approve', 1, 'key', 'rejected', $4)""",
            new_id(),
            chat,
            turn["id"],
            name,
        )
    await service.erase_person(world.db, files, bob.actor.id, PASSWORD, origin_of(bob))
    async with world.db.session(world.scope) as session:
        places = ("turn.draft_by", "handoff.by_name", "action_proposal.decided_by")
        for table, column in (one.split(".") for one in places):
            found = await session.fetch(f"select {column} from app.{table}")  # noqa: S608 - words above
            assert {row[column] for row in found} == {""}, table
        ours = await session.fetchval(
            """select m.author_name from app.message m
                 join app.outgoing o on o.conversation_id = m.conversation_id and o.seq = m.seq"""
        )
    assert name and ours == ""


@pytest.mark.parametrize("proof", ["", "not the right one", "bob@canary5511.test"])
async def test_without_the_password_nobody_is_erased(database, scope, files, proof):
    bob = await bob_of(database, scope)
    with pytest.raises(Invalid) as refused:
        await service.erase_person(database, files, bob.actor.id, proof, origin_of(bob))
    assert [fault.pointer for fault in refused.value.fields] == ["proof"]


async def test_a_person_without_a_password_proves_it_by_their_address(database, scope, files):
    bob = await bob_of(database, scope)
    async with database.installation(bob.actor.id) as session:
        await session.execute("delete from app.credential")
        email = await session.fetchval("select email from app.person")
    await service.erase_person(database, files, bob.actor.id, email.upper(), origin_of(bob))


async def test_the_last_owner_stays_until_somebody_else_owns_the_workspace(database, scope, files):
    await set_password(database, scope)
    with pytest.raises(Conflict) as refused:
        await service.erase_person(database, files, scope.actor.id, PASSWORD, origin_of(scope))
    assert refused.value.code == "last_owner" and refused.value.params == {"workspaces": "Alice's"}
    await add_member(database, scope, "owner")
    await service.erase_person(database, files, scope.actor.id, PASSWORD, origin_of(scope))


async def test_of_two_owners_who_erase_themselves_at_once_one_stays(database, scope, files):
    await set_password(database, scope)
    other = await bob_of(database, scope, "owner")
    both = (
        service.erase_person(database, files, one.actor.id, PASSWORD, origin_of(one))
        for one in (scope, other)
    )
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "NoneType"]


async def test_whoever_looks_through_anothers_eyes_neither_takes_nor_erases(database, scope, files):
    bob = await bob_of(database, scope)
    borrowed = origin_of(bob, impersonator=new_id())
    with pytest.raises(Forbidden):
        await service.export_person(database, files, bob.actor.id, borrowed)
    with pytest.raises(Forbidden):
        await service.erase_person(database, files, bob.actor.id, PASSWORD, borrowed)


async def test_the_avatars_file_goes_with_the_person(database, scope, files):
    bob = await bob_of(database, scope)
    key = f"{bob.actor.id.hex}:avatar"

    async def picture():
        yield b"a picture"

    await files.put(key, picture(), max_bytes=100)
    async with database.installation(bob.actor.id) as session:
        await session.execute("update app.person set avatar_key = $1", key)
    await service.erase_person(database, files, bob.actor.id, PASSWORD, origin_of(bob))
    with pytest.raises(NotFound):
        await files.open_path(key)


# Pages


async def test_the_page_of_the_workspace_finds_and_erases_a_customer(scene, world, web):
    async with reader_of(web, world.db, world.scope) as alice:
        page = await alice.open("/settings/privacy", params={"q": "ann"})
        assert "Ann" in texts(page)
        path = f"/settings/privacy/customers/{scene.conversation_id}"
        export = await alice.open(path)
        assert export.headers["content-disposition"].startswith("attachment") and WORDS in export.text
        assert "sandbox" in export.headers["content-security-policy"]
        done = await alice.follow(await alice.send(f"{path}/erase"))
        assert "The customer is erased" in texts(done)
    assert not [row for row in await rows_of(world) if WORDS in row]


async def test_a_conversation_leads_whoever_may_erase_to_what_is_kept_of_its_customer(scene, world, web):
    viewer = await add_member(world.db, world.scope, "viewer")
    thread, way = (
        f"/conversations/{scene.conversation_id}",
        f"/settings/privacy?conversation={scene.conversation_id}",
    )
    async with reader_of(web, world.db, world.scope) as alice, reader_of(web, world.db, viewer) as dora:
        assert way in (await alice.open(thread)).text
        assert "Ann" in texts(await alice.open(way))
        assert way not in (await dora.open(thread)).text


async def test_the_page_keeps_what_was_typed_and_says_what_is_wrong(alice):
    wrong = await alice.send("/settings/privacy", {"conversations": "six", "events": "10", "answers": ""})
    assert wrong.status_code == 422 and 'value="six"' in wrong.text
    saved = await alice.send("/settings/privacy", {"conversations": "365", "events": "10", "answers": ""})
    page = await alice.follow(saved)
    assert 'value="365"' in page.text and 'value="10"' in page.text


async def test_who_may_only_look_sees_no_page_of_the_workspaces_privacy(dora):
    assert (await dora.open("/settings/privacy")).status_code == 403
    assert (await dora.open("/account-settings/privacy")).status_code == 200


async def test_a_person_erases_their_account_on_its_page(web, database, scope):
    bob = await bob_of(database, scope)
    async with reader_of(web, database, bob) as reader:
        wrong = await reader.send("/account-settings/privacy/erase", {"proof": "wrong"})
        assert wrong.status_code == 422 and "This is not your password." in texts(wrong)
        gone = await reader.send("/account-settings/privacy/erase", {"proof": PASSWORD})
        assert "Your account is erased" in texts(await reader.follow(gone))
        assert (await reader.http.get("/manage")).headers["location"].startswith("/login")


async def test_the_last_owner_is_told_what_to_do_first(alice):
    page = await alice.open("/account-settings/privacy")
    assert "You are the only owner of: Alice&#39;s." in texts(page) and "proof" not in page.text
