"""Verbs of deliveries: receive, try again, show."""

import time
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm.deliveries import processing, store
from gptagent.features.crm.deliveries.model import (
    Arrival,
    Delivery,
    DeliveryCounts,
    DeliverySource,
    DeliveryState,
    End,
    FullDelivery,
    HookHealth,
    retry_delay,
)
from gptagent.features.crm.deliveries.processing import Outcome, attempt, chats_of, refs_of
from gptagent.features.crm.model import Hook, Webhook
from gptagent.features.crm.ports import HooksPort
from gptagent.kernel import jobs, observe
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Forbidden, NotFound
from gptagent.kernel.events import Subscribers
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page, orders

PROCESS = "crm.process_delivery"
ORDERS = orders(created_at="received_at")
TOPIC = "deliveries"
COUNTED = timedelta(hours=24)
SEARCH_MAX_CHARS = 100
CATCH_UP = 5  # earlier deliveries of a chat that are tried before a later one
# A retry that comes this much early is the one that is due: the clocks of two machines differ.
RETRY_SLACK = timedelta(seconds=5)
CATCH_UP_SECONDS = 0.2
JOB_SECONDS = 20.0
# Another transaction was in the way, or the machine was slow: tried again at once, for so many times.
HELD_UP_PAUSE = timedelta(seconds=1)
HELD_UP_MAX = 5


async def receive_webhook(
    session: Session,
    hook: Hook,
    webhook: Webhook,
    subscribers: Subscribers,
    *,
    now: datetime,
    crm: HooksPort | None = None,
    source: DeliverySource = "webhook",
    seconds: float | None = None,
) -> DeliveryState:
    """Store a delivery and act on it. What fails is kept and tried again later.

    `crm` reads what is stored of the same chats and waits. `seconds`: the time there is to act, ACT_SECONDS
    if none is given; 0: it is only stored, and a job acts on it. Raises Forbidden if the delivery names
    another account, NotFound if the connection is gone.
    """
    acting_ends = time.monotonic() + (processing.ACT_SECONDS if seconds is None else seconds)
    host = await _hold(session, hook.connection_id)
    _check_account(hook, webhook, host)
    outcome = Outcome("received", "slow")
    if seconds != 0:
        if crm is not None:
            await _catch_up(session, hook.connection_id, webhook, crm, subscribers, now=now)
        left = acting_ends - time.monotonic()
        outcome = await attempt(session, hook.connection_id, webhook, subscribers, seconds=left)
    delivery_id = new_id()
    end = await _end(session, hook.connection_id, delivery_id, outcome, attempts=1, now=now)
    arrival = Arrival(delivery_id, hook.connection_id, source, webhook.kind, refs_of(webhook), now)
    payload = None if outcome.error == "duplicate" else webhook.payload
    await store.insert_delivery(session, arrival, end, payload)
    is_told = source == "webhook" and await store.touch_webhook(session, hook.connection_id, now)
    if is_told or outcome.state in {"failed", "received"}:
        await _tell(session, hook.connection_id)
    observe.DELIVERIES.labels(source, outcome.state).inc()
    return outcome.state


async def process_delivery(
    session: Session,
    delivery_id: UUID,
    job_id: int,
    crm: HooksPort,
    subscribers: Subscribers,
    *,
    now: datetime,
) -> DeliveryState | None:
    """Try a delivery again that could not be acted on. None: there was nothing to be done."""
    connection_id = await store.connection_of(session, delivery_id)
    if connection_id is None or await store.hold_connection(session, connection_id) is None:
        return None
    row = await store.lock_delivery(session, delivery_id)
    if row is None or row["state"] in {"processed", "ignored"}:
        return None
    if row["state"] == "failed" and row["retry_at"] is not None and row["retry_at"] > now + RETRY_SLACK:
        return None
    attempts = 1 if row["state"] == "dead" else row["attempts"] + 1
    outcome = await _again(session, connection_id, row, crm, subscribers)
    end = await _end(session, connection_id, delivery_id, outcome, attempts=attempts, now=now)
    await store.update_delivery(session, delivery_id, replace(end, job_id=end.job_id or job_id))
    await _tell(session, connection_id)
    observe.DELIVERIES.labels("retry", end.state).inc()
    return end.state


async def bury_delivery(session: Session, delivery_id: UUID) -> None:
    """Its job was given up, whatever the reason: an operator finds it among the dead."""
    row = await store.lock_delivery(session, delivery_id)
    if row is not None and row["state"] in {"received", "failed"}:
        end = End("dead", row["attempts"], row["error"] or "job", job_id=row["job_id"])
        await store.update_delivery(session, delivery_id, end)
        await _tell(session, row["connection_id"])


async def retry_delivery(
    session: Session, connection_id: UUID, delivery_id: UUID, *, now: datetime
) -> Delivery:
    """Queue a delivery again that failed or is dead, from its first attempt. Raises NotFound, Conflict."""
    await _hold(session, connection_id)
    row = await store.lock_delivery(session, delivery_id)
    if row is None or row["connection_id"] != connection_id:
        raise NotFound
    if row["state"] not in {"failed", "dead"}:
        raise Conflict("delivery_not_failed", "This delivery has not failed: there is nothing to try again.")
    job_id = row["job_id"]
    if row["state"] != "dead" or job_id is None or not await jobs.replay_job(session, job_id):
        job_id = await session.enqueue(PROCESS, {"delivery_id": str(delivery_id)})
    end = End("received", 0, None, retry_at=now, job_id=job_id)
    await store.update_delivery(session, delivery_id, end)
    await audit.record(session, Entry("delivery.retried", "delivery", str(delivery_id)))
    await _tell(session, connection_id)
    return replace(_delivery(row), state="received", attempts=0, error=None, processed_at=None, retry_at=now)


async def page_deliveries(
    session: Session,
    connection_id: UUID,
    page: Page,
    *,
    state: DeliveryState | None = None,
    kind: str | None = None,
    search: str = "",
) -> tuple[list[Delivery], str | None]:
    """Return a page of a connection's deliveries, and the cursor of the next one if there is more."""
    wanted = search.strip()[:SEARCH_MAX_CHARS].replace("\0", "")
    rows = await store.select_page(session, connection_id, page, state=state, kind=kind, search=wanted)
    return page.cut([_delivery(row) for row in rows], lambda one: (one.received_at, one.id))


def page_of_newest(limit: int, cursor: str | None = None) -> Page:
    """Return the page of the newest deliveries, or the one after the cursor. Raises Invalid."""
    return Page.read(ORDERS["-created_at"], limit, cursor)


async def get_delivery(
    session: Session, connection_id: UUID, delivery_id: UUID, *, with_payload: bool
) -> FullDelivery:
    """Raise NotFound if the connection has no such delivery."""
    row = await store.select_delivery(session, connection_id, delivery_id)
    if row is None:
        raise NotFound
    payload = msgspec.json.decode(row["payload"]) if row["payload"] else None
    if not with_payload:
        return FullDelivery(_delivery(row), None, is_withheld=payload is not None)
    return FullDelivery(_delivery(row), payload)


async def count_deliveries(session: Session, connection_id: UUID, *, now: datetime) -> DeliveryCounts:
    """Count the deliveries of the last 24 hours."""
    found = await store.count_since(session, connection_id, now - COUNTED)
    return DeliveryCounts(
        all=sum(found.values()),
        ok=found.get("processed", 0) + found.get("ignored", 0),
        waiting=found.get("received", 0),
        failed=found.get("failed", 0) + found.get("dead", 0),
    )


async def list_kinds(session: Session, connection_id: UUID, *, now: datetime) -> list[str]:
    """Return the kinds that came in the last 24 hours."""
    return await store.kinds_since(session, connection_id, now - COUNTED)


async def get_health(session: Session, connection_id: UUID) -> HookHealth:
    """Return whether the CRM still reports to us. Raises NotFound."""
    found = await store.select_health(session, connection_id)
    if found is None:
        raise NotFound
    return found


async def _hold(session: Session, connection_id: UUID) -> str:
    host = await store.hold_connection(session, connection_id)
    if host is None:
        raise NotFound
    return host


def _check_account(hook: Hook, webhook: Webhook, host: str) -> None:
    """The number counts; the old form has only the name."""
    named = webhook.account_id
    known = (
        hook.account_id == named
        if named is not None
        else webhook.subdomain in {None, host.split(".", maxsplit=1)[0]}
    )
    if not known:
        raise Forbidden("crm_wrong_account", "This address belongs to another account.")


async def _catch_up(
    session: Session,
    connection_id: UUID,
    webhook: Webhook,
    crm: HooksPort,
    subscribers: Subscribers,
    *,
    now: datetime,
) -> None:
    """Act first on what came earlier of the same chats and failed, if its cause has passed: so order is kept.

    What fails once more waits for its own time, and the later message is not kept waiting for it.
    """
    chats = chats_of(webhook.events)
    if not chats:
        return
    for row in await store.waiting_of(session, connection_id, chats, CATCH_UP):
        outcome = await _again(session, connection_id, row, crm, subscribers, seconds=CATCH_UP_SECONDS)
        if outcome.state in {"processed", "ignored"}:
            end = End(outcome.state, row["attempts"] + 1, outcome.error, processed_at=now)
            await store.update_delivery(session, row["id"], end)


async def _again(
    session: Session,
    connection_id: UUID,
    row: Record,
    crm: HooksPort,
    subscribers: Subscribers,
    *,
    seconds: float = JOB_SECONDS,
) -> Outcome:
    if row["payload"] is None:
        return Outcome("ignored", "forgotten")
    webhook = crm.read_stored(msgspec.json.decode(row["payload"]))
    return await attempt(session, connection_id, webhook, subscribers, seconds=seconds)


async def _end(
    session: Session,
    connection_id: UUID,
    delivery_id: UUID,
    outcome: Outcome,
    *,
    attempts: int,
    now: datetime,
) -> End:
    """Return how an attempt ended; its next one, if there is to be one, leaves as a job."""
    if outcome.state in {"processed", "ignored"}:
        return End(outcome.state, attempts, outcome.error, processed_at=now)
    is_held_up = outcome.state == "received" and attempts <= HELD_UP_MAX
    pause = HELD_UP_PAUSE if is_held_up else retry_delay(attempts)
    if not is_held_up:
        await store.note_failure(session, connection_id, now)
    if pause is None:
        return End("dead", attempts, outcome.error)
    job_id = await session.enqueue(PROCESS, {"delivery_id": str(delivery_id)}, delay=pause)
    state: DeliveryState = "received" if is_held_up else "failed"
    return End(state, attempts, outcome.error, retry_at=now + pause, job_id=job_id)


async def _tell(session: Session, connection_id: UUID) -> None:
    await session.publish(TOPIC, "changed", {"connection_id": str(connection_id)})


def _delivery(row: Record) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__dataclass_fields__})
