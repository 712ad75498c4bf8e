"""What the platform asks of a language model, whoever serves it."""

from collections.abc import Mapping
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
