"""Webhooks: how many are stored durably per second, and how soon. `python benchmarks/webhooks.py`

The bodies are what the emulated CRM sends, each with a message id of its own; the load generator is a process
of its own. Agents wait a minute before they answer, so that no turn runs meanwhile.
"""

import asyncio
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from figures import percentile, show
from gptagent.entrypoints.demo.stage import Failed, Stage, raised_stage, until
from gptagent.kernel.settings import child_environment
from load import Plan, Shot, fire
from processes import PARTS, cpu_seconds
from shop import Account, open_companies

COMPANIES = 4
ACCOUNTS_EACH = 2
CHATS_EACH = 50
REQUIRED_PER_SECOND = 300
SECONDS = 10.0
WARM_UP_SECONDS = 2.0
DELAY_SECONDS = 60
CONTENT_TYPE = {"content-type": "application/x-www-form-urlencoded"}


async def main() -> None:
    async with raised_stage(child_environment()) as stage:
        companies = await open_companies(
            stage, companies=COMPANIES, accounts=ACCOUNTS_EACH, response_delay_seconds=DELAY_SECONDS
        )
        captured = [await _captured(account) for company in companies for account in company.accounts]
        shots = [shot for row in zip(*captured, strict=True) for shot in row]
        await _fire(stage, shots, REQUIRED_PER_SECOND / 2, WARM_UP_SECONDS)
        await _measure(stage, shots)


async def _measure(stage: Stage, shots: Sequence[Shot]) -> None:
    cpu = cpu_seconds(stage.up_pid)
    waits, _ = await _fire(stage, shots, REQUIRED_PER_SECOND, SECONDS)
    used = cpu_seconds(stage.up_pid)
    label = f"at_{REQUIRED_PER_SECOND}/s"
    show("webhook_ms", f"{label}_p50", percentile(waits, 0.5))
    show("webhook_ms", f"{label}_p99", percentile(waits, 0.99))
    for part in PARTS:
        show("webhook_cpu_ms", part, (used[part] - cpu[part]) / len(waits) * 1000, 2)
    waits, rate = await _fire(stage, shots, 0, SECONDS)
    show("webhooks/s", "at_most", rate)
    show("webhook_ms", "at_most_p99", percentile(waits, 0.99))


async def _fire(
    stage: Stage, shots: Sequence[Shot], rate: float, seconds: float
) -> tuple[list[float], float]:
    parts = urlsplit(stage.platform.url)
    result = await fire(Plan(str(parts.hostname), parts.port or 80, shots, rate, seconds))
    if set(result.statuses) != {200}:
        raise Failed(f"webhooks were answered {result.statuses}")
    return result.waits["webhook"], result.answered / result.took


async def _captured(account: Account) -> list[Shot]:
    """Return what the account sends when a customer writes, once per chat, ready to be sent again."""
    for _ in range(CHATS_EACH):
        await account.write(await account.new_chat())

    async def delivered() -> bool:
        rows = await _deliveries(account)
        return len(rows) == CHATS_EACH and all(row["outcome"] == "accepted" for row in rows)

    await until("the webhooks have arrived", delivered, seconds=20)
    return [_again(row) for row in await _deliveries(account)]


async def _deliveries(account: Account) -> list[dict[str, object]]:
    answer = await account.call("GET", "/deliveries?bodies=1")
    rows = answer["deliveries"]
    return [row for row in rows if row["event"] == "message[add]"] if isinstance(rows, list) else []


def _again(delivery: dict[str, object]) -> Shot:
    body, count = re.subn(r"(message%5Badd%5D%5B0%5D%5Bid%5D=)[^&]*", r"\1{id}", str(delivery["body"]))
    if not count:
        raise Failed(f"no message id in the webhook: {body}")
    return Shot("webhook", "POST", urlsplit(str(delivery["destination"])).path, CONTENT_TYPE, body)


if __name__ == "__main__":
    asyncio.run(main())
