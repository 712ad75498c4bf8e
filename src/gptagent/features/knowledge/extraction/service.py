"""The verbs of reading passages into the graph."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.inference import service as inference
from gptagent.features.inference.model import ModelReply
from gptagent.features.knowledge.extraction import store
from gptagent.features.knowledge.graph import store as graph
from gptagent.features.knowledge.graph.model import (
    DAILY_TOKENS_MAX,
    Excerpt,
    Findings,
    FoundEntity,
    Method,
    Progress,
    digest_of,
    normalise,
)
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid
from gptagent.kernel.ids import new_id

EXTRACT_JOB = "knowledge.extract_graph"
BEHIND_REPLIES = -1
TRIES = 3  # of a passage by itself whose answer cannot be understood
CLAIM = timedelta(minutes=2)  # a call takes half a minute at most; a killed reader's passages wait that long


async def queue_source(session: Session, source_id: UUID, *, delay: timedelta = timedelta(0)) -> None:
    """Have the passages of an article or document read that are not; leaves with the transaction."""
    payload = {"source_id": str(source_id)}
    await session.enqueue(EXTRACT_JOB, payload, delay=delay, priority=BEHIND_REPLIES)


async def queue_sources(session: Session, source_ids: Sequence[UUID]) -> None:
    """Have the passages of many sources read, queued at once: a base may have thousands."""
    payloads = [{"source_id": str(source_id)} for source_id in source_ids]
    await session.enqueue_all(EXTRACT_JOB, payloads, priority=BEHIND_REPLIES)


async def hold_off(session: Session) -> None:
    """Have nothing read until the commit, by which many passages are replaced."""
    await store.hold_off(session)


async def claim_passages(session: Session, passages: Sequence[Excerpt], *, now: datetime) -> list[Excerpt]:
    """Return those of the passages that are now the caller's to read, for the time of CLAIM."""
    attempts = await store.claim(session, [one.chunk_id for one in passages], now, now + CLAIM)
    return [
        Excerpt(one.chunk_id, one.title, one.heading, one.content, attempts[one.chunk_id], one.is_alone)
        for one in passages
        if one.chunk_id in attempts
    ]


async def record_findings(
    session: Session,
    read: Sequence[tuple[Excerpt, Findings]],
    method: Method,
    *,
    now: datetime,
) -> None:
    """Put what was found in passages into the graph, in the place of what an earlier reading found.

    A reading that is outdated, or whose passage is gone, changes nothing.
    """
    await graph.lock_graph(session)
    await store.hold_passages(session, [excerpt.chunk_id for excerpt, _findings in read])
    touched: set[UUID] = set()
    for excerpt, findings in read:
        if await store.finish(session, excerpt, method, now):
            touched |= await _record(session, excerpt.chunk_id, findings, now)
    await graph.settle(session, touched)


async def record_call(session: Session, reply: ModelReply, *, now: datetime) -> None:
    """Account for a call: in the workspace's use of models, and in what the graph has used today."""
    await inference.record_usage(session, None, reply, "graph")
    await store.add_usage(session, now.astimezone(UTC).date(), reply.tokens_in, reply.tokens_out)


async def is_spent(session: Session, *, now: datetime) -> bool:
    """Tell whether today's budget (UTC) is used up. Calls under way may go over it by their own length."""
    return await store.tokens_left(session, now.astimezone(UTC).date()) <= 0


async def get_progress(session: Session, *, now: datetime) -> Progress:
    """Return how far the reading of the base is, what it used and what failed."""
    progress = await store.read_progress(session, now.astimezone(UTC).date())
    return replace(progress, cost_micro_usd=await inference.sum_cost(session, "graph"))


async def read_anew(session: Session, *, now: datetime, failed_only: bool = False) -> int:
    """Have every passage read again, or only those that failed; return of how many sources.

    What people have corrected stays.
    """
    sources = await store.reset(session, now, failed_only=failed_only)
    await queue_sources(session, sources)
    await audit.record(session, Entry("graph.read_anew", "graph", ""))
    return len(sources)


async def set_budget(session: Session, daily_tokens: int) -> None:
    """Bound what a day's reading may use; what waits goes on. Raises Invalid."""
    if not 0 <= daily_tokens <= DAILY_TOKENS_MAX:
        raise Invalid.field("daily_tokens", "Write a number from 0 to {max}.", max=DAILY_TOKENS_MAX)
    before = await store.save_budget(session, daily_tokens)
    if before == daily_tokens:
        return
    if daily_tokens > before:
        await queue_sources(session, await store.waiting_sources(session))
    changes = {"daily_tokens": (before, daily_tokens)}
    await audit.record(session, Entry("graph.budget_changed", "graph", "", changes))


async def _record(session: Session, chunk_id: int, findings: Findings, now: datetime) -> set[UUID]:
    """Write one passage's findings; return the entities they are about."""
    ignored = await store.ignored(session, [digest_of(*one.identity) for one in findings.entities])
    ids: dict[tuple[str, str], UUID] = {}
    kept: list[int] = []
    for found in findings.entities:
        if digest_of(*found.identity) not in ignored:
            ids[found.identity] = await _entity(session, chunk_id, found, kept, now)
    for edge in findings.relations:
        source, target = ids.get(edge.source), ids.get(edge.target)
        if source is not None and target is not None and source != target:
            relation = await store.upsert_relation(session, new_id(), source, edge.kind, target)
            kept.append(await store.support(session, chunk_id, edge.confidence, relation_id=relation))
    await store.drop_other_support(session, chunk_id, kept)
    return set(ids.values())


async def _entity(
    session: Session, chunk_id: int, found: FoundEntity, kept: list[int], now: datetime
) -> UUID:
    """Find or make the entity and note all that the passage says of it; `kept` collects the notes."""
    key = normalise(found.name)
    known = await store.find_alias(session, found.type, key)
    if known is None:
        entity_id = new_id()
        await store.insert_entity(session, entity_id, found, now)
        alias_id = await store.insert_alias(session, entity_id, found.type, key, found.name, is_main=True)
    else:
        alias_id, entity_id = known
    names = {alias_id: found.name}
    for alias in found.aliases:
        other = await _alias(session, entity_id, found, alias)
        if other is not None:
            names.setdefault(other, alias)
    for alias_id, name in names.items():
        kept.append(await store.support(session, chunk_id, found.confidence, alias_id=alias_id, name=name))
    for fact in found.facts:
        fact_id = await store.upsert_fact(session, new_id(), entity_id, fact)
        kept.append(await store.support(session, chunk_id, fact.confidence, fact_id=fact_id))
    return entity_id


async def _alias(session: Session, entity_id: UUID, found: FoundEntity, alias: str) -> int | None:
    """Return the entity's alias of this name; None if the name is another entity's or was taken off."""
    key = normalise(alias)
    known = await store.find_alias(session, found.type, key)
    if known is not None:
        return known[0] if known[1] == entity_id else None
    digest = digest_of(found.type, key)
    if (
        not key
        or await store.ignored(session, [digest])
        or await store.is_no_name(session, entity_id, digest)
    ):
        return None
    return await store.insert_alias(session, entity_id, found.type, key, alias, is_main=False)
