"""Jobs of the CRM feature: each claims, calls without a transaction, records."""

import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.crm import service, store
from gptagent.features.crm.calling.once import made_once
from gptagent.features.crm.deliveries.model import RecordKind
from gptagent.features.crm.model import CrmLink, NewTask
from gptagent.features.crm.ports import CrmPort
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import AppError, Forbidden, OutcomeUnknown, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext

CLOCK_SKEW = timedelta(minutes=2)
SILENCE_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CrmJobs:
    """Handlers with the ports they call."""

    crm: CrmPort
    vault: Vault

    async def perform_task(self, ctx: JobContext, /, task_id: str) -> None:
        """Make the task in the CRM once: after a crash or an unknown outcome it is looked up first.

        A silenced workspace does nothing in its CRM, nor anybody in an account that is switched off: the
        tasks wait.
        """
        taken_at = time.monotonic()
        async with ctx.db.session(ctx.scope) as session:
            is_active = await store.owed_to_active(session, UUID(task_id))
            if is_active is None:
                return
            if not is_active or await organizations.find_silence(session) is not None:
                await session.enqueue(service.PERFORM_TASK, {"task_id": task_id}, delay=SILENCE_PAUSE)
                return
            row = await store.claim_task(session, UUID(task_id), utcnow())
            if row is None:
                return
            # It was on a moment ago: a refusal now would lose the task.
            link = await service.open_link(session, row["connection_id"], self.vault, while_off=True)
        # Asked before it is seen whether the job is still this worker's: then nothing but the task is made.
        responsible = row["responsible"] or await self._responsible(link, row["lead_id"], row["record_kind"])
        external_id = await made_once(
            lambda: self._find(ctx, link, row),
            lambda: self._create(ctx, link, row, responsible),
            begun_before=row["was"] == "sending",
            since=taken_at,
        )
        async with ctx.db.session(ctx.scope) as session:
            await store.finish_task(session, UUID(task_id), "done", external_id)

    async def _responsible(self, link: CrmLink, record_id: int, kind: RecordKind) -> int | None:
        """Ask who is responsible for a deal we know nothing of; without an answer the CRM chooses."""
        if kind != "lead":
            return None
        try:
            lead = await self.crm.fetch_lead(link, record_id)
        except AppError:
            return None
        return lead.responsible_user_id if lead else None

    async def _find(self, ctx: JobContext, link: CrmLink, row: Record) -> int | None:
        """Return the task if it was made, and not what another one with the same words has made."""
        async with ctx.db.session(ctx.scope) as session:
            known = await store.tasks_of_others(session, row["id"], row["connection_id"], row["lead_id"])
        since = row["started_at"] - CLOCK_SKEW
        return await self.crm.find_task(
            link, row["lead_id"], row["text"], since, kind=row["record_kind"], known=known
        )

    async def _create(self, ctx: JobContext, link: CrmLink, row: Record, responsible: int | None) -> int:
        kind: RecordKind = row["record_kind"]
        task = NewTask(row["lead_id"], row["text"], row["due_at"], responsible, kind)
        try:
            return await self.crm.create_task(link, task)
        except OutcomeUnknown as error:  # tried again after a pause, which looks it up first
            raise UpstreamUnavailable("crm_unavailable", str(error), retry_after=5) from error
        except Forbidden as error:
            if error.code == "crm_unauthorized":
                async with ctx.db.session(ctx.scope) as session:
                    await service.mark_broken(session, link, self.vault, error.code)
            raise

    async def give_up_task(self, ctx: JobContext, /, task_id: str) -> None:
        async with ctx.db.session(ctx.scope) as session:
            await store.finish_task(session, UUID(task_id), "failed", None)
