"""Jobs of replying."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from gptagent.features.crm import service as crm
from gptagent.features.crm.events import CustomerSaid
from gptagent.features.crm.model import Talk
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import store
from gptagent.features.crm.replying.transports import SLOT_PURPOSE
from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.events import Subscribers
from gptagent.kernel.jobs import JobContext

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReplyJobs:
    """Handlers with what they call and whom they tell."""

    crm: CrmPort
    vault: Vault
    subscribers: Subscribers

    async def pass_on(self, ctx: JobContext, /, slot_id: str) -> None:
        """Hand what a bot passed on to those who keep messages, unless it has come by itself meanwhile."""
        async with ctx.db.session(ctx.scope) as session:
            row = await store.select_said(session, UUID(slot_id))
            if row is None or row["said_sealed"] is None:
                return
        said_at: datetime = row["received_at"]
        talk = await self._talk(ctx, row["connection_id"], row["talk_id"])
        async with ctx.db.session(ctx.scope) as session:
            await crm.hold_connection(session, row["connection_id"])
            if not await store.forget_said(session, UUID(slot_id)):
                return  # another run of this job was faster
            text = self.vault.open(row["said_sealed"], org_id=ctx.scope.org_id, purpose=SLOT_PURPOSE)
            said = CustomerSaid(
                row["connection_id"], UUID(slot_id), row["lead_id"], row["talk_id"], text, said_at, talk
            )
            await self.subscribers.publish(session, said)

    async def _talk(self, ctx: JobContext, connection_id: UUID, talk_id: int | None) -> Talk | None:
        """Return what the CRM says of the talk, None if it is unknown there or nothing may be asked of it."""
        if talk_id is None:
            return None
        try:
            async with ctx.db.session(ctx.scope) as session:
                link = await crm.open_link(session, connection_id, self.vault)
        except Conflict:  # switched off: a chat that is known is found without the CRM
            return None
        try:
            return await self.crm.fetch_talk(link, talk_id)
        except NotFound:
            log.info("talk_of_slot_unknown", talk_id=talk_id)
            return None
