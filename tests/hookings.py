"""Deliveries of webhooks by hand: a connection's own door, without HTTP."""

from dataclasses import dataclass, field, replace
from urllib.parse import urlencode
from uuid import UUID, uuid4

from gptagent.features.crm import service as crm_service
from gptagent.features.crm.deliveries.jobs import DeliveryJobs
from gptagent.features.crm.events import MessageArrived
from gptagent.kernel.clock import utcnow
from gptagent.kernel.events import Subscribers
from gptagent.kernel.jobs import JobContext
from worlds import World

FORM = "application/x-www-form-urlencoded"


def customer_message(chat, text, message_id=None, at=None):
    """Return the fields of `message[add]` as the CRM sends them."""
    fields = {
        "id": message_id or str(uuid4()),
        "chat_id": chat["chat_id"],
        "talk_id": chat["talk_id"],
        "contact_id": chat["contact_id"],
        "text": text,
        "created_at": int(at or utcnow().timestamp()),
        "entity_type": "lead",
        "entity_id": chat["lead_id"],
        "type": "incoming",
        "author][type": "external",
        "author][name": "Ann",
        "origin": "waba",
    }
    return {f"message[add][0][{name}]": value for name, value in fields.items()}


@dataclass
class Failing:
    """A listener that fails for some chats, as one with a bug would. `chats`: all, or those of these ids."""

    error: Exception = field(default_factory=lambda: RuntimeError("a bug"))
    texts: set = field(default_factory=set)

    async def __call__(self, session, event):
        # It has done something before it fails: nothing of it may stay.
        await session.execute("update app.conversation set customer_name = 'half done'")
        if event.message.text in self.texts:
            raise self.error


@dataclass
class Door:
    """Hands deliveries to a world's connection and runs the jobs that follow."""

    world: World
    failing: Failing = field(default_factory=Failing)
    jobs: DeliveryJobs = field(init=False)

    def __post_init__(self):
        crm = self.world.crm()
        heard = dict(self.world.subscribers.in_transaction)
        heard[MessageArrived] = (*heard[MessageArrived], self.failing)
        self.subscribers = Subscribers(in_transaction=heard)
        self.jobs = DeliveryJobs(crm, self.world.vault, self.subscribers, "http://127.0.0.1:9")

    def body(self, fields, **account):
        return urlencode({"account[id]": self.world.hook.account_id, **account, **fields}).encode()

    async def receive(self, fields, **account):
        return await self.receive_raw(FORM, self.body(fields, **account))

    async def receive_raw(self, content_type, body):
        world = self.world
        webhook = self.jobs.crm.read_webhook(content_type, body)
        async with world.db.session(world.scope) as session:
            return await crm_service.receive_webhook(
                session, world.hook, webhook, self.subscribers, now=utcnow(), crm=self.jobs.crm
            )

    async def rows(self):
        """Return all deliveries, oldest first."""
        async with self.world.db.session(self.world.scope) as session:
            found = await session.fetch(
                "select *, payload::text as body from app.crm_delivery order by received_at, id"
            )
        return [dict(row) for row in found]

    async def queued(self, job):
        """Return the waiting jobs of this name of this workspace, with the seconds until they are due."""
        async with self.world.db.installation() as session:
            rows = await session.fetch(
                """select id, convert_from(payload, 'UTF8') as payload,
                          extract(epoch from execute_after - now()) as seconds
                     from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2 and status = 'queued'
                    order by id""",
                job,
                str(self.world.scope.org_id),
            )
        return [dict(row) for row in rows]

    def context(self, job_id=1):
        return JobContext(self.world.db, None, self.world.scope, job_id, 1)

    async def process(self, delivery_id: UUID, job_id=1):
        await self.jobs.process(self.context(job_id), delivery_id=str(delivery_id))

    async def due(self, delivery_id):
        """Let the time of the next attempt come."""
        async with self.world.db.session(self.world.scope) as session:
            await session.execute("update app.crm_delivery set retry_at = now() where id = $1", delivery_id)

    async def reconcile(self, **changes):
        jobs = replace(self.jobs, **changes)
        await jobs.reconcile(self.context(), connection_id=str(self.world.hook.connection_id))

    async def check(self, **changes):
        jobs = replace(self.jobs, **changes)
        await jobs.check(self.context(), connection_id=str(self.world.hook.connection_id))

    async def connection(self):
        async with self.world.db.session(self.world.scope) as session:
            return await session.fetchrow("select * from app.crm_connection")


async def answers(scene):
    """Let the conversation's turns run to their end and return what was sent."""
    async with scene.world.db.session(scene.world.scope) as session:
        scene.conversation_id = await session.fetchval(
            "select id from app.conversation where chat_id = $1", scene.chat["chat_id"]
        )
    await scene.calm()
    return await scene.sent()
