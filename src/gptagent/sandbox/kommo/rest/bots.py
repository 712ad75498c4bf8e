"""Salesbots over REST: v4 (Kommo, 2026), v2 (both brands), and where a waiting bot takes its answer."""

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.rest import hal
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.salesbots import Salesbots, bots_of
from gptagent.sandbox.kommo.state import Bot
from gptagent.sandbox.wire import Json, answer

RUNS_PER_CALL = 100
HANDLERS_MAX = 10
SHOW_CHARS = 80
BUTTONS_MAX = 25
LEAD_KINDS: tuple[object, ...] = (2, "2", "leads", "lead")


async def run_many(request: Request) -> Response:
    call = _v4(request)
    items = await call.array()
    if len(items) > RUNS_PER_CALL:
        raise hal.problem(422, f"Limit {RUNS_PER_CALL} per request")
    _start(call, [(_bot(call, item.get("bot_id")), _lead(call, item)) for item in items])
    return hal.hal({}, 202)


async def run_one(request: Request) -> Response:
    call = _v4(request)
    item = await call.object()
    _start(call, [(_bot(call, call.path_id()), _lead(call, item))])
    return hal.hal({}, 202)


async def stop_one(request: Request) -> Response:
    call = _v4(request)
    item = await call.object()
    _bots(call).stop(_bot(call, call.path_id()), _lead(call, item))
    return hal.hal({}, 202)


async def run_v2(request: Request) -> Response:
    call = Call.of(request)
    items = await call.array()
    _start(call, [(_bot(call, item.get("bot_id")), _lead(call, item)) for item in items])
    return answer({"success": True}, 202)


async def continue_run(request: Request) -> Response:
    """404 for what does not wait, or not any more; each place takes one answer."""
    call = Call.of(request)
    body = await call.object()
    data, handlers = body.get("data") or {}, body.get("execute_handlers")
    if not isinstance(data, dict) or not isinstance(handlers, list) or not 1 <= len(handlers) <= HANDLERS_MAX:
        raise hal.invalid("execute_handlers", "This collection should contain 1 to 10 elements.")
    steps, shown = _handlers(handlers)
    run = _bots(call).resume(call.path_id("bot"), call.path_id())
    if run is None:
        raise hal.problem(404, "Requested entity not found")
    _bots(call).go_on(run, data, steps, shown)
    call.account.ledger.record("continue", bot_id=run.bot.id, lead_id=run.lead_id, reply=data.get("reply"))
    return Response(status_code=202)


def _handlers(handlers: list[object]) -> tuple[list[int], list[str]]:
    steps: list[int] = []
    shown: list[str] = []
    for index, handler in enumerate(handlers):
        path = f"execute_handlers.{index}"
        params = handler.get("params") if isinstance(handler, dict) else None
        kind = handler.get("handler") if isinstance(handler, dict) else None
        if kind not in {"show", "goto"} or not isinstance(params, dict):
            raise hal.invalid(path, "The value you selected is not a valid choice.")
        if kind == "goto":
            steps.append(int(str(params.get("step", 0))))
            continue
        value, buttons = params.get("value"), params.get("buttons") or []
        if not isinstance(value, str) or len(value) > SHOW_CHARS:
            raise hal.invalid(f"{path}.params.value", "This value is too long.", code="TooLong")
        if not isinstance(buttons, list) or len(buttons) > BUTTONS_MAX:
            raise hal.invalid(f"{path}.params.buttons", "This collection is too large.")
        shown.append(value)
    return steps, shown


def _v4(request: Request) -> Call:
    """Not every account has the newer interface: there its addresses do not exist."""
    call = Call.of(request)
    if not call.account.knobs.bots_v4:
        raise hal.problem(404, f"Cannot {request.method} {request.url}")
    return call


def _start(call: Call, pairs: list[tuple[Bot, int]]) -> None:
    if not call.account.knobs.plan_has_bots:
        raise hal.problem(402, "Endpoint not available for current account tariff")
    for bot, lead_id in pairs:
        call.account.ledger.record("bot_run", bot_id=bot.id, lead_id=lead_id)
        _bots(call).start(bot, lead_id)


def _bots(call: Call) -> Salesbots:
    return bots_of(call.desk, call.account)


def _bot(call: Call, given: object) -> Bot:
    bot = _bots(call).bots.get(int(str(given))) if str(given).isdecimal() else None
    if bot is None:
        raise hal.invalid("bot_id", "Bot not found", code="NotFound")
    return bot


def _lead(call: Call, item: Json) -> int:
    lead_id, kind = item.get("entity_id"), item.get("entity_type")
    if kind not in LEAD_KINDS or not isinstance(lead_id, int) or lead_id not in call.account.leads:
        raise hal.invalid("entity_id", "Element not found", code="NotFound")
    return lead_id
