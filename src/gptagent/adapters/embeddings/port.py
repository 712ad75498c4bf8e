"""`Embedder` over `POST {base}/embeddings` by OpenAI's API reference, as many others speak it too."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gptagent.adapters.asking import TRANSIENT, Patience, seconds_of
from gptagent.adapters.counting import counts_in
from gptagent.adapters.mending import mended
from gptagent.features.inference.model import EMBEDDING_MAX_SIZE, EmbeddingModel, Embeddings, PriceList
from gptagent.kernel import observe
from gptagent.kernel.egress import Egress, Response
from gptagent.kernel.errors import AppError, Forbidden, Invalid, OutcomeUnknown, UpstreamUnavailable

ANSWER_MAX_BYTES = 16_000_000  # 100 vectors of 4,000 numbers with their digits
TEXT_MAX_CHARS = 8_000  # the usual limit is 8,191 tokens; what is longer is cut
PATIENCE = Patience(total=60.0, attempts=4)


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]
    usage: object = None


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
                pause = (
                    None
                    if deadline is not None
                    else self.patience.pause(error, attempt, time.monotonic() - started)
                )
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                attempt += 1
            else:
                passed = time.monotonic() - started
                observe.EMBEDDING_SECONDS.labels(purpose, "ok").observe(passed)
                observe.EMBEDDING_TOKENS.inc(tokens)
                cost = self.prices.cost((wanted.name,), tokens, 0) if tokens else None
                return Embeddings(vectors, tokens, round(passed * 1000), cost)

    async def _call(
        self, texts: Sequence[str], model: EmbeddingModel, started: float, deadline: float | None
    ) -> tuple[tuple[Sequence[float], ...], int]:
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
                deadline=deadline or self.patience.call_seconds(time.monotonic() - started),
                max_bytes=ANSWER_MAX_BYTES,
            )
        except (UpstreamUnavailable, OutcomeUnknown) as error:  # asking again costs tokens, not correctness
            raise _unavailable(None) from error
        return _read(response, len(texts), model)


def _read(response: Response, count: int, model: EmbeddingModel) -> tuple[tuple[Sequence[float], ...], int]:
    if response.status != 200:
        raise _refusal(response)
    try:
        answer = msgspec.json.decode(mended(response.body), type=_Answer)
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
    return tuple(_unit(row.embedding) for row in rows), counts_in(answer.usage, "total_tokens")[0]


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
        return _unavailable(seconds_of(response.headers.get("retry-after", "")))
    return Invalid(
        "embedding_rejected", "The provider of embeddings refuses the request. Check EMBEDDING_MODEL."
    )


def _malformed() -> Invalid:
    return Invalid("embedding_malformed", "What the provider of embeddings answers is no vectors.")


def _unavailable(retry_after: float | None) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "embedding_unavailable", "The provider of embeddings does not answer.", retry_after=retry_after
    )
