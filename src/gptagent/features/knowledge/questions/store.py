"""All SQL of questions. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.categories.store import asked_of, chunks_within, sources_within
from gptagent.features.knowledge.questions.calibration import Figures, Outcome, Run
from gptagent.features.knowledge.questions.model import Asked, Excerpt, Expected, Question
from gptagent.features.knowledge.staging.store import chunks_elsewhere, sources_elsewhere
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page


async def fetch_expecting(session: Session, limit: int) -> list[Asked]:
    """Return saved questions with the sources that they expect; those that expect none are left out."""
    rows = await session.fetch(
        """select q.text, array_agg(coalesce(s.article_id, s.document_id)) as sources
             from app.knowledge_question q join app.knowledge_question_source s on s.question_id = q.id
            group by q.id, q.text order by q.id desc limit $1""",
        limit,
    )
    return [Asked(row["text"], frozenset(), frozenset(row["sources"])) for row in rows]


async def choose_excerpts(session: Session, limit: int) -> list[Excerpt]:
    """Return passages spread over the whole base: the same ones as long as it holds the same. None is of an
    agent's own file, which others do not find; the release before, of which this is asked too, knows none.
    """
    rows = await session.fetch(
        """with chosen as (
             select id, article_id, document_id, ordinal, heading, content from app.chunk c
              where not exists (select from app.document o
                                 where o.id = c.document_id and to_jsonb(o) ->> 'agent_id' is not null)
              order by md5(coalesce(article_id, document_id)::text || ordinal), id limit $1
           )
           select c.id, coalesce(c.article_id, c.document_id) as source_id, c.content,
                  coalesce(nullif(c.heading, ''), a.title, '') as heading,
                  array(select s.id from app.chunk s
                         where (s.article_id = c.article_id or s.document_id = c.document_id)
                           and s.heading = c.heading) as siblings,
                  array(select n.id from app.chunk n
                         where (n.article_id = c.article_id or n.document_id = c.document_id)
                           and n.ordinal between c.ordinal - 1 and c.ordinal + 1 order by n.id) as near,
                  array(select n.content from app.chunk n
                         where (n.article_id = c.article_id or n.document_id = c.document_id)
                           and n.ordinal between c.ordinal - 1 and c.ordinal + 1 order by n.id) as told
             from chosen c left join app.article a on a.id = c.article_id
            order by md5(coalesce(c.article_id, c.document_id)::text || c.ordinal), c.id""",
        limit,
    )
    doubles = await _doubles(session, [row["id"] for row in rows])
    return [
        Excerpt(
            chunk_id=row["id"],
            source_id=row["source_id"],
            heading=row["heading"],
            content=row["content"],
            siblings=frozenset(row["siblings"]),
            around=(
                *zip(row["near"], row["told"], strict=True),
                *((other, row["content"]) for other in doubles.get(row["id"], ())),
            ),
        )
        for row in rows
    ]


async def _doubles(session: Session, chunk_ids: list[int]) -> dict[int, list[int]]:
    """Return which other passages say the same, word for word."""
    rows = await session.fetch(
        """select c.id, array_agg(o.id) as others
             from app.chunk c join app.chunk o on o.content = c.content and o.id <> c.id
            where c.id = any($1::bigint[]) group by c.id""",
        chunk_ids,
    )
    return {row["id"]: row["others"] for row in rows}


_OPENING_PASSAGES = 200  # the latest: enough for a handful of different headings
_LATEST = f"""select c.heading, c.article_id, c.document_id, c.id from app.chunk c
               order by c.id desc limit {_OPENING_PASSAGES}"""
_LATEST_WITHIN = f"""select c.heading, c.article_id, c.document_id, c.id
                       from chunk_within w join app.chunk c on c.id = w.id
                      order by c.id desc limit {_OPENING_PASSAGES}"""
_HEADINGS = """select coalesce(nullif(l.heading, ''), a.title, d.title) as heading from latest l
                 left join app.article a on a.id = l.article_id
                 left join app.document d on d.id = l.document_id order by l.id desc"""
_HEADINGS_OF_ALL = f"with latest as ({_LATEST}) {_HEADINGS}"
_LATEST_HERE = f"""select c.heading, c.article_id, c.document_id, c.id from app.chunk c
                    where c.id not in (select id from chunk_elsewhere)
                    order by c.id desc limit {_OPENING_PASSAGES}"""
_HEADINGS_HERE = f"""with {chunks_elsewhere(1)}, latest as ({_LATEST_HERE}) {_HEADINGS}"""
_HEADINGS_WITHIN = f"""with recursive {chunks_within(1)},
  latest as ({_LATEST_WITHIN}) {_HEADINGS}"""
_OPENING = "select text from app.knowledge_question order by id desc limit $1"
_OPENING_HERE = f"""with {sources_elsewhere(2)}
  select q.text from app.knowledge_question q
   where not exists (select from app.knowledge_question_source s where s.question_id = q.id)
      or exists (select from app.knowledge_question_source s
                  where s.question_id = q.id
                    and coalesce(s.article_id, s.document_id) not in (select id from source_elsewhere))
   order by q.id desc limit $1"""
_OPENING_WITHIN = f"""with recursive {sources_within(2)}
  select q.text from app.knowledge_question q
   where exists (select from app.knowledge_question_source s
                   join source_within w on w.id in (s.article_id, s.document_id)
                  where s.question_id = q.id)
   order by q.id desc limit $1"""


async def opening_texts(session: Session, limit: int, part: Within | None) -> list[str]:
    """Return saved questions, newest first; of a part of the base those that expect a source in it, of what
    is not for other stages those too that expect none.
    """
    statement, asked = asked_of(part, _OPENING, _OPENING_HERE, _OPENING_WITHIN)
    rows = await session.fetch(statement, limit, *asked)
    return [row["text"] for row in rows]


async def latest_headings(session: Session, part: Within | None) -> list[str]:
    """Return over what the latest passages stand, also of a part of the base; a heading may come often."""
    statement, asked = asked_of(part, _HEADINGS_OF_ALL, _HEADINGS_HERE, _HEADINGS_WITHIN)
    rows = await session.fetch(statement, *asked)
    return [row["heading"] for row in rows]


_QUESTION = """q.id, q.text, q.created_at, q.updated_at,
  array(select coalesce(s.article_id, s.document_id) from app.knowledge_question_source s
         where s.question_id = q.id order by 1) as ids,
  array(select case when s.article_id is null then 'document' else 'article' end
          from app.knowledge_question_source s where s.question_id = q.id
         order by coalesce(s.article_id, s.document_id)) as kinds,
  array(select coalesce(a.title, d.title) from app.knowledge_question_source s
               left join app.article a on a.id = s.article_id left join app.document d on d.id = s.document_id
         where s.question_id = q.id order by coalesce(s.article_id, s.document_id)) as titles"""


async def list_questions(session: Session, limit: int) -> list[Question]:
    rows = await session.fetch(
        f"select {_QUESTION} from app.knowledge_question q order by q.id desc limit $1", limit
    )
    return [_question(row) for row in rows]


async def page_questions(session: Session, page: Page) -> list[Question]:
    rows = await session.fetch(
        f"select {_QUESTION} from app.knowledge_question q where {page.clause(1)}", *page.args
    )
    return [_question(row) for row in rows]


async def shared_titles(session: Session, titles: Collection[str]) -> set[tuple[str, str]]:
    """Return kind and title, in small letters, of those that several sources of a kind have."""
    rows = await session.fetch(
        """select kind, title from (
             select 'article' as kind, lower(title) as title from app.article
             union all select 'document', lower(title) from app.document where agent_id is null) named
            where title = any(select lower(t) from unnest($1::text[]) t)
            group by kind, title having count(*) > 1""",
        list(titles),
    )
    return {(row["kind"], row["title"]) for row in rows}


async def find_named(
    session: Session, names: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[UUID]]:
    """Return what has these titles or ids, each with its kind."""
    kinds = [kind for kind, _name in names]
    rows = await session.fetch(
        """with wanted as (select distinct kind, name from unnest($1::text[], $2::text[]) as w (kind, name)),
                source as (select 'article' as kind, id, title from app.article
                           union all select 'document', id, title from app.document where agent_id is null)
           select w.kind, w.name, s.id from wanted w join source s on s.kind = w.kind
                  and lower(s.title) = lower(w.name)
           union select w.kind, w.name, s.id from wanted w join source s on s.kind = w.kind
                  and s.id::text = lower(w.name)""",
        kinds,
        [name for _kind, name in names],
    )
    found: dict[tuple[str, str], list[UUID]] = {}
    for row in rows:
        found.setdefault((row["kind"], row["name"]), []).append(row["id"])
    return found


async def find_titles(session: Session, text: str, limit: int) -> list[Expected]:
    """Return articles and documents with this in their title, of each kind up to `limit`."""
    rows = await session.fetch(
        """(select 'article' as kind, id, title from app.article
             where strpos(lower(title), lower($1)) > 0 order by title, id limit $2)
           union all
           (select 'document', id, title from app.document
             where agent_id is null and strpos(lower(title), lower($1)) > 0 order by title, id limit $2)""",
        text,
        limit,
    )
    return [Expected(row["kind"], row["id"], row["title"]) for row in rows]


async def touch_text(session: Session, text: str, now: datetime) -> UUID:
    """Return the id of the saved question with this text. Raises LookupError if there is none."""
    found: UUID | None = await session.fetchval(
        "update app.knowledge_question set updated_at = $2 where lower(text) = lower($1) returning id",
        text,
        now,
    )
    if found is None:
        raise LookupError("the question was there a statement ago")
    return found


async def fetch_question(session: Session, question_id: UUID) -> Question | None:
    row = await session.fetchrow(
        f"select {_QUESTION} from app.knowledge_question q where q.id = $1", question_id
    )
    return _question(row) if row else None


async def count_questions(session: Session) -> int:
    found: int = await session.fetchval("select count(*) from app.knowledge_question")
    return found


async def insert_question(session: Session, question_id: UUID, text: str, now: datetime) -> bool:
    """Return False if the same question is there already."""
    return bool(
        await session.fetchval(
            """insert into app.knowledge_question (id, text, actor_kind, actor_id, created_at, updated_at)
               values ($1, $2, $3, $4, $5, $5) on conflict do nothing returning true""",
            question_id,
            text,
            session.scope.actor.kind,
            session.scope.actor.id,
            now,
        )
    )


async def touch_question(session: Session, question_id: UUID, now: datetime) -> bool:
    """Keep the question for this transaction. False if there is none."""
    return bool(
        await session.fetchval(
            "update app.knowledge_question set updated_at = $2 where id = $1 returning true", question_id, now
        )
    )


async def delete_question(session: Session, question_id: UUID) -> bool:
    return bool(
        await session.fetchval("delete from app.knowledge_question where id = $1 returning true", question_id)
    )


async def set_sources(session: Session, question_id: UUID, sources: Collection[UUID]) -> int:
    """Expect these articles and documents; return how many of them there are."""
    await session.execute("delete from app.knowledge_question_source where question_id = $1", question_id)
    rows = await session.fetch(
        """insert into app.knowledge_question_source (question_id, article_id, document_id)
           select $1::uuid, a.id, null from app.article a where a.id = any($2::uuid[])
           union all select $1::uuid, null, d.id from app.document d
                      where d.id = any($2::uuid[]) and d.agent_id is null
           returning true""",
        question_id,
        list(sources),
    )
    return len(rows)


_RUN = """id, state, is_saved, questions, coalesce(threshold, 0) as threshold, figures::text as figures,
          results::text as results, created_at, ended_at, legs, error_code"""


async def queue_run(session: Session, run_id: UUID, now: datetime) -> bool:
    """Return False if one is queued already."""
    return bool(
        await session.fetchval(
            """insert into app.knowledge_run (id, changes, created_at)
               select $1, coalesce((select changes from app.lexical_stats), 0), $2
               on conflict do nothing returning true""",
            run_id,
            now,
        )
    )


async def end_run(
    session: Session,
    run_id: UUID,
    outcomes: Sequence[Outcome],
    *,
    figures: Figures,
    threshold: float,
    is_saved: bool,
    legs: Sequence[str],
    now: datetime,
) -> bool:
    """Return False if it has ended already."""
    return bool(
        await session.fetchval(
            """update app.knowledge_run
                  set state = 'done', is_saved = $2, questions = $3, threshold = $4, figures = $5::jsonb,
                      results = $6::jsonb, ended_at = $7, legs = $8
                where id = $1 and state = 'queued' returning true""",
            run_id,
            is_saved,
            len(outcomes),
            threshold,
            msgspec.json.encode(asdict(figures)).decode(),
            msgspec.json.encode([asdict(one) for one in outcomes]).decode(),
            now,
            list(legs),
        )
    )


async def fail_run(session: Session, run_id: UUID, error_code: str, now: datetime) -> bool:
    return bool(
        await session.fetchval(
            """update app.knowledge_run set state = 'failed', ended_at = $3, error_code = $2
                where id = $1 and state = 'queued' returning true""",
            run_id,
            error_code,
            now,
        )
    )


async def forget_runs(session: Session, keep: int) -> None:
    await session.execute(
        """delete from app.knowledge_run
            where id not in (select id from app.knowledge_run order by id desc limit $1)""",
        keep,
    )


async def list_runs(session: Session, limit: int, *, done: bool = False) -> list[Run]:
    rows = await session.fetch(
        f"""select {_RUN} from app.knowledge_run where not $2 or state = 'done' order by id desc limit $1""",
        limit,
        done,
    )
    return [_run(row) for row in rows]


async def page_runs(session: Session, page: Page) -> list[Run]:
    rows = await session.fetch(f"select {_RUN} from app.knowledge_run where {page.clause(1)}", *page.args)
    return [_run(row) for row in rows]


async def fetch_run(session: Session, run_id: UUID) -> Run | None:
    row = await session.fetchrow(f"select {_RUN} from app.knowledge_run where id = $1", run_id)
    return _run(row) if row else None


async def bases_to_measure(session: Session, rest: timedelta, most: int) -> list[UUID]:
    rows = await session.fetch("select org_id from app.bases_to_measure($1, $2)", rest, most)
    return [row["org_id"] for row in rows]


def _question(row: asyncpg.Record) -> Question:
    sources = zip(row["kinds"], row["ids"], row["titles"], strict=True)
    expected = tuple(Expected(*one) for one in sources)
    return Question(row["id"], row["text"], expected, row["created_at"], row["updated_at"])


def _run(row: asyncpg.Record) -> Run:
    values = dict(row)
    figures = msgspec.json.decode(values.pop("figures"), type=Figures)
    results = msgspec.json.decode(values.pop("results"), type=tuple[Outcome, ...])
    legs = tuple(values.pop("legs"))
    return Run(**values, figures=figures, results=results, legs=legs)
