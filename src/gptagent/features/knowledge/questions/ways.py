"""The ways by which a turn searches: words, other names, meaning and a model's order, where these help."""

from dataclasses import dataclass
from typing import Literal, get_args

from gptagent.features.knowledge.naming.service import get_use
from gptagent.features.knowledge.reranking.model import Order
from gptagent.features.knowledge.reranking.service import Reranking
from gptagent.features.knowledge.vectors.model import Meaning
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

LegName = Literal["words", "graph", "meaning", "reranking"]
LEGS: tuple[LegName, ...] = get_args(LegName)


@dataclass(frozen=True, slots=True)
class Way:
    """How one question is asked besides by its words."""

    meaning: Meaning | None = None
    order: Order | None = None

    @property
    def is_plain(self) -> bool:
        return self.meaning is None and self.order is None


@dataclass(frozen=True, slots=True)
class InUse:
    """Which ways a base is searched by. `state` tells one standing of theirs from another."""

    legs: tuple[LegName, ...]
    state: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Ways:
    """As a turn has them. Without an embedding or reranking model words alone are asked."""

    understanding: Understanding
    reranking: Reranking

    async def in_use(self, db: Database, scope: Scope) -> InUse:
        """Return by which ways a turn in this workspace searches now."""
        async with db.session(scope) as session:
            names = (await get_use(session)).is_used
            index = await self.understanding.find_index(session)
            is_ordered = await self.reranking.is_used(session)
        used = {"words": True, "graph": names, "meaning": index is not None, "reranking": is_ordered}
        weight = index.benefit.weight if index and index.benefit else 0.0
        return InUse(
            tuple(leg for leg in LEGS if used[leg]), (names, index.id if index else None, weight, is_ordered)
        )

    async def find(self, db: Database, scope: Scope, question: str) -> Way:
        """Return how a turn would ask this. Raises AppError where a turn would go on without a provider: what
        is measured then would be another way. Holds no transaction while the providers answer.
        """
        meaning = await self.understanding.understand(db, scope, question, is_measured=True)
        order = await self.reranking.order(db, scope, question, meaning=meaning, is_measured=True)
        return Way(meaning, order)
