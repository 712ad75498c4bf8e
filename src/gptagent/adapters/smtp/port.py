"""Letters over SMTP. What a failure means is decided here, by the server's reply code (RFC 5321, 4.2.1)."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, parseaddr
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib.response import SMTPResponse
from aiosmtplib.typing import Default

from gptagent.features.mail.model import Message
from gptagent.kernel.errors import AppError, Conflict, OutcomeUnknown, UpstreamUnavailable

STEP_SECONDS = 15.0  # one answer of the server
SEND_SECONDS = 45.0  # the whole letter; below the job's own limit
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where letters leave. `tls`: from the first byte, after STARTTLS, or not at all (loopback only)."""

    host: str
    port: int
    tls: bool
    starttls: bool
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Read `smtp://user:password@host:587?starttls` or `smtps://user:password@host`."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            starttls="starttls" in parse_qs(parts.query, keep_blank_values=True),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Sends each letter over a connection of its own: letters are few."""

    server: SmtpServer
    sender: str
    step_seconds: float = STEP_SECONDS

    async def send(self, message: Message) -> None:
        """Raise UpstreamUnavailable if it may be tried again, Conflict if the server refuses for good.

        OutcomeUnknown: the letter was handed over and no answer came. A copy has the same Message-ID.
        """
        failure: AppError | None = None
        client = self._client()
        try:
            async with asyncio.timeout(SEND_SECONDS), client:
                await client.send_message(build_email(message, self.sender), sender=parseaddr(self.sender)[1])
        except (aiosmtplib.SMTPException, ssl.SSLError, OSError, TimeoutError, ValueError) as error:
            failure = _meaning(error, client)
        if failure is not None:
            raise failure  # outside of the handler: the library's own texts name the recipient

    def _client(self) -> "_Client":
        return _Client(
            hostname=self.server.host,
            port=self.server.port,
            use_tls=self.server.tls,
            start_tls=self.server.starttls,
            username=self.server.username,
            password=self.server.password,
            timeout=self.step_seconds,
            tls_context=ssl.create_default_context() if self.server.tls or self.server.starttls else None,
        )


class _Client(aiosmtplib.SMTP):
    """Knows how far a letter came: `is_handed_over` until the server answers, then `is_taken` or neither."""

    is_handed_over = False
    is_taken = False

    async def data(
        self,
        message: str | bytes,
        /,
        *,
        timeout: float | Literal[Default.token] | None = Default.token,
    ) -> SMTPResponse:
        self.is_handed_over = True
        try:
            answer = await super().data(message, timeout=timeout)
        except aiosmtplib.SMTPResponseException:
            self.is_handed_over = False
            raise
        self.is_handed_over, self.is_taken = False, True
        return answer


def build_email(message: Message, sender: str) -> EmailMessage:
    """Return the MIME message. Raises ValueError where a header would hold a line end."""
    name, address = parseaddr(sender)
    email = EmailMessage(policy=SMTP_POLICY)
    email["From"] = Address(message.sender_name or name, addr_spec=address)
    email["To"] = Address(addr_spec=message.to)
    if message.reply_to:
        email["Reply-To"] = Address(addr_spec=message.reply_to)
    email["Subject"] = message.subject
    email["Date"] = formatdate(localtime=False, usegmt=False)
    email["Message-ID"] = f"<{message.id}@{address.rpartition('@')[2]}>"
    email["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
    email["X-Auto-Response-Suppress"] = "All"
    email.set_content(message.text)
    email.add_alternative(message.html, subtype="html")
    return email


def _meaning(error: Exception, client: _Client) -> AppError | None:
    if client.is_taken:  # it said goodbye badly
        return None
    if client.is_handed_over:
        return OutcomeUnknown("mail_unconfirmed", "The mail server did not say whether it took the letter.")
    code = _reply_code(error)
    if 500 <= code < 600:
        return Conflict("mail_refused", "The mail server refuses the letter: {code}.", params={"code": code})
    if isinstance(error, (ValueError, aiosmtplib.SMTPNotSupported)) and not isinstance(error, OSError):
        return Conflict("mail_unsendable", "The letter cannot be sent as it is.")
    return UpstreamUnavailable("mail_unavailable", "The mail server does not take the letter now.")


def _reply_code(error: Exception) -> int:
    """Return the server's reply code; of several recipients' the first, of none 0."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
