"""What is read out of a workspace's base - findings, graph, vectors - for the estate of a tenant."""

from datetime import UTC, datetime
from uuid import UUID

from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id
from isolation.rows import insert

NEVER = datetime(9000, 1, 1, tzinfo=UTC)


async def furnish_findings(session: Session, canary: str, article_id: UUID) -> UUID:
    """A check that begins never ends: no schedule finds the base changed since."""
    finding_id, now = new_id(), utcnow()
    chunk_id = await session.fetchval("select min(id) from app.chunk where article_id = $1", article_id)
    times = {"asked_at": now, "began_at": NEVER, "updated_at": now}
    await insert(session, "base_check", state="done", **times)
    told = {"sentence": canary, "unit": canary, "amounts": [canary]}
    await insert(session, "statement", chunk_id=chunk_id, **told, words=[canary], promises=False)
    await insert(session, "checked_chunk", chunk_id=chunk_id)
    other = {"other_sentence": canary, "other_amounts": [canary], "other_article_id": article_id}
    found = {"kind": "contradiction", "fingerprint": canary, "rank": 1.0, "found_at": now, "checked_at": now}
    await insert(session, "finding", id=finding_id, article_id=article_id, **told, **other, **found)
    return finding_id


async def furnish_graph(session: Session, canary: str) -> dict[str, UUID]:
    """All passages count as read, and nothing is queued: a worker that runs meanwhile finds nothing to do."""
    await session.execute("delete from jobs.pgqueuer where entrypoint = 'knowledge.extract_graph'")
    await session.execute(
        """insert into app.graph_reading (chunk_id, state, method, error_code, updated_at)
           select id, 'done', 'model', $1, now() from app.chunk""",
        canary,
    )
    chunk_id = await session.fetchval("select min(id) from app.chunk")
    entity_id, other_id, fact_id, relation_id = new_id(), new_id(), new_id(), new_id()
    made_at = {"created_at": utcnow(), "updated_at": utcnow()}
    for one in (entity_id, other_id):
        named = {"type": "concept", "name": f"Entity {canary}", "confidence": 1, "is_corrected": True}
        await insert(session, "graph_entity", id=one, **named, not_names=[canary], **made_at)
    alias = {"entity_id": entity_id, "type": "concept", "key": canary, "name": canary, "is_corrected": True}
    await insert(session, "graph_alias", **alias)
    said = {"attribute": canary, "value": canary, "digest": canary, "is_corrected": True}
    await insert(session, "graph_fact", id=fact_id, entity_id=entity_id, **said)
    edge = {"source_id": entity_id, "kind": "uses", "target_id": other_id}
    await insert(session, "graph_relation", id=relation_id, **edge)
    for own in ({"fact_id": fact_id}, {"relation_id": relation_id}):
        await insert(session, "graph_support", chunk_id=chunk_id, **own, name=canary, confidence=1)
    await insert(session, "graph_ignored", digest=canary)
    used = {"calls": 1, "tokens_in": 1, "tokens_out": 1}
    await insert(session, "graph_usage", day=utcnow().date(), **used)
    await insert(session, "graph_settings", daily_tokens=1)
    await session.execute(
        """update app.graph_benefit
              set is_used = true, sample_size = 10, measured_at = now() + interval '1 day',
                  base_changes = 1000000"""
    )
    return {"entity_id": entity_id, "fact_id": fact_id, "relation_id": relation_id}


async def furnish_budgets(session: Session, agent_id: UUID) -> None:
    """What models may cost, what they have, and what a call that goes on may come to."""
    amount = {"micro_usd": 1, "tokens": 1}
    await insert(session, "budget", when_exhausted="quote", version=1, updated_at=utcnow())
    used = {"level": "agent", "subject": agent_id, "period": "day", "began_at": utcnow()}
    await insert(session, "budget_use", **used, **amount)
    await insert(session, "budget_hold", id=new_id(), agent_id=agent_id, expires_at=NEVER, **amount)


async def furnish_vectors(session: Session, canary: str) -> None:
    named = {"base_url": canary, "model": canary, "error_code": canary, "asked_at": NEVER}
    await insert(session, "reranking", **named)
    index_id, made_at = new_id(), {"created_at": utcnow(), "updated_at": utcnow()}
    named = {"base_url": canary, "model": canary, "error_code": canary}
    await insert(session, "vector_index", id=index_id, **named, **made_at, ready_at=utcnow())
    chunk_id = await session.fetchval("select min(id) from app.chunk")
    await session.execute(
        "insert into app.chunk_vector (chunk_id, index_id, embedding) values ($1, $2, $3::text::halfvec)",
        chunk_id,
        index_id,
        "[1]",
    )
