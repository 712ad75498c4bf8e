"""The control interface of the fake model: JSON under `/_sandbox`.

POST   /_sandbox/script {match?, system?, model?, reply | json | tools, after_tools?, count?} or a list
       rules are tried in order, an added one after those before; see script.py for what they mean.
       `?replace=1` forgets the earlier ones
GET    /_sandbox/script      DELETE /_sandbox/script
POST   /_sandbox/faults {action, count?, probability?, match?, model?, path?, status?, retry_after?} or a list
       action: status, timeout, stall, broken, wrong_json, wrong_size (of embeddings)
GET    /_sandbox/faults      DELETE /_sandbox/faults
GET    /_sandbox/calls?after=N&limit=&prompts=0
         n, at, kind, model, stream, prompt, user, outcome, answer, usage,
         temperature, presence_penalty, frequency_penalty
GET    /_sandbox/knobs       POST /_sandbox/knobs {first_token_ms?, token_ms?, api_key?, dimensions?,
         languages?: many | english, embedding_ms?, speech_ms?, takes_tools?, told_usage?, models?}
POST   /_sandbox/reset       forget the script, the faults, the knobs and the calls
"""

from dataclasses import asdict
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.llm.script import Rule
from gptagent.sandbox.llm.state import Knobs, LlmFault, Model
from gptagent.sandbox.wire import answer, merge, newer, read_list


def _model(request: Request) -> Model:
    return cast("Model", request.scope["model"])


async def add_rules(request: Request) -> Response:
    rules = await read_list(request, Rule)
    if request.query_params.get("replace") == "1":
        _model(request).rules.clear()
    _model(request).rules += rules
    return await get_rules(request)


async def get_rules(request: Request) -> Response:
    return answer({"rules": _model(request).rules})


async def clear_rules(request: Request) -> Response:
    _model(request).rules.clear()
    return await get_rules(request)


async def add_faults(request: Request) -> Response:
    _model(request).faults.rules += await read_list(request, LlmFault)
    return await get_faults(request)


async def get_faults(request: Request) -> Response:
    return answer({"faults": _model(request).faults.rules})


async def clear_faults(request: Request) -> Response:
    _model(request).faults.rules.clear()
    return await get_faults(request)


async def get_calls(request: Request) -> Response:
    rows = [asdict(call) for call in newer(request, _model(request).calls, lambda call: call.n)]
    if request.query_params.get("prompts") == "0":
        for row in rows:
            del row["prompt"], row["tools"]
    return answer({"calls": rows})


async def get_knobs(request: Request) -> Response:
    return answer(_model(request).knobs)


async def set_knobs(request: Request) -> Response:
    model = _model(request)
    model.knobs = merge(model.knobs, await request.body())
    return await get_knobs(request)


async def reset(request: Request) -> Response:
    model = _model(request)
    model.rules.clear()
    model.faults.rules.clear()
    model.calls.clear()
    model.knobs = Knobs()
    return answer({})


ROUTES = [
    Route("/_sandbox/script", add_rules, methods=["POST"]),
    Route("/_sandbox/script", get_rules, methods=["GET"]),
    Route("/_sandbox/script", clear_rules, methods=["DELETE"]),
    Route("/_sandbox/faults", add_faults, methods=["POST"]),
    Route("/_sandbox/faults", get_faults, methods=["GET"]),
    Route("/_sandbox/faults", clear_faults, methods=["DELETE"]),
    Route("/_sandbox/calls", get_calls, methods=["GET"]),
    Route("/_sandbox/knobs", get_knobs, methods=["GET"]),
    Route("/_sandbox/knobs", set_knobs, methods=["POST"]),
    Route("/_sandbox/reset", reset, methods=["POST"]),
]
