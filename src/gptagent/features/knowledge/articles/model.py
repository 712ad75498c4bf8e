"""Articles, and the limits every entry point shows."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.knowledge.staging.model import StageKey, stage_errors
from gptagent.kernel.errors import FieldError, Invalid

TITLE_MAX_CHARS = 255
DESCRIPTION_MAX_CHARS = 1_000
CONTENT_MIN_CHARS = 10
CONTENT_MAX_CHARS = 100_000  # an article is written by hand; longer texts are uploaded
TAGS_MAX = 20
TAG_MAX_CHARS = 50
CATEGORIES_MAX = 20  # in which one article is
RELATED_MAX = 20
BULK_MAX = 100

BulkAction = Literal["activate", "deactivate", "move", "delete"]


@dataclass(frozen=True, slots=True)
class NewArticle:
    """Raises Invalid, naming each wrong field. The title is kept without outer spaces, a tag once.

    Without `categories` it goes to the default one. `related` are given to the model when this one is found.
    Without `stages` it is for every stage of a deal, and for chats without one.
    """

    title: str
    content: str
    is_active: bool = True
    description: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[UUID, ...] = ()
    related: tuple[UUID, ...] = ()
    stages: tuple[StageKey, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title.strip())
        object.__setattr__(self, "description", self.description.strip())
        object.__setattr__(self, "tags", _once(" ".join(tag.split()) for tag in self.tags))
        object.__setattr__(self, "categories", tuple(sorted(set(self.categories))))
        object.__setattr__(self, "related", tuple(dict.fromkeys(self.related)))
        object.__setattr__(self, "stages", tuple(sorted(set(self.stages))))
        errors = (
            *_title_errors(self.title),
            *_at_most("description", self.description, DESCRIPTION_MAX_CHARS),
            *_content_errors(self.content),
            *_tag_errors(self.tags),
            *_at_most("categories", self.categories, CATEGORIES_MAX, "Choose at most {max}."),
            *_at_most("related", self.related, RELATED_MAX, "Choose at most {max}."),
            *stage_errors(self.stages),
        )
        if errors:
            raise Invalid("invalid", "Please correct the marked fields.", fields=errors)


@dataclass(frozen=True, slots=True)
class ArticleChange:
    """None leaves a field as it is. With `version` the change is refused if another one came first."""

    article_id: UUID
    title: str | None = None
    content: str | None = None
    is_active: bool | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    categories: tuple[UUID, ...] | None = None
    related: tuple[UUID, ...] | None = None
    stages: tuple[StageKey, ...] | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class ArticleSummary:
    id: UUID
    title: str
    description: str
    excerpt: str
    tags: tuple[str, ...]
    categories: tuple[UUID, ...]
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    stages: tuple[StageKey, ...]
    is_everywhere: bool


@dataclass(frozen=True, slots=True)
class Article:
    """`content` is Markdown. `version` rises by one with each change.

    Not `is_everywhere` and without `stages` it is found nowhere: their account is disconnected.
    """

    id: UUID
    title: str
    description: str
    content: str
    tags: tuple[str, ...]
    categories: tuple[UUID, ...]
    related: tuple[UUID, ...]
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    stages: tuple[StageKey, ...]
    is_everywhere: bool

    def changed(self, change: ArticleChange) -> NewArticle:
        """Return the article's values after the change. Raises Invalid."""
        wanted = {one.name: getattr(change, one.name, None) for one in fields(NewArticle)}
        kept = {name: getattr(self, name) if value is None else value for name, value in wanted.items()}
        return NewArticle(**kept)


@dataclass(frozen=True, slots=True)
class ArticleFilter:
    """Which articles a list shows; `category_id` with its subcategories."""

    search: str = ""
    is_active: bool | None = None
    category_id: UUID | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class ArticleVersion:
    """What an article said, and whose change made it so; None for what is older than this record."""

    article_id: UUID
    version: int
    title: str
    description: str
    content: str
    tags: tuple[str, ...]
    is_active: bool
    actor_kind: str | None
    actor_id: UUID | None
    created_at: datetime


def tags_of(text: str) -> tuple[str, ...]:
    """Return the tags that were typed with commas between them."""
    return tuple(tag for tag in (part.strip() for part in text.split(",")) if tag)


def _once(tags: Iterable[str]) -> tuple[str, ...]:
    """Return each tag once, whatever its letters' case."""
    seen: dict[str, str] = {}
    for tag in tags:
        seen.setdefault(tag.lower(), tag)
    return tuple(seen.values())


def _title_errors(title: str) -> tuple[FieldError, ...]:
    if 1 <= len(title) <= TITLE_MAX_CHARS:
        return ()
    return (FieldError("title", "Write 1 to {max} characters.", {"max": TITLE_MAX_CHARS}),)


def _content_errors(content: str) -> tuple[FieldError, ...]:
    if len(content.strip()) < CONTENT_MIN_CHARS:
        return (FieldError("content", "Write at least {min} characters.", {"min": CONTENT_MIN_CHARS}),)
    return _at_most("content", content, CONTENT_MAX_CHARS)


def _tag_errors(tags: tuple[str, ...]) -> tuple[FieldError, ...]:
    if len(tags) <= TAGS_MAX and all(1 <= len(tag) <= TAG_MAX_CHARS and "," not in tag for tag in tags):
        return ()
    limits = {"max": TAGS_MAX, "chars": TAG_MAX_CHARS}
    return (FieldError("tags", "At most {max} tags of 1 to {chars} characters, without commas.", limits),)


def _at_most(
    name: str, value: str | tuple[object, ...], limit: int, message: str = "Write at most {max} characters."
) -> tuple[FieldError, ...]:
    return () if len(value) <= limit else (FieldError(name, message, {"max": limit}),)
