"""How the model fails: error answers, silence, cut connections."""

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.llm.state import Call, LlmFault, Model
from gptagent.sandbox.wire import Refused, answer

KINDS = {401: "invalid_request_error", 429: "rate_limit_error"}


async def admit(request: Request, model: Model, call: Call) -> LlmFault | None:
    """Return the fault to act out, if any. Raises Refused with 401 for a wrong key."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not given or (model.knobs.api_key is not None and given != model.knobs.api_key):
        call.outcome = "unauthorized"
        raise Refused(error(401, "Incorrect API key provided."))
    return model.faults.take(("match", call.user), ("model", call.model), ("path", request.url.path))


async def fail(request: Request, fault: LlmFault, call: Call) -> Response:
    call.outcome = fault.action if fault.action == "timeout" else str(fault.status)
    if fault.action == "timeout":
        return await silence(request)
    response = error(fault.status, "The sandbox was told to fail.")
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def error(status: int, message: str) -> Response:
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return answer({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)


async def silence(request: Request) -> Response:
    """Say nothing until the other side has gone. The response that is returned reaches nobody."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=499)


async def cut(request: Request) -> Response:
    request.scope["state"]["abort"]()
    return await silence(request)
