"""A worker is killed in the middle of a reply's way; the customer reads it once, whichever way it is."""

import asyncio
from dataclasses import dataclass

import pytest

from gptagent.entrypoints.demo.stage import Stage, raised_stage, until
from gptagent.kernel.settings import child_environment
from worlds import PATIENT_HOOKS

NOT_FOUND = "I will ask a colleague."
SECRET = "the integration's own secret key".replace(" ", "-")
CHATS = 3
CALM_SECONDS = 120.0


@dataclass
class Shop:
    """An account of the CRM that replies one way; `path` is the request in which the worker dies."""

    stage: Stage
    name: str
    mode: str
    method: str
    path: str
    host: str = "kommo.test"

    async def sandbox(self, method, path, body=None):
        return await self.stage.sandbox.call(method, f"/_sandbox/accounts/{self.name}{path}", body)

    async def open(self):
        account = await self.stage.sandbox.call("POST", "/_sandbox/accounts", {"subdomain": self.name})
        is_kommo = self.host == "kommo.test"
        knobs = {"requests_per_second": 0, "talks_api": is_kommo, "bots_v4": is_kommo}
        await self.sandbox("POST", "/knobs", knobs | PATIENT_HOOKS)
        platform = self.stage.platform
        address = {"address": f"{self.name}.{self.host}", "token": account["token"]}
        made = await platform.call("POST", "/api/v1/connections", address)
        replies = f"/api/v1/connections/{made['id']}/replies"
        changes = {"mode": self.mode}
        if self.mode == "salesbot":
            field = await platform.call("POST", f"{replies}/field")
            bot = {"name": "Sends", "text": f"{{{{lead.cf.{field['field_id']}}}}}"}
            changes["bot_id"] = (await self.sandbox("POST", "/bots", bot))["bot_id"]
        else:
            await platform.call("PUT", f"{replies}/secret", {"secret": SECRET})
        standing = await platform.call("PATCH", replies, changes)
        if self.mode == "widget":
            block = {"url": standing["widget_url"], "secret": SECRET, "host": f"{self.name}.{self.host}"}
            await self.sandbox("POST", "/bots", {"name": "Asks", "widget": block})

    async def break_next(self):
        fault = {"method": self.method, "path": self.path, "action": "accept_then_timeout", "count": 1}
        await self.sandbox("POST", "/faults", fault)

    async def has_struck(self):
        """The request was carried out, and its worker still waits for the answer."""
        return (await self.sandbox("GET", "/faults"))["faults"] == []

    async def write(self):
        chats = [
            (await self.sandbox("POST", "/chats", {"name": f"Customer {n}", "origin": "telegram"}))["chat_id"]
            for n in range(CHATS)
        ]
        for chat in chats:
            await self.sandbox("POST", f"/chats/{chat}/customer", {"text": "Hello"})
        return chats

    async def replies(self, chat):
        answer = await self.sandbox("GET", f"/chats/{chat}/messages")
        return [message["text"] for message in answer["messages"] if message["author"] == "bot"]


@pytest.fixture
async def shops():
    async with raised_stage(child_environment()) as stage:
        owner = {
            "email": "alice@example.test",
            "given_name": "Alice",
            "password": "correct horse battery",
            "organization": "Shop",
            "setup_token": stage.setup_token,
        }
        signed_in = await stage.platform.call("POST", "/api/v1/auth/register", owner)
        stage.platform.headers["authorization"] = f"Bearer {signed_in['access_token']}"
        agent = await stage.platform.call("POST", "/api/v1/agents", {"name": "Agent"})
        settings = {
            "is_active": True,
            "response_delay_seconds": 1,
            "not_found_text": NOT_FOUND,
            "not_found_task": False,
        }
        await stage.platform.call("PATCH", f"/api/v1/agents/{agent['id']}", settings)
        made = [
            Shop(stage, "field", "salesbot", "PATCH", "leads"),
            Shop(stage, "run", "salesbot", "POST", "bots/run"),
            Shop(stage, "older", "salesbot", "POST", "salesbot/run", "amocrm.test"),
            Shop(stage, "answer", "widget", "POST", "continue"),
        ]
        for shop in made:
            await shop.open()
        yield made


@pytest.mark.timeout(500)
async def test_a_worker_killed_between_two_steps_of_a_reply_says_it_once(shops):
    """WRK-8, CRM-22: after the field was written, after the run was taken, after the answer was taken."""
    for shop in shops:
        await shop.break_next()
    chats = [(shop, chat) for shop in shops for chat in await shop.write()]

    async def all_struck():
        return all([await shop.has_struck() for shop in shops])

    await until("every request was made", all_struck, seconds=CALM_SECONDS, pause=0.1)
    await shops[0].stage.kill_worker()

    async def all_answered():
        return all([await shop.replies(chat) for shop, chat in chats])

    await until("every chat has a reply", all_answered, seconds=CALM_SECONDS, pause=1)
    await asyncio.sleep(5)
    assert [await shop.replies(chat) for shop, chat in chats] == [[NOT_FOUND]] * len(chats)

    async def all_ended():
        conversations = (await shops[0].stage.platform.call("GET", "/api/v1/conversations"))["items"]
        threads = [
            await shops[0].stage.platform.call("GET", f"/api/v1/conversations/{one['id']}/messages")
            for one in conversations
        ]
        return len(threads) == len(chats) and all(
            [turn["outcome"] for turn in thread["turns"]] == ["not_found"] for thread in threads
        )

    await until("every turn is recorded as a reply", all_ended, seconds=CALM_SECONDS, pause=1)
