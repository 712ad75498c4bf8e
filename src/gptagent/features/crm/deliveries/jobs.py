"""Jobs of deliveries: a failed one again, the subscription, what no webhook told."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from gptagent.features.crm import service
from gptagent.features.crm.deliveries import store
from gptagent.features.crm.deliveries.model import HookSubscription
from gptagent.features.crm.deliveries.reconcile import PAUSE_FAILED, SETTLE, Reconciler
from gptagent.features.crm.deliveries.service import PROCESS, TOPIC, bury_delivery, process_delivery
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.ports import CrmPort
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Forbidden, Misconfigured
from gptagent.kernel.events import Subscribers
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

__all__ = ["CHECK", "PROCESS", "RECONCILE", "DeliveryJobs", "forget_seen", "look_after_hooks"]

CHECK = "crm.check_webhook"
RECONCILE = "crm.reconcile"
CARE_EVERY = timedelta(minutes=10)
POLL_PATIENCE = timedelta(minutes=5)  # a look whose job is lost is due again after so long
CLAIMED_AT_ONCE = 200
SEEN_KEPT = timedelta(days=30)
SEEN_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class DeliveryJobs:
    crm: CrmPort
    vault: Vault
    subscribers: Subscribers
    public_url: str
    settle: timedelta = SETTLE
    sender: str = ""  # address of our own letters

    async def process(self, ctx: JobContext, /, delivery_id: str) -> None:
        """Act on a delivery that failed. The last failure makes this job dead; it can be replayed."""
        async with ctx.db.session(ctx.scope) as session:
            state = await process_delivery(
                session, UUID(delivery_id), ctx.job_id, self.crm, self.subscribers, now=utcnow()
            )
        if state == "dead":
            raise Conflict("delivery_dead", "A delivery of the CRM failed each time it was tried.")

    async def bury(self, ctx: JobContext, /, delivery_id: str) -> None:
        async with ctx.db.session(ctx.scope) as session:
            await bury_delivery(session, UUID(delivery_id))

    async def check(self, ctx: JobContext, /, connection_id: str) -> None:
        """Look whether the CRM still reports to us, and have it do so again if not."""
        number = UUID(connection_id)
        async with ctx.db.session(ctx.scope) as session:
            row = await store.select_care(session, number)
            if row is None or row["status"] != "connected" or not row["is_active"]:
                return
            try:
                link = await service.open_link(session, number, self.vault)
                destination = await service.open_hook(session, number, self.vault, self.public_url)
            except Misconfigured:
                return  # secrets of lost keys: the page of connections says so
        wanted = _digest(self.crm.webhook_codes(link))
        try:
            found = await self.crm.fetch_webhook(link, destination)
            if _is_right(found, row["hook_codes"]) and row["hook_wanted"] == wanted:
                codes, restored = tuple(row["hook_codes"]), False
            else:
                codes = await self.crm.register_webhook(link, destination)
                restored = row["hook_state"] == "subscribed" and (found is None or found.is_disabled)
                log.info("webhook_registered", connection_id=connection_id, restored=restored)
        except AppError as error:
            await self._refused(ctx, link, error)
            return
        await self._note(ctx, number, "subscribed", None, codes, wanted=wanted, restored=restored)

    async def _refused(self, ctx: JobContext, link: CrmLink, error: AppError) -> None:
        log.info("webhook_not_checked", error=error.code, connection_id=str(link.connection_id))
        if isinstance(error, Forbidden) and error.code == "crm_unauthorized":
            async with ctx.db.session(ctx.scope) as session:
                await service.mark_broken(session, link, self.vault, error.code)
        elif not error.retryable:
            await self._note(ctx, link.connection_id, "refused", error.code, (), wanted="", restored=False)

    async def _note(
        self,
        ctx: JobContext,
        connection_id: UUID,
        state: str,
        error: str | None,
        codes: Sequence[str],
        *,
        wanted: str,
        restored: bool,
    ) -> None:
        async with ctx.db.session(ctx.scope) as session:
            changed = await store.update_health(
                session,
                connection_id,
                state=state,
                error=error,
                codes=codes,
                wanted=wanted,
                restored=restored,
                now=utcnow(),
            )
            if changed:
                ids = {"connection_id": str(connection_id)}
                await session.publish("connections", "changed", ids)
                await session.publish(TOPIC, "changed", ids)

    async def reconcile(self, ctx: JobContext, /, connection_id: str) -> None:
        """Look for what no webhook told. A CRM that does not answer is asked again later."""
        number = UUID(connection_id)
        async with ctx.db.session(ctx.scope) as session:
            row = await store.select_poll(session, number)
            if row is None or row["status"] != "connected" or not row["is_active"]:
                return
            try:
                link = await service.open_link(session, number, self.vault)
            except Misconfigured:
                return
        reconciler = Reconciler(
            ctx.db, ctx.scope, self.crm, self.subscribers, self.settle, sender=self.sender
        )
        try:
            await reconciler.look(link, row)
        except AppError as error:
            log.info("reconcile_failed", error=error.code, connection_id=connection_id)
            async with ctx.db.session(ctx.scope) as session:
                if isinstance(error, Forbidden) and error.code == "crm_unauthorized":
                    await service.mark_broken(session, link, self.vault, error.code)
                await store.update_poll(session, number, row["polled_to"], PAUSE_FAILED, None)


def _digest(codes: frozenset[str]) -> str:
    return hashlib.sha256(" ".join(sorted(codes)).encode()).hexdigest()[:16]


def _is_right(found: HookSubscription | None, registered: Sequence[str]) -> bool:
    return found is not None and not found.is_disabled and bool(registered) and found.codes == set(registered)


async def look_after_hooks(db: Database) -> int:
    """Queue the checks and looks that are due, of all workspaces. Returns how many."""
    async with db.installation() as session:
        checks = await store.due_care(session, CARE_EVERY, CLAIMED_AT_ONCE)
        looks = await store.due_polls(session, POLL_PATIENCE, CLAIMED_AT_ONCE)
    for job, due in ((CHECK, checks), (RECONCILE, looks)):
        for org_id, connection_id in due:
            async with db.session(Scope(org_id)) as session:
                await session.enqueue(job, {"connection_id": str(connection_id)})
    return len(checks) + len(looks)


async def forget_seen(db: Database) -> int:
    """Forget what was seen so long ago that no copy of it comes any more."""
    async with db.installation() as session:
        return await store.forget_seen(session, SEEN_KEPT, SEEN_ROWS)
