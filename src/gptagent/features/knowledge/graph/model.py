"""Entities, facts and relations, and how their names are brought to one form. Pure."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

EntityType = Literal[
    "person",
    "organization",
    "product",
    "service",
    "process",
    "concept",
    "feature",
    "event",
    "location",
    "technology",
    "document",
    "metric",
]
RelationKind = Literal[
    "works_for",
    "manages",
    "provides",
    "uses",
    "related_to",
    "part_of",
    "depends_on",
    "requires",
    "located_in",
    "owns",
    "collaborates_with",
    "reports_to",
    "responsible_for",
    "participates_in",
    "contains",
]
TYPES: tuple[EntityType, ...] = get_args(EntityType)
KINDS: tuple[RelationKind, ...] = get_args(RelationKind)
Method = Literal["model", "patterns"]

NAME_MAX_CHARS = 200
ATTRIBUTE_MAX_CHARS = 60
VALUE_MAX_CHARS = 500
CONFIDENCE_MIN = 0.5  # what is less sure is not kept
DAILY_TOKENS = 200_000  # of a workspace, unless it sets another number
DAILY_TOKENS_MAX = 100_000_000
FACTS_MAX = 200  # of an entity that are added by hand

# Why a passage could not be read: its error code -> an English template, translated where it is shown.
FAILURES: Mapping[str, str] = {
    "bad_output": "The model's answer could not be understood.",
    "llm_unavailable": "The model did not answer.",
    "llm_busy": "The model is asked too often.",
    "llm_unauthorized": "The model's provider does not accept the key.",
    "llm_rejected": "The model's provider refuses the request.",
    "internal": "The passage could not be processed.",
}

_LEGAL_FORMS = re.compile(
    r"\b(?:ооо|оао|зао|пао|нао|ао|ип|тоо|llc|ltd|inc|gmbh|corp|limited|plc|s\.?a|b\.?v)\b\.?", re.IGNORECASE
)
_MARKS = re.compile(r"[«»\"'`„“”‘’]|[^\w\s+#&@.-]")


@dataclass(frozen=True, slots=True)
class Entity:
    """`is_corrected`: a person has set name or type, which stay. `sources` counts passages that name it."""

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


@dataclass(frozen=True, slots=True)
class Fact:
    """What is said of an entity, from and until when if the text says it."""

    id: UUID
    attribute: str
    value: str
    valid_from: date | None
    valid_until: date | None
    is_corrected: bool
    sources: int


@dataclass(frozen=True, slots=True)
class FactText:
    """A fact as a person writes it."""

    attribute: str
    value: str
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """An edge as seen from one entity: `is_outgoing` if it is the one of which the kind is said.

    `is_corrected`: a person has added it.
    """

    id: UUID
    kind: RelationKind
    is_outgoing: bool
    other_id: UUID
    other_name: str
    other_type: EntityType
    is_corrected: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """A passage that names an entity. `version` is of the article or document."""

    chunk_id: int
    source_kind: Literal["article", "document"]
    source_id: UUID
    source_title: str
    version: int
    heading: str
    page: int | None
    written_as: str


@dataclass(frozen=True, slots=True)
class Card:
    """One entity with a page of its facts and of its relations; `entity` counts them all."""

    entity: Entity
    aliases: tuple[str, ...]
    facts: tuple[Fact, ...]
    relations: tuple[Relation, ...]
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class FailedSource:
    """An article or document of which passages could not be read."""

    kind: Literal["article", "document"]
    id: UUID
    title: str
    passages: int
    error_code: str

    @property
    def failure(self) -> str:
        """The English template of the reason, for the reader's language."""
        return FAILURES.get(self.error_code, FAILURES["internal"])


@dataclass(frozen=True, slots=True)
class Progress:
    """Passages of the base by how far their reading is; calls and tokens of today and of all days.

    `cost_micro_usd` is of all calls, None if no price is known of one of them. `unpaid`: those that
    wait because the workspace's budget for models was used up.
    """

    done: int
    waiting: int
    failed: int
    by_model: int
    unpaid: int
    calls: int
    tokens_in: int
    tokens_out: int
    tokens_today: int
    daily_tokens: int
    failures: tuple[FailedSource, ...]
    cost_micro_usd: int | None = None

    @property
    def total(self) -> int:
        return self.done + self.waiting + self.failed

    @property
    def is_spent(self) -> bool:
        """Whether nothing may be asked any more today."""
        return self.tokens_today >= self.daily_tokens


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage to be read. `attempts` fences its readings; `title` is its source's."""

    chunk_id: int
    title: str
    heading: str
    content: str
    attempts: int
    is_alone: bool


@dataclass(frozen=True, slots=True)
class FoundFact:
    attribute: str
    value: str
    valid_from: date | None = None
    valid_until: date | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class FoundEntity:
    """An entity as one passage tells of it."""

    type: EntityType
    name: str
    confidence: float = 1.0
    aliases: tuple[str, ...] = ()
    facts: tuple[FoundFact, ...] = ()

    @property
    def identity(self) -> tuple[EntityType, str]:
        return self.type, normalise(self.name)


@dataclass(frozen=True, slots=True)
class FoundRelation:
    """Source and target are identities of entities that the same passage tells of."""

    source: tuple[EntityType, str]
    kind: RelationKind
    target: tuple[EntityType, str]
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What one passage tells."""

    entities: tuple[FoundEntity, ...] = ()
    relations: tuple[FoundRelation, ...] = ()


def normalise(name: str) -> str:
    """Return what makes two spellings of a name one: no case, marks, doubled spaces or legal form."""
    text = unicodedata.normalize("NFKC", name).casefold().replace("ё", "е")
    plain = " ".join(_MARKS.sub(" ", text).split())
    bare = " ".join(_LEGAL_FORMS.sub(" ", plain).split()).strip(" .-")
    return bare or plain.strip(" .-") or plain


def digest_of(*parts: str) -> str:
    """Return by what something is known again without being kept."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def fact_digest(attribute: str, value: str) -> str:
    """Return a fact's identity: upper case, spaces and marks do not count."""
    return digest_of(normalise(attribute), re.sub(r"[\s\u00a0]+", "", value).casefold())


def deduplicated(found: Sequence[FoundEntity]) -> tuple[FoundEntity, ...]:
    """Return each entity once: the higher confidence, the longer name, all aliases and facts.

    What is less sure than CONFIDENCE_MIN, or has no name, is left out.
    """
    kept: dict[tuple[str, str], FoundEntity] = {}
    for one in found:
        if one.confidence < CONFIDENCE_MIN or not one.identity[1]:
            continue
        old = kept.get(one.identity)
        kept[one.identity] = one if old is None else _joined(old, one)
    return tuple(kept.values())


def _joined(old: FoundEntity, new: FoundEntity) -> FoundEntity:
    facts = {fact_digest(fact.attribute, fact.value): fact for fact in (*new.facts, *old.facts)}
    return FoundEntity(
        type=old.type,
        name=max(old.name, new.name, key=len),
        confidence=max(old.confidence, new.confidence),
        aliases=tuple(dict.fromkeys((*old.aliases, *new.aliases))),
        facts=tuple(facts.values()),
    )
