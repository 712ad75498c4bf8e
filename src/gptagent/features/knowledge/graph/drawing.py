"""Where an entity's neighbours stand in its drawing. Pure: the page draws what this says."""

from collections.abc import Sequence
from dataclasses import dataclass

from gptagent.features.knowledge.graph.model import Card, Relation

WIDTH = 360  # as wide as a phone's page, so that words keep their size there
ROW, NODE, TOP = 58, 30, 8  # heights of a neighbour with its relation, of a node, of the free space above
CENTRE_WIDTH, NEIGHBOUR_X = 124, 176
NEIGHBOURS_MAX = 10
CENTRE_CHARS, NEIGHBOUR_CHARS = 15, 24


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`y` is the middle of its node; `path` leads from the centre to it."""

    relation: Relation
    label: str
    y: int
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A star: the entity at the left, its neighbours below each other at the right. `more` are left out."""

    label: str
    height: int
    middle: int
    neighbours: tuple[Neighbour, ...]
    more: int


def draw(card: Card) -> Drawing | None:
    """Return the drawing of an entity's neighbourhood; None if it has no neighbours."""
    shown = _one_each(card.relations)[:NEIGHBOURS_MAX]
    if not shown:
        return None
    height = TOP + ROW * len(shown)
    middle = height // 2
    neighbours = tuple(_neighbour(one, number, middle) for number, one in enumerate(shown))
    label = _short(card.entity.name, CENTRE_CHARS)
    return Drawing(label, height, middle, neighbours, len(card.relations) - len(shown))


def _one_each(relations: Sequence[Relation]) -> list[Relation]:
    """Return each neighbour's first relation; the list beside the drawing has all."""
    first: dict[object, Relation] = {}
    for relation in relations:
        first.setdefault(relation.other_id, relation)
    return list(first.values())


def _neighbour(relation: Relation, number: int, middle: int) -> Neighbour:
    y = TOP + ROW * number + ROW - NODE // 2 - 4
    bend = (CENTRE_WIDTH + NEIGHBOUR_X) // 2
    path = f"M{CENTRE_WIDTH} {middle} C{bend} {middle} {bend} {y} {NEIGHBOUR_X} {y}"
    return Neighbour(relation, _short(relation.other_name, NEIGHBOUR_CHARS), y, path)


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"
