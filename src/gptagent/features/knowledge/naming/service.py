"""The verbs of the graph's names in the search. What they add is told by `measuring`, in `jobs`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.naming import store
from gptagent.features.knowledge.naming.benefit import Benefit, GraphUse
from gptagent.features.knowledge.naming.model import Naming, longest
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.scope import SYSTEM, Scope

MEASURE_JOB = "knowledge.measure_graph"
LIVE_TOPIC = "graph"
REST = timedelta(minutes=2)  # a graph that is still being read is not measured
PATIENCE = timedelta(hours=1)  # with a measurement that was queued: its job died without a word
MOST_AT_ONCE = 20


async def find_names(session: Session, lexemes: Sequence[str], *, always: bool = False) -> list[Naming]:
    """Return what these words of a question call by a name that the graph knows others for, if names are used
    in this base or `always`.
    """
    return longest(await store.find_names(session, lexemes, always=always)) if lexemes else []


async def get_use(session: Session) -> GraphUse:
    """Return whether the names are used in this base, and what told so."""
    return await store.fetch_use(session)


async def measure_again(session: Session, *, now: datetime) -> bool:
    """Have it measured in the background. False if it is about to be."""
    if not await queue_measuring(session, now=now):
        return False
    await audit.record(session, Entry("graph.measured", "graph", ""))
    return True


async def queue_measuring(session: Session, *, now: datetime) -> bool:
    """Have the names measured in the background. False if they are about to be."""
    if not await store.queue(session, now, PATIENCE):
        return False
    await session.enqueue(MEASURE_JOB, {})
    await session.publish(LIVE_TOPIC, "changed", {})
    return True


async def queue_due_measurements(db: Database) -> int:
    """Have names measured that changed, or whose base did, and are at rest. Returns in how many bases."""
    async with db.installation() as session:
        due = await store.fetch_due(session, REST, MOST_AT_ONCE)
    begun = 0
    for org_id in due:
        async with db.session(Scope(org_id, SYSTEM)) as session:
            begun += await queue_measuring(session, now=utcnow())
    return begun


async def record(session: Session, benefit: Benefit, *, begun_at: datetime, base_changes: int) -> None:
    """From now on the names are used if they help. What changed since `begun_at` is measured later."""
    await store.save_benefit(session, benefit, begun_at, base_changes)
    await session.publish(LIVE_TOPIC, "changed", {})


async def give_up(session: Session, *, now: datetime) -> None:
    """Nothing is learnt; what was known stays. It is tried again in an hour, or as soon as somebody asks."""
    await store.note_failed(session, now)
    await session.publish(LIVE_TOPIC, "changed", {})
