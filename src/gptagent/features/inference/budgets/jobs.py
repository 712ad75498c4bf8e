"""Telling owners by letter how much of a budget is used."""

from dataclasses import dataclass

from gptagent.features.identity.model import Links
from gptagent.features.inference.budgets import service
from gptagent.kernel.jobs import JobContext


@dataclass(frozen=True, slots=True)
class BudgetJobs:
    links: Links

    async def tell(self, ctx: JobContext, /) -> None:
        """Write of what nobody has a letter yet. Done again it writes nothing."""
        async with ctx.db.session(ctx.scope) as session:
            await service.tell_used(session, self.links)
