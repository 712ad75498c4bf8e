"""The page of one account: its limits and bans, grants, faults to switch on, and what it has taken in."""

import time
from itertools import islice

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo.controls import describe
from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.knobs import RestFault
from gptagent.sandbox.kommo.page import render, to
from gptagent.sandbox.kommo.state import Account
from gptagent.sandbox.wire import refusal

LEDGER_ROWS = 20
# What the buttons switch on, for all of an account's calls until it is switched off.
FAULTS: dict[str, RestFault] = {
    "401": RestFault(status=401),
    "402": RestFault(status=402),
    "403 HTML": RestFault(status=403, body="html"),
    "429": RestFault(status=429, retry_after=1),
    "500": RestFault(status=500),
    "503": RestFault(status=503),
    "504": RestFault(status=504, body="html"),
    "reset": RestFault(action="reset"),
    "timeout": RestFault(action="accept_then_timeout"),
    "slow": RestFault(action="delay", delay_ms=3000),
    "malformed": RestFault(action="spoil", body="malformed"),
    "empty": RestFault(action="spoil", body="empty"),
}


async def show(request: Request) -> Response:
    account = account_of(request)
    traffic = account.traffic
    return render(
        request,
        "account.html",
        account=describe.account(account),
        facts=describe.traffic(traffic) | {"sent": account.sent},
        blocked_for=max(0, round(traffic.blocked_until - time.monotonic())),
        grants=_grants(request, account),
        faults=[(name, _is_on(account, fault)) for name, fault in FAULTS.items()],
        other_faults=len([rule for rule in account.faults.rules if rule not in FAULTS.values()]),
        ledger=list(islice(reversed(account.ledger.entries), LEDGER_ROWS)),
        webhooks=list(account.subscriptions.values()),
    )


def _grants(request: Request, account: Account) -> list[dict[str, object]]:
    book = desk_of(request).oauth
    return [
        {
            "integration": book.integrations[pair.client_id].name
            if pair.client_id in book.integrations
            else "",
            "is_live": not pair.revoked and not pair.used and pair.expires_at > time.time(),
            "access_ends": pair.access.expires_at,
        }
        for pair in book.pairs.values()
        if pair.account_id == account.id
    ][::-1]


def _is_on(account: Account, fault: RestFault) -> bool:
    return any(rule == fault for rule in account.faults.rules)


async def switch(request: Request) -> Response:
    """Switch a fault on, or off if it is on."""
    account = account_of(request)
    name = str((await request.form()).get("fault", ""))
    if name not in FAULTS:
        raise refusal(422, "no such fault")
    if _is_on(account, FAULTS[name]):
        account.faults.rules[:] = [rule for rule in account.faults.rules if rule != FAULTS[name]]
    else:
        account.faults.rules.append(msgspec.structs.replace(FAULTS[name]))
    return to(request, f"/account/{account.subdomain}")


async def clear(request: Request) -> Response:
    """All faults off, and no ban."""
    account = account_of(request)
    account.faults.rules.clear()
    account.traffic.blocked_until = 0.0
    account.traffic.violations.clear()
    return to(request, f"/account/{account.subdomain}")


ROUTES = [
    Route("/account/{sub}", show, methods=["GET"]),
    Route("/account/{sub}/faults", switch, methods=["POST"]),
    Route("/account/{sub}/clear", clear, methods=["POST"]),
]
