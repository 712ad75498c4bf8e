"""All SQL of checks. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns and constants

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.knowledge.checks.model import (
    Changed,
    Check,
    Finding,
    FindingKind,
    Shown,
    Side,
    Source,
    Statement,
    Told,
)
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page


@dataclass(frozen=True, slots=True)
class Passage:
    """What is read of a base; `above` is its title and heading."""

    chunk_id: int
    above: str
    content: str


@dataclass(frozen=True, slots=True)
class NewFinding:
    """`sides` are one or two: source, sentence, amounts."""

    id: UUID
    kind: FindingKind
    fingerprint: str
    rank: float
    unit: str
    sides: tuple[tuple[Source, str, tuple[str, ...]], ...]


async def fetch_check(session: Session) -> Check | None:
    row = await session.fetchrow(
        """select state, asked_at, ended_at, passages, passages_read, statements, left_out
             from app.base_check"""
    )
    return Check(**row) if row else None


async def queue(session: Session, now: datetime, stale: timedelta) -> bool:
    """Return False if a check waits or goes on already; one that has not moved for `stale` was lost."""
    done = await session.fetchval(
        """insert into app.base_check as c (state, asked_at, updated_at) values ('queued', $1, $1)
           on conflict (org_id) do update
             set state = 'queued', asked_at = $1, updated_at = $1, passages = 0, passages_read = 0
             where c.state not in ('queued', 'running') or c.updated_at < $1 - $2::interval
           returning true""",
        now,
        stale,
    )
    return bool(done)


async def due(session: Session, quiet: timedelta, stale: timedelta, most: int) -> list[UUID]:
    rows = await session.fetch("select org_id from app.checks_due($1, $2, $3)", quiet, stale, most)
    return [row["org_id"] for row in rows]


async def begin(session: Session, now: datetime) -> bool:
    """Return False if no check is wanted any more."""
    done = await session.fetchval(
        """update app.base_check
              set state = 'running', began_at = $1, updated_at = $1, passages_read = 0,
                  passages = (select count(*) from app.chunk c
                                left join app.document d on d.id = c.document_id
                               where d.agent_id is null and not exists
                               (select from app.checked_chunk k where k.chunk_id = c.id))
            where state in ('queued', 'running') returning true""",
        now,
    )
    return bool(done)


async def advance(session: Session, read: int, now: datetime) -> None:
    await session.execute(
        "update app.base_check set passages_read = passages_read + $1, updated_at = $2", read, now
    )


async def end(session: Session, statements: int, left_out: int, now: datetime) -> None:
    await session.execute(
        """update app.base_check
              set state = 'done', ended_at = $3, updated_at = $3, statements = $1, left_out = $2""",
        statements,
        left_out,
        now,
    )


async def fail(session: Session, now: datetime) -> None:
    await session.execute(
        """update app.base_check set state = 'failed', ended_at = $1, updated_at = $1
            where state in ('queued', 'running')""",
        now,
    )


async def unread_passages(session: Session, after: int, limit: int) -> list[Passage]:
    """Return the next passages; none of an agent's own files, which contradict nothing of the others."""
    rows = await session.fetch(
        """select c.id as chunk_id, concat_ws(' ', coalesce(a.title, d.title), c.heading) as above, c.content
             from app.chunk c
                  left join app.article a on a.id = c.article_id
                  left join app.document d on d.id = c.document_id
            where c.id > $1 and d.agent_id is null
              and not exists (select from app.checked_chunk k where k.chunk_id = c.id)
            order by c.id limit $2""",
        after,
        limit,
    )
    return [Passage(**row) for row in rows]


async def hold_passages(session: Session, ids: Sequence[int]) -> set[int]:
    """Return those that are still there, and keep them until the commit."""
    rows = await session.fetch(
        "select id from app.chunk where id = any($1::bigint[]) order by id for key share", list(ids)
    )
    return {row["id"] for row in rows}


async def mark_read(session: Session, ids: Collection[int]) -> set[int]:
    """Return those that no other check has read meanwhile."""
    rows = await session.fetch(
        """insert into app.checked_chunk (chunk_id) select unnest($1::bigint[]) on conflict do nothing
           returning chunk_id""",
        sorted(ids),
    )
    return {row["chunk_id"] for row in rows}


async def forget_facts(session: Session) -> None:
    await session.execute("delete from app.statement where chunk_id is null")


async def insert_statements(session: Session, told: Sequence[tuple[int | UUID, Told, Sequence[str]]]) -> None:
    """Add statements of passages and, by their ids, of facts, with the lexemes of their subjects."""
    await session.executemany(
        """insert into app.statement (chunk_id, fact_id, sentence, unit, amounts, words, promises)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        [
            (
                *((None, by) if isinstance(by, UUID) else (by, None)),
                one.sentence,
                one.unit,
                list(one.amounts),
                list(words),
                one.promises,
            )
            for by, one, words in told
        ],
    )


async def list_statements(session: Session, limit: int) -> list[Statement]:
    """Return all statements, the newest of too many."""
    rows = await session.fetch(
        """with bound as (
             select b.source_id, array_agg(concat_ws(':', t.connection_id, t.pipeline_id, t.stage_id))
                                   filter (where t.source_id is not null) as stages
               from app.staged_source b left join app.source_stage t on t.source_id = b.source_id
              group by b.source_id
             union all
             select f.id, array_agg(concat_ws(':', t.connection_id, t.pipeline_id, t.stage_id))
                            filter (where t.fact_id is not null)
               from app.company_fact f left join app.company_fact_stage t on t.fact_id = f.id
              where not f.is_everywhere group by f.id)
           select s.id, c.article_id, c.document_id, s.fact_id, s.unit, s.amounts, s.words, s.promises,
                  case when b.source_id is not null then coalesce(b.stages, '{}') end as stages,
                  case when not f.is_global
                       then array(select a.agent_id from app.company_fact_agent a where a.fact_id = f.id)
                  end as agents
             from app.statement s left join app.chunk c on c.id = s.chunk_id
                  left join bound b on b.source_id = coalesce(c.article_id, c.document_id, s.fact_id)
                  left join app.company_fact f on f.id = s.fact_id
            order by s.id desc limit $1""",
        limit,
    )
    return [
        Statement(
            id=row["id"],
            source=_source(row),
            unit=row["unit"],
            amounts=tuple(row["amounts"]),
            words=tuple(row["words"]),
            promises=row["promises"],
            stages=None if row["stages"] is None else frozenset(row["stages"]),
            agents=None if row["agents"] is None else frozenset(row["agents"]),
        )
        for row in reversed(rows)
    ]


async def count_statements(session: Session) -> int:
    found: int = await session.fetchval("select count(*) from app.statement")
    return found


async def read_changed(session: Session) -> Changed:
    """Return when each source changed last."""
    rows = await session.fetch(
        """select id as article_id, null::uuid as document_id, null::uuid as fact_id, updated_at
             from app.article
           union all select null, id, null, updated_at from app.document
           union all select null, null, id, updated_at from app.company_fact"""
    )
    return {_source(row): row["updated_at"] for row in rows}


async def sentences(session: Session, ids: Collection[int]) -> dict[int, str]:
    rows = await session.fetch(
        "select id, sentence from app.statement where id = any($1::bigint[])", sorted(ids)
    )
    return {row["id"]: row["sentence"] for row in rows}


async def hold_sources(session: Session, sources: Collection[Source]) -> set[Source]:
    """Return those that are still there, and keep them until the commit."""
    articles = await session.fetch(
        "select id from app.article where id = any($1::uuid[]) order by id for key share",
        sorted(one.id for one in sources if one.kind == "article" and one.id is not None),
    )
    documents = await session.fetch(
        "select id from app.document where id = any($1::uuid[]) order by id for key share",
        sorted(one.id for one in sources if one.kind == "document" and one.id is not None),
    )
    facts = await session.fetch(
        "select id from app.company_fact where id = any($1::uuid[]) order by id for key share",
        sorted(one.id for one in sources if one.kind == "company_facts" and one.id is not None),
    )
    return {
        *(Source("company_facts", row["id"]) for row in facts),
        *(Source("article", row["id"]) for row in articles),
        *(Source("document", row["id"]) for row in documents),
    }


async def save_findings(session: Session, found: Sequence[NewFinding], now: datetime) -> None:
    """Keep what was found and drop what was not any more; what is known stays dismissed."""
    await session.executemany(
        """insert into app.finding as f
             (id, kind, fingerprint, rank, unit, article_id, document_id, fact_id, sentence, amounts,
              other_article_id, other_document_id, other_fact_id, other_sentence, other_amounts, found_at,
              checked_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
           on conflict (org_id, fingerprint) do update
             set rank = excluded.rank, checked_at = excluded.checked_at, fact_id = excluded.fact_id,
                 other_fact_id = excluded.other_fact_id""",
        [(*_columns(one), now) for one in found],
    )
    await session.execute("delete from app.finding where checked_at < $1", now)


_FINDING = """
select f.id, f.kind, f.unit, f.article_id, f.document_id, f.fact_id, f.sentence, f.amounts,
       f.other_article_id, f.other_document_id, f.other_fact_id, f.other_sentence, f.other_amounts,
       f.is_dismissed, f.found_at,
       coalesce(a.title, d.title, '') as title, coalesce(oa.title, od.title, '') as other_title,
       d.url, od.url as other_url,
       coalesce(a.updated_at, d.updated_at, cf.updated_at) as changed_at,
       coalesce(oa.updated_at, od.updated_at, ocf.updated_at) as other_changed_at, f.rank
  from app.finding f
       left join app.article a on a.id = f.article_id left join app.document d on d.id = f.document_id
       left join app.article oa on oa.id = f.other_article_id
       left join app.document od on od.id = f.other_document_id
       left join app.company_fact cf on cf.id = f.fact_id
       left join app.company_fact ocf on ocf.id = f.other_fact_id"""
# Of a row of _FINDING: $1 is what is shown.
_SHOWN = """case $1 when 'dismissed' then is_dismissed
                    when 'stale' then not is_dismissed and kind <> 'contradiction'
                    else not is_dismissed and kind = 'contradiction' end"""


async def find_findings(
    session: Session, shown: Shown, *, limit: int, offset: int
) -> tuple[list[Finding], int]:
    """Return a part of the findings, the surest first, and how many there are."""
    total: int = await session.fetchval(f"select count(*) from app.finding where {_SHOWN}", shown)
    rows = await session.fetch(
        f"""select * from ({_FINDING}) finding where {_SHOWN}
             order by kind = 'old_price', rank desc, id limit $2 offset $3""",
        shown,
        limit,
        offset,
    )
    return [_finding(row) for row in rows], total


async def page_findings(session: Session, page: Page, shown: Shown) -> list[Finding]:
    rows = await session.fetch(
        f"select * from ({_FINDING}) finding where {_SHOWN} and {page.clause(2)}", shown, *page.args
    )
    return [_finding(row) for row in rows]


async def count_findings(session: Session) -> Record | None:
    return await session.fetchrow(
        """select count(*) filter (where not is_dismissed and kind = 'contradiction') as contradictions,
                  count(*) filter (where not is_dismissed and kind <> 'contradiction') as stale,
                  count(*) filter (where is_dismissed) as dismissed from app.finding"""
    )


async def fetch_finding(session: Session, finding_id: UUID) -> Finding | None:
    row = await session.fetchrow(f"{_FINDING} where f.id = $1", finding_id)
    return _finding(row) if row else None


async def set_dismissed(session: Session, finding_id: UUID, *, is_dismissed: bool) -> bool:
    """Return whether it was not so before."""
    done = await session.fetchval(
        "update app.finding set is_dismissed = $2 where id = $1 and is_dismissed <> $2 returning true",
        finding_id,
        is_dismissed,
    )
    return bool(done)


def _columns(one: NewFinding) -> tuple[object, ...]:
    sides = [(*_ids(source), sentence, list(amounts)) for source, sentence, amounts in one.sides] + [
        (None, None, None, None, list[str]())
    ]
    return (one.id, one.kind, one.fingerprint, one.rank, one.unit, *sides[0], *sides[1])


def _ids(source: Source) -> tuple[UUID | None, ...]:
    return tuple(
        source.id if source.kind == kind else None for kind in ("article", "document", "company_facts")
    )


def _source(row: Record, prefix: str = "") -> Source:
    if (article_id := row[f"{prefix}article_id"]) is not None:
        return Source("article", article_id)
    if (document_id := row[f"{prefix}document_id"]) is not None:
        return Source("document", document_id)
    return Source("company_facts", row[f"{prefix}fact_id"])


def _finding(row: Record) -> Finding:
    def side(prefix: str) -> Side:
        return Side(
            _source(row, prefix),
            row[f"{prefix}title"],
            row[f"{prefix}sentence"],
            tuple(row[f"{prefix}amounts"]),
            row[f"{prefix}changed_at"],
            row[f"{prefix}url"],
        )

    return Finding(
        id=row["id"],
        kind=row["kind"],
        unit=row["unit"],
        side=side(""),
        other=side("other_") if row["other_sentence"] is not None else None,
        is_dismissed=row["is_dismissed"],
        found_at=row["found_at"],
    )
