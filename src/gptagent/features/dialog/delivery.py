"""What becomes of replies after the CRM took them: sent, delivered, read, or refused by the channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import DeliveryStatus
from gptagent.features.conversations.service import Undelivered
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import CallPriority
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import store
from gptagent.features.dialog.ending import FAILED_TASK, TASK_REPLY_CHARS, owe_task
from gptagent.features.dialog.model import READ_BACK_SKEW
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

FOLLOW = "dialog.follow_delivery"
# Looking costs calls of the account's rate: a few at a time, and they give way to everything else.
PER_CONNECTION, PER_SWEEP = 2, 20
QUEUED_FOR = timedelta(minutes=2)
# Whoever reads a message does so soon or much later: asked after these pauses, by its age.
PAUSES = (
    (timedelta(minutes=2), timedelta(seconds=20)),
    (timedelta(hours=1), timedelta(minutes=5)),
    (timedelta(hours=24), timedelta(hours=1)),
)
STATUSES: Mapping[str, DeliveryStatus] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "error": "failed",
    "failed": "failed",
}
_RANK = {None: 0, "sent": 1, "delivered": 2, "read": 3, "failed": 3}


async def sweep_deliveries(db: Database) -> int:
    """Queue a look at the conversations whose replies are still on their way. Returns how many."""
    async with db.installation() as session:
        due = await store.deliveries_due(session, PER_CONNECTION, PER_SWEEP)
    for org_id, conversation_id in due:
        async with db.session(Scope(org_id)) as session:
            if await conversations.watch_again(session, conversation_id, QUEUED_FOR):
                await session.enqueue(FOLLOW, {"conversation_id": str(conversation_id)})
    return len(due)


@dataclass(frozen=True, slots=True)
class DeliveryJobs:
    """Handlers with what they call."""

    crm: CrmPort
    vault: Vault

    async def follow(self, ctx: JobContext, /, conversation_id: str) -> None:
        """Look once; what is not decided then is looked at again later."""
        own = UUID(conversation_id)
        async with ctx.db.session(ctx.scope) as session:
            open_ones = await conversations.list_undelivered(session, own)
            if not open_ones:
                await conversations.stop_watching(session, own)
                return
            conversation = await conversations.get_conversation(session, own)
            try:
                link = await crm_service.open_link(session, conversation.connection_id, self.vault)
            except Conflict:  # switched off: the sweep comes back to it
                return
            talks = await store.talks_of(session, [one.turn_id for one in open_ones])
        found: dict[str, DeliveryStatus] = {}
        since = min(one.sent_at for one in open_ones) - READ_BACK_SKEW
        try:
            for talk_id in {talks.get(one.turn_id) or conversation.talk_id for one in open_ones} - {None}:
                listed = await self.crm.list_messages(link, talk_id or 0, since, CallPriority.SYNC)
                for message in listed:
                    if (status := STATUSES.get(message.delivery_status or "")) is not None:
                        found[message.id] = status
        except AppError as error:
            log.info("delivery_not_read", error=error.code)
            if replying.is_unreadable(error):  # this account shows nobody what became of a message
                async with ctx.db.session(ctx.scope) as session:
                    await conversations.stop_watching(session, own)
            return
        await self._record(ctx, own, open_ones, found)

    async def _record(
        self,
        ctx: JobContext,
        conversation_id: UUID,
        open_ones: list[Undelivered],
        found: Mapping[str, DeliveryStatus],
    ) -> None:
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, conversation_id, lock=True)
            left: list[datetime] = []
            for one in open_ones:
                status = found.get(one.provider_id)
                if status is not None and _RANK[status] > _RANK[one.status]:
                    is_new = await conversations.note_delivery(session, conversation_id, one.seq, status)
                    if is_new and status == "failed":
                        await owe_task(session, conversation, FAILED_TASK, reply=one.text[:TASK_REPLY_CHARS])
                if status not in {"read", "failed"}:
                    left.append(one.sent_at)
            pause = _pause(utcnow() - max(left)) if left else None
            if pause is None:
                await conversations.stop_watching(session, conversation_id)
            else:
                await conversations.watch_again(session, conversation_id, pause)


def _pause(age: timedelta) -> timedelta | None:
    return next((pause for limit, pause in PAUSES if age < limit), None)
