"""What the graph's operations take and return over REST."""

from datetime import date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from gptagent.features.knowledge.graph.model import (
    DAILY_TOKENS_MAX,
    NAME_MAX_CHARS,
    EntityType,
    FactText,
    RelationKind,
)
from gptagent.kernel.http import Body, Wire, example

Version = Annotated[int | None, Field(ge=1, le=2**31 - 1)]


class FailedSourceOut(Wire):
    kind: str
    id: UUID
    title: str
    passages: int
    error_code: str
    failure: str


class GraphUseOut(Wire):
    """Whether a question also finds what is called by other names, and what told so.

    Recall@5 and mean reciprocal rank of the same questions without other names and with them; `named` of them
    call something by one of several names. `measured_at` null: not yet measured, and not used. `failed_at` is
    when the last measurement failed, null if it did not.
    """

    is_used: bool
    is_queued: bool
    measured_at: datetime | None
    failed_at: datetime | None
    sample_size: int
    named: int
    recall_without: float
    recall_with: float
    mrr_without: float
    mrr_with: float


class GraphOut(Wire):
    """Entities by type; passages by how far their reading is; what the model has used, and may use in a day.

    `read_by_model` counts passages that a model has read; patterns read the others. `unpaid` are those of
    `waiting` for which the workspace's budget for models was used up. `cost_micro_usd`,
    millionths of a US dollar, is null if no price is known of one of the calls.
    """

    moving: ClassVar[frozenset[str]] = frozenset(
        {
            "types", "done", "waiting", "failed", "read_by_model", "unpaid", "calls", "tokens_in",
            "tokens_out", "tokens_today", "cost_micro_usd", "failures", "use",
        }
    )  # fmt: skip

    types: dict[str, int]
    done: int
    waiting: int
    failed: int
    read_by_model: int
    unpaid: int
    calls: int
    tokens_in: int
    tokens_out: int
    tokens_today: int
    cost_micro_usd: int | None
    daily_tokens: int
    failures: list[FailedSourceOut]
    use: GraphUseOut


class GraphPatch(Body):
    model_config = example({"daily_tokens": 500_000})

    daily_tokens: Annotated[int, Field(ge=0, le=DAILY_TOKENS_MAX)]


class ReadingBody(Body):
    """`failed_only` reads again only what failed."""

    model_config = example({"failed_only": True})

    failed_only: bool


class ReadingOut(Wire):
    sources: int


class EntityOut(Wire):
    id: UUID
    type: EntityType
    name: str
    confidence: float
    is_corrected: bool
    version: int
    facts: int
    relations: int
    sources: int
    created_at: datetime
    updated_at: datetime


class EntitiesOut(Wire):
    items: list[EntityOut]
    next_cursor: str | None


class FactOut(Wire):
    id: UUID
    attribute: str
    value: str
    valid_from: date | None
    valid_until: date | None
    is_corrected: bool
    sources: int


class FactsOut(Wire):
    items: list[FactOut]
    next_cursor: str | None


class RelationOut(Wire):
    """`is_outgoing`: the kind is said of this entity; else of the other one. `is_corrected`: by hand."""

    id: UUID
    kind: RelationKind
    is_outgoing: bool
    other_id: UUID
    other_name: str
    other_type: EntityType
    is_corrected: bool


class RelationsOut(Wire):
    items: list[RelationOut]
    next_cursor: str | None


class OriginOut(Wire):
    """A passage that names the entity. `version` is of the article or document."""

    chunk_id: int
    source_kind: str
    source_id: UUID
    source_title: str
    version: int
    heading: str
    page: int | None
    written_as: str


class CardOut(Wire):
    """An entity with the first 50 of its facts and relations, and up to 50 passages as `origins`."""

    entity: EntityOut
    aliases: list[str]
    facts: list[FactOut]
    relations: list[RelationOut]
    origins: list[OriginOut]


class EntityPatch(Body):
    """Fields left out stay; `version` refuses the change if another one came first."""

    model_config = example({"name": "Acme Ltd", "type": "organization"})

    name: str | None = None
    type: EntityType | None = None
    version: Version = None


class MergeBody(Body):
    """The entity that goes: all it has becomes the other's."""

    model_config = example({"other_id": "0190a1b2-0000-7000-8000-000000000001"})

    other_id: UUID


class AliasBody(Body):
    model_config = example({"name": "Acme"})

    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)]


class RelationBody(Body):
    """`kind` is said of the entity in the address."""

    model_config = example({"kind": "provides", "other_id": "0190a1b2-0000-7000-8000-000000000001"})

    kind: RelationKind
    other_id: UUID


class FactBody(Body):
    model_config = example({"attribute": "price", "value": "490 roubles", "valid_until": "2026-12-31"})

    attribute: str
    value: str
    valid_from: date | None = None
    valid_until: date | None = None

    def text(self) -> FactText:
        return FactText(self.attribute, self.value, self.valid_from, self.valid_until)
