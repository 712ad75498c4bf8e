"""Webhook subscriptions."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.rest import hal, shapes
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import Subscription, now

SUBSCRIPTIONS_LIMIT = 100
CODES = {
    *(
        f"{verb}_{noun}"
        for verb in ("add", "update", "delete", "restore", "responsible", "note")
        for noun in ("lead", "contact", "company")
    ),
    *(f"{verb}_customer" for verb in ("add", "update", "delete", "responsible", "note")),
    *(f"{verb}_task" for verb in ("add", "update", "delete", "responsible")),
    *(f"{verb}_unsorted" for verb in ("add", "update", "delete")),
    *(f"{verb}_catalog_element" for verb in ("add", "update", "delete")),
    "status_lead",
    "add_talk",
    "update_talk",
    "add_message",
    "add_outgoing_message",
    "add_chat_template_review",
}


async def list_webhooks(request: Request) -> Response:
    call = Call.of(request)
    wanted = request.query_params.get("filter[destination]")
    rows = [
        shapes.subscription(call, row)
        for row in call.account.subscriptions.values()
        if wanted in {None, row.destination}
    ]
    if not rows:
        return hal.nothing()
    links = hal.self_link(call, "webhooks")
    return hal.hal({"_total_items": len(rows), "_links": links, "_embedded": {"webhooks": rows}})


async def put_webhook(request: Request) -> Response:
    """Subscribe. The same destination is changed, and switched on again if it had been switched off."""
    call = Call.of(request)
    body = await call.object()
    destination = _destination(body.get("destination"))
    settings = _settings(body.get("settings"), _known_codes(call))
    held, moment = call.account.subscriptions, now()
    if destination not in held and len(held) >= SUBSCRIPTIONS_LIMIT:
        raise hal.problem(422, "Webhooks limit reached")
    sort = body.get("sort")
    row = held.setdefault(
        destination,
        Subscription(
            call.desk.world.ids.next(), destination, settings, 1, call.account.main_user, moment, moment
        ),
    )
    row.settings, row.updated_at, row.disabled = settings, moment, False
    row.sort = sort if isinstance(sort, int) else row.sort
    row.invalid_answers.clear()
    return hal.hal(shapes.subscription(call, row), 201)


async def delete_webhook(request: Request) -> Response:
    call = Call.of(request)
    destination = (await call.object()).get("destination")
    if not isinstance(destination, str) or call.account.subscriptions.pop(destination, None) is None:
        raise hal.problem(404, "Requested entity not found")
    return hal.nothing()


def _destination(value: object) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        parts = None
    if (
        parts is None
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not str(value).isascii()
    ):
        raise hal.invalid("destination", "Invalid URL", code="InvalidUrl")
    return str(value)


def _known_codes(call: Call) -> set[str]:
    """Outgoing messages are told by Kommo only, customers by amoCRM only."""
    is_amocrm = ".amocrm." in call.request.headers.get("host", "")
    foreign = (
        {"add_outgoing_message"} if is_amocrm else {code for code in CODES if code.endswith("_customer")}
    )
    return CODES - foreign - set(call.account.knobs.unknown_codes)


def _settings(value: object, known: set[str]) -> list[str]:
    if not isinstance(value, list) or not value:
        raise hal.invalid("settings", "This field is missing.", code="FieldMissing")
    for index, code in enumerate(value):
        if code not in known:
            raise hal.invalid(f"settings.{index}", "The value you selected is not a valid choice.")
    return value
