"""What the platform asks of models, whoever serves them."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, Protocol, TypeVar
from uuid import UUID

from gptagent.features.inference.budgets.model import Limits
from gptagent.kernel.circuits import Circuit
from gptagent.kernel.scope import Scope

# What a call of a model was for.
Purpose = Literal[
    "reply",
    "rewrite",
    "memory",
    "graph",
    "draft",
    "actions",
    "embedding",
    "hearing",
    "reranking",
    "rehearsal",
    "other",
]
# Is given what a model says, piece by piece; None: what was said is void, another attempt begins.
Hear = Callable[[str | None], Awaitable[None]]
# After five failures in a row a model is left alone; longer than the pause of a CRM it need not be.
CIRCUIT = Circuit(
    trip=5, first=timedelta(seconds=5), longest=timedelta(minutes=1), probe=timedelta(seconds=30)
)
MICRO = 1_000_000
T = TypeVar("T")
_DAY_OF_RELEASE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, so millionths of a dollar for one. `cached` None: as any other."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by the name of the model. Where there is none, no cost is told.

    `minutes`: US dollars for a minute of speech; `searches`: for a thousand searches that are put in order.
    """

    prices: Mapping[str, Price] = field(default_factory=dict)
    minutes: Mapping[str, Decimal] = field(default_factory=dict)
    searches: Mapping[str, Decimal] = field(default_factory=dict)

    def cost(self, names: Sequence[str], tokens_in: int, tokens_out: int, cached: int = 0) -> int | None:
        """Return the cost in millionths of a US dollar by the first name that has a price, rounded half up.

        A name may end in the day of its release, which the list need not know.
        """
        price = _find(self.prices, names)
        if price is None:
            return None
        kept = min(cached, tokens_in)
        dear = price.input * (tokens_in - kept) + price.output * tokens_out
        return _rounded(dear + (price.input if price.cached is None else price.cached) * kept)

    def cost_of_speech(self, names: Sequence[str], seconds: float) -> int | None:
        """Return what so many seconds cost where speech is paid by its length; see `cost`."""
        price = _find(self.minutes, names)
        return None if price is None else _rounded(price * MICRO * Decimal(str(seconds)) / 60)

    def cost_of_searches(self, names: Sequence[str], searches: int) -> int | None:
        """Return what so many searches cost where they are paid by their number; see `cost`."""
        price = _find(self.searches, names)
        return None if price is None else _rounded(price * MICRO * searches / 1000)


def _find(prices: Mapping[str, T], names: Sequence[str]) -> T | None:
    known = (prices.get(name) for one in names for name in (one, _DAY_OF_RELEASE.sub("", one)))
    return next((price for price in known if price is not None), None)


def _rounded(cost: Decimal) -> int:
    return int(cost.quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture a model is to look at. `mime` is what its bytes are."""

    mime: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of the dialogue as the model sees it. `pictures` only of a user."""

    role: Literal["user", "assistant"]
    text: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """Whose a request is: of a workspace; if they have to do with it, about a contact, of an agent.

    `turn_id` is the turn it is for, if there is one.
    """

    scope: Scope
    contact: UUID | None = None
    agent_id: UUID | None = None
    limits: Limits = field(default_factory=Limits)
    turn_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model may ask for. `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asks for. Nothing of it was checked: neither the name nor the arguments."""

    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """`model` None means the installation's model. `temperature` 0 - 2. `max_tokens` bounds the answer.

    `schema` asks for JSON of this form; what comes must be checked all the same. `within`: seconds, if less
    than the adapter's own deadline is left. `use` says whose it is: without it nothing leaves the platform.
    `tools` are offered; whether one is called is up to the model. The penalties (-2 to 2) are those of the
    protocol of chat completions; 0 is not sent, for not every model takes them.
    """

    system: str
    turns: tuple[ChatTurn, ...]
    temperature: float
    max_tokens: int
    model: str | None = None
    schema: Mapping[str, object] | None = None
    within: float | None = None
    use: Use | None = None
    tools: tuple[ToolSpec, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelReply:
    """Token counts are the provider's own; `duration_ms` and `calls` include those that failed.

    `tokens_cached` are those of `tokens_in` that the provider had kept from an earlier request.
    `cost_micro_usd`: millionths of a US dollar; None if no price of the model is known.
    `masked`: how many values of which kind the provider was not told. `tool_calls` in the model's order;
    those whose arguments are no JSON object are left out. `seconds`: of speech, if the provider counts them.
    """

    text: str
    model: str
    tokens_in: int
    tokens_out: int
    duration_ms: int
    calls: int = 1
    tokens_cached: int = 0
    cost_micro_usd: int | None = None
    masked: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    seconds: int = 0


class Witness(Protocol):
    """Is told what models were asked for one purpose, and with what outcome."""

    def called(self, purpose: str, reply: ModelReply) -> None: ...

    def failed(self, purpose: str, model: str, error: str) -> None: ...


class LanguageModel(Protocol):
    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer within the adapter's deadline, by the fallback model if the chosen one is away.

        Raises UpstreamUnavailable once retries are used up or while the model is left alone,
        Invalid("llm_rejected") if the provider refuses the request, Forbidden("llm_unauthorized") the key.
        """
        ...

    async def stream(self, request: ModelRequest, hear: Hear) -> ModelReply:
        """Answer as `complete` does, and let `hear` have the pieces as they come. Raises what it raises."""
        ...


@dataclass(frozen=True, slots=True)
class Recording:
    """What somebody has said. Endpoints go by the ending of `name`, so it is that of the type."""

    name: str
    mime: str
    content: bytes = field(repr=False)


class SpeechModel(Protocol):
    @property
    def names(self) -> tuple[str, ...]:
        """The models that may be asked, the fallback among them."""
        ...

    @property
    def prices(self) -> PriceList:
        """What their provider takes."""
        ...

    async def transcribe(self, recording: Recording) -> ModelReply:
        """Return what is said, in the language it is said in; empty if nothing is.

        Raises UpstreamUnavailable once retries are used up, Invalid("speech_rejected") if the provider
        refuses the recording, Invalid("speech_malformed") for an answer that is no transcript,
        Forbidden("speech_unauthorized") the key.
        """
        ...


class Breaker(Protocol):
    """Knows for all processes which models do not answer."""

    async def ask(self, model: str) -> float:
        """Return for how many seconds the model is left alone; 0 if it may be asked."""
        ...

    async def tell(self, model: str, *, failed: bool) -> None:
        """Note how a call ended. Never raises because the database does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class TurnUsage:
    """What all model calls of one turn used. `cost_micro_usd` is None as soon as one of them has no price."""

    calls: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    duration_ms: int
    cost_micro_usd: int | None


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """Where texts become vectors. `size`: dimensions asked for; None leaves them to the model."""

    base_url: str
    name: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector of length 1 for each text, in the texts' order. `tokens` is 0 if the provider tells none."""

    vectors: tuple[Sequence[float], ...]
    tokens: int
    duration_ms: int
    cost_micro_usd: int | None = None


class Embedder(Protocol):
    @property
    def model(self) -> EmbeddingModel:
        """The model that is set."""
        ...

    @property
    def prices(self) -> PriceList:
        """What its provider takes."""
        ...

    async def embed(
        self, texts: Sequence[str], *, model: EmbeddingModel | None = None, deadline: float | None = None
    ) -> Embeddings:
        """Return the vectors of up to EMBEDDED_AT_ONCE texts, by another model of the same address if named.

        With a `deadline` (seconds) there is one attempt within it. Raises UpstreamUnavailable once retries
        are used up, Forbidden("embedding_unauthorized") if the key, Invalid("embedding_rejected") if the
        request is refused, Invalid("embedding_malformed") for an answer that is no vectors,
        Invalid("embedding_size") for vectors of another size than asked for, or of one that is not stored.
        """
        ...


EMBEDDED_AT_ONCE = 100  # texts in a request; all known providers take that many
EMBEDDING_MAX_SIZE = 4_000  # dimensions: a vector of halves has to fit into a page of the database
