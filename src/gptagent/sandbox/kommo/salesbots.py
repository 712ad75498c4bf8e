"""Salesbots: one that prints a field of the deal, and one that asks a widget for its words.

One bot runs per entity: starting another ends the one that ran. What a killed run would have printed is never
printed. A bot answers in the chat its lead was last heard in: the vendor chooses by rules of its own.
"""

import asyncio
import base64
import hmac
import re
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field

import httpx2
import msgspec

from gptagent.sandbox.kommo import chats
from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.forms import encode_tree
from gptagent.sandbox.kommo.state import Account, Bot, Chat, new_uuid

WIDGET_SECONDS = 2.0
TOKEN_SECONDS = 600
USER_AGENT = "amoCRM-Webhooks/3.0"
HASHES = {"HS256": "sha256", "HS512": "sha512"}
MARKER = re.compile(r"\{\{\s*([a-z_.0-9]+)\s*\}\}")


class WidgetBlock(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the widget block was saved with. `secret` is the integration's; `host` the account's own."""

    url: str
    secret: str
    host: str
    client_uuid: str = "0b0832f6-d123-4123-9123-e73f236833c1"
    alg: str = "HS512"
    form: bool = True
    data: dict[str, str] = msgspec.field(
        default_factory=lambda: {"message": "{{message_text}}", "lead": "{{lead.id}}", "talk": "{{talk.id}}"}
    )
    print: str = "{{json.reply}}"  # the message block behind it
    step: int = 1  # where that block stands


@dataclass(slots=True)
class Run:
    """A bot at work on a lead. `continue_id` names the place where it waits for its widget."""

    bot: Bot
    lead_id: int
    continue_id: int | None = None
    chat: Chat | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()


class Salesbots:
    """The bots of one account and their runs by lead."""

    def __init__(self, desk: Desk, account: Account) -> None:
        self.bots = account.bots
        self.runs: dict[int, Run] = {}
        self.calls: list[dict[str, object]] = []
        self._desk = desk
        self._account = account
        self._left: set[asyncio.Task[None]] = set()

    def add(self, bot: Bot) -> Bot:
        self.bots[bot.id] = bot
        return bot

    def start(self, bot: Bot, lead_id: int) -> Run:
        """Run a bot on a lead; the one that ran there ends, and what it has not said is not said."""
        if before := self.runs.pop(lead_id, None):
            before.end()
        run = self.runs[lead_id] = Run(bot, lead_id)
        if bot.widget is None:
            self._go(run, self._print_later(run))
        return run

    def stop(self, bot: Bot, lead_id: int) -> None:
        run = self.runs.get(lead_id)
        if run is not None and run.bot is bot:
            del self.runs[lead_id]
            run.end()

    def heard(self, chat: Chat, text: str) -> None:
        """An incoming message starts, or wakes, the bot that asks a widget."""
        if not self._account.knobs.plan_has_bots:
            return
        for bot in self.bots.values():
            if isinstance(bot.widget, WidgetBlock):
                run = self.start(bot, chat.lead_id)
                run.chat, run.continue_id = chat, self._desk.world.ids.next()
                self._go(run, self._ask(run, bot.widget, text))
                return

    def resume(self, bot_id: int, continue_id: int) -> Run | None:
        """Return the run that waits there, which waits no longer; None if none does."""
        for run in self.runs.values():
            if run.bot.id == bot_id and run.continue_id == continue_id:
                run.continue_id = None
                return run
        return None

    def go_on(self, run: Run, data: dict[str, object], steps: list[int], shown: list[str]) -> None:
        """Print what the handlers show, then what stands at the step they lead to."""
        words = list(shown)
        if isinstance(run.bot.widget, WidgetBlock) and run.bot.widget.step in steps:
            words.append(render(run.bot.widget.print, {f"json.{name}": str(v) for name, v in data.items()}))
        self._go(run, self._say_later(run, words))

    def _go(self, run: Run, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        run.tasks.add(task)
        self._left.add(task)
        task.add_done_callback(run.tasks.discard)
        task.add_done_callback(self._left.discard)

    async def _print_later(self, run: Run) -> None:
        """The field is read when the block is reached, not when the run was asked for."""
        await asyncio.sleep(self._account.knobs.bot_delay_ms / 1000)
        self._say(run, render(run.bot.text, self._values(run.lead_id)))
        self._over(run)

    async def _say_later(self, run: Run, words: list[str]) -> None:
        await asyncio.sleep(self._account.knobs.bot_delay_ms / 1000)
        for text in words:
            self._say(run, text)

    def _say(self, run: Run, text: str) -> None:
        chat = run.chat or latest_chat(self._account, run.lead_id)
        if chat is None or not text.strip():
            return
        chats.current_talk(self._desk, self._account, chat)
        message = chats.bot_writes(self._desk, self._account, chat, text)
        facts = {"talk_id": message.talk_id, "chat_id": chat.id, "id": message.id, "text": text}
        self._account.ledger.record("bot_message", bot_id=run.bot.id, lead_id=run.lead_id, **facts)

    def _over(self, run: Run) -> None:
        if self.runs.get(run.lead_id) is run:
            del self.runs[run.lead_id]

    def _values(self, lead_id: int) -> dict[str, str]:
        lead = self._account.leads.get(lead_id)
        held = {} if lead is None else lead.values
        fields = {f"lead.cf.{id_}": str(values[0]["value"]) for id_, values in held.items() if values}
        return {"lead.id": str(lead_id), **fields}

    async def _ask(self, run: Run, block: WidgetBlock, text: str) -> None:
        chat = run.chat
        talk_id = "" if chat is None else str(chat.talk_id)
        values = {"message_text": text, "lead.id": str(run.lead_id), "talk.id": talk_id}
        body = {
            "token": self._token(run, block),
            "data": {name: render(value, values) for name, value in block.data.items()},
            "return_url": f"https://{block.host}/api/v4/salesbot/{run.bot.id}/continue/{run.continue_id}",
        }
        await asyncio.sleep(self._account.knobs.widget_delay_ms / 1000)
        kind = "application/x-www-form-urlencoded" if block.form else "application/json"
        content = encode_tree(body) if block.form else msgspec.json.encode(body)
        call: dict[str, object] = {"url": block.url, "continue_id": run.continue_id, "status": 0}
        self.calls.append(call)
        try:
            async with httpx2.AsyncClient(timeout=WIDGET_SECONDS, trust_env=False) as client:
                answer = await client.post(
                    block.url, content=content, headers={"Content-Type": kind, "User-Agent": USER_AGENT}
                )
            call["status"] = answer.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL):
            call["status"] = 0  # the bot goes on waiting, as the vendor's does

    def _token(self, run: Run, block: WidgetBlock) -> str:
        moment = int(time.time())
        origin = re.match(r"https?://[^/]+", block.url)
        claims = {
            "iss": f"https://{block.host}",
            "aud": origin.group() if origin else "",
            "jti": new_uuid(),
            "iat": moment,
            "nbf": moment,
            "exp": moment + TOKEN_SECONDS,
            "account_id": self._account.id,
            "subdomain": self._account.subdomain,
            "client_uuid": block.client_uuid,
            "entity_type": "lead",
            "entity_id": run.lead_id,
            "bot_type": "salesbot",
        }
        head = _b64(msgspec.json.encode({"typ": "JWT", "alg": block.alg}))
        payload = _b64(msgspec.json.encode(claims))
        signature = hmac.new(block.secret.encode(), f"{head}.{payload}".encode(), HASHES[block.alg]).digest()
        return f"{head}.{payload}.{_b64(signature)}"


def bots_of(desk: Desk, account: Account) -> Salesbots:
    if account.salesbots is None:
        made = account.salesbots = Salesbots(desk, account)
        account.heard = made.heard
    found = account.salesbots
    assert isinstance(found, Salesbots)
    return found


def latest_chat(account: Account, lead_id: int) -> Chat | None:
    """Return the lead's chat in which the customer wrote last."""
    held = [chat for chat in account.chats.values() if chat.lead_id == lead_id]
    return max(held, key=_last_heard, default=None)


def _last_heard(chat: Chat) -> float:
    return max((message.at for message in chat.messages if message.author_type == "external"), default=0.0)


def render(template: str, values: dict[str, str]) -> str:
    """Fill the markers; one without a value prints itself, as the vendor's does for `{{json.*}}`."""
    return MARKER.sub(lambda found: values.get(found.group(1)) or _unfilled(found), template)


def _unfilled(found: re.Match[str]) -> str:
    return found.group(0) if found.group(1).startswith("json.") else ""


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
