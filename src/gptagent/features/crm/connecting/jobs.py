"""Jobs of connecting: renew a token in time, tell the owners of a broken connection."""

from dataclasses import dataclass
from uuid import UUID

from gptagent.features.crm.connecting.links import tell_broken
from gptagent.features.crm.connecting.renewal import TokenRenewal
from gptagent.features.identity.model import Links
from gptagent.kernel.jobs import JobContext


@dataclass(frozen=True, slots=True)
class ConnectingJobs:
    renewal: TokenRenewal
    links: Links

    async def renew_token(self, ctx: JobContext, /, connection_id: str) -> None:
        """Renew, if it is still due. A refusal is noted at the connection, so it is no failure of the job."""
        await self.renewal.renew_due(ctx.scope.org_id, UUID(connection_id))

    async def tell_broken(self, ctx: JobContext, /, connection_id: str) -> None:
        """Write to the owners, unless they were told or it works again."""
        async with ctx.db.session(ctx.scope) as session:
            await tell_broken(session, UUID(connection_id), self.links)
