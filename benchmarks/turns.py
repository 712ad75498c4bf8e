"""Turns: the rate that is kept up, the time a customer waits, the CPU used. `python benchmarks/turns.py`

50 accounts of the emulated CRM in five workspaces. Customers write at a steady rate, then all at once. The
time runs from the customer's message to the reply in the CRM. CPU is that of web, worker and PostgreSQL.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from figures import percentile, show
from gptagent.entrypoints.demo.stage import Failed, Service, Stage, raised_stage, until
from gptagent.kernel.egress import Egress
from gptagent.kernel.settings import child_environment
from gptagent.sandbox.spawn import running
from processes import PARTS, cpu_seconds
from shop import Account, Company, open_companies

COMPANIES = 5
ACCOUNTS_EACH = 10
STEADY_PER_SECOND = 25
STEADY_SECONDS = 16
WARM_UP_TURNS = 100
BURST_TURNS = 400
ANSWERED_WITHIN_SECONDS = 60.0
MODEL_REPLY = "Доставка по Москве стоит 490 рублей [1]."

Chats = Sequence[tuple[Account, str]]


@dataclass(frozen=True, slots=True)
class Arena:
    """A stage with its accounts, and what has been asked and answered there."""

    stage: Stage
    accounts: Sequence[Account]

    async def new_chats(self, count: int) -> Chats:
        chosen = [self.accounts[number % len(self.accounts)] for number in range(count)]
        return [(account, await account.new_chat()) for account in chosen]

    async def answered(self) -> int:
        sent = (await self.stage.sandbox.call("GET", "/_sandbox/stats"))["sent"]
        return sent if isinstance(sent, int) else 0

    async def until_answered(self, total: int) -> None:
        async def all_answered() -> bool:
            return await self.answered() >= total

        await until(f"{total} replies", all_answered, seconds=ANSWERED_WITHIN_SECONDS, pause=0.1)

    async def until_replied(self, account: Account, chat: str) -> None:
        async def replied() -> bool:
            return any(message["author"] == "bot" for message in await _messages(account, chat))

        await until(f"a reply in {chat}", replied, seconds=ANSWERED_WITHIN_SECONDS, pause=0.1)

    async def waits(self, chats: Chats) -> tuple[list[float], list[float]]:
        """Return the milliseconds from message to reply: of first messages, and of later ones."""
        first: list[float] = []
        later: list[float] = []
        for account, chat in chats:
            asked: list[float] = []
            replied: list[float] = []
            for message in await _messages(account, chat):
                (asked if message["author"] == "external" else replied).append(float(message["at"]) * 1000)
            waited = [reply - question for question, reply in zip(asked, replied, strict=True)]
            first += waited[:1]
            later += waited[1:]
        return first, later


async def main() -> None:
    await measure("extractive", {})
    with running("llm") as url:
        await measure("model", await _scripted(url))


async def _messages(account: Account, chat: str) -> list[Any]:
    messages = (await account.call("GET", f"/chats/{chat}/messages"))["messages"]
    return messages if isinstance(messages, list) else []


async def _scripted(url: str) -> Mapping[str, str]:
    """Let the fake model answer at once, and return the settings that lead to it."""
    parts = urlsplit(url)
    egress = Egress(frozenset({(str(parts.hostname), parts.port or 80)}))
    try:
        await Service(url, egress).call("POST", "/_sandbox/script", {"reply": MODEL_REPLY})
    finally:
        await egress.aclose()
    return {
        "LLM_BASE_URL": f"{url}/v1",
        "LLM_API_KEY": "any",
        "LLM_MODEL": "sandbox",
        "EGRESS_ALLOW": f"{parts.hostname}:{parts.port}",
    }


async def measure(label: str, settings: Mapping[str, str]) -> None:
    async with raised_stage({**child_environment(), **settings}) as stage:
        companies = await open_companies(
            stage, companies=COMPANIES, accounts=ACCOUNTS_EACH, response_delay_seconds=0
        )
        arena = Arena(stage, _mixed(companies))
        await _burst(arena, WARM_UP_TURNS)
        await _steady(arena, label)
        show("turns/s", f"{label}_at_once", await _burst(arena, BURST_TURNS))


def _mixed(companies: Sequence[Company]) -> list[Account]:
    """Return the accounts so that neighbours belong to different workspaces."""
    return [account for row in zip(*(c.accounts for c in companies), strict=True) for account in row]


async def _steady(arena: Arena, label: str) -> None:
    """Every chat gets two messages, the second in the second half, so that half of the chats are known.

    Who was not answered by then waits before writing again: one reply would cover both.
    """
    turns = STEADY_PER_SECOND * STEADY_SECONDS
    chats = await arena.new_chats(turns // 2)
    before, cpu = await arena.answered(), cpu_seconds(arena.stage.up_pid)
    started = time.monotonic()
    for number, (account, chat) in enumerate((*chats, *chats)):
        await asyncio.sleep(max(0.0, started + number / STEADY_PER_SECOND - time.monotonic()))
        if number >= len(chats):
            await arena.until_replied(account, chat)
        await account.write(chat)
    offered = turns / (time.monotonic() - started)
    await arena.until_answered(before + turns)
    kept_up = turns / (time.monotonic() - started)
    used = cpu_seconds(arena.stage.up_pid)
    first, known = await arena.waits(chats)
    waits = first + known
    if len(waits) != turns:
        raise Failed(f"{len(waits)} replies instead of {turns}")
    show("turns/s", f"{label}_offered", offered)
    show("turns/s", f"{label}_steady", kept_up)
    show("turn_ms", f"{label}_p50", percentile(waits, 0.5))
    show("turn_ms", f"{label}_p95", percentile(waits, 0.95))
    show("turn_ms", f"{label}_first_contact_p50", percentile(first, 0.5))
    show("turn_ms", f"{label}_known_customer_p50", percentile(known, 0.5))
    for part in PARTS:
        show("turn_cpu_ms", f"{label}_{part}", (used[part] - cpu[part]) / turns * 1000)
    show("turn_cpu_ms", f"{label}_platform", sum(used[p] - cpu[p] for p in PARTS) / turns * 1000)


async def _burst(arena: Arena, turns: int) -> float:
    """Let so many customers write at once; return the turns per second until the last is answered."""
    chats = await arena.new_chats(turns)
    before = await arena.answered()
    started = time.monotonic()
    for account, chat in chats:
        await account.write(chat)
    await arena.until_answered(before + turns)
    return turns / (time.monotonic() - started)


if __name__ == "__main__":
    asyncio.run(main())
