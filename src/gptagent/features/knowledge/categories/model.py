"""Categories and the tree they make."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.knowledge.staging.model import At
from gptagent.kernel.errors import FieldError, Invalid

TITLE_MAX_CHARS = 255
DESCRIPTION_MAX_CHARS = 1_000
DEPTH_MAX = 5
CATEGORIES_MAX = 1_000  # of a workspace: the whole tree is read at once

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class NewCategory:
    """Raises Invalid, naming each wrong field. The title is kept as one line without outer spaces."""

    title: str
    description: str = ""
    parent_id: UUID | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", " ".join(self.title.split()))
        object.__setattr__(self, "description", self.description.strip())
        errors = []
        if not 1 <= len(self.title) <= TITLE_MAX_CHARS:
            errors.append(FieldError("title", "Write 1 to {max} characters.", {"max": TITLE_MAX_CHARS}))
        if len(self.description) > DESCRIPTION_MAX_CHARS:
            limit = {"max": DESCRIPTION_MAX_CHARS}
            errors.append(FieldError("description", "Write at most {max} characters.", limit))
        if errors:
            raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(errors))


@dataclass(frozen=True, slots=True)
class Within:
    """What of a base may be found: what is in one of these categories or below it, and for the stage asked
    at. None in the place of either does not count, None in its own place is all that is the workspace's.

    With no category at all, or only with some that are gone, nothing is found. The files of `agent_id`, and
    of no other agent, are found besides, whatever the categories. `elsewhere` is how many passages are for
    other stages or of other agents, once that was looked at.
    """

    categories: tuple[UUID, ...] | None = None
    at: At | None = None
    agent_id: UUID | None = None
    elsewhere: int = 0


def within(
    categories: Iterable[UUID] | None, at: At | None = None, agent_id: UUID | None = None
) -> Within | None:
    """Return the part of the base that is in these categories or below them, and for the stage asked at, with
    what is this agent's own; None, all that is the workspace's, if nothing of it counts.
    """
    if categories is None and at is None and agent_id is None:
        return None
    return Within(None if categories is None else tuple(categories), at, agent_id)


@dataclass(frozen=True, slots=True)
class Category:
    """`position` is its place among its siblings. What is counted is directly in it, not below."""

    id: UUID
    parent_id: UUID | None
    title: str
    description: str
    position: int
    is_default: bool
    version: int
    articles: int
    subcategories: int
    documents: int
    sites: int
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, object]) -> NewCategory:
        """Return the values after the change. Raises Invalid."""
        values = {"title": self.title, "description": self.description, "parent_id": self.parent_id}
        return NewCategory(**{**values, **changes})  # type: ignore[arg-type]  # checked by the entry points


class Tree:
    """All categories of a workspace."""

    def __init__(self, categories: Iterable[Category]) -> None:
        self.by_id = {one.id: one for one in categories}
        self._children: dict[UUID | None, list[Category]] = {}
        for one in sorted(self.by_id.values(), key=lambda one: (one.position, one.title.lower())):
            self._children.setdefault(one.parent_id, []).append(one)

    def children(self, parent_id: UUID | None) -> list[Category]:
        return self._children.get(parent_id, [])

    def walk(self, parent_id: UUID | None = None, depth: int = 1) -> Iterator[tuple[Category, int]]:
        """Yield each category with its depth, a parent before its children."""
        for one in self.children(parent_id):
            yield one, depth
            yield from self.walk(one.id, depth + 1)

    def path(self, category_id: UUID | None) -> list[Category]:
        """Return the category with all above it, the topmost first."""
        found: list[Category] = []
        while category_id is not None:
            one = self.by_id[category_id]
            found.insert(0, one)
            category_id = one.parent_id
        return found

    def below(self, category_id: UUID) -> list[UUID]:
        """Return the category and all its subcategories, at every depth."""
        return [category_id, *(one.id for one, _depth in self.walk(category_id))]

    def height(self, category_id: UUID) -> int:
        """Return how many levels the category and those below it take."""
        return max((depth for _one, depth in self.walk(category_id, 2)), default=1)

    def default(self) -> Category | None:
        return next((one for one in self.by_id.values() if one.is_default), None)
