"""Somebody who tries an agent, the scene it is tried in, and the worker that plays it."""

from dataclasses import replace

from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.trying import service
from gptagent.features.dialog.trying.jobs import RehearsalJobs
from gptagent.features.knowledge.service import Understanding
from gptagent.kernel.jobs import JobContext
from scenes import Scene

QUESTION = "How much does delivery to the city cost?"
TRUE = "Delivery to the city costs 490 roubles [1]."
SAID = "Delivery to the city costs 490 roubles."


async def open_scene(world, model):
    """A conversation that a model answers from one article."""
    scene = await Scene.open(world)
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles. It takes two days.")
    return scene


def rehearsing(model):
    return RehearsalJobs(Generation(ModelResponder(model), ExtractiveResponder(), Understanding(None)))


class Person:
    """One person, a chat of theirs, and the worker."""

    def __init__(self, world, jobs):
        self.world, self.jobs, self.me = world, jobs, world.scope.actor.id
        self.chat_id = None

    async def do(self, verb, *args):
        async with self.world.db.session(self.world.scope) as session:
            return await verb(session, self.me, *args)

    async def begin(self, new):
        self.chat_id = (await self.do(service.create_chat, new)).id

    async def work(self, played_id):
        ctx = JobContext(self.world.db, None, self.world.scope, 1, 1)
        await self.jobs.rehearse(ctx, rehearsal_id=str(played_id))

    async def say(self, text):
        played = await self.do(service.say, self.chat_id, text)
        await self.work(played.id)
        return await self.found(played.id)

    async def found(self, played_id):
        async with self.world.db.session(self.world.scope) as session:
            chat = await service.get_chat(session, self.me, self.chat_id)
            return await service.get_played(session, chat, played_id)


def script(control, *rules):
    control.post("/script?replace=1", json=list(rules)).raise_for_status()


def prompt(control):
    return control.get("/calls").json()["calls"][-1]["prompt"]
