"""What happened: accepted sends, webhook attempts, counts."""

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls import describe
from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.wire import answer, newer


async def ledger(request: Request) -> Response:
    entries = account_of(request).ledger.entries
    return answer({"entries": newer(request, entries, lambda entry: int(str(entry["n"])))})


async def deliveries(request: Request) -> Response:
    sender = desk_of(request).hooks(account_of(request))
    bodies = request.query_params.get("bodies") == "1"
    rows = newer(request, sender.log, lambda delivery: delivery.n)
    return answer(
        {
            "under_way": sender.under_way,
            "emitted": sender.emitted,
            "dropped": sender.dropped,
            "deliveries": [row.as_json(body=bodies) for row in rows],
        }
    )


async def account_stats(request: Request) -> Response:
    account = account_of(request)
    return answer({**describe.traffic(account.traffic), "sent": account.sent})


async def stats(request: Request) -> Response:
    accounts = desk_of(request).world.accounts.values()
    limited = sum(account.traffic.limited for account in accounts)
    sent = sum(account.sent for account in accounts)
    return answer({**describe.traffic(desk_of(request).world.traffic), "limited": limited, "sent": sent})
