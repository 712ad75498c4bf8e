"""`LanguageModel` over an OpenAI-compatible endpoint, through pydantic-ai.

pydantic-ai is imported with the first call (3.5 s of CPU), so the worker is ready before it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
from limits import parse

from gptagent.adapters.asking import (
    TRANSIENT,
    UNKNOWN_MODEL,
    Asking,
    Effort,
    Patience,
    UnknownModelError,
    seconds_of,
)
from gptagent.adapters.mending import MendingTransport, mended, storable
from gptagent.features.inference.model import (
    Breaker,
    Hear,
    ModelReply,
    ModelRequest,
    PriceList,
    ToolCall,
)
from gptagent.kernel import observe
from gptagent.kernel.egress import GuardedTransport
from gptagent.kernel.errors import AppError, Forbidden, Invalid, UpstreamUnavailable
from gptagent.kernel.ratelimit import Counts

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.settings import ModelSettings

REQUESTS_PER_MINUTE = parse("500/minute")  # below the lowest paid tier of the large providers
PATIENCE = Patience()


@dataclass(slots=True)
class OpenAiCompatible:
    """One endpoint and key. `allow` are the private (host, port) pairs an operator has let in."""

    allow: frozenset[tuple[str, int]]
    base_url: str
    api_key: str = field(repr=False)
    default_model: str
    fallback_model: str | None = None
    breaker: Breaker | None = None
    prices: PriceList = field(default_factory=PriceList, repr=False)
    patience: Patience = PATIENCE
    _counts: Counts = field(default_factory=Counts, repr=False)
    _client: httpx2.AsyncClient | None = field(default=None, repr=False)
    _models: "dict[str, OpenAIChatModel]" = field(default_factory=dict, repr=False)

    async def stream(self, request: ModelRequest, hear: Hear) -> ModelReply:
        """See `LanguageModel`: in pieces, as the provider streams them, each attempt from the beginning."""
        return await self._complete(request, hear)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """See `LanguageModel`."""
        return await self._complete(request, None)

    async def _complete(self, request: ModelRequest, hear: Hear | None) -> ModelReply:
        """Ask, and ask again. Waits for Retry-After if there is time, retries with jitter, then gives up.

        A model that is away or unknown is replaced by the fallback model, in the time that is kept for it.
        """
        if not self._models:
            await asyncio.to_thread(_import_library)  # the process's other work goes on meanwhile

        async def call(name: str, effort: Effort) -> ModelReply:
            return await self._call(request, name, effort, hear)

        asking = Asking(
            "llm", self.patience, observe.LLM_SECONDS, breaker=self.breaker, check=self._check_rate
        )
        chosen = request.model or self.default_model
        reply = await asking.ask(chosen, self.fallback_model, call, request.within)
        observe.LLM_TOKENS.labels("in").inc(reply.tokens_in)
        observe.LLM_TOKENS.labels("out").inc(reply.tokens_out)
        return reply

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _call(self, request: ModelRequest, name: str, effort: Effort, hear: Hear | None) -> ModelReply:
        from pydantic_ai.exceptions import ModelAPIError as CallFailed
        from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior

        # What the first request of a process takes to build is not the provider's time.
        model = self._model(name)
        try:
            async with asyncio.timeout(self.patience.call_seconds(effort.passed, effort.total)):
                response = await (_ask(model, request) if hear is None else _listen(model, request, hear))
        except ModelHTTPError as error:
            raise _refusal(error.status_code, error.__cause__) from error
        except (CallFailed, UnexpectedModelBehavior, TimeoutError) as error:
            raise _unanswered(error) from error
        return self._reply(response, name, effort)

    def _reply(self, response: "ModelResponse", name: str, effort: Effort) -> ModelReply:
        used, model = response.usage, storable(response.model_name or name)
        cached = min(used.cache_read_tokens, used.input_tokens)
        is_told = used.input_tokens + used.output_tokens > 0
        cost = self.prices.cost((model, name), used.input_tokens, used.output_tokens, cached)
        return ModelReply(
            text=storable(response.text or ""),
            model=model,
            tokens_in=used.input_tokens,
            tokens_out=used.output_tokens,
            duration_ms=round(effort.passed * 1000),
            calls=effort.calls,
            tokens_cached=cached,
            cost_micro_usd=cost if is_told else None,
            tool_calls=tuple(_called(response)),
        )

    async def _check_rate(self) -> None:
        """Stay below the provider's rate. An endpoint the operator has let in by name is their own."""
        parts = urlsplit(self.base_url)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        if ((parts.hostname or "").lower(), port) in self.allow:
            return
        if not self._counts.try_once(REQUESTS_PER_MINUTE, self.base_url):
            raise UpstreamUnavailable("llm_busy", "The model's request limit is reached.", retry_after=5)

    def _model(self, name: str) -> "OpenAIChatModel":
        if name not in self._models:
            self._models[name] = self._build(name)
        return self._models[name]

    def _build(self, name: str) -> "OpenAIChatModel":
        from openai import AsyncOpenAI
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        if self._client is None:
            transport = MendingTransport(GuardedTransport(self.allow))
            self._client = httpx2.AsyncClient(transport=transport, trust_env=False)
        # Retries are ours: the SDK's own would hide Retry-After and double ours.
        sdk = AsyncOpenAI(
            api_key=self.api_key or "none", base_url=self.base_url, http_client=self._client, max_retries=0
        )
        return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=sdk))


def _import_library() -> None:
    import openai  # noqa: F401 - imported for the calls that follow
    import pydantic_ai.models.openai  # noqa: F401 - as above


async def _ask(model: "OpenAIChatModel", request: ModelRequest) -> "ModelResponse":
    from pydantic_ai.direct import model_request

    return await model_request(
        model,
        _messages(request),
        model_settings=_settings(request),
        model_request_parameters=_form(request),
    )


async def _listen(model: "OpenAIChatModel", request: ModelRequest, hear: Hear) -> "ModelResponse":
    """Return the answer once it is whole, and let its pieces be heard before."""
    from pydantic_ai.direct import model_request_stream

    await hear(None)
    async with model_request_stream(
        model,
        _messages(request),
        model_settings=_settings(request),
        model_request_parameters=_form(request),
    ) as answer:
        async for event in answer:
            if piece := storable(_piece(event)):
                await hear(piece)
        return answer.get()


def _piece(event: object) -> str:
    """Return the words that an event of the stream brings."""
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _settings(request: ModelRequest) -> "ModelSettings":
    found: ModelSettings = {"temperature": request.temperature, "max_tokens": request.max_tokens}
    if request.presence_penalty:
        found["presence_penalty"] = request.presence_penalty
    if request.frequency_penalty:
        found["frequency_penalty"] = request.frequency_penalty
    return found


def _form(request: ModelRequest) -> "ModelRequestParameters | None":
    """Return what asks the endpoint for JSON of a form, or offers it tools; None for words."""
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition
    from pydantic_ai.tools import ToolDefinition

    if request.tools:
        tools = [
            ToolDefinition(
                name=one.name, description=one.description, parameters_json_schema=dict(one.parameters)
            )
            for one in request.tools
        ]
        return ModelRequestParameters(function_tools=tools, allow_text_output=True)
    if request.schema is None:
        return None
    form = OutputObjectDefinition(json_schema=dict(request.schema), name="notes", strict=True)
    return ModelRequestParameters(output_mode="native", output_object=form)


def _called(response: "ModelResponse") -> Iterator[ToolCall]:
    for part in response.tool_calls:
        args = mended(storable(part.args).encode()).decode() if isinstance(part.args, str) else part.args
        try:
            arguments = replace(part, args=args).args_as_dict(raise_if_invalid=True)
        except (ValueError, AssertionError):  # no JSON, or none of an object
            continue
        yield ToolCall(storable(part.tool_name), storable(arguments))


def _messages(request: ModelRequest) -> "list[ModelMessage]":
    from pydantic_ai.messages import (
        BinaryContent,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        UserPromptPart,
    )
    from pydantic_ai.messages import ModelRequest as Request

    messages: list[ModelMessage] = [Request(parts=[SystemPromptPart(content=request.system)])]
    for turn in request.turns:
        if turn.role == "user":
            seen = [BinaryContent(data=one.content, media_type=one.mime) for one in turn.pictures]
            messages.append(
                Request(parts=[UserPromptPart(content=[turn.text, *seen] if seen else turn.text)])
            )
        else:
            messages.append(ModelResponse(parts=[TextPart(content=turn.text)]))
    return messages


def _refusal(status: int, cause: object) -> AppError:
    if status in {401, 403}:
        return Forbidden("llm_unauthorized", "The model's provider does not accept LLM_API_KEY.")
    if status in TRANSIENT or status >= 500:
        headers = getattr(getattr(cause, "response", None), "headers", {})
        return _unavailable(seconds_of(headers.get("retry-after", "")))
    refused = Invalid("llm_rejected", "The model's provider refuses the request. Check LLM_MODEL.")
    return UnknownModelError(refused.code, refused.message) if status == UNKNOWN_MODEL else refused


def _unanswered(error: BaseException) -> AppError:
    """Return what a call without an answer means: our own refusal to connect, or a model that is away."""
    for cause in _causes(error):
        if isinstance(cause, AppError):
            return cause
    return _unavailable(None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unavailable(retry_after: float | None) -> UpstreamUnavailable:
    return UpstreamUnavailable("llm_unavailable", "The model does not answer.", retry_after=retry_after)
