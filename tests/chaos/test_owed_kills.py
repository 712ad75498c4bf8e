"""A worker is killed between a call of the CRM and its record, between two parts of a reply and in the middle
of a hand-off; another one is frozen and wakes up beside its successor. Each thing is done once.
"""

import os
import signal
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from chaos.owned import owned_stage
from gptagent.entrypoints.demo.stage import until
from gptagent.kernel.postgres import Postgres
from gptagent.kernel.postgres.roles import DATABASE
from gptagent.sandbox.spawn import running
from servers import working
from worlds import PATIENT_HOOKS

CALM_SECONDS = 120.0
NAME = "owed"
LOOKING = "You look after the CRM"
PRICE = "A kitchen costs 90,000 rubles."
HANDS_OVER = "A colleague takes over."
PARTS = [
    (
        "Our kitchens are made of solid oak that dries for a year in the yard, and each front is cut, planed "
        "and oiled by the same joiner, who signs its back, so that whoever opens a drawer years later knows "
        "whom to thank for it and whom to ask for another."
    ),
    (
        "The worktop of a kitchen is chosen together with the customer from the planks that lie in the hall, "
        "because no photograph shows how the grain runs, and because a board that is touched before it is "
        "bought is hardly ever sent back to the workshop."
    ),
    (
        "When a kitchen is fitted, the joiners who made it come along, lay a cloth over the floor, set the "
        "cupboards one after the other against the wall, and do not leave before the doors close by "
        "themselves and the people of the house have cooked tea in it."
    ),
]
# What a model does after its answer to a message with this word.
TOOLS = {
    "alfa": ("move_deal", lambda place: {"stage": place.target["name"]}),
    "bravo": ("create_task", lambda _: {"text": "Measure the room", "due_in_hours": 2}),
    "charlie": ("add_note", lambda _: {"text": "Has a cat"}),
    "delta": ("change_responsible", lambda place: {"person": place.person["name"]}),
    "echo": ("add_tags", lambda _: {"tags": ["VIP"]}),
}
SURE = {"reason": "", "confidence": 1}


class Shop:
    """An account whose agent answers in parts, acts alone, and hands over."""

    def __init__(self, stage, control):
        self.stage, self.platform, self.control = stage, stage.platform, control

    async def sandbox(self, method, path, body=None):
        return await self.stage.sandbox.call(method, f"/_sandbox/accounts/{NAME}{path}", body)

    async def crm(self, path):
        """Read what the CRM has."""
        async with httpx2.AsyncClient(headers=self.headers) as client:
            answer = await client.get(f"{self.stage.sandbox.url}/api/v4/{path}")
        answer.raise_for_status()
        return answer.json()

    async def open(self):
        account = await self.stage.sandbox.call("POST", "/_sandbox/accounts", {"subdomain": NAME})
        self.headers = {"host": f"{NAME}.kommo.test", "authorization": f"Bearer {account['token']}"}
        await self.sandbox("POST", "/knobs", {"requests_per_second": 0, **PATIENT_HOOKS})
        await self.sandbox("POST", "/tags", {"entity": "leads", "name": "VIP"})
        pipelines = (await self.crm("leads/pipelines"))["_embedded"]["pipelines"]
        main = next(one for one in pipelines if one["is_main"])
        stages = [one for one in main["_embedded"]["statuses"] if not one["type"] and one["id"] > 143]
        self.target = stages[1]
        self.person = (await self.crm("users"))["_embedded"]["users"][-1]
        self.tell_model()
        await self.make_agent()
        address = {"address": f"{NAME}.kommo.test", "token": account["token"]}
        self.connection = await self.platform.call("POST", "/api/v1/connections", address)

        async def is_read():
            return self.ask("select count(*) from app.crm_tag") and self.ask("select from app.crm_user")

        await until("the account is read", is_read, seconds=CALM_SECONDS)
        return self

    def tell_model(self):
        rules = [
            {"system": LOOKING, "match": word, "tools": [{"name": tool, "arguments": given(self) | SURE}]}
            for word, (tool, given) in TOOLS.items()
        ]
        said = "\n\n".join(f"{part.removesuffix('.')} [1]." for part in PARTS)
        rules += [
            {"system": LOOKING, "reply": ""},
            {"system": "You keep notes", "json": {"memories": []}},
            {"match": "solid oak", "reply": said},
            {"reply": f"{PRICE.removesuffix('.')} [1]."},
        ]
        self.control.post("/script?replace=1", json=rules).raise_for_status()

    async def make_agent(self):
        for title, content in (("Prices", PRICE), ("Making", "\n\n".join(PARTS))):
            await self.platform.call("POST", "/api/v1/articles", {"title": title, "content": content})
        agent = await self.platform.call("POST", "/api/v1/agents", {"name": "Agent"})
        settings = {
            "is_active": True,
            "response_delay_seconds": 1,
            "split_replies": True,
            "handoff_text": HANDS_OVER,
            "not_found_task": False,
            "remembers_customers": False,
            "actions": {**{tool: "alone" for tool, _ in TOOLS.values()}, "confidence": 50},
        }
        await self.platform.call("PATCH", f"/api/v1/agents/{agent['id']}", settings)

    async def new_chat(self, name):
        return await self.sandbox("POST", "/chats", {"name": name, "origin": "telegram"})

    async def write(self, chat, text):
        await self.sandbox("POST", f"/chats/{chat['chat_id']}/customer", {"text": text})

    async def replies(self, chat):
        answer = await self.sandbox("GET", f"/chats/{chat['chat_id']}/messages")
        return [message["text"] for message in answer["messages"] if message["author"] == "bot"]

    async def lose_answers(self, *requests):
        """Let the CRM carry these requests out and never answer, once each."""
        faults = [{"method": m, "path": p, "action": "accept_then_timeout", "count": 1} for m, p in requests]
        await self.sandbox("POST", "/faults", faults)

    async def until_struck(self):
        async def all_struck():
            return (await self.sandbox("GET", "/faults"))["faults"] == []

        await until("every request was made", all_struck, seconds=CALM_SECONDS, pause=0.1)

    async def tasks(self, chat):
        entries = (await self.sandbox("GET", "/ledger"))["entries"]
        return [one["text"] for one in entries if one.get("entity_id") == chat["lead_id"]]

    async def deal(self, chat):
        return await self.crm(f"leads/{chat['lead_id']}")

    async def notes(self, chat):
        found = (await self.crm(f"leads/{chat['lead_id']}/notes"))["_embedded"]["notes"]
        return [one["params"]["text"] for one in found if one["note_type"] == "common"]

    @property
    def dsn(self):
        endpoint = Postgres(self.stage.home).attach()
        return endpoint.dsn(endpoint.superuser, endpoint.superuser_password, DATABASE)

    def ask(self, sql, *args):
        """Ask the database past all tenants' walls."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(sql, args).fetchall()

    @contextmanager
    def stopped_before(self, table):
        """Let every transaction wait that is about to write there; yields what tells whether one does."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute(f"lock table {table} in exclusive mode")

            async def one_waits():
                waiting = "select from pg_locks where not granted and relation = %s::regclass"
                return self.ask(waiting, table) != []

            yield one_waits


@pytest.fixture(scope="module")
async def shop():
    with running("llm") as url, httpx2.Client(base_url=f"{url}/_sandbox") as control:
        async with owned_stage(url) as stage:
            yield await Shop(stage, control).open()


@pytest.mark.timeout(600)
async def test_parts_hand_offs_and_actions_of_killed_workers_are_done_once(shop):
    """WRK-8, MSG-2, AGT-18, AGT-27: two SIGKILLs; what was cut off between a call and its record, too"""
    acting = {word: await shop.new_chat(word) for word in TOOLS}
    lost, gap, handed = [await shop.new_chat(name) for name in ("Lost", "Gap", "Handed")]
    deals = [f"leads/{acting[word]['lead_id']}$" for word in ("alfa", "delta", "echo")]
    await shop.lose_answers(
        *(("PATCH", path) for path in deals),
        ("POST", "tasks$"),
        ("POST", f"leads/{acting['charlie']['lead_id']}/notes"),
        ("POST", f"talks/{lost['talk_id']}/send_message"),
    )
    for word, chat in acting.items():
        await shop.write(chat, f"What does a kitchen cost? {word}")
    await shop.write(lost, "How are kitchens of solid oak made?")
    await shop.until_struck()
    with shop.stopped_before("app.handoff") as one_waits:
        await shop.write(handed, "I want to talk to an operator")
        await until("a hand-off is half owed", one_waits, seconds=CALM_SECONDS, pause=0.1)
        await shop.write(gap, "How are kitchens of solid oak made?")

        async def is_half_said():
            next_part = shop.ask(
                """select from app.turn t join app.conversation c on c.id = t.conversation_id
                    where c.chat_id = %s and t.part = 1""",
                gap["chat_id"],
            )
            return bool(next_part)

        await until("a reply is half said", is_half_said, seconds=CALM_SECONDS, pause=0.1)
        await shop.stage.kill_worker()
    assert await shop.replies(gap) == PARTS[:1]
    about = (handed["chat_id"],)
    ours = "conversation_id = (select id from app.conversation where chat_id = %s)"
    for table in ("outgoing", "handoff", "crm_task", "crm_action"):
        assert shop.ask(f"select from app.{table} where {ours}", *about) == []
    await shop.lose_answers(
        ("POST", f"talks/{handed['talk_id']}/send_message"),
        ("POST", "tasks$"),
        ("POST", f"leads/{handed['lead_id']}/notes"),
    )
    await shop.until_struck()
    await shop.stage.kill_worker()

    async def is_calm():
        return (
            not shop.ask(
                """select from app.turn where state in ('open', 'sending')
               union all select from app.outgoing where state in ('waiting', 'sending')
               union all select from app.crm_task where state in ('pending', 'sending')
               union all select from app.crm_action where state in ('pending', 'sending')
               union all select from app.action_run where state = 'pending'"""
            )
            and await shop.replies(gap) == PARTS
        )

    await until("nothing is left to do", is_calm, seconds=CALM_SECONDS, pause=0.5)
    assert [await shop.replies(chat) for chat in (lost, gap)] == [PARTS, PARTS]
    await judge_hand_off(shop, handed)
    await judge_actions(shop, acting)


async def judge_hand_off(shop, chat):
    assert await shop.replies(chat) == [HANDS_OVER]
    (note,) = await shop.notes(chat)
    (task,) = await shop.tasks(chat)
    assert "operator" in note and "operator" in task
    ((holder, is_assigned),) = shop.ask(
        "select taken_over_by, assignee_id is not null from app.conversation where chat_id = %s",
        chat["chat_id"],
    )
    assert (holder, is_assigned) == ("Alice", True)


async def judge_actions(shop, chats):
    deals = {word: await shop.deal(chat) for word, chat in chats.items()}
    assert deals["alfa"]["status_id"] == shop.target["id"]
    assert await shop.tasks(chats["bravo"]) == ["Measure the room"]
    assert await shop.notes(chats["charlie"]) == ["Has a cat"]
    assert deals["delta"]["responsible_user_id"] == shop.person["id"]
    assert [tag["name"] for tag in deals["echo"]["_embedded"]["tags"]] == ["VIP"]
    for chat in chats.values():
        assert await shop.replies(chat) == [PRICE]
    done = shop.ask(
        "select state, count(*) from app.crm_action where entity_id = any(%s) group by 1",
        [chat["lead_id"] for chat in chats.values()],
    )
    assert done == [("done", len(TOOLS))]
    written = shop.ask("select key, count(*) from app.crm_change where written_at is not null group by 1")
    assert sorted(written) == [("place", 1), ("responsible_user_id", 1), ("tags", 1)]


@pytest.mark.timeout(600)
async def test_a_frozen_worker_wakes_up_beside_its_successor_and_the_customer_reads_one_answer(shop):
    """MSG-2, CRM-22: SIGSTOP while it writes the deal's field for a bot, until another worker has answered"""
    replies = f"/api/v1/connections/{shop.connection['id']}/replies"
    field = await shop.platform.call("POST", f"{replies}/field")
    bot = {"name": "Sends", "text": f"{{{{lead.cf.{field['field_id']}}}}}"}
    bot_id = (await shop.sandbox("POST", "/bots", bot))["bot_id"]
    await shop.platform.call("PATCH", replies, {"mode": "salesbot", "bot_id": bot_id})
    chat = await shop.new_chat("Frozen")
    await shop.lose_answers(("PATCH", "leads"))
    await shop.write(chat, "What does a kitchen cost?")
    await shop.until_struck()
    frozen = await shop.stage.worker()
    os.kill(frozen, signal.SIGSTOP)
    place = urlsplit(shop.stage.sandbox.url)
    settings = {"KOMMO_SANDBOX_URL": shop.stage.sandbox.url, "PUBLIC_URL": shop.stage.platform.url}
    settings |= {"EGRESS_ALLOW": f"{place.hostname}:{place.port}"}
    log = shop.stage.home / "gptagent.log"
    try:
        with working(shop.stage.home, **settings):

            async def is_answered():
                return await shop.replies(chat) and not shop.ask("select from app.crm_lead_claim")

            await until("its successor has answered", is_answered, seconds=CALM_SECONDS, pause=0.5)
            before = log.read_text().count("turn_fenced")
            os.kill(frozen, signal.SIGCONT)

            async def has_given_up():
                return log.read_text().count("turn_fenced") > before

            await until("the one that was frozen sees it", has_given_up, seconds=CALM_SECONDS, pause=0.2)
            assert len(await shop.replies(chat)) == 1
            assert shop.ask("select from app.crm_lead_claim") == []  # nobody waits for it
    finally:
        os.kill(frozen, signal.SIGCONT)
    runs = [one for one in (await shop.sandbox("GET", "/ledger"))["entries"] if one["kind"] == "bot_run"]
    assert len(runs) == 1
