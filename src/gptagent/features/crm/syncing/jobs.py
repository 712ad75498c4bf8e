"""The job that copies an account: page by page, each read without a transaction and stored in one of its own.

Killed at any point, it goes on at the page that was not stored. A page stored twice changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

import structlog

from gptagent.features.crm import service as crm_service
from gptagent.features.crm import store as crm_store
from gptagent.features.crm.model import CallPriority, CrmLink, brand_of
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.records import Batch, PageRequest
from gptagent.features.crm.syncing import service, store
from gptagent.features.crm.syncing.model import (
    FULL_EVERY,
    MARGIN,
    Part,
    Sync,
    advanced,
    fresh_parts,
    with_part,
)
from gptagent.features.crm.syncing.parts import INCREMENTAL, PLANS, Plan, Step
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import AppError, Conflict, Forbidden, NotFound, RateLimited, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext

log = structlog.get_logger(__name__)
T = TypeVar("T")

# A busy account makes a run wait its turn; a block of minutes is left to the job's own retries.
PATIENCE_SECONDS = 60.0
LEAST_PAUSE_SECONDS = 0.2
# Below the job's time limit: what is left then goes on in a job of its own.
RUN_SECONDS = 1_500.0
TELL_EVERY_SECONDS = 1.0


class _LostError(Exception):
    """Another worker has this run now, or it is over, or its connection is gone."""


class _OffError(Exception):
    """The connection was switched off: nothing more is read."""


class _LaterError(Exception):
    """The run goes on in another job."""


@dataclass(frozen=True, slots=True)
class SyncJobs:
    crm: CrmPort
    vault: Vault

    async def run(self, ctx: JobContext, /, sync_id: str) -> None:
        """Read what the run has not read yet. Raises what is to be tried again."""
        async with ctx.db.session(ctx.scope) as session:
            sync = await store.claim_sync(session, UUID(sync_id))
            if sync is None:
                return
            sync = await _planned(session, sync)
            try:
                link = await crm_service.open_link(session, sync.connection_id, self.vault)
            except Conflict as error:  # switched off since it was asked for
                await _finish(session, sync, "failed", error.code)
                return
            await _tell(session, sync)
        copying = Copying(ctx, self.crm, link, sync)
        try:
            await copying.go()
        except _LostError:
            log.info("sync_lost", sync_id=sync_id)
        except _OffError:
            async with ctx.db.session(ctx.scope) as session:
                await _finish(session, sync, "failed", crm_service.OFF)
        except _LaterError:
            async with ctx.db.session(ctx.scope) as session:
                await session.enqueue(service.RUN, {"sync_id": sync_id}, priority=service.BEHIND_REPLIES)
        except (Forbidden, NotFound) as error:  # nothing can be read until somebody connects again
            async with ctx.db.session(ctx.scope) as session:
                if error.code == "crm_unauthorized":
                    await crm_service.mark_broken(session, link, self.vault, error.code)
                await _finish(session, sync, "failed", error.code)
        except (UpstreamUnavailable, RateLimited) as error:
            async with ctx.db.session(ctx.scope) as session:
                if await store.note_error(session, sync, error.code):
                    await _tell(session, sync)
            raise

    async def give_up(self, ctx: JobContext, /, sync_id: str) -> None:
        async with ctx.db.session(ctx.scope) as session:
            connection_id = await store.finish(session, UUID(sync_id), None, "failed", None)
            if connection_id is not None:
                await session.publish("connections", "changed", {"connection_id": str(connection_id)})


async def _planned(session: Session, sync: Sync) -> Sync:
    """Decide once how much is read; a run that goes on keeps what was decided."""
    if sync.parts:
        return sync
    connection_id = sync.connection_id
    is_full = not await store.has_recent_full(session, connection_id, FULL_EVERY)
    starts = {} if is_full else await store.select_starts(session, connection_id)
    parts = fresh_parts({name: at - MARGIN for name, at in starts.items() if name in INCREMENTAL})
    await store.begin(session, sync, parts, is_full=is_full)
    return replace(sync, parts=parts, is_full=is_full)


async def _tell(session: Session, sync: Sync) -> None:
    await session.publish("connections", "changed", {"connection_id": str(sync.connection_id)})


async def _finish(session: Session, sync: Sync, state: str, error_code: str | None) -> None:
    await store.finish(session, sync.id, sync.claim, state, error_code)
    await _tell(session, sync)


class Copying:
    """One worker's stretch of a run."""

    def __init__(self, ctx: JobContext, crm: CrmPort, link: CrmLink, sync: Sync) -> None:
        self._ctx, self._crm, self._link, self._sync = ctx, crm, link, sync
        self._parts = sync.parts
        self._filtered = True
        self._read_at = sync.updated_at
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + RUN_SECONDS
        self._told_at = 0.0

    async def go(self) -> None:
        """Copy part by part. Raises what stops the whole run; what concerns one part is noted there."""
        if brand_of(self._link.host) == "amocrm" or not any(part.is_over for part in self._parts):
            await self._read_account()
        for part in self._parts:
            if not part.is_over:
                await self._copy(part)
        failed = [part for part in self._parts if part.state == "failed"]
        is_useless = len(failed) == sum(part.state != "absent" for part in self._parts)
        async with self._ctx.db.session(self._ctx.scope) as session:
            state = "failed" if is_useless else "completed"
            await _finish(session, self._sync, state, failed[0].error if is_useless else None)

    async def _read_account(self) -> None:
        """At the beginning of a run; where lists may not take filters, at each of its stretches."""
        account = await self._ask(lambda: self._crm.fetch_account(self._link, CallPriority.SYNC))
        self._filtered = account.filters_lists
        async with self._ctx.db.session(self._ctx.scope) as session:
            await self._hold(session)
            await crm_store.update_account(session, self._link.connection_id, account.name, account.currency)

    async def _copy(self, part: Part) -> None:
        """Read one part to its end. A missing right or a refusal ends this part alone."""
        plan = PLANS[part.name]
        try:
            while part.step < len(plan.steps):
                part = await self._copy_page(part, plan)
        except NotFound:
            await self._record(replace(part, state="absent", error=None))
        except (UpstreamUnavailable, RateLimited):
            raise
        except AppError as error:
            if error.code == "crm_unauthorized":
                raise
            log.info("sync_part_failed", part=part.name, error=error.code)
            await self._record(replace(part, state="failed", error=error.code))

    async def _copy_page(self, part: Part, plan: Plan) -> Part:
        step = plan.steps[part.step]
        batch = await self._ask(lambda: self._page(step, part))
        async with self._ctx.db.session(self._ctx.scope) as session:
            await self._hold(session)
            counts = await step.save(session, self._sync.connection_id, batch.items, self._read_at)
            part = advanced(part, counts, has_more=batch.has_more)
            if part.step == len(plan.steps):
                part = replace(
                    part, state="done", removed=part.removed + await self._sweep(session, part, plan)
                )
            await self._save(session, part)
        return part

    async def _page(self, step: Step, part: Part) -> Batch[object]:
        request = PageRequest(part.page, part.since, filtered=self._filtered)
        return await step.read(self._crm, self._link, request)

    async def _sweep(self, session: Session, part: Part, plan: Plan) -> int:
        """Find what is gone, if everything was read: changes alone do not tell."""
        started = self._sync.started_at
        if plan.sweep is None or part.since is not None or started is None:
            return 0
        return await plan.sweep(session, self._sync.connection_id, started)

    async def _record(self, part: Part) -> None:
        async with self._ctx.db.session(self._ctx.scope) as session:
            await self._save(session, part)

    async def _hold(self, session: Session) -> None:
        try:
            await crm_service.hold_connection(session, self._sync.connection_id)
            connection = await crm_service.get_connection(session, self._sync.connection_id)
        except NotFound as error:
            raise _LostError from error
        if not connection.is_active:
            raise _OffError

    async def _save(self, session: Session, part: Part) -> None:
        """Record where the run stands, and tell those who look, but not at every page."""
        parts = with_part(self._parts, part)
        at = await store.save_parts(session, self._sync, parts)
        if at is None:
            raise _LostError
        now = self._loop.time()
        if part.is_over or now - self._told_at >= TELL_EVERY_SECONDS:
            self._told_at = now
            await _tell(session, self._sync)
        self._parts, self._read_at = parts, at

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call once the account has a place for it: whatever a customer waits for goes first."""
        while True:
            if self._loop.time() > self._ends_at:
                raise _LaterError
            try:
                return await call()
            except RateLimited as error:
                pause = error.retry_after or LEAST_PAUSE_SECONDS
                if pause > PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(max(pause, LEAST_PAUSE_SECONDS))
