"""One conversation of a world, played step by step: what is said, which jobs run, what became of it."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec

from gptagent.features.crm import service as crm_service
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.jobs import CrmJobs
from gptagent.features.crm.model import InboundMessage, Webhook
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.model import Pace
from gptagent.features.dialog.outgoing.jobs import OutgoingJobs
from gptagent.features.dialog.turn import TurnRunner
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext
from worlds import Waiting, World

# Nothing here waits long: read-back at once, absence believed after a moment.
PACE = Pace(
    read_back_every=timedelta(seconds=0.02),
    absence_certain_after=timedelta(seconds=1),
    unknown_gives_up_after=timedelta(seconds=1.5),
    broken_connection_retry=timedelta(seconds=0.02),
    send_retry_first=timedelta(seconds=0.02),
    first_look_after=timedelta(seconds=0.02),
    busy_deal_retry=timedelta(seconds=0.05),
    slot_retry=timedelta(seconds=0.05),
)
CALM_SECONDS = 60.0


@dataclass
class Scene:
    """`chat` is the emulator's answer: chat_id, talk_id, contact_id, lead_id."""

    world: World
    chat: dict
    conversation_id: UUID | None = None
    runner: TurnRunner = field(init=False)

    def __post_init__(self):
        extractive = ExtractiveResponder()
        self.crm = self.world.crm(Waiting(self.world.account))
        self.runner = TurnRunner(self.crm, self.world.vault, extractive, extractive, PACE)

    @classmethod
    async def open(cls, world):
        return cls(world, await world.account.new_chat())

    async def says(
        self, text, *, author="customer", provider_id=None, attachment=None, file_name=None, at=None
    ):
        """Deliver one webhook message; return its provider id."""
        message = InboundMessage(
            provider_id=provider_id or str(uuid4()),
            chat_id=self.chat["chat_id"],
            talk_id=self.chat["talk_id"],
            contact_id=self.chat["contact_id"],
            lead_id=self.chat["lead_id"],
            author=author,
            author_name="Ann",
            text=text,
            sent_at=at or utcnow(),
            origin="waba",
            attachment_type=attachment,
            attachment_name=file_name,
        )
        await self.hears(message)
        return message.provider_id

    async def hears(self, *events):
        world = self.world
        payload = {"events": msgspec.to_builtins(events, builtin_types=())}
        kind = getattr(events[0], "kind", type(events[0]).__name__)
        webhook = Webhook(world.hook.account_id, None, events, payload, kind=kind)
        async with world.db.session(world.scope) as session:
            await crm_service.receive_webhook(session, world.hook, webhook, world.subscribers, now=utcnow())
            self.conversation_id = await session.fetchval(
                "select id from app.conversation where chat_id = $1", self.chat["chat_id"]
            )

    async def advance(self, job_id=1):
        """Run the turn's job once."""
        world = self.world
        ctx = JobContext(world.db, None, world.scope, job_id, 1)
        await self.runner.advance(ctx, conversation_id=str(self.conversation_id))

    async def calm(self):
        """Run the turn's job until the lane has nothing to do."""
        deadline = asyncio.get_running_loop().time() + CALM_SECONDS
        while (await self.lane())["due_at"] is not None:
            assert asyncio.get_running_loop().time() < deadline, await self.turns()
            await self.advance()
            await asyncio.sleep(0.02)

    async def perform_tasks(self):
        """Run the jobs of the tasks owed to the CRM, each twice: the second run must change nothing."""
        world = self.world
        jobs = CrmJobs(self.crm, world.vault)
        async with world.db.session(world.scope) as session:
            rows = await session.fetch("select id from app.crm_task")
        for row in rows * 2:
            ctx = JobContext(world.db, None, world.scope, 1, 1)
            await jobs.perform_task(ctx, task_id=str(row["id"]))

    async def send_owed(self, crm=None, job_id=1):
        """Run a job of what is owed outside of turns, again as long as it asks for it."""
        world = self.world
        deadline = asyncio.get_running_loop().time() + CALM_SECONDS
        while True:
            await self.send_once(OutgoingJobs(crm or self.crm, world.vault, PACE), job_id)
            if all(one["state"] not in {"waiting", "sending"} for one in await self.owed()):
                return
            assert asyncio.get_running_loop().time() < deadline, await self.owed()
            await asyncio.sleep(0.05)

    async def send_once(self, jobs, job_id):
        ctx = JobContext(self.world.db, None, self.world.scope, job_id, 1)
        await jobs.send(ctx, conversation_id=str(self.conversation_id))

    async def owed(self):
        """What is or was owed to the customer outside of turns."""
        world = self.world
        async with world.db.session(world.scope) as session:
            return await session.fetch(
                "select * from app.outgoing where conversation_id = $1 order by seq", self.conversation_id
            )

    async def perform_actions(self):
        """Run the jobs of the actions owed to the CRM, each twice."""
        world = self.world
        jobs = ActionJobs(self.crm, world.vault)
        async with world.db.session(world.scope) as session:
            rows = await session.fetch("select id from app.crm_action")
        for row in rows * 2:
            await jobs.perform(JobContext(world.db, None, world.scope, 1, 1), action_id=str(row["id"]))

    async def ledger(self, kind):
        answer = await self.world.account.call("GET", "/ledger")
        return [entry for entry in answer["entries"] if entry["kind"] == kind]

    async def tasks(self):
        answer = await self.world.account.call("GET", "/ledger")
        return [entry for entry in answer["entries"] if entry["kind"] == "task"]

    async def sent(self):
        """Texts that reached the customer's chat from us."""
        answer = await self.world.account.call("GET", f"/chats/{self.chat['chat_id']}/messages")
        return [m["text"] for m in answer["messages"] if m["author"] == "bot"]

    async def lane(self):
        return await self._row("select * from app.lane where conversation_id = $1")

    async def conversation(self):
        return await self._row("select * from app.conversation where id = $1")

    async def turns(self):
        world = self.world
        async with world.db.session(world.scope) as session:
            rows = await session.fetch(
                "select * from app.turn where conversation_id = $1 order by created_at", self.conversation_id
            )
        return [{**row, "answer": json.loads(row["answer"]) if row["answer"] else None} for row in rows]

    async def outcomes(self):
        return [(t["outcome"], t["reason"]) for t in await self.turns() if t["state"] == "ended"]

    async def set_agent(self, **changes):
        from gptagent.features.agents import service as agents

        world = self.world
        async with world.db.session(world.scope) as session:
            (agent,) = await agents.list_agents(session)
            await agents.update_agent(session, agent.id, changes)

    async def write_article(self, title, content):
        from gptagent.features.knowledge import service as knowledge
        from gptagent.features.knowledge.model import NewArticle

        world = self.world
        async with world.db.session(world.scope) as session:
            return await knowledge.create_article(session, NewArticle(title, content), now=utcnow())

    async def break_send(self, **fault):
        await self.world.account.break_next("send_message", **fault)

    async def _row(self, sql):
        world = self.world
        async with world.db.session(world.scope) as session:
            return await session.fetchrow(sql, self.conversation_id)


class Wrapped:
    """The real adapter with some calls replaced, to let things happen in the middle of them."""

    def __init__(self, crm, **changes):
        self._crm = crm
        self.__dict__.update(changes)

    def __getattr__(self, name):
        return getattr(self._crm, name)


def patched(scene, **changes):
    """Let the scene's turns call these instead of the adapter's own."""
    scene.runner = replace(scene.runner, crm=Wrapped(scene.crm, **changes))
