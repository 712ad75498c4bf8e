"""`Reranker` over `POST {base}/rerank` as Jina and Cohere define it; vLLM and LiteLLM speak it too.

Asked: `{model, query, documents, top_n}`; answered: `{results: [{index, relevance_score}]}`, `index` being
the document's place in the request, from 0. What a call used is told as `usage.total_tokens` (Jina, vLLM) or
not at all.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gptagent.adapters.asking import TRANSIENT
from gptagent.adapters.counting import count_of, counts_in
from gptagent.adapters.mending import mended
from gptagent.features.inference.model import PriceList
from gptagent.features.knowledge.ports import Ranking, RerankingModel
from gptagent.kernel import observe
from gptagent.kernel.egress import Egress, Response
from gptagent.kernel.errors import AppError, Forbidden, Invalid, OutcomeUnknown, UpstreamUnavailable

ANSWER_MAX_BYTES = 1_000_000  # some send the documents back
TEXT_MAX_CHARS = 4_000  # models read some 1,000 tokens of a question with a document
SEARCHES_MAX = 1_000  # what is more was not meant as a number of searches


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Billed(msgspec.Struct):
    search_units: object = 0


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None


class _Answer(msgspec.Struct):
    results: list[_Result]
    usage: object = None
    meta: _Meta | None = None

    @property
    def searches(self) -> int:
        """How many searches are billed; 0 if the provider counts in something else."""
        told = self.meta.billed_units.search_units if self.meta and self.meta.billed_units else 0
        return count_of(told, SEARCHES_MAX) or 0

    @property
    def scores(self) -> tuple[float, ...]:
        """The documents' relevance, the best one's first."""
        return tuple(sorted((one.relevance_score for one in self.results), reverse=True))


@dataclass(slots=True)
class HttpReranker:
    """One endpoint, key and model. Never asks twice: whoever waits has an order already."""

    egress: Egress
    model: RerankingModel
    api_key: str = field(repr=False)
    prices: PriceList = field(default_factory=PriceList, repr=False)

    async def rerank(self, question: str, texts: Sequence[str], *, deadline: float) -> Ranking:
        """See `Reranker`."""
        started = time.monotonic()
        try:
            order, answer = await self._call(question, texts, deadline)
        except AppError as error:
            observe.RERANKING_SECONDS.labels(error.code).observe(time.monotonic() - started)
            raise
        passed = time.monotonic() - started
        observe.RERANKING_SECONDS.labels("ok").observe(passed)
        tokens = counts_in(answer.usage, "total_tokens")[0]
        cost = self._cost(tokens, answer.searches)
        return Ranking(order, tokens, round(passed * 1000), answer.scores, cost)

    def _cost(self, tokens: int, searches: int) -> int | None:
        """Return the cost by whichever the provider counts in; None if it tells neither, or has no price."""
        names = (self.model.name,)
        by_search = self.prices.cost_of_searches(names, searches) if searches else None
        return by_search if by_search is not None or not tokens else self.prices.cost(names, tokens, 0)

    async def _call(
        self, question: str, texts: Sequence[str], deadline: float
    ) -> tuple[tuple[int, ...], _Answer]:
        body: dict[str, object] = {
            "model": self.model.name,
            "query": question[:TEXT_MAX_CHARS],
            "documents": [text[:TEXT_MAX_CHARS] for text in texts],
            "top_n": len(texts),
        }
        try:
            response = await self.egress.request(
                "POST",
                f"{self.model.base_url.rstrip('/')}/rerank",
                headers={"authorization": f"Bearer {self.api_key or 'none'}"},
                json=body,
                deadline=deadline,
                max_bytes=ANSWER_MAX_BYTES,
            )
        except (UpstreamUnavailable, OutcomeUnknown) as error:
            raise _unavailable() from error
        return _read(response, len(texts))


def _read(response: Response, count: int) -> tuple[tuple[int, ...], _Answer]:
    if response.status != 200:
        raise _refusal(response)
    try:
        answer = msgspec.json.decode(mended(response.body), type=_Answer)
    except msgspec.ValidationError as error:
        raise _malformed() from error
    except msgspec.DecodeError as error:  # broken off on its way
        raise _unavailable() from error
    named = [one.index for one in answer.results]
    is_sound = named and len(set(named)) == len(named) and all(0 <= index < count for index in named)
    if not is_sound or not all(math.isfinite(one.relevance_score) for one in answer.results):
        raise _malformed()
    best = sorted(answer.results, key=lambda one: (-one.relevance_score, one.index))
    order = [one.index for one in best]
    order += [index for index in range(count) if index not in set(named)]  # it kept some to itself
    return tuple(order), answer


def _refusal(response: Response) -> AppError:
    if response.status in {401, 403}:
        return Forbidden("reranker_unauthorized", "The reranking provider does not accept RERANKER_API_KEY.")
    if response.status in TRANSIENT or response.status >= 500:
        return _unavailable()
    return Invalid("reranker_rejected", "The reranking provider refuses the request. Check RERANKER_MODEL.")


def _malformed() -> Invalid:
    return Invalid("reranker_malformed", "What the reranking provider answers is no order.")


def _unavailable() -> UpstreamUnavailable:
    return UpstreamUnavailable("reranker_unavailable", "The reranking provider does not answer.")
