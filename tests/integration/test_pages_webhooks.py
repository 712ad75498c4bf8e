"""The tab "Webhooks" of a connection: seen by everybody, its contents by those who manage connections."""

import pytest

from hookings import Door, customer_message
from scenes import Scene


@pytest.fixture
async def told(world):
    """A connection that was told something good and something that failed."""
    scene, door = await Scene.open(world), Door(world)
    door.failing.texts = {"bad"}
    await door.receive(customer_message(scene.chat, "good canary8831", "m1"))
    await door.receive(customer_message(scene.chat, "bad", "m2"))
    await door.receive({"leads[add][0][id]": 7, "leads[add][0][name]": "Deal"})
    return door


def home(world):
    return f"/integrations/{world.hook.connection_id}/webhooks"


async def page_of(reader, path):
    response = await reader.open(path)
    assert response.status_code == 200, response.text
    return response.text


async def test_deliveries_are_listed_filtered_and_searched(alice, world, told):
    page = await page_of(alice, home(world))
    assert "A customer wrote" in page and "Deal made" in page and "Failed, is tried again" in page
    failed = await page_of(alice, f"{home(world)}?state=failed")
    assert "A customer wrote" in failed and "Acted on</span>" not in failed.partition("<tbody>")[2]
    assert "Deal made" not in failed.partition("<tbody>")[2]
    found = await page_of(alice, f"{home(world)}?q=m1")
    assert found.partition("<tbody>")[2].count("<tr>") == 1
    assert "Nothing found" in await page_of(alice, f"{home(world)}?q=nobody&kind=task[add]")
    part = await page_of(alice, f"{home(world)}?part=list&state=failed")
    assert part.lstrip().startswith('<div id="deliveries"')


async def test_only_who_manages_connections_sees_the_content(alice, dora, world, told):
    """U175"""
    good = (await told.rows())[0]["id"]
    assert "canary8831" in await page_of(alice, f"{home(world)}/{good}")
    hidden = await page_of(dora, f"{home(world)}/{good}")
    assert "canary8831" not in hidden and "only those who manage connections" in hidden
    assert "canary8831" not in await page_of(dora, home(world))


async def test_a_failed_delivery_is_tried_again_by_a_button(alice, dora, world, told):
    """CRM-18, U175"""
    bad = (await told.rows())[1]["id"]
    assert "Try again" in await page_of(alice, f"{home(world)}/{bad}")
    assert "Try again" not in await page_of(dora, f"{home(world)}/{bad}")
    sent = await alice.send(f"{home(world)}/{bad}/retry")
    assert sent.status_code == 303
    assert "It is tried again" in await page_of(alice, f"{home(world)}/{bad}")
    assert (await told.rows())[1]["state"] == "received"
    twice = await alice.send(f"{home(world)}/{bad}/retry")
    assert twice.status_code == 303
    assert "nothing to try again" in await page_of(alice, f"{home(world)}/{bad}")
