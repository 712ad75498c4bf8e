"""Companies on a running platform, each with an agent, an article and accounts of the emulated CRM."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gptagent.entrypoints.demo.stage import Service, Stage

PASSWORD = "correct horse battery"  # noqa: S105 - of a company that lives for a minute
ARTICLE = {
    "title": "Доставка и возврат",
    "content": "# Доставка\n\nДоставка по Москве стоит 490 рублей и занимает два дня. "
    "Доставка в другие города идёт транспортной компанией.\n\n"
    "# Возврат\n\nТовар можно вернуть в течение 14 дней со дня покупки.",
}
QUESTION = "Подскажите, сколько стоит доставка по Москве?"


@dataclass(frozen=True, slots=True)
class Account:
    """One connected account of the emulated CRM."""

    sandbox: Service
    subdomain: str

    async def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        return await self.sandbox.call(method, f"/_sandbox/accounts/{self.subdomain}{path}", body)

    async def new_chat(self) -> str:
        return str((await self.call("POST", "/chats", {"name": "Мария", "origin": "waba"}))["chat_id"])

    async def write(self, chat: str, text: str = QUESTION) -> None:
        await self.call("POST", f"/chats/{chat}/customer", {"text": text})


@dataclass(frozen=True, slots=True)
class Company:
    """A workspace whose owner is logged in over the API."""

    platform: Service
    accounts: Sequence[Account]


async def open_companies(
    stage: Stage, *, companies: int, accounts: int, response_delay_seconds: int
) -> list[Company]:
    """Open so many workspaces with so many accounts each; nothing holds the emulator's answers back.

    The accounts are amoCRM's: there each account has a rate of its own, as 50 customers' accounts have.
    """
    await stage.sandbox.call("POST", "/_sandbox/knobs", {"requests_per_second": 0})
    return [
        await _open_company(stage, number, accounts, response_delay_seconds) for number in range(companies)
    ]


async def _open_company(stage: Stage, number: int, accounts: int, response_delay_seconds: int) -> Company:
    owner: dict[str, object] = {
        "email": f"owner{number}@example.test",
        "given_name": "Анна",
        "family_name": "Владелец",
        "password": PASSWORD,
        "organization": f"Магазин {number}",
    }
    if number == 0:
        owner["setup_token"] = stage.setup_token
    platform = Service(stage.platform.url, stage.platform.egress)
    signed_in = await platform.call("POST", "/api/v1/auth/register", owner)
    platform.headers["authorization"] = f"Bearer {signed_in['access_token']}"
    agent = await platform.call("POST", "/api/v1/agents", {"name": "Консультант"})
    settings = {"is_active": True, "response_delay_seconds": response_delay_seconds}
    await platform.call("PATCH", f"/api/v1/agents/{agent['id']}", settings)
    await platform.call("POST", "/api/v1/articles", ARTICLE)
    names = [f"shop{number}-{position}" for position in range(accounts)]
    return Company(platform, await asyncio.gather(*(_connect(stage, platform, name) for name in names)))


async def _connect(stage: Stage, platform: Service, name: str) -> Account:
    made = await stage.sandbox.call("POST", "/_sandbox/accounts", {"subdomain": name})
    connection = {"address": f"{name}.amocrm.test", "token": made["token"]}
    await platform.call("POST", "/api/v1/connections", connection)
    return Account(stage.sandbox, name)
