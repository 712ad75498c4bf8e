"""Looking gaps up again after their article has changed: whoever saves it does not wait for that."""

from typing import Protocol
from uuid import UUID

from gptagent.features.knowledge.gaps import service
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope


class CheckContext(Protocol):
    """What the look needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


async def check_gaps(ctx: CheckContext, article_id: str) -> None:
    """Close the gaps that the article answers by now, open those it answers no more. Done again, nothing."""
    after = await _check(ctx, UUID(article_id), None)
    while after is not None:
        after = await _check(ctx, UUID(article_id), after)


async def _check(ctx: CheckContext, article_id: UUID, after: UUID | None) -> UUID | None:
    async with ctx.db.session(ctx.scope) as session:
        return await service.check_article(session, article_id, after, now=utcnow())
