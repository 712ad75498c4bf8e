"""What the CRM tells anyway settles a reply: a turn costs two calls at most. It looks itself if need be."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gptagent.features.crm import service as crm
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.jobs import OutgoingJobs
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from hookings import Door
from reply_routes import asked, door_open, use_bot, use_widget
from scenes import PACE, Scene, patched
from worlds import NOT_FOUND

NEVER = timedelta(minutes=10)
PATIENT = replace(PACE, first_look_after=NEVER, unreported_look_after=NEVER)
REPLIED = ("not_found", "no_relevant_knowledge")
OWN_CALLS = {"talk": 1, "salesbot": 2, "widget": 1}
# A deal that no webhook has told of is read, where the reply leaves a call for it.
FIRST_CONTACT_CALLS = {"talk": 2, "salesbot": 2, "widget": 2}


@pytest.fixture
async def scene(world):
    return patient(await Scene.open(world))


@pytest.fixture
async def by_bot(scene):
    await use_bot(scene, mode="salesbot")
    return scene


@pytest.fixture
async def origin(world):
    async with door_open(world) as origin:
        yield origin


@pytest.fixture
def hooks(world):
    return Door(world)


def patient(scene, pace=PATIENT):
    scene.runner = replace(scene.runner, pace=pace)
    return scene


async def calls(world):
    return (await world.account.call("GET", "/stats"))["requests"]


async def set_up(scene, way, origin, **block):
    if way == "salesbot":
        await use_bot(scene, mode="salesbot")
    elif way == "widget":
        await use_widget(scene, origin, **block)


async def as_amocrm(world):
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set host = replace(host, '.kommo.', '.amocrm.')")


async def asks(scene, way, text, count=1):
    """The customer writes; in the CRM as well where its bot is to ask us."""
    message_id = None
    if way == "widget":
        path = f"/chats/{scene.chat['chat_id']}/customer"
        (message_id,) = (await scene.world.account.call("POST", path, {"text": text}))["message_ids"]
        await asked(scene, count)
    await scene.says(text, provider_id=message_id)


async def printed(scene, count=1):
    """Wait until so many messages of ours are in the chat; return the last one's id."""
    async with asyncio.timeout(60):
        while True:
            found = await scene.world.account.sent(scene.chat["chat_id"])
            if len(found) >= count:
                return found[-1]
            await asyncio.sleep(0.02)


async def awaiting(scene, text="Hello"):
    """Let a reply be taken by the CRM's bot; return its message's id, which nobody has reported yet."""
    await scene.says(text)
    await scene.advance()
    return await printed(scene)


async def messages(world):
    async with world.db.session(world.scope) as session:
        rows = await session.fetch(
            """select author, provider_id, delivery_status from app.message
                where author <> 'customer' order by seq"""
        )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("way", ["talk", "salesbot", "widget"])
async def test_on_kommo_a_turn_costs_two_calls_at_most(scene, world, origin, way):
    """CRM-21: counted by the emulator. The report settles the reply."""
    await set_up(scene, way, origin)
    for number in (1, 2):
        await asks(scene, way, f"Hello, for the {number}. time", number)
        before = await calls(world)
        await scene.advance()
        await scene.says(NOT_FOUND, author="bot", provider_id=await printed(scene, number))
        await scene.calm()
        expected = FIRST_CONTACT_CALLS if number == 1 else OWN_CALLS
        assert await calls(world) - before == expected[way]
        assert await scene.outcomes() == [REPLIED] * number
    assert {turn["send_route"] for turn in await scene.turns()} == {way}
    assert await scene.sent() == [NOT_FOUND] * 2
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.crm_lead_claim") == 0


@pytest.mark.parametrize("way", ["talk", "salesbot"])
async def test_a_deal_its_webhook_told_of_is_not_read(scene, hooks, world, origin, way):
    await set_up(scene, way, origin)
    lead_id = scene.chat["lead_id"]
    told = {"id": lead_id, "name": "A sofa", "status_id": 142, "price": 900, "pipeline_id": 31}
    told |= {"updated_at": 1_790_000_000}
    await hooks.receive({f"leads[add][0][{key}]": str(value) for key, value in told.items()})
    await scene.says("Hello")
    before = await calls(world)
    await scene.advance()
    await scene.says(NOT_FOUND, author="bot", provider_id=await printed(scene))
    await scene.calm()
    assert await calls(world) - before == OWN_CALLS[way]
    async with world.db.session(world.scope) as session:
        card = await crm.get_lead_card(session, world.hook.connection_id, lead_id)
    assert (card.name, card.price, card.is_fresh) == ("A sofa", 900, True)


@pytest.mark.parametrize("way", ["salesbot", "widget"])
async def test_on_amocrm_one_look_at_the_log_settles_the_replies_of_all_deals(
    scene, hooks, world, origin, way
):
    await set_up(scene, way, origin, host=f"{world.account.subdomain}.amocrm.test")
    await as_amocrm(world)
    scenes = [scene, patient(await Scene.open(world))]
    for number in (1, 2):
        before = await calls(world)
        for place, one in enumerate(scenes, 1):
            await asks(one, way, f"Hello, for the {number}. time", 2 * (number - 1) + place)
            await one.advance()
            await printed(one, number)
        each = (FIRST_CONTACT_CALLS if number == 1 else OWN_CALLS)[way]
        assert await calls(world) - before == len(scenes) * each
        await hooks.reconcile()
        for one in scenes:
            await one.calm()
            assert await one.outcomes() == [REPLIED] * number
            assert (await one.turns())[-1]["provider_message_id"] == await printed(one, number)
        assert await calls(world) - before == len(scenes) * each + 1
    assert {status for author, _, status in await messages(world) if author == "agent"} == {"sent"}


async def test_while_replies_are_on_their_way_amocrms_log_is_read_soon(by_bot, hooks, world):
    await as_amocrm(world)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set poll_at = now() + interval '1 hour'")
    await awaiting(by_bot)

    async def due_in():
        async with world.db.session(world.scope) as session:
            return await session.fetchval("select poll_at - clock_timestamp() from app.crm_connection")

    assert await due_in() <= timedelta(seconds=2)
    async with world.db.session(world.scope) as session:  # a look that finds nothing yet
        await session.execute("update app.turn set send_since = now() + interval '1 minute'")
    await hooks.reconcile()
    assert await due_in() <= timedelta(seconds=3)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.turn set send_since = now() - interval '1 minute'")
    await hooks.reconcile()
    await by_bot.calm()
    await hooks.reconcile()
    assert await due_in() > timedelta(seconds=30)


async def test_what_robots_said_before_the_field_was_written_is_not_the_reply(by_bot, hooks, world):
    await as_amocrm(world)
    await world.account.call("POST", f"/chats/{by_bot.chat['chat_id']}/bot", {"text": "Welcome!"})
    await asyncio.sleep(1.1)  # the log counts whole seconds
    await world.account.call("POST", "/knobs", {"bot_delay_ms": 60_000})
    await by_bot.says("Hello")
    await by_bot.advance()
    await hooks.reconcile()
    (turn,) = await by_bot.turns()
    assert (turn["state"], turn["provider_message_id"]) == ("sending", None)


@pytest.mark.parametrize("brand", ["kommo", "amocrm"])
async def test_if_no_report_comes_the_turn_looks_for_itself(by_bot, world, brand):
    if brand == "amocrm":
        await as_amocrm(world)
    message_id = await awaiting(by_bot)
    before = await calls(world)
    await by_bot.advance()
    assert await calls(world) == before, "woken early, it goes on waiting"
    async with world.db.session(world.scope) as session:
        due_in = await session.fetchval("select due_at - clock_timestamp() from app.lane")
        assert timedelta(0) < due_in <= NEVER
        await session.execute("update app.lane set due_at = now()")
    patient(by_bot, replace(PATIENT, first_look_after=timedelta(0)))
    await by_bot.calm()
    (turn,) = await by_bot.turns()
    assert (turn["outcome"], turn["provider_message_id"]) == (REPLIED[0], message_id)
    assert await calls(world) - before == 1


async def test_an_account_that_reports_no_outgoing_messages_is_looked_at_at_once(by_bot, world):
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set hook_codes = '{add_message}'")
    patient(by_bot, replace(PATIENT, unreported_look_after=timedelta(seconds=0.02)))
    await awaiting(by_bot)
    await by_bot.calm()
    assert await by_bot.outcomes() == [REPLIED]


async def test_a_report_that_is_faster_than_the_answer_to_the_run_settles_it_at_once(by_bot, world):
    async def run_bot(*args):
        await by_bot.crm.run_bot(*args)
        await by_bot.says(NOT_FOUND, author="bot", provider_id=await printed(by_bot))

    patched(by_bot, run_bot=run_bot)
    await by_bot.says("Hello")
    await by_bot.advance()
    assert await by_bot.outcomes() == [REPLIED]
    assert await messages(world) == [("agent", await printed(by_bot), "sent")]


async def test_a_report_that_comes_twice_and_in_other_white_space_settles_once(by_bot, world):
    message_id = await awaiting(by_bot)
    for _ in range(2):
        await by_bot.says(NOT_FOUND.replace(" ", "  "), author="bot", provider_id=message_id)
        await by_bot.calm()
    assert await by_bot.outcomes() == [REPLIED]
    assert await messages(world) == [("agent", message_id, "sent")]


async def test_a_person_with_the_same_words_takes_over_and_settles_nothing(by_bot, world):
    message_id = await awaiting(by_bot)
    await by_bot.says(NOT_FOUND, author="human", provider_id="a-persons")
    assert (await by_bot.conversation())["taken_over_at"] is not None
    (turn,) = await by_bot.turns()
    assert (turn["state"], turn["provider_message_id"]) == ("sending", None)
    await by_bot.says(NOT_FOUND, author="bot", provider_id=message_id)
    await by_bot.calm()
    assert (await by_bot.turns())[0]["provider_message_id"] == message_id
    assert (await by_bot.conversation())["taken_over_at"] is not None
    assert await by_bot.sent() == [NOT_FOUND]


async def test_a_look_too_waits_for_the_robots_message_when_a_person_said_the_same(by_bot, world):
    await world.account.call("POST", "/knobs", {"bot_delay_ms": 600_000})
    patient(by_bot, replace(PACE, unknown_gives_up_after=NEVER))
    await by_bot.says("Hello")
    await by_bot.advance()
    chat = f"/chats/{by_bot.chat['chat_id']}"
    persons = (await world.account.call("POST", f"{chat}/manager", {"text": NOT_FOUND}))["message_id"]
    await by_bot.advance()
    assert (await by_bot.turns())[0]["state"] == "sending"
    await world.account.call("POST", f"{chat}/bot", {"text": NOT_FOUND})
    await by_bot.calm()
    (turn,) = await by_bot.turns()
    assert turn["provider_message_id"] == await printed(by_bot) != persons


async def test_words_of_before_the_field_was_written_are_another_robots(by_bot, world):
    await world.account.call("POST", "/knobs", {"bot_delay_ms": 60_000})
    await by_bot.says("Hello")
    await by_bot.advance()
    async with world.db.session(world.scope) as session:
        await session.execute("update app.turn set send_since = now() + interval '1 minute'")
    await by_bot.says(NOT_FOUND, author="bot", provider_id="an-earlier")
    assert (await by_bot.turns())[0]["provider_message_id"] is None


async def test_a_bot_that_answers_in_another_chat_of_the_deal_settles_the_turn(by_bot, world):
    """It chooses the chat by rules of its own: here the deal's first one."""
    chat = await world.account.call("POST", "/chats", {"name": "Ann", "lead_id": by_bot.chat["lead_id"]})
    other = patient(Scene(world, chat))
    await other.says("Hello")
    await other.advance()
    message_id = await printed(by_bot)
    assert await other.sent() == []
    await by_bot.says(NOT_FOUND, author="bot", provider_id=message_id)
    await other.calm()
    (turn,) = await other.turns()
    assert (turn["outcome"], turn["provider_message_id"]) == (REPLIED[0], message_id)
    assert await by_bot.turns() == []
    await other.says("And this?")  # the deal is free again, and the same report settles nothing else
    await other.advance()
    assert (await other.turns())[-1]["send_accepted_at"] is not None
    async with world.db.session(world.scope) as session:
        await session.execute("delete from app.crm_seen")
        await session.execute("delete from app.message where provider_id = $1", message_id)
    await by_bot.says(NOT_FOUND, author="bot", provider_id=message_id)
    assert (await other.turns())[-1]["provider_message_id"] is None


async def test_what_the_customer_writes_meanwhile_is_answered_when_it_is_due(by_bot, world):
    """The lane was put off for the look; the next question does not wait for that time."""
    message_id = await awaiting(by_bot)
    await by_bot.says("And this?")
    before = await calls(world)
    await by_bot.advance()
    assert await calls(world) == before
    await by_bot.says(NOT_FOUND, author="bot", provider_id=message_id)
    await by_bot.advance()
    assert (await by_bot.lane())["due_at"] is not None
    await by_bot.advance()
    await by_bot.says(NOT_FOUND, author="bot", provider_id=await printed(by_bot, 2))
    await by_bot.calm()
    assert await by_bot.outcomes() == [REPLIED] * 2


async def test_a_report_of_a_reply_says_that_it_left(scene, world):
    """The listing is needed for what comes after only."""
    await scene.says("Hello")
    await scene.calm()
    message_id = await printed(scene)
    assert await messages(world) == [("agent", message_id, None)]
    await scene.says(NOT_FOUND, author="bot", provider_id=message_id)
    assert await messages(world) == [("agent", message_id, "sent")]
    async with world.db.session(world.scope) as session:
        await session.execute("update app.message set delivery_status = 'read' where author = 'agent'")
    await scene.says("Anything else?", author="bot", provider_id="another-bots")
    assert await messages(world) == [("agent", message_id, "read"), ("bot", "another-bots", None)]


async def test_a_report_before_the_record_says_so_too(scene, world):
    async def send_message(*args):
        message_id = await scene.crm.send_message(*args)
        await scene.says(NOT_FOUND, author="bot", provider_id=message_id)
        return message_id

    patched(scene, send_message=send_message)
    await scene.says("Hello")
    await scene.advance()
    assert await messages(world) == [("agent", await printed(scene), "sent")]


async def test_a_report_in_other_words_that_is_stored_while_the_reply_is_recorded_is_one_message(
    scene, world
):
    """The record waits for the report's transaction, and must see then what that has stored."""
    stored, recorded = asyncio.Event(), asyncio.Event()
    reports = set()

    async def report(message_id):
        """Store the report, and commit once the record waits for it."""
        async with world.db.session(world.scope) as session:
            await session.execute(
                """with place as (update app.conversation set last_seq = last_seq + 1 where id = $1
                                  returning last_seq)
                   insert into app.message (conversation_id, seq, author, text, provider_id, sent_at)
                   select $1, last_seq, 'bot', 'cut…', $2, now() from place""",
                scene.conversation_id,
                message_id,
            )
            stored.set()
            pid = await session.fetchval("select pg_backend_pid()")
            await somebody_waits_for(pid)
        recorded.set()

    async def somebody_waits_for(pid):
        async with asyncio.timeout(60), world.db.installation() as watching:
            while True:
                if await watching.fetchval(
                    """select exists (select from pg_locks
                                       where not granted and $1 = any(pg_blocking_pids(pid)))""",
                    pid,
                ):
                    return
                await asyncio.sleep(0.01)

    async def send_message(*args):
        message_id = await scene.crm.send_message(*args)
        reports.add(asyncio.create_task(report(message_id)))
        await stored.wait()
        return message_id

    patched(scene, send_message=send_message)
    await scene.says("Hello")
    await scene.advance()
    await asyncio.gather(*reports)
    assert recorded.is_set()
    assert await messages(world) == [("agent", await printed(scene), None)]
    assert await scene.outcomes() == [REPLIED]
    assert await scene.sent() == [NOT_FOUND]


async def owe(scene, text):
    """A colleague writes, and the CRM's bot has taken it."""
    world = scene.world
    async with world.db.session(world.scope) as session:
        await organizations.update_settings(session, {"stop_on_human": False})
        await outgoing.write(session, scene.conversation_id, text, by="Bob", now=utcnow())
    await scene.send_once(OutgoingJobs(scene.crm, world.vault, PATIENT), 1)


async def test_on_amocrm_the_log_settles_a_colleagues_words_and_no_other_reply_by_them(by_bot, hooks, world):
    """MSG-2: one look for all; a message that is accounted for is nobody else's, in no chat of the deal"""
    await as_amocrm(world)
    await awaiting(by_bot)
    await hooks.reconcile()
    await by_bot.calm()
    await owe(by_bot, "We open at nine.")
    message_id = await printed(by_bot, 2)
    before = await calls(world)
    await hooks.reconcile()
    (owed,) = await by_bot.owed()
    assert (owed["state"], owed["provider_message_id"]) == ("sent", message_id)
    assert await calls(world) - before == 1
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.crm_lead_claim") == 0
    await world.account.call("POST", "/knobs", {"bot_delay_ms": 60_000})
    chat = await world.account.call("POST", "/chats", {"name": "Ann", "lead_id": by_bot.chat["lead_id"]})
    other = patient(Scene(world, chat))
    await other.says("Hello")
    await other.advance()
    async with world.db.session(world.scope) as session:  # of a second in which more was said
        await session.execute("update app.turn set send_since = now() - interval '1 minute'")
    await hooks.reconcile()
    assert (await other.turns())[-1]["provider_message_id"] is None
    patient(other, PACE)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.lane set due_at = now()")
    await other.advance()
    assert (await other.turns())[-1]["provider_message_id"] is None


async def test_a_wordless_report_is_that_of_what_is_on_its_way_before_that_of_what_has_left(by_bot, world):
    """MSG-2: a colleague's words left where nobody could see under which id"""
    await awaiting(by_bot)
    await by_bot.says(NOT_FOUND, author="bot", provider_id=await printed(by_bot))
    await by_bot.calm()
    await owe(by_bot, "We open at nine.")
    async with world.db.session(world.scope) as session:
        await session.execute(
            "update app.outgoing set state = 'sent', settled_at = now(), provider_message_id = null"
        )
        await session.execute("delete from app.crm_lead_claim")
    await by_bot.says("And close?")
    await by_bot.advance()
    await by_bot.says("", author="bot", provider_id="m-3")
    assert (await by_bot.turns())[-1]["provider_message_id"] == "m-3"
    await by_bot.says("", author="bot", provider_id="m-4")
    assert [one["provider_message_id"] for one in await by_bot.owed()] == ["m-4"]
