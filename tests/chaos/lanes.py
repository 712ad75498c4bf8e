"""Random interleavings of everything that can happen to one conversation, on the real database and over real
HTTP to the emulated CRM. A seed decides all choices; the order in which processes get the CPU is not ours.
"""

import asyncio
import random
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec

from gptagent.adapters.kommo.client import Deadlines
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.deliveries.service import process_delivery
from gptagent.features.crm.model import InboundMessage, LeadChanged, Webhook
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.model import Pace
from gptagent.features.dialog.service import ADVANCE
from gptagent.features.dialog.turn import TurnRunner
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import AppError
from gptagent.kernel.jobs import JobContext
from worlds import World

# The proportions of Pace, some hundred times faster. A request's deadline stays well below the time after
# which its absence is believed.
PACE = Pace(
    lease=timedelta(seconds=0.25),
    lease_renewal=timedelta(seconds=60),  # never: a stalled worker loses its lease
    read_back_every=timedelta(seconds=0.1),
    absence_certain_after=timedelta(seconds=1.6),
    unknown_gives_up_after=timedelta(seconds=20),
    broken_connection_retry=timedelta(seconds=0.2),
    send_retry_first=timedelta(seconds=0.05),
)
DEADLINES = Deadlines(read=3.0, write=0.6)
STALL_MAX_SECONDS = 0.5
SETTLED_WITHIN_SECONDS = 40.0


def as_told(message):
    """Return a message as the body of its webhook."""
    kinds = {"customer": "message", "human": "outgoing_message", "bot": "outgoing_message"}
    authors = {"customer": "external", "human": "internal", "bot": "bot"}
    element = {
        "id": message.provider_id,
        "chat_id": message.chat_id,
        "talk_id": message.talk_id,
        "contact_id": message.contact_id,
        "entity_id": message.lead_id,
        "text": message.text,
        "created_at": int(message.sent_at.timestamp()),
        "type": "incoming" if message.author == "customer" else "outgoing",
        "author": {"type": authors[message.author], "name": message.author_name},
        "origin": message.origin,
    }
    return {kinds[message.author]: {"add": [element]}}


class StallingCrm:
    """The real adapter; before and after a send the worker may stall, as a busy or frozen process does."""

    def __init__(self, crm, chance, report):
        self._crm = crm
        self._chance = chance
        self._report = report

    def __getattr__(self, name):
        return getattr(self._crm, name)

    async def send_message(self, link, talk_id, text):
        await self._stall()
        message_id = await self._crm.send_message(link, talk_id, text)
        if self._chance.random() < 0.3:  # the CRM tells of our message before we know that it was accepted
            await self._report(message_id, text)
        await self._stall()
        return message_id

    async def _stall(self):
        if self._chance.random() < 0.15:
            await asyncio.sleep(self._chance.uniform(0, STALL_MAX_SECONDS))


@dataclass
class Interleaving:
    """One conversation and its seed. `holds` are the times (database clock) a person had the chat."""

    world: World
    seed: int
    chat: dict = field(default_factory=dict)
    named_talk: int | None = None
    conversation_id: uuid.UUID | None = None
    holds: list = field(default_factory=list)
    customer_ids: list = field(default_factory=list)
    running: set = field(default_factory=set)

    def __post_init__(self):
        self.chance = random.Random(self.seed)
        self.worker_chance = random.Random(self.seed + 1)

    async def play(self):
        """Let it all happen, wait until nothing is left to do, and return what is wrong ([] if nothing)."""
        self.chat = await self.world.account.new_chat()
        self.named_talk = self.chat["talk_id"] if self.chance.random() < 0.8 else None
        events = self._script()
        finished = asyncio.Event()
        workers = [asyncio.create_task(self._work(finished)) for _ in range(2)]
        try:
            for event in events:
                await event()
                await asyncio.sleep(self.chance.choice((0, 0, 0.005, 0.02, 0.06)))
            await self._until_calm()
        finally:
            finished.set()
            await asyncio.gather(*workers)
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)
        return await self._judge()

    def _script(self):
        """What happens, in order: messages are delivered up to three times, some late."""
        script = []
        for number in range(self.chance.randint(1, 4)):
            message = self._customer_message(number)
            self.customer_ids.append(message.provider_id)
            script += [lambda m=message: self._deliver(m)] * self.chance.choice((1, 1, 2, 3))
        if self.chance.random() < 0.35:
            script.insert(self.chance.randint(1, len(script)), self._human_writes)
            if self.chance.random() < 0.7:
                script.append(self._resume)
                message = self._customer_message(9)
                self.customer_ids.append(message.provider_id)
                script += [lambda m=message: self._deliver(m)] * 2
        if self.chance.random() < 0.2:
            script.insert(self.chance.randint(0, len(script)), self._move_stage)
        if self.chance.random() < 0.3:
            script.insert(self.chance.randint(0, len(script)), self._break_crm)
        first = script[0]
        rest = script[1:]
        if self.chance.random() < 0.5:
            self.chance.shuffle(rest)
        return [first, *rest]

    def _customer_message(self, number, chance=None):
        return InboundMessage(
            provider_id=str(uuid.UUID(int=(chance or self.chance).getrandbits(128))),
            chat_id=self.chat["chat_id"],
            talk_id=self.named_talk,
            contact_id=self.chat["contact_id"],
            lead_id=self.chat["lead_id"],
            author="customer",
            author_name="Ann",
            text=f"question {number}",
            sent_at=utcnow(),
            origin="waba",
        )

    async def _deliver(self, message):
        await self._hear(message, as_told(message))
        async with self.world.db.session(self.world.scope) as session:
            row = await session.fetchrow(
                "select id from app.conversation where chat_id = $1", self.chat["chat_id"]
            )
        self.conversation_id = row["id"]

    async def _hear(self, event, payload):
        """Let a webhook come. One that a busy machine could not act on in time is tried again by its job."""
        world = self.world
        crm = world.crm(DEADLINES)
        webhook = Webhook(world.hook.account_id, None, (event,), payload)
        async with world.db.session(world.scope) as session:
            state = await crm_service.receive_webhook(
                session, world.hook, webhook, world.subscribers, now=utcnow(), crm=crm
            )
        while state == "received":
            async with world.db.session(world.scope) as session:
                waiting = await session.fetch(
                    "select id from app.crm_delivery where state = 'received' and refs && $1",
                    [self.chat["chat_id"], str(self.chat["lead_id"])],
                )
                for row in waiting:
                    await process_delivery(session, row["id"], 0, crm, world.subscribers, now=utcnow())
            state = "received" if waiting else "processed"

    async def _human_writes(self):
        template = self._customer_message(0)
        message = replace(template, author="human", author_name="Bob", text="Let me help")
        await self._deliver(message)
        self.holds.append([await self._now(), None])

    async def _resume(self):
        if self.conversation_id is None:
            return
        resumed_from = await self._now()
        async with self.world.db.session(self.world.scope) as session:
            await self.world.inbox.resume(session, self.conversation_id)
        for hold in self.holds:
            hold[1] = hold[1] or resumed_from

    async def _move_stage(self):
        stage = self.chance.choice((11, 12, 13))
        moved = LeadChanged(self.chat["lead_id"], "moved", 1, stage)
        element = {"id": self.chat["lead_id"], "pipeline_id": 1, "status_id": stage}
        await self._hear(moved, {"leads": {"status": [element]}})

    async def _break_crm(self):
        fault = self.chance.choice(
            (
                {"action": "accept_then_timeout"},
                {"action": "reset"},
                {"action": "status", "status": 500},
                {"action": "status", "status": 503},
                {"action": "delay", "delay_ms": 300},
            )
        )
        path = f"/talks/{self.chat['talk_id']}/send_message"
        await self.world.account.break_next(path, **fault)

    async def _now(self):
        async with self.world.db.session(self.world.scope) as session:
            return await session.fetchval("select clock_timestamp()")

    def _runner(self):
        crm = self.world.crm(DEADLINES)
        extractive = ExtractiveResponder()
        return TurnRunner(
            StallingCrm(crm, self.worker_chance, self._report),
            self.world.vault,
            extractive,
            extractive,
            PACE,
        )

    async def _report(self, message_id, text):
        """Our own message, reported once or twice, as a bot's or a person's, with other white space."""
        template = self._customer_message(0, self.worker_chance)
        message = replace(
            template,
            provider_id=message_id,
            author=self.worker_chance.choice(("bot", "human")),
            text=text.replace(" ", self.worker_chance.choice((" ", "  ", "\n"))),
        )
        for _ in range(self.worker_chance.choice((1, 2))):
            await self._deliver(message)

    async def _work(self, finished):
        """Take this conversation's jobs as the queue would: at least once, again after a crash."""
        runner = self._runner()
        while not finished.is_set():
            job_id = await self._take_job()
            if job_id is None:
                await asyncio.sleep(0.02)
                continue
            task = asyncio.create_task(self._run(runner, job_id))
            self.running.add(task)
            task.add_done_callback(self.running.discard)
            patience = self.worker_chance.uniform(0.002, 0.08)
            crash = self.worker_chance.random() < 0.2
            lost = self.worker_chance.random() < 0.1
            done, _ = await asyncio.wait({task}, timeout=patience if crash or lost else 10)
            if crash and not done:
                task.cancel()  # SIGKILL as the database sees it: the open transaction is rolled back
                await asyncio.wait({task})
            # a lost worker goes on as a zombie while the queue hands its job to another

    async def _run(self, runner, job_id):
        ctx = JobContext(self.world.db, None, self.world.scope, job_id, 1)
        with suppress(AppError):
            await runner.advance(ctx, conversation_id=str(self.conversation_id))
            await self._forget_job(job_id)

    async def _take_job(self):
        if self.conversation_id is None:
            return None
        payload = msgspec.json.encode({"conversation_id": str(self.conversation_id)})
        async with self.world.db.installation() as session:
            return await session.fetchval(
                """update jobs.pgqueuer set status = 'picked', heartbeat = clock_timestamp()
                    where id = (select id from jobs.pgqueuer
                                 where entrypoint = $1 and payload = $2 and execute_after <= clock_timestamp()
                                   and (status = 'queued'
                                        or heartbeat < clock_timestamp() - interval '0.3 seconds')
                                 order by id limit 1 for update skip locked)
                returning id""",
                ADVANCE,
                payload,
            )

    async def _forget_job(self, job_id):
        async with self.world.db.installation() as session:
            await session.execute("delete from jobs.pgqueuer where id = $1", job_id)

    async def _until_calm(self):
        """Wait until the lane has nothing to do and no job of it is left."""
        deadline = asyncio.get_running_loop().time() + SETTLED_WITHIN_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            async with self.world.db.session(self.world.scope) as session:
                lane = await session.fetchrow(
                    """select l.done >= l.wanted and not exists (
                                select from app.turn t where t.conversation_id = l.conversation_id
                                   and t.state in ('open', 'sending')) as idle
                         from app.lane l where l.conversation_id = $1""",
                    self.conversation_id,
                )
            if lane["idle"] and not self.running:
                return
            await asyncio.sleep(0.05)

    async def _judge(self):
        async with self.world.db.session(self.world.scope) as session:
            turns = await session.fetch(
                """select first_seq, last_seq, state, outcome, reason, provider_message_id, send_started_at
                     from app.turn where conversation_id = $1 order by first_seq, created_at""",
                self.conversation_id,
            )
            customers = await session.fetch(
                "select seq from app.message where conversation_id = $1 and author = 'customer'",
                self.conversation_id,
            )
            own = await session.fetch(
                "select provider_id from app.message where conversation_id = $1 and author = 'agent'",
                self.conversation_id,
            )
        sent = await self.world.account.sent(self.chat["chat_id"])
        return list(self._faults(turns, customers, own, sent))

    def _faults(self, turns, customers, own, sent):
        ended = [turn for turn in turns if turn["state"] == "ended"]
        if any(turn["state"] in {"open", "sending"} for turn in turns):
            yield "a turn never ended"
        if len(customers) != len(self.customer_ids):
            yield f"{len(customers)} messages stored instead of {len(self.customer_ids)}"
        for row in customers:
            answers = [t for t in ended if t["first_seq"] <= row["seq"] <= t["last_seq"]]
            if len(answers) != 1:
                yield f"message {row['seq']} was answered {len(answers)} times"
        replied = [t["provider_message_id"] for t in ended if t["outcome"] in {"reply", "not_found"}]
        if sorted(replied) != sorted(sent):
            yield f"{len(sent)} messages reached the chat, {len(replied)} turns say they replied"
        if sorted(replied) != sorted(row["provider_id"] for row in own):
            yield "the thread does not show what was sent"
        if not self.holds and any(turn["reason"] == "taken_over" for turn in ended):
            yield "our own message was taken for a person's"
        if any(turn["outcome"] == "handed_off" for turn in ended):
            yield "a turn was handed off although everything could be read back"
        for begun, resumed in self.holds:
            late = [
                turn
                for turn in turns
                if turn["send_started_at"] is not None
                and turn["send_started_at"] > begun
                and (resumed is None or turn["send_started_at"] < resumed)
            ]
            if late:
                yield "a reply was begun after a person had taken the chat"
