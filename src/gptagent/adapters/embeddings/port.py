"""`Embedder` over `POST {base}/embeddings` by OpenAI's API reference, as many others speak it too."""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gptagent.features.inference.model import EMBEDDING_MAX_SIZE, EmbeddingModel, Embeddings, PriceList
from gptagent.kernel import observe
from gptagent.kernel.egress import Egress, Response
from gptagent.kernel.errors import AppError, Forbidden, Invalid, OutcomeUnknown, UpstreamUnavailable

ANSWER_MAX_BYTES = 16_000_000  # 100 vectors of 4,000 numbers with their digits
TEXT_MAX_CHARS = 8_000  # the usual limit is 8,191 tokens; what is longer is cut
LEAST_CALL_SECONDS = 1.0
RETRY_AFTER_MAX_SECONDS = 300.0
TRANSIENT = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for one request and for all its attempts together; pauses double from the first one."""

    call: float = 20.0
    total: float = 60.0
    attempts: int = 4
    first_pause: float = 0.5


PATIENCE = Patience()


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Row]
    usage: _Usage | None = None


@dataclass(slots=True)
class OpenAiEmbeddings:
    """One endpoint, key and model."""

    egress: Egress
    model: EmbeddingModel
    api_key: str = field(repr=False)
    patience: Patience = PATIENCE
    prices: PriceList = field(default_factory=PriceList, repr=False)

    async def embed(
        self, texts: Sequence[str], *, model: EmbeddingModel | None = None, deadline: float | None = None
    ) -> Embeddings:
        """See `Embedder`. Without a deadline it waits for Retry-After if there is time, then gives up."""
        wanted, purpose = model or self.model, "text" if deadline is None else "question"
        started, attempt = time.monotonic(), 1
        while True:
            try:
                vectors, tokens = await self._call(texts, wanted, started, deadline)
            except AppError as error:
                observe.EMBEDDING_SECONDS.labels(purpose, error.code).observe(time.monotonic() - started)
                pause = None if deadline is not None else self._pause(error, started, attempt)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                attempt += 1
            else:
                passed = time.monotonic() - started
                observe.EMBEDDING_SECONDS.labels(purpose, "ok").observe(passed)
                observe.EMBEDDING_TOKENS.inc(tokens)
                cost = self.prices.cost((wanted.name,), tokens, 0)
                return Embeddings(vectors, tokens, round(passed * 1000), cost)

    def _pause(self, error: AppError, started: float, attempt: int) -> float | None:
        """Return how long to wait before the next attempt; None if there is none."""
        pause = max(error.retry_after or 0, self.patience.first_pause * 2 ** (attempt - 1))
        pause *= random.uniform(1, 1.3)  # noqa: S311 - jitter
        late = time.monotonic() - started + pause > self.patience.total
        return None if late or attempt == self.patience.attempts or not error.retryable else pause

    async def _call(
        self, texts: Sequence[str], model: EmbeddingModel, started: float, deadline: float | None
    ) -> tuple[tuple[Sequence[float], ...], int]:
        left = self.patience.total - (time.monotonic() - started)
        body: dict[str, object] = {
            "model": model.name,
            "input": [text[:TEXT_MAX_CHARS] for text in texts],
            "encoding_format": "float",
        }
        if model.size is not None:
            body["dimensions"] = model.size
        try:
            response = await self.egress.request(
                "POST",
                f"{model.base_url.rstrip('/')}/embeddings",
                headers={"authorization": f"Bearer {self.api_key or 'none'}"},
                json=body,
                deadline=deadline or min(self.patience.call, max(left, LEAST_CALL_SECONDS)),
                max_bytes=ANSWER_MAX_BYTES,
            )
        except (UpstreamUnavailable, OutcomeUnknown) as error:  # asking again costs tokens, not correctness
            raise _unavailable(None) from error
        return _read(response, len(texts), model)


def _read(response: Response, count: int, model: EmbeddingModel) -> tuple[tuple[Sequence[float], ...], int]:
    if response.status != 200:
        raise _refusal(response)
    try:
        answer = msgspec.json.decode(response.body, type=_Answer)
    except msgspec.ValidationError as error:
        raise _malformed() from error
    except msgspec.DecodeError as error:  # broken off on its way
        raise _unavailable(None) from error
    rows = sorted(answer.data, key=lambda row: row.index)
    if [row.index for row in rows] != list(range(count)):
        raise _malformed()
    sizes = {len(row.embedding) for row in rows}
    if len(sizes) != 1 or not 0 < max(sizes) <= EMBEDDING_MAX_SIZE or model.size not in {None, *sizes}:
        raise Invalid(
            "embedding_size",
            "The embedding model answers with {found} dimensions. Check EMBEDDING_DIMENSIONS: {wanted} were "
            "asked for, and at most {max} can be kept.",
            params={"found": max(sizes), "wanted": model.size or "-", "max": EMBEDDING_MAX_SIZE},
        )
    return tuple(_unit(row.embedding) for row in rows), answer.usage.total_tokens if answer.usage else 0


def _unit(vector: list[float]) -> list[float]:
    """Return the vector with length 1, so that products compare; one of zeros is like nothing at all."""
    length = math.hypot(*vector)
    if not math.isfinite(length):
        raise _malformed()
    return [value / length for value in vector] if length else vector


def _refusal(response: Response) -> AppError:
    if response.status in {401, 403}:
        return Forbidden(
            "embedding_unauthorized", "The provider of embeddings does not accept EMBEDDING_API_KEY."
        )
    if response.status in TRANSIENT or response.status >= 500:
        return _unavailable(_seconds(response.headers.get("retry-after", "")))
    return Invalid(
        "embedding_rejected", "The provider of embeddings refuses the request. Check EMBEDDING_MODEL."
    )


def _seconds(text: str) -> float | None:
    is_number = text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 10
    return min(float(text), RETRY_AFTER_MAX_SECONDS) if is_number else None


def _malformed() -> Invalid:
    return Invalid("embedding_malformed", "What the provider of embeddings answers is no vectors.")


def _unavailable(retry_after: float | None) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "embedding_unavailable", "The provider of embeddings does not answer.", retry_after=retry_after
    )
