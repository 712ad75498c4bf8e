"""How long a workspace keeps what, and the forgetting itself."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import timedelta

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import service as crm
from gptagent.features.privacy import store
from gptagent.features.privacy.model import MIN_DAYS, RETENTION_MAX_DAYS, Retention
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import FieldError, Invalid
from gptagent.kernel.scope import SYSTEM, Scope

BATCH_ROWS = 500
BATCHES = 20  # of one kind in one workspace and one round; what is left waits for the next one

LAPSED_KEPT = timedelta(days=1)  # what has a last day is told to nobody after it
ERASED_KNOWN = timedelta(days=30)  # Kommo and amoCRM repeat a delivery for an hour or so

Forget = Callable[[Session, timedelta, int], Awaitable[int]]
# What goes by which period, in this order: a deal's copy only once its chats are gone.
_KINDS: tuple[tuple[str, str, Forget], ...] = (
    ("conversations", "conversations", store.forget_conversations),
    ("tasks", "conversations", store.forget_tasks),
    ("actions", "conversations", store.forget_actions),
    ("deals", "conversations", store.forget_deals),
    ("contacts", "conversations", crm.forget_contacts),
    ("events", "events", store.forget_events),
    ("deliveries", "deliveries", store.forget_deliveries),
    ("answers", "answers", store.forget_answers),
    ("replays", "answers", store.forget_replays),
    ("suggestions", "answers", store.forget_suggestions),
    ("traces", "answers", store.forget_traces),
    ("rehearsals", "answers", store.forget_rehearsals),
    ("memories", "memories", store.forget_memories),
)


async def get_retention(session: Session) -> Retention:
    """Return what the workspace has chosen; what it has not is as the platform sets it."""
    return Retention(**await store.select_retention(session))


async def set_retention(session: Session, changes: Mapping[str, int | None]) -> Retention:
    """Change some of the periods. Raises Invalid on a period that is too short or too long."""
    faults = [
        FieldError(
            name,
            "From {low} to {high} days, or empty to keep it for ever.",
            {"low": MIN_DAYS[name], "high": RETENTION_MAX_DAYS},
        )
        for name, days in changes.items()
        if days is not None and not MIN_DAYS[name] <= days <= RETENTION_MAX_DAYS
    ]
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    before = asdict(await get_retention(session))
    after = {**before, **changes}
    changed = {name: (before[name], days) for name, days in after.items() if days != before[name]}
    if changed:
        await store.update_retention(session, after)
        entry = Entry("retention.changed", "workspace", str(session.scope.org_id), changed)
        await audit.record(session, entry)
    return Retention(**after)


async def apply_retention(db: Database) -> int:
    """Delete in every workspace what its periods are over for. Returns how many rows went.

    Each batch is a transaction of its own. A conversation in which a reply is waited for stays.
    """
    async with db.installation() as session:
        workspaces = await store.workspaces(session)
    gone = 0
    for org_id in workspaces:
        gone += await _tidy(db, Scope(org_id, SYSTEM))
    return gone


async def _tidy(db: Database, scope: Scope) -> int:
    async with db.session(scope) as session:
        periods = asdict(await get_retention(session))
    # A delivery holds a message's words: it is kept no longer than the chat.
    limits = [days for days in (periods["events"], periods["conversations"]) if days is not None]
    periods["deliveries"] = min(limits, default=None)
    counts = {
        kind: await _forget(db, scope, forget, timedelta(days=periods[period]))
        for kind, period, forget in _KINDS
        if periods[period] is not None
    }
    await _forget(db, scope, store.forget_erased, ERASED_KNOWN)
    await _forget(db, scope, store.forget_lapsed_memories, LAPSED_KEPT)
    done = {kind: (count, 0) for kind, count in counts.items() if count}
    if done:
        async with db.session(scope) as session:
            await audit.record(session, Entry("retention.applied", "workspace", str(scope.org_id), done))
    return sum(counts.values())


async def _forget(db: Database, scope: Scope, forget: Forget, age: timedelta) -> int:
    total = 0
    for _ in range(BATCHES):
        async with db.session(scope) as session:
            count = await forget(session, age, BATCH_ROWS)
        total += count
        if count < BATCH_ROWS:
            break
    return total
