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
