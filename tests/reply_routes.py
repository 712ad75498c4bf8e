"""Sets up the ways of replying other than straight into the talk, at the emulator and at the connection."""

import asyncio
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from gptagent.entrypoints.demo.ports import free_port
from gptagent.entrypoints.middleware import RequestEdge
from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.replying import service as replying
from gptagent.features.crm.replying.jobs import ReplyJobs
from gptagent.features.crm.replying.widget import WidgetDoor
from gptagent.kernel.jobs import JobContext
from here import listening

SECRET = "a-client-secret-of-64-characters-a-client-secret-of-64-characters"


async def use_bot(scene, **changes):
    """A field of the deal, a bot that prints it, and a connection that uses both. Returns the bot's id."""
    world = scene.world
    async with world.db.session(world.scope) as session:
        link = await _link(session, scene)
    made = await scene.crm.create_text_field(link, "AI reply")
    bot = await world.account.call(
        "POST", "/bots", {"name": "Sends the reply", "text": f"{{{{lead.cf.{made.id}}}}}"}
    )
    chosen = {"field_id": made.id, "field_name": made.name, "bot_id": bot["bot_id"], "bot_name": "Sender"}
    await change(scene, **chosen, **changes)
    return bot["bot_id"]


async def change(scene, **changes):
    world = scene.world
    async with world.db.session(world.scope) as session:
        return await replying.change_setup(session, world.hook.connection_id, changes, world.vault)


async def setup(scene):
    world = scene.world
    async with world.db.session(world.scope) as session:
        return await replying.get_setup(session, world.hook.connection_id)


async def _link(session, scene):
    return await crm.open_link(session, scene.world.hook.connection_id, scene.world.vault)


async def run_requests(scene):
    """How often bots were started."""
    answer = await scene.world.account.call("GET", "/ledger")
    return sum(entry["kind"] == "bot_run" for entry in answer["entries"])


@asynccontextmanager
async def door_open(world, shared=None):
    """Serve the door of the world's waiting bots over real HTTP; yields its origin."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    door = WidgetDoor(world.db, world.crm(), Keys(world.vault, shared or {}), origin)
    app = Starlette(routes=[door.route()], middleware=[Middleware(RequestEdge, https=False)])
    async with listening(app, port):
        yield origin


async def use_widget(scene, origin, *, mode="widget", **block):
    """A bot of the account that asks us when a customer writes, and a connection that knows its secret."""
    world = scene.world
    await change(scene, mode=mode, widget_secret=SECRET)
    widget = {
        "url": f"{origin}/hooks/kommo/{world.hook.connection_id}/widget",
        "secret": SECRET,
        "host": f"{world.account.subdomain}.kommo.test",
    }
    answer = await world.account.call("POST", "/bots", {"name": "Asks", "widget": widget | block})
    return answer["bot_id"]


async def asked(scene, count=1):
    """Wait until the account's bot has asked so often; return what it was answered."""
    async with asyncio.timeout(60):
        while True:
            calls = (await scene.world.account.call("GET", "/bots"))["calls"]
            if len(calls) >= count and calls[count - 1]["status"]:
                return [call["status"] for call in calls]
            await asyncio.sleep(0.02)


async def pass_on(scene):
    """Run the jobs that hand on what bots have passed on, each twice."""
    world = scene.world
    jobs = ReplyJobs(scene.crm, world.vault, world.subscribers)
    async with world.db.session(world.scope) as session:
        rows = await session.fetch("select id from app.crm_reply_slot")
    for row in rows * 2:
        await jobs.pass_on(JobContext(world.db, None, world.scope, 1, 1), slot_id=str(row["id"]))
    async with world.db.session(world.scope) as session:
        scene.conversation_id = await session.fetchval(
            "select id from app.conversation where chat_id = $1", scene.chat["chat_id"]
        )
