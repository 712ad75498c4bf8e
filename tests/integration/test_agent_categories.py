"""An agent that is kept to some categories, in real turns."""

import pytest

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import NewArticle
from gptagent.kernel.clock import utcnow
from scenes import Scene
from worlds import NOT_FOUND

STRAP = "A strap of leather costs 900 roubles."
BOX = "A box for a watch costs 300 roubles."
SOFA = "A cushion of a sofa costs 700 roubles."


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def furnish(scene):
    """Watches with boxes below them, and sofas; return the two at the top."""
    world = scene.world
    async with world.db.session(world.scope) as session:
        watches = await categories.create_category(session, NewCategory("Watches"), now=utcnow())
        boxes = NewCategory("Boxes", parent_id=watches.id)
        below = await categories.create_category(session, boxes, now=utcnow())
        sofas = await categories.create_category(session, NewCategory("Sofas"), now=utcnow())
        for title, text, place in (("Strap", STRAP, watches), ("Box", BOX, below), ("Cushion", SOFA, sofas)):
            new = NewArticle(title, text, categories=(place.id,))
            await knowledge.create_article(session, new, now=utcnow())
    return watches, sofas


async def ask(scene, question):
    """Return the reply to the next message."""
    await scene.says(question)
    await scene.calm()
    return (await scene.sent())[-1]


async def test_an_agent_answers_from_its_categories_and_those_below_and_from_nothing_else(scene):
    """AGT-16, U087: from the next message on."""
    watches, sofas = await furnish(scene)
    assert SOFA in await ask(scene, "How much does a cushion of a sofa cost?")
    await scene.set_agent(knowledge={"all": False, "categories": [str(watches.id)]})
    assert await ask(scene, "And a cushion of a sofa, how much does it cost?") == NOT_FOUND
    assert STRAP in await ask(scene, "How much does a strap of leather cost?")
    assert BOX in await ask(scene, "How much does a box for a watch cost?")
    world = scene.world
    async with world.db.session(world.scope) as session:
        await categories.delete_category(session, watches.id, cascade=True, now=utcnow())
    assert await ask(scene, "A strap of leather, how much is it?") == NOT_FOUND, "its category is gone"
    await scene.set_agent(knowledge={"categories": [str(sofas.id)]})
    assert SOFA in await ask(scene, "How much does a cushion of a sofa cost now?")
    await scene.set_agent(knowledge={"all": True})
    assert STRAP in await ask(scene, "How much does a strap of leather cost now?")
