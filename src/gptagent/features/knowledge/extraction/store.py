"""All SQL of reading passages, but those of agents' own files: what the graph knows is every agent's.

Tenancy is the database's: no statement names the workspace.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from gptagent.features.knowledge.graph.model import (
    DAILY_TOKENS,
    Excerpt,
    FailedSource,
    FoundEntity,
    FoundFact,
    Method,
    Progress,
    fact_digest,
)
from gptagent.kernel.db import Session

FAILURES_SHOWN = 20


async def next_passages(session: Session, source_id: UUID, now: datetime, limit: int) -> list[Excerpt]:
    """Return passages of a source whose turn it is: those of a reader that was killed come again."""
    rows = await session.fetch(
        """select c.id as chunk_id, coalesce(a.title, d.title) as title, c.heading, c.content,
                  coalesce(r.attempts, 0) as attempts, coalesce(r.is_alone, false) as is_alone
             from app.chunk c left join app.graph_reading r on r.chunk_id = c.id
             left join app.article a on a.id = c.article_id left join app.document d on d.id = c.document_id
            where (c.article_id = $1 or c.document_id = $1) and d.agent_id is null
              and (r.chunk_id is null or r.state = 'waiting'
                   or (r.state = 'running' and r.claimed_until < $2))
            order by coalesce(r.is_alone, false), c.ordinal limit $3""",
        source_id,
        now,
        limit,
    )
    return [Excerpt(**row) for row in rows]


async def hold_off(session: Session) -> None:
    """Have no passages read until the commit: who replaces those of a document holds the graph for long."""
    await session.execute(
        "select pg_advisory_xact_lock(hashtextextended('graph replacing|' || app.org()::text, 0))"
    )


async def is_held_off(session: Session) -> bool:
    return not await session.fetchval(
        """select pg_try_advisory_xact_lock_shared(
                    hashtextextended('graph replacing|' || app.org()::text, 0))"""
    )


async def claim(
    session: Session, chunk_ids: Collection[int], now: datetime, until: datetime
) -> dict[int, int]:
    """Begin to read passages; return those that nobody else reads, with the number of the attempt."""
    rows = await session.fetch(
        """insert into app.graph_reading as r (chunk_id, state, attempts, claimed_until, updated_at)
           select id, 'running', 1, $3, $2 from app.chunk where id = any($1::bigint[])
           on conflict (org_id, chunk_id) do update
             set state = 'running', attempts = r.attempts + 1, claimed_until = excluded.claimed_until,
                 updated_at = excluded.updated_at
           where r.state = 'waiting' or (r.state = 'running' and r.claimed_until < $2)
           returning chunk_id, attempts""",
        list(chunk_ids),
        now,
        until,
    )
    return {row["chunk_id"]: row["attempts"] for row in rows}


async def is_being_read(session: Session, source_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            """select exists (select from app.graph_reading r join app.chunk c on c.id = r.chunk_id
                               where r.state = 'running' and (c.article_id = $1 or c.document_id = $1))""",
            source_id,
        )
    )


async def finish(session: Session, excerpt: Excerpt, method: Method, now: datetime) -> bool:
    """Note that a passage is read. False if this attempt is outdated or the passage is gone."""
    return bool(
        await session.fetchval(
            """update app.graph_reading
                  set state = 'done', method = $3, error_code = null, is_alone = false, claimed_until = null,
                      updated_at = $4
                where chunk_id = $1 and attempts = $2 and state = 'running' returning true""",
            excerpt.chunk_id,
            excerpt.attempts,
            method,
            now,
        )
    )


async def set_back(
    session: Session, excerpts: Sequence[Excerpt], error_code: str, now: datetime, *, give_up_after: int
) -> None:
    """Let passages wait for another try, each by itself; one that has spoilt so many tries fails."""
    await session.execute(
        """update app.graph_reading r
              set state = case when r.is_alone and r.failures + 1 >= $4 then 'failed' else 'waiting' end,
                  failures = r.failures + 1, is_alone = true, error_code = $3, claimed_until = null,
                  updated_at = $5
             from unnest($1::bigint[], $2::int[]) as x (id, attempt)
            where r.chunk_id = x.id and r.attempts = x.attempt and r.state = 'running'""",
        [one.chunk_id for one in excerpts],
        [one.attempts for one in excerpts],
        error_code,
        give_up_after,
        now,
    )


async def release(session: Session, excerpts: Sequence[Excerpt], error_code: str, now: datetime) -> None:
    """Let passages wait as if they had not been tried: nothing is wrong with them.

    The number of the attempt stays, so that whoever comes late with one that is outdated changes nothing.
    """
    await session.execute(
        """update app.graph_reading r
              set state = 'waiting', error_code = $3, claimed_until = null, updated_at = $4
             from unnest($1::bigint[], $2::int[]) as x (id, attempt)
            where r.chunk_id = x.id and r.attempts = x.attempt and r.state = 'running'""",
        [one.chunk_id for one in excerpts],
        [one.attempts for one in excerpts],
        error_code,
        now,
    )


async def fail_source(session: Session, source_id: UUID, now: datetime) -> None:
    """Mark what is still to be read of a source as failed, with the reason of its latest try."""
    await session.execute(
        """with own as (
              select c.id, r.state, r.error_code from app.chunk c
                left join app.graph_reading r on r.chunk_id = c.id
               where c.article_id = $1 or c.document_id = $1
            ), reason as (select coalesce(max(error_code), 'internal') as code from own)
            insert into app.graph_reading as r (chunk_id, state, error_code, updated_at)
            select own.id, 'failed', reason.code, $2 from own, reason
             where own.state is null or own.state in ('waiting', 'running')
            on conflict (org_id, chunk_id) do update
              set state = 'failed', error_code = coalesce(r.error_code, excluded.error_code),
                  claimed_until = null, updated_at = excluded.updated_at""",
        source_id,
        now,
    )


async def reset(session: Session, now: datetime, *, failed_only: bool) -> list[UUID]:
    """Let passages wait for another reading; return the sources with any that wait."""
    await session.execute(
        """update app.graph_reading
              set state = 'waiting', attempts = attempts + 1, failures = 0, is_alone = false,
                  error_code = null, updated_at = $2
            where state = 'failed' or (state = 'done' and not $1)""",
        failed_only,
        now,
    )
    return await waiting_sources(session)


async def waiting_sources(session: Session) -> list[UUID]:
    """Return the articles and documents with passages that wait."""
    rows = await session.fetch(
        """select distinct coalesce(c.article_id, c.document_id) as id
             from app.chunk c left join app.graph_reading r on r.chunk_id = c.id
             left join app.document d on d.id = c.document_id
            where d.agent_id is null and (r.chunk_id is null or r.state = 'waiting')"""
    )
    return [row["id"] for row in rows]


async def add_usage(session: Session, day: date, tokens_in: int, tokens_out: int) -> None:
    await session.execute(
        """insert into app.graph_usage as u (day, calls, tokens_in, tokens_out) values ($1, 1, $2, $3)
           on conflict (org_id, day) do update
             set calls = u.calls + 1, tokens_in = u.tokens_in + excluded.tokens_in,
                 tokens_out = u.tokens_out + excluded.tokens_out""",
        day,
        tokens_in,
        tokens_out,
    )


async def tokens_left(session: Session, day: date) -> int:
    """Return how much of the day's budget is left; negative if the last call went over it."""
    found: int = await session.fetchval(
        """select coalesce((select daily_tokens from app.graph_settings), $2)
                  - coalesce((select tokens_in + tokens_out from app.graph_usage where day = $1), 0)""",
        day,
        DAILY_TOKENS,
    )
    return found


async def save_budget(session: Session, daily_tokens: int) -> int:
    """Return what it was before."""
    old: int | None = await session.fetchval("select daily_tokens from app.graph_settings")
    await session.execute(
        """insert into app.graph_settings (daily_tokens) values ($1)
           on conflict (org_id) do update set daily_tokens = excluded.daily_tokens""",
        daily_tokens,
    )
    return DAILY_TOKENS if old is None else old


async def read_progress(session: Session, day: date) -> Progress:
    counts = await session.fetchrow(
        """select count(*) filter (where r.state = 'done')::int as done,
                  count(*) filter (where r.state = 'failed')::int as failed,
                  count(*) filter (where r.state is null
                                      or r.state in ('waiting', 'running'))::int as waiting,
                  count(*) filter (where r.state = 'done' and r.method = 'model')::int as by_model,
                  count(*) filter (where r.state = 'waiting'
                                      and r.error_code = 'budget_exhausted')::int as unpaid
             from app.chunk c left join app.graph_reading r on r.chunk_id = c.id
             left join app.document d on d.id = c.document_id where d.agent_id is null"""
    )
    used = await session.fetchrow(
        """select coalesce(sum(calls), 0)::int as calls, coalesce(sum(tokens_in), 0)::bigint as tokens_in,
                  coalesce(sum(tokens_out), 0)::bigint as tokens_out,
                  coalesce(sum(tokens_in + tokens_out) filter (where day = $1), 0)::bigint as tokens_today,
                  coalesce((select daily_tokens from app.graph_settings), $2) as daily_tokens
             from app.graph_usage""",
        day,
        DAILY_TOKENS,
    )
    failures = await session.fetch(
        """select case when c.article_id is null then 'document' else 'article' end as kind,
                  coalesce(c.article_id, c.document_id) as id, max(coalesce(a.title, d.title)) as title,
                  count(*)::int as passages, max(r.error_code) as error_code
             from app.graph_reading r join app.chunk c on c.id = r.chunk_id
             left join app.article a on a.id = c.article_id left join app.document d on d.id = c.document_id
            where r.state = 'failed' group by c.article_id, c.document_id
            order by max(r.updated_at) desc, 2 limit $1""",
        FAILURES_SHOWN,
    )
    failed = tuple(FailedSource(**one) for one in failures)
    return Progress(**dict(counts or {}), **dict(used or {}), failures=failed)


async def ignored(session: Session, digests: Collection[str]) -> set[str]:
    """Return those of the digests whose entity a person has deleted."""
    rows = await session.fetch(
        "select digest from app.graph_ignored where digest = any($1::text[])", list(digests)
    )
    return {row["digest"] for row in rows}


async def is_no_name(session: Session, entity_id: UUID, digest: str) -> bool:
    """Tell whether a person has taken this name off the entity."""
    return bool(
        await session.fetchval(
            "select $2 = any(not_names) from app.graph_entity where id = $1", entity_id, digest
        )
    )


async def find_alias(session: Session, kind: str, key: str) -> tuple[int, UUID] | None:
    row = await session.fetchrow(
        "select id, entity_id from app.graph_alias where type = $1 and key = $2", kind, key
    )
    return (row["id"], row["entity_id"]) if row else None


async def insert_entity(session: Session, entity_id: UUID, found: FoundEntity, now: datetime) -> None:
    await session.execute(
        """insert into app.graph_entity (id, type, name, confidence, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $5)""",
        entity_id,
        found.type,
        found.name,
        found.confidence,
        now,
    )


async def insert_alias(
    session: Session, entity_id: UUID, kind: str, key: str, name: str, *, is_main: bool
) -> int:
    found: int = await session.fetchval(
        """insert into app.graph_alias (entity_id, type, key, name, is_main)
           values ($1, $2, $3, $4, $5) returning id""",
        entity_id,
        kind,
        key,
        name,
        is_main,
    )
    return found


async def upsert_fact(session: Session, fact_id: UUID, entity_id: UUID, fact: FoundFact) -> UUID:
    """Return the fact's id; a person's correction of it stays, one without a validity takes a new one."""
    found: UUID = await session.fetchval(
        """insert into app.graph_fact as f (id, entity_id, attribute, value, valid_from, valid_until, digest)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (org_id, entity_id, digest) do update
             set valid_from = case when f.is_corrected or f.is_removed then f.valid_from
                                   else coalesce(f.valid_from, excluded.valid_from) end,
                 valid_until = case when f.is_corrected or f.is_removed then f.valid_until
                                    else coalesce(f.valid_until, excluded.valid_until) end
           returning id""",
        fact_id,
        entity_id,
        fact.attribute,
        fact.value,
        fact.valid_from,
        fact.valid_until,
        fact_digest(fact.attribute, fact.value),
    )
    return found


async def upsert_relation(
    session: Session, relation_id: UUID, source_id: UUID, kind: str, target_id: UUID
) -> UUID:
    found: UUID = await session.fetchval(
        """insert into app.graph_relation (id, source_id, kind, target_id) values ($1, $2, $3, $4)
           on conflict (org_id, source_id, kind, target_id) do update set kind = excluded.kind
           returning id""",
        relation_id,
        source_id,
        kind,
        target_id,
    )
    return found


async def support(
    session: Session,
    chunk_id: int,
    confidence: float,
    *,
    alias_id: int | None = None,
    fact_id: UUID | None = None,
    relation_id: UUID | None = None,
    name: str = "",
) -> int:
    """Note that a passage says it; return the note's id."""
    found: int = await session.fetchval(
        """insert into app.graph_support (chunk_id, alias_id, fact_id, relation_id, name, confidence)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (org_id, chunk_id, alias_id, fact_id, relation_id) do update
             set name = excluded.name, confidence = excluded.confidence returning id""",
        chunk_id,
        alias_id,
        fact_id,
        relation_id,
        name,
        confidence,
    )
    return found


async def drop_other_support(session: Session, chunk_id: int, kept: Collection[int]) -> None:
    """Take away what a passage said at an earlier reading and does not say now."""
    await session.execute(
        "delete from app.graph_support where chunk_id = $1 and id <> all($2::bigint[])", chunk_id, list(kept)
    )


async def hold_passages(session: Session, ids: Collection[int]) -> None:
    """Keep passages from being deleted until the commit.

    Only under the graph's lock, for whoever deletes passages takes that first too.
    """
    await session.execute(
        "select from app.chunk where id = any($1::bigint[]) order by id for key share", list(ids)
    )
