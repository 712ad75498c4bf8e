"""What the CRM reports of our own messages, at every wrong moment: never a second reply, never a takeover."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gptagent.features.dialog import sending
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import UpstreamUnavailable
from scenes import PACE, Scene, patched
from worlds import NOT_FOUND, UNANSWERED


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def our_id(scene):
    return (await scene.world.account.sent(scene.chat["chat_id"]))[-1]


async def test_own_report_between_listing_and_reopening_must_not_repeat(scene):
    """CRM comes back after >45 s: read-back and the report of our message arrive together."""
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    await asyncio.sleep(PACE.absence_certain_after.total_seconds() + 0.1)
    reported = False

    async def list_messages(*args):
        nonlocal reported
        found = await scene.crm.list_messages(*args)
        if not reported:
            reported = True
            await scene.says(NOT_FOUND, author="bot", provider_id=await our_id(scene))
        return found

    patched(scene, list_messages=list_messages)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_own_report_with_other_white_space_is_no_takeover(scene):
    await scene.set_agent(not_found_text="First line.\n\nSecond  line.")
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    await scene.says("First line. Second line.", author="human", provider_id=await our_id(scene))
    await scene.calm()
    assert (await scene.conversation())["taken_over_at"] is None
    assert len(await scene.sent()) == 1


async def test_escaped_by_the_crm_is_found_again(scene):
    await scene.set_agent(not_found_text='Ask "R&D" <soon>')
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)

    async def list_messages(*args):
        found = await scene.crm.list_messages(*args)
        return tuple(
            replace(m, text=m.text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;"))
            for m in found
        )

    patched(scene, list_messages=list_messages)
    await scene.calm()
    assert len(await scene.sent()) == 1


async def test_own_report_after_the_turn_was_reopened_must_not_repeat(scene):
    """Listing lags past the certainty; the report comes while the turn waits for its slot."""
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    await asyncio.sleep(PACE.absence_certain_after.total_seconds() + 0.1)

    async def list_messages(*_args):
        return ()

    async def reserve_send(link):
        await scene.crm.reserve_send(link)
        await scene.says(
            NOT_FOUND, author="bot", provider_id=(await scene.world.account.sent(scene.chat["chat_id"]))[0]
        )

    patched(scene, list_messages=list_messages, reserve_send=reserve_send)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_reply_of_an_old_turn_is_not_taken_for_another(scene, world):
    """A turn that waited over a day (connection broken) sent the same text moments ago."""
    await scene.says("Hello")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        await session.execute("update app.turn set created_at = created_at - interval '26 h'")
    await scene.says("Still there?")
    await scene.break_send(action="reset")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND, NOT_FOUND]


async def test_a_repeated_report_of_an_earlier_reply_settles_only_that(scene, world):
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await world.account.call(
        "POST", "/faults", {"method": "GET", "path": "messages", "action": "status", "status": 500}
    )
    await scene.calm()
    first = await our_id(scene)
    await scene.says(NOT_FOUND, author="bot", provider_id=first)  # claimed by the turn of unknown delivery
    async with world.db.session(world.scope) as session:
        await session.execute("update app.turn set created_at = created_at - interval '1 h'")
    await scene.says("And this?")

    async def list_messages(*_args):
        return ()

    patched(scene, list_messages=list_messages)
    await scene.break_send(action="reset")
    await scene.advance()
    await scene.says(NOT_FOUND, author="bot", provider_id=first)  # the same report again
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND, NOT_FOUND]


async def test_the_clock_of_the_worker_does_not_decide_about_absence(scene, monkeypatch):
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()

    lag = True

    async def list_messages(*args):
        nonlocal lag
        if lag:
            lag = False
            return ()
        return await scene.crm.list_messages(*args)

    patched(scene, list_messages=list_messages)
    pace = replace(PACE, absence_certain_after=timedelta(seconds=50))  # as the database counts it: far away
    scene.runner = replace(scene.runner, pace=pace)
    monkeypatch.setattr(sending, "utcnow", lambda: utcnow() + timedelta(seconds=60))
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_report_in_other_words_before_the_record_is_no_takeover(scene, world):
    """The CRM cuts the text and reports it as 'internal' before its 202 is recorded."""
    await scene.says("Hello")

    async def send_message(*args):
        message_id = await scene.crm.send_message(*args)
        await scene.says(NOT_FOUND[:10] + "…", author="human", provider_id=message_id)
        return message_id

    patched(scene, send_message=send_message)
    await scene.calm()
    assert (await scene.conversation())["taken_over_at"] is None
    async with world.db.session(world.scope) as session:
        authors = await session.fetch("select author from app.message order by seq")
    assert [row["author"] for row in authors] == ["customer", "agent"]


async def test_a_late_report_of_a_superseded_turn_is_no_persons_message(scene, world):
    """Sent, missing for long, reopened, superseded by a newer question - and only then reported."""
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    await asyncio.sleep(PACE.absence_certain_after.total_seconds() + 0.1)

    async def list_messages(*_args):
        return ()

    async def reserve_send(_link):
        raise UpstreamUnavailable("crm_unavailable", "The CRM does not answer.")

    patched(scene, list_messages=list_messages, reserve_send=reserve_send)
    await scene.advance()
    await scene.says("Are you there?")
    await scene.advance()
    first, _second = await scene.turns()
    assert first["state"] == "superseded"
    await scene.says(NOT_FOUND, author="human", provider_id=await our_id(scene))
    assert (await scene.conversation())["taken_over_at"] is None
