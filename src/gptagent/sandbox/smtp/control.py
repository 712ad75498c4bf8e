"""How a trial steers the mail server and looks into it.

- `GET /_sandbox` - where SMTP listens, the certificate, how many connections came
- `GET /_sandbox/letters` - all letters, the oldest first
- `DELETE /_sandbox/letters` - forget them, and all faults
- `POST /_sandbox/faults {"at": "rcpt", "code": 550, "count": 1, "drop": false}` - what goes wrong next
- `POST /_sandbox/tls {"offered": true}` - whether STARTTLS is offered
"""

from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from gptagent.sandbox.smtp.certificate import HOST, certificate_pem
from gptagent.sandbox.smtp.server import STEPS, Fault, Mailbox
from gptagent.sandbox.wire import Refused, answer, read_as, refusal


class _Tls(msgspec.Struct, forbid_unknown_fields=True):
    offered: bool


async def describe(request: Request) -> Response:
    mailbox = _mailbox(request)
    return answer(
        {
            "smtp": f"smtp://{HOST}:{mailbox.port}",
            "attempts": mailbox.attempts,
            "certificate": certificate_pem(),
        }
    )


async def list_letters(request: Request) -> Response:
    return answer({"letters": _mailbox(request).letters})


async def forget(request: Request) -> Response:
    mailbox = _mailbox(request)
    mailbox.letters.clear()
    mailbox.faults.clear()
    mailbox.offers_tls = False
    return answer({})


async def add_fault(request: Request) -> Response:
    fault = await read_as(request, Fault)
    if fault.at not in STEPS:
        raise refusal(422, f"`at` is one of {', '.join(STEPS)}")
    _mailbox(request).faults.append(fault)
    return answer({}, 201)


async def offer_tls(request: Request) -> Response:
    _mailbox(request).offers_tls = (await read_as(request, _Tls)).offered
    return answer({})


def _mailbox(request: Request) -> Mailbox:
    return cast("Mailbox", request.scope["mailbox"])


class ControlApp:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._router = Router(
            [
                Route("/_sandbox", describe),
                Route("/_sandbox/letters", list_letters, methods=["GET"]),
                Route("/_sandbox/letters", forget, methods=["DELETE"]),
                Route("/_sandbox/faults", add_fault, methods=["POST"]),
                Route("/_sandbox/tls", offer_tls, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["mailbox"] = self._mailbox
        try:
            await self._router(scope, receive, send)
        except Refused as refused:
            await refused.response(scope, receive, send)
