"""What the platform asks of models, whoever serves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of the dialogue as the model sees it."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """`model` None means the installation's model. `temperature` 0 - 2. `max_tokens` bounds the answer.

    `schema` asks for JSON of this form; what comes must be checked all the same.
    """

    system: str
    turns: tuple[ChatTurn, ...]
    temperature: float
    max_tokens: int
    model: str | None = None
    schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """Token counts are the provider's own; `duration_ms` includes retries."""

    text: str
    model: str
    tokens_in: int
    tokens_out: int
    duration_ms: int
    calls: int = 1


class LanguageModel(Protocol):
    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer within the adapter's deadline. Raises UpstreamUnavailable once retries are used up,
        Invalid("llm_rejected") if the provider refuses the request, Forbidden("llm_unauthorized") the key.
        """
        ...


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


class Embedder(Protocol):
    @property
    def model(self) -> EmbeddingModel:
        """The model that is set."""
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
