"""What knowledge asks of the outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gptagent.features.inference.model import PriceList


class Recogniser(Protocol):
    """Reads the text on a picture."""

    async def is_ready(self) -> bool:
        """Tell whether it is installed here."""
        ...

    async def recognise(self, graymap: bytes) -> str:
        """Return the text on a portable graymap (PGM), in lines as they stand. Raises ParseFailed."""
        ...


@dataclass(frozen=True, slots=True)
class RerankingModel:
    """Which model puts passages in order, and where."""

    base_url: str
    name: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """Places of the given texts, the best one first, each once. `tokens` is 0 if the provider tells none.

    `scores` are how relevant the model holds the first ones, in its own measure; what it kept to itself has
    none.
    `cost_micro_usd`: millionths of a US dollar; None if no price is known of what the provider counts.
    """

    order: tuple[int, ...]
    tokens: int
    duration_ms: int
    scores: tuple[float, ...] = ()
    cost_micro_usd: int | None = None


class Reranker(Protocol):
    """Reads a question together with each passage, which tells better than words or vectors apart."""

    @property
    def model(self) -> RerankingModel:
        """The model that is set."""
        ...

    @property
    def prices(self) -> PriceList:
        """What its provider takes."""
        ...

    async def rerank(self, question: str, texts: Sequence[str], *, deadline: float) -> Ranking:
        """Return the order of the texts, in one attempt within `deadline` seconds.

        Raises UpstreamUnavailable("reranker_unavailable"), Forbidden("reranker_unauthorized") if the key,
        Invalid("reranker_rejected") if the request is refused, Invalid("reranker_malformed") for an answer
        that is no order.
        """
        ...
