"""What was written into the CRM, shown on pages and taken back there."""

import re

import pytest

from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.model import Evidence
from integration.conftest import serving_here
from integration.crm_desk import Desk
from members import add_member
from readers import reader_of, texts
from scenes import Scene


@pytest.fixture
async def desk(world):
    return await Desk(world).open()


async def test_the_page_tells_what_was_written_and_asks_before_it_overwrites_a_person(
    desk, home, roles, kommo
):
    """CRM-23"""
    reason = "The customer said so <b>"
    await desk.write(desk.lead, Asked({"name": "Renamed"}), evidence=Evidence(reason=reason))
    (change,) = await desk.changes()
    await desk.elsewhere(desk.lead, name="By a person")
    await desk.reseal(home)
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, desk.world.db, desk.world.scope) as alice,
    ):
        at = f"/integrations/{desk.id}/changes"
        page = await alice.open(at)
        told = texts(page)
        assert "Renamed" in told and "The customer said so" in told and "Revert" in told
        assert "said so &lt;b&gt;" in page.text
        asked = await alice.send(f"{at}/{change.id}/revert")
        assert asked.status_code == 409
        told = texts(asked)
        assert "By a person" in told and "Renamed" in told
        done = await alice.follow(await alice.send(f"{at}/{change.id}/revert", {"force": "yes"}))
        assert "It is being written back" in done.text
        twice = await alice.follow(await alice.send(f"{at}/{change.id}/revert"))
        assert "taken back already" in twice.text


async def test_the_conversation_shows_what_was_written_for_its_customer_and_takes_it_back(
    desk, home, roles, kommo
):
    """CRM-23"""
    scene = Scene(desk.world, desk.chat)
    await scene.says("Hello")
    why = Evidence(conversation_id=scene.conversation_id, reason="She said so <b>")
    await desk.write(desk.lead, Asked({"name": "Renamed", "price": 900}), evidence=why)
    await desk.write(desk.contact, Asked({"name": "Ann the customer"}))
    await desk.settle(
        await desk.ask(service.create_record, desk.id, "leads", Asked({"name": "Another deal"}))
    )
    lines = {one.key: one for one in await desk.changes(kind="leads", record_id=desk.lead.id)}
    await desk.elsewhere(desk.lead, name="By a person")
    await desk.reseal(home)
    viewer = await add_member(desk.world.db, desk.world.scope, "viewer")
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, desk.world.db, desk.world.scope) as alice,
        reader_of(url, desk.world.db, viewer) as dora,
    ):
        at = f"/conversations/{scene.conversation_id}"
        page = await alice.open(at)
        told = texts(page)
        assert "Written into the CRM" in told and "Renamed" in told and "Ann the customer" in told
        assert "said so &lt;b&gt;" in page.text and "Another deal" not in told
        part = await alice.open(f"{at}?part=changes")
        assert "Renamed" in part.text and "<html" not in part.text
        assert "conversations/" in re.search(r'data-live-topic="([^"]*)"', part.text)[1]
        assert part.text.count("/revert") == 3 and (await dora.open(at)).text.count("/revert") == 0
        back = {"conversation": str(scene.conversation_id)}
        undo = f"/integrations/{desk.id}/changes/{{}}/revert"
        done = await alice.send(undo.format(lines["price"].id), back)
        assert done.status_code == 303 and done.headers["location"] == f"{alice.base}{at}#changes"
        assert "Being taken back" in texts(await alice.follow(done))
        asked = await alice.send(undo.format(lines["name"].id), back)
        assert asked.status_code == 409 and "By a person" in texts(asked)
        assert f'href="{alice.base}{at}#changes"' in asked.text and back["conversation"] in asked.text
        button = f'form="desk" formaction="{alice.base}{undo.format(lines["name"].id)}"'
        typed = {**back, "reply.text": "On my way."}
        assert button in page.text and "On my way." not in asked.text
        asked = await alice.send(undo.format(lines["name"].id), typed)
        assert 'name="reply.text" value="On my way."' in asked.text
        left = await alice.send(undo.format(lines["name"].id), {**typed, "leave": "yes"})
        assert left.status_code == 200 and ">\nOn my way.</textarea>" in left.text
        refused = await dora.send(undo.format(lines["name"].id), back)
        assert refused.status_code == 403
    assert (
        await desk.ask(lambda s: s.fetchval("select count(*) from app.crm_action where kind = 'revert'")) == 1
    )
