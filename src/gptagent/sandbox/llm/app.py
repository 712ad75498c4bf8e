"""The fake model as an ASGI application."""

from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from gptagent.sandbox.llm import control
from gptagent.sandbox.llm.completions import complete
from gptagent.sandbox.llm.embeddings import embed
from gptagent.sandbox.llm.refusals import error
from gptagent.sandbox.llm.reranking import rerank
from gptagent.sandbox.llm.state import Model
from gptagent.sandbox.llm.transcriptions import transcribe
from gptagent.sandbox.wire import Refused, answer


async def list_models(request: Request) -> Response:
    names = cast("Model", request.scope["model"]).knobs.models
    rows = [{"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in names]
    return answer({"object": "list", "data": rows})


class LlmApp:
    def __init__(self) -> None:
        self.model = Model()
        routes = [
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/embeddings", embed, methods=["POST"]),
            Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
            Route("/v1/rerank", rerank, methods=["POST"]),
            Route("/v1/models", list_models, methods=["GET"]),
            *control.ROUTES,
        ]
        self._router = Router(routes, redirect_slashes=False, default=_nothing_here)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["model"] = self.model
        try:
            await self._router(scope, receive, send)
        except Refused as refused:
            await refused.response(scope, receive, send)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    response = error(404, f"Invalid URL ({Request(scope).method} {Request(scope).url.path})")
    await response(scope, receive, send)
