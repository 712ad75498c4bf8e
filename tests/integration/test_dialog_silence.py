"""A workspace that is suspended, or about to be deleted, is silent at once: at the gates and at the fence."""

import pytest

from scenes import Scene, patched
from worlds import NOT_FOUND

WAYS = {
    "workspace_suspended": "update app.organization set suspended_at = now()",
    "workspace_deletion": "update app.organization set delete_at = now() + interval '7 days'",
}
BACK = "update app.organization set suspended_at = null, delete_at = null"


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def run(world, statement):
    async with world.db.session(world.scope) as session:
        await session.execute(statement)


@pytest.mark.parametrize("reason", WAYS)
async def test_no_agent_of_a_silenced_workspace_answers(scene, world, reason):
    await run(world, WAYS[reason])
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == [("refused", reason)]
    assert await scene.sent() == []
    await run(world, BACK)
    await scene.says("Are you back?")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


@pytest.mark.parametrize("reason", WAYS)
async def test_what_was_answered_before_does_not_pass_the_fence(scene, world, reason):
    """Silenced while the turn waits for its place in the CRM's rate: the gates are behind it."""
    waited = []

    async def reserve_send(link):
        if not waited:
            await run(world, WAYS[reason])
        waited.append(link)

    patched(scene, reserve_send=reserve_send)
    await scene.says("Hello")
    await scene.calm()
    assert len(waited) == 1
    assert [(turn["state"], turn["reason"]) for turn in await scene.turns()] == [
        ("superseded", None),
        ("ended", reason),
    ]
    assert await scene.sent() == []


async def test_what_came_in_meanwhile_is_kept_and_not_answered_once_the_silence_ends(scene, world):
    """The CRM's deliveries are taken, so that it does not give the address up; nothing else comes of them."""
    await run(world, WAYS["workspace_suspended"])
    for words in ("Hello", "Anybody there?", "Hello?"):
        await scene.says(words)
        await scene.calm()
    await run(world, BACK)
    await scene.calm()
    assert [turn["reason"] for turn in await scene.turns()] == ["workspace_suspended"] * 3
    assert (await scene.conversation())["last_seq"] == 3 and await scene.sent() == []


@pytest.mark.parametrize(
    ("channel", "outcome"),
    [("telegram", ("refused", "too_late")), ("waba", ("handed_off", "window_closed"))],  # WhatsApp's window
)
async def test_what_lay_unanswered_for_longer_than_a_day_is_recorded_and_not_answered(
    scene, world, channel, outcome
):
    """However it came about: the workers stood still, or the connection was broken."""
    await scene.says("Hello")
    await run(world, "update app.message set sent_at = now() - interval '25 hours'")
    async with world.db.session(world.scope) as session:
        await session.execute("update app.conversation set channel = $1", channel)
    await scene.calm()
    assert await scene.outcomes() == [outcome] and await scene.sent() == []
    await scene.says("Hello again")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_silenced_workspace_makes_no_task_in_its_crm_until_the_silence_ends(scene, world):
    await scene.set_agent(not_found_task=True)
    await scene.says("Hello")
    await scene.calm()
    await run(world, WAYS["workspace_suspended"])
    await scene.perform_tasks()
    assert await scene.tasks() == []
    await run(world, BACK)
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1
