"""`LanguageModel` over an OpenAI-compatible endpoint, through pydantic-ai.

pydantic-ai is imported with the first call (3.5 s of CPU), so the worker is ready before it.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
import structlog
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from gptagent.features.inference.model import ModelReply, ModelRequest
from gptagent.kernel import observe
from gptagent.kernel.egress import GuardedTransport
from gptagent.kernel.errors import AppError, Forbidden, Invalid, UpstreamUnavailable

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models.openai import OpenAIChatModel

log = structlog.get_logger(__name__)

CALL_TIMEOUT_SECONDS = 20.0
TOTAL_SECONDS = 30.0  # a reply or a hand-off comes within half a minute
ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.5
REQUESTS_PER_MINUTE = parse("500/minute")  # below the lowest paid tier of the large providers


@dataclass(slots=True)
class OpenAiCompatible:
    """One endpoint and key. `allow` are the private (host, port) pairs an operator has let in."""

    allow: frozenset[tuple[str, int]]
    base_url: str
    api_key: str = field(repr=False)
    default_model: str
    _limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()), repr=False
    )
    _client: httpx2.AsyncClient | None = field(default=None, repr=False)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """See `LanguageModel`. Waits for Retry-After if there is time, retries with jitter, then gives up."""
        started = time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                reply = await self._call(request, started, attempt)
            except AppError as error:
                observe.LLM_SECONDS.labels(error.code).observe(time.monotonic() - started)
                pause = max(error.retry_after or 0, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
                pause *= random.uniform(1, 1.3)  # noqa: S311 - jitter
                late = time.monotonic() - started + pause > TOTAL_SECONDS
                if not error.retryable or attempt == ATTEMPTS or late:
                    raise
                await asyncio.sleep(pause)
            else:
                observe.LLM_SECONDS.labels("ok").observe(time.monotonic() - started)
                observe.LLM_TOKENS.labels("in").inc(reply.tokens_in)
                observe.LLM_TOKENS.labels("out").inc(reply.tokens_out)
                return reply
        raise UpstreamUnavailable("llm_unavailable", "The model does not answer.")

    async def _call(self, request: ModelRequest, started: float, attempt: int) -> ModelReply:
        from pydantic_ai.direct import model_request
        from pydantic_ai.exceptions import ModelAPIError as CallFailed
        from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior

        if not await self._limiter.hit(REQUESTS_PER_MINUTE, "llm", self.base_url):
            raise UpstreamUnavailable("llm_busy", "The model's request limit is reached.", retry_after=5)
        name = request.model or self.default_model
        left = TOTAL_SECONDS - (time.monotonic() - started)
        try:
            async with asyncio.timeout(min(CALL_TIMEOUT_SECONDS, max(left, 1.0))):
                response = await model_request(
                    self._model(name),
                    _messages(request),
                    model_settings={"temperature": request.temperature, "max_tokens": request.max_tokens},
                )
        except ModelHTTPError as error:
            raise _refusal(error.status_code, error.__cause__) from error
        except (CallFailed, UnexpectedModelBehavior, TimeoutError) as error:
            raise UpstreamUnavailable("llm_unavailable", "The model does not answer.") from error
        return _reply(response, name, started, attempt)

    def _model(self, name: str) -> "OpenAIChatModel":
        from openai import AsyncOpenAI
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        if self._client is None:
            self._client = httpx2.AsyncClient(transport=GuardedTransport(self.allow), trust_env=False)
        # Retries are ours: the SDK's own would hide Retry-After and double ours.
        sdk = AsyncOpenAI(
            api_key=self.api_key or "none", base_url=self.base_url, http_client=self._client, max_retries=0
        )
        return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=sdk))


def _messages(request: ModelRequest) -> "list[ModelMessage]":
    from pydantic_ai.messages import ModelRequest as Request
    from pydantic_ai.messages import ModelResponse, SystemPromptPart, TextPart, UserPromptPart

    messages: list[ModelMessage] = [Request(parts=[SystemPromptPart(content=request.system)])]
    for turn in request.turns:
        if turn.role == "user":
            messages.append(Request(parts=[UserPromptPart(content=turn.text)]))
        else:
            messages.append(ModelResponse(parts=[TextPart(content=turn.text)]))
    return messages


def _reply(response: "ModelResponse", name: str, started: float, attempt: int) -> ModelReply:
    return ModelReply(
        text=response.text or "",
        model=response.model_name or name,
        tokens_in=response.usage.input_tokens,
        tokens_out=response.usage.output_tokens,
        duration_ms=round((time.monotonic() - started) * 1000),
        calls=attempt,
    )


def _refusal(status: int, cause: object) -> AppError:
    if status in {401, 403}:
        return Forbidden("llm_unauthorized", "The model's provider does not accept LLM_API_KEY.")
    if status == 429 or status >= 500:
        headers = getattr(getattr(cause, "response", None), "headers", {})
        wait = headers.get("retry-after", "")
        seconds = float(wait) if wait.replace(".", "", 1).isdigit() else None
        return UpstreamUnavailable("llm_unavailable", "The model does not answer.", retry_after=seconds)
    return Invalid("llm_rejected", "The model's provider refuses the request. Check LLM_MODEL.")
