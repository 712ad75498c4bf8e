"""A mail server of its own process, and what it was sent."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from gptagent.sandbox.spawn import running

FROM = "GPT Agent <agents@example.test>"


@dataclass
class Mailbox:
    """`smtp` is what SMTP_URL is set to."""

    http: httpx2.AsyncClient
    smtp: str
    certificate: str

    async def letters(self, to: str = "") -> list[dict]:
        answer = await self.http.get("/_sandbox/letters")
        return [one for one in answer.json()["letters"] if to in {"", *one["recipients"]}]

    async def letter_to(self, address: str, number: int = 1) -> dict:
        """Return the `number`th letter to somebody once it has come."""
        while len(found := await self.letters(address)) < number:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        return found[number - 1]

    async def link_to(self, address: str, number: int = 1) -> str:
        letter = await self.letter_to(address, number)
        return re.search(r"https?://\S+", letter["text"])[0]

    async def attempts(self) -> int:
        return (await self.http.get("/_sandbox")).json()["attempts"]

    async def break_at(self, step: str, **fault) -> None:
        (await self.http.post("/_sandbox/faults", json={"at": step, **fault})).raise_for_status()

    async def offer_tls(self) -> None:
        await self.http.post("/_sandbox/tls", json={"offered": True})

    async def clear(self) -> None:
        await self.http.delete("/_sandbox/letters")


@asynccontextmanager
async def mailbox_here() -> AsyncIterator[Mailbox]:
    with running("smtp") as url:
        async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
            known = (await http.get("/_sandbox")).json()
            yield Mailbox(http, known["smtp"], known["certificate"])
