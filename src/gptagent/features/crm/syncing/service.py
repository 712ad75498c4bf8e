"""Verbs on runs: ask for one, see them, begin those that are due."""

from datetime import timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import service as crm
from gptagent.features.crm.events import AccountConnected
from gptagent.features.crm.syncing import store
from gptagent.features.crm.syncing.model import EVERY, PAUSE, STALE, Sync, SyncKind
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import NotFound, RateLimited
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page
from gptagent.kernel.scope import SYSTEM, Scope

RUN = "crm.sync"
ORDERS = {"-created_at": Order("-created_at", "created_at", descending=True)}
KEPT = timedelta(days=180)
MOST_PER_MINUTE = 10
# Of scheduled runs over all workspaces: a worker has 100 places, and replies need them.
MOST_AT_ONCE = 20
BEHIND_REPLIES = -1


async def request_sync(session: Session, connection_id: UUID, kind: SyncKind) -> Sync:
    """Return the run that is under way, or a new one whose job leaves with this transaction.

    Raises NotFound, Conflict for a connection that does not work or is switched off, RateLimited for the
    eleventh in a minute.
    """
    connection = await crm.get_connection(session, connection_id, lock=True)
    crm.check_works(connection)
    await store.fail_stale(session, connection_id, STALE)
    active = await store.select_active(session, connection_id)
    if active is not None:
        return active
    if await store.count_recent(session, connection_id, timedelta(minutes=1)) >= MOST_PER_MINUTE:
        raise RateLimited("sync_too_often", "The CRM was just read. Try again in a minute.", retry_after=60)
    return await _begin(session, connection_id, kind)


async def _begin(session: Session, connection_id: UUID, kind: SyncKind) -> Sync:
    sync_id = new_id()
    await store.insert_sync(session, sync_id, connection_id, kind)
    await session.enqueue(RUN, {"sync_id": str(sync_id)}, priority=BEHIND_REPLIES)
    await session.publish("connections", "changed", {"connection_id": str(connection_id)})
    await store.forget_old(session, connection_id, KEPT)
    if kind == "manual":
        await audit.record(session, Entry("connection.sync_asked", "connection", str(connection_id)))
    return await get_sync(session, connection_id, sync_id)


async def get_sync(session: Session, connection_id: UUID, sync_id: UUID) -> Sync:
    """Raise NotFound if the connection has no such run."""
    sync = await store.select_sync(session, connection_id, sync_id)
    if sync is None:
        raise NotFound
    return sync


async def page_syncs(session: Session, connection_id: UUID, page: Page) -> tuple[list[Sync], str | None]:
    """Return a page of the connection's runs. Raises NotFound if there is no such connection."""
    await crm.get_connection(session, connection_id)
    found = await store.select_page(session, connection_id, page)
    return page.cut(found, lambda one: (one.created_at, one.id))


async def list_syncs(
    session: Session, connection_id: UUID, *, offset: int, limit: int
) -> tuple[list[Sync], int]:
    """Return runs, the latest first, and how many there are."""
    found = await store.select_latest(session, connection_id, offset, limit)
    return found, await store.count_syncs(session, connection_id)


async def on_connected(session: Session, event: AccountConnected) -> None:
    """Read an account as soon as it is connected; nothing here may keep it from being so.

    One that was switched off before stays so, and is not read.
    """
    if not (await crm.get_connection(session, event.connection_id)).is_active:
        return
    await store.fail_stale(session, event.connection_id, STALE)
    if await store.select_active(session, event.connection_id) is None:
        await _begin(session, event.connection_id, "first")


async def queue_due_syncs(db: Database, *, most: int = MOST_AT_ONCE) -> int:
    """Begin runs of connections that were not read for a day, the longest unread first. Returns how many.

    Several workers may do so at once: each looks again under the connection's lock.
    """
    async with db.installation() as session:
        due = await store.connections_to_sync(session, EVERY, PAUSE, STALE, most)
    begun = 0
    for row in due:
        async with db.session(Scope(row["org_id"], SYSTEM)) as session:
            begun += await _begin_if_due(session, row["connection_id"])
    return begun


async def _begin_if_due(session: Session, connection_id: UUID) -> bool:
    try:
        connection = await crm.get_connection(session, connection_id, lock=True)
    except NotFound:
        return False
    is_wanted = connection.status == "connected" and connection.is_active and connection.reads_daily
    if not is_wanted or not await store.is_due(session, connection_id, EVERY, PAUSE, STALE):
        return False
    await store.fail_stale(session, connection_id, STALE)
    await _begin(session, connection_id, "scheduled")
    return True
