"""SMTP as far as one client sends letters (RFC 5321, STARTTLS by RFC 3207, AUTH PLAIN by RFC 4954)."""

import asyncio
import base64
import binascii
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import msgspec

from gptagent.sandbox.smtp.certificate import self_signed

STEPS = ("connect", "auth", "mail", "rcpt", "data", "sent")


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """What happens at a step, so many times: a reply code, or the connection is cut (`drop`).

    `sent` is after the letter was kept: its confirmation is replaced or lost.
    """

    at: str
    code: int = 451
    count: int = 1
    drop: bool = False


class Received(msgspec.Struct):
    """A letter as it came. `raw` is all of it; `headers` in their order."""

    sender: str
    recipients: list[str]
    subject: str
    headers: list[tuple[str, str]]
    text: str
    html: str
    raw: str
    over_tls: bool
    username: str


@dataclass
class Mailbox:
    """All letters, and what shall go wrong. `port` is where SMTP listens."""

    letters: list[Received] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    attempts: int = 0
    port: int = 0
    offers_tls: bool = False

    def fault_at(self, step: str) -> Fault | None:
        for fault in self.faults:
            if fault.at == step and fault.count > 0:
                fault.count -= 1
                return fault
        return None


@asynccontextmanager
async def listening(mailbox: Mailbox, host: str, port: int) -> AsyncIterator[None]:
    """Take letters until the block ends."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mailbox.attempts += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, _Cut):
            await _Conversation(mailbox, reader, writer).run()
        writer.transport.abort()

    server = await asyncio.start_server(talk, host, port)
    mailbox.port = server.sockets[0].getsockname()[1]
    async with server:
        yield


class _Cut(Exception):  # noqa: N818 - it states what happened
    """The connection is to be cut."""


class _Conversation:
    def __init__(self, mailbox: Mailbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._mailbox, self._reader, self._writer = mailbox, reader, writer
        self._sender, self._recipients = "", list[str]()
        self._over_tls, self._username = False, ""

    async def run(self) -> None:
        if not await self._passes("connect", "220 sandbox ready"):
            return
        while line := await self._reader.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if verb.upper() == "QUIT":
                await self._say("221 bye")
                return
            await self._obey(verb.upper(), rest)

    async def _obey(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                await self._greet()
            case "HELO" | "RSET" | "NOOP":
                await self._say("250 ok")
            case "STARTTLS" if self._mailbox.offers_tls:
                await self._say("220 go ahead")
                await self._writer.start_tls(self_signed())
                self._over_tls = True
            case "AUTH":
                await self._authenticate(rest)
            case "MAIL":
                if await self._passes("mail", "250 ok"):
                    self._sender, self._recipients = _path(rest), []
            case "RCPT":
                if await self._passes("rcpt", "250 ok"):
                    self._recipients.append(_path(rest))
            case "DATA":
                await self._take()
            case _:
                await self._say("502 not implemented")

    async def _greet(self) -> None:
        offers = ["AUTH PLAIN", "8BITMIME", "SMTPUTF8"]
        if self._mailbox.offers_tls and not self._over_tls:
            offers.insert(0, "STARTTLS")
        await self._say("\r\n".join(("250-sandbox", *(f"250-{one}" for one in offers), "250 HELP")))

    async def _authenticate(self, rest: str) -> None:
        if not await self._passes("auth", "235 welcome"):
            return
        with suppress(binascii.Error, IndexError):
            self._username = base64.b64decode(rest.split(" ")[1]).split(b"\0")[1].decode()

    async def _take(self) -> None:
        if not await self._passes("data", "354 go ahead"):
            return
        lines = []
        while (line := await self._reader.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b"."))
        self._mailbox.letters.append(self._received(b"".join(lines)))
        await self._passes("sent", "250 kept")

    def _received(self, raw: bytes) -> Received:
        parsed = message_from_bytes(raw, policy=default)
        return Received(
            sender=self._sender,
            recipients=self._recipients,
            subject=str(parsed["subject"] or ""),
            headers=[(name, str(value)) for name, value in parsed.items()],
            text=_part(parsed, "plain"),
            html=_part(parsed, "html"),
            raw=raw.decode("utf-8", "replace"),
            over_tls=self._over_tls,
            username=self._username,
        )

    async def _passes(self, step: str, answer: str) -> bool:
        """Say the answer, or do what is to go wrong at this step."""
        fault = self._mailbox.fault_at(step)
        if fault is None:
            await self._say(answer)
            return True
        if fault.drop:
            raise _Cut
        await self._say(f"{fault.code} not now <{', '.join(self._recipients)}>")
        return False

    async def _say(self, line: str) -> None:
        self._writer.write(f"{line}\r\n".encode())
        await self._writer.drain()


def _path(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]


def _part(parsed: EmailMessage, kind: str) -> str:
    body = parsed.get_body((kind,))
    return str(body.get_content()) if body is not None else ""
