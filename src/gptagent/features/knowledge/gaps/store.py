"""All SQL of gaps. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns and constants

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.features.knowledge.gaps.model import Asked, Gap, Kind, Question, Share, Status, View
from gptagent.features.knowledge.staging.model import At, at_of, stages_of, text_of
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_GAP = """
select g.id, first.text as title, g.status, g.article_id, a.title as article_title, q.questions, q.not_found,
       q.weak, q.customers, q.stages, q.last_asked_at, g.created_at, g.updated_at
  from app.gap g
       join lateral (select count(*) as questions, count(*) filter (where kind = 'not_found') as not_found,
                            count(*) filter (where kind = 'weak') as weak,
                            count(distinct customer) as customers, max(asked_at) as last_asked_at,
                            coalesce(array_agg(distinct stage order by stage) filter (where stage <> ''),
                                     '{}') as stages
                       from app.asked_question where gap_id = g.id) q on q.questions > 0
       join lateral (select text from app.asked_question where gap_id = g.id
                      order by asked_at, turn_id limit 1) first on true
       left join app.article a on a.id = g.article_id"""
# Of a row of _GAP: $1 is the view.
_SHOWN = """case $1 when 'dismissed' then status = 'dismissed' when 'done' then status = 'answered'
                    when 'not_found' then status = 'open' and not_found > 0
                    when 'weak' then status = 'open' and not_found = 0 else status = 'open' end"""
_HOLDS = """($2 = '' or exists (select from app.asked_question s
                                 where s.gap_id = gap.id and strpos(lower(s.text), lower($2)) > 0))"""
_LISTED = f"from ({_GAP}) gap where {_SHOWN} and {_HOLDS}"
_QUESTION = """select turn_id, conversation_id, kind, support, text, asked_at, categories, stage
                 from app.asked_question"""
SORTS = {
    "": "questions desc, last_asked_at desc, id",
    "questions": "questions, last_asked_at, id",
    "-questions": "questions desc, last_asked_at desc, id",
    "asked": "last_asked_at, id",
    "-asked": "last_asked_at desc, id",
    "customers": "customers, last_asked_at, id",
    "-customers": "customers desc, last_asked_at desc, id",
}


async def lock_gaps(session: Session) -> None:
    """Let turns of the workspace choose their gaps one after another, or two would begin the same one."""
    await session.execute("select pg_advisory_xact_lock(hashtextextended('gaps|' || app.org()::text, 0))")


async def find_near(session: Session, ranges: Sequence[tuple[str, str]], limit: int) -> dict[UUID, list[str]]:
    """Return the words of the gaps that have most words in these ranges [low, high)."""
    low, high = zip(*ranges, strict=True)
    rows = await session.fetch(
        """with hit as (
             select w.gap_id, count(distinct r.n) as shared
               from unnest($1::text[], $2::text[]) with ordinality as r (low, high, n)
                    join app.gap_word w on w.lexeme >= r.low collate "C" and w.lexeme < r.high collate "C"
              group by w.gap_id order by shared desc, w.gap_id limit $3)
           select w.gap_id, array_agg(w.lexeme order by w.lexeme) as words
             from hit join app.gap_word w on w.gap_id = hit.gap_id group by w.gap_id""",
        list(low),
        list(high),
        limit,
    )
    return {row["gap_id"]: row["words"] for row in rows}


async def insert_gap(session: Session, gap_id: UUID, now: datetime) -> None:
    await session.execute("insert into app.gap (id, created_at, updated_at) values ($1, $2, $2)", gap_id, now)


async def insert_words(session: Session, gap_id: UUID, turn_id: UUID, words: Sequence[str]) -> None:
    await session.execute(
        "insert into app.gap_word (lexeme, gap_id, turn_id) select w, $1, $2 from unnest($3::text[]) w",
        gap_id,
        turn_id,
        list(words),
    )


async def is_known(session: Session, turn_id: UUID) -> bool:
    return bool(
        await session.fetchval("select exists (select from app.asked_question where turn_id = $1)", turn_id)
    )


async def insert_question(
    session: Session, asked: Asked, kind: Kind, *, gap_id: UUID | None, text: str, words: Sequence[str]
) -> None:
    """A turn that is known already stays as it is."""
    await session.execute(
        """insert into app.asked_question
             (turn_id, conversation_id, customer, kind, support, gap_id, text, words, asked_at, categories,
              stage)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing""",
        asked.turn_id,
        asked.conversation_id,
        asked.customer,
        kind,
        asked.support,
        gap_id,
        text,
        list(words),
        asked.asked_at,
        asked.categories,
        text_of(asked.at),
    )


async def delete_questions(session: Session, turn_ids: Sequence[UUID]) -> None:
    await session.execute("delete from app.asked_question where turn_id = any($1)", list(turn_ids))


async def reopen(session: Session, gap_id: UUID, now: datetime) -> None:
    """Show an answered gap as open again."""
    await session.execute(
        """update app.gap set status = 'open', updated_at = $2
            where id = (select id from app.gap where id = $1 and status = 'answered'
                           for no key update skip locked)""",
        gap_id,
        now,
    )


async def set_status(
    session: Session, gap_id: UUID, status: Status, now: datetime, article_id: UUID | None = None
) -> None:
    """Without an article the one it has stays."""
    await session.execute(
        """update app.gap set status = $2, article_id = coalesce($4, article_id), updated_at = $3
            where id = $1""",
        gap_id,
        status,
        now,
        article_id,
    )


async def set_article(session: Session, gap_id: UUID, article_id: UUID | None, now: datetime) -> None:
    await session.execute(
        "update app.gap set article_id = $2, updated_at = $3 where id = $1", gap_id, article_id, now
    )


async def reopen_of_article(session: Session, article_id: UUID, now: datetime) -> None:
    """The article is about to be deleted: what it answered is open again."""
    await session.execute(
        """update app.gap set status = case status when 'answered' then 'open' else status end,
                  article_id = null, updated_at = $2
            where article_id = $1""",
        article_id,
        now,
    )


async def lock_of_article(session: Session, article_id: UUID, after: UUID | None, limit: int) -> list[Record]:
    """Return id and status of the next gaps that wait for an article, or are answered by it."""
    return await session.fetch(
        """select id, status from app.gap
            where article_id = $1 and status <> 'dismissed' and ($2::uuid is null or id > $2)
            order by id limit $3 for no key update""",
        article_id,
        after,
        limit,
    )


async def has_gaps(session: Session, article_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            """select exists (select from app.gap where article_id = $1 and status <> 'dismissed')""",
            article_id,
        )
    )


async def lock_gap(session: Session, gap_id: UUID) -> None:
    await session.execute("select from app.gap where id = $1 for no key update", gap_id)


async def fetch_gap(session: Session, gap_id: UUID) -> Gap | None:
    row = await session.fetchrow(f"{_GAP} where g.id = $1", gap_id)
    return _gap(row) if row else None


async def find_gaps(
    session: Session, view: View, search: str, *, sort: str, limit: int, offset: int
) -> tuple[list[Gap], int]:
    """Return a part of the gaps of a view, and how many there are."""
    total: int = await session.fetchval(f"select count(*) {_LISTED}", view, search)
    rows = await session.fetch(
        f"select * {_LISTED} order by {SORTS[sort]} limit $3 offset $4", view, search, limit, offset
    )
    return [_gap(row) for row in rows], total


async def page_gaps(session: Session, page: Page, view: View, search: str) -> list[Gap]:
    rows = await session.fetch(
        f"select * {_LISTED} and {page.clause(3)}",
        view,
        search,
        *page.args,
    )
    return [_gap(row) for row in rows]


async def count_views(session: Session) -> Record | None:
    """Return how many gaps each view has."""
    return await session.fetchrow(
        f"""select count(*) filter (where status = 'open') as open,
                   count(*) filter (where status = 'open' and not_found > 0) as not_found,
                   count(*) filter (where status = 'open' and not_found = 0) as weak,
                   count(*) filter (where status = 'dismissed') as dismissed,
                   count(*) filter (where status = 'answered') as done
              from ({_GAP}) gap"""
    )


async def list_questions(session: Session, gap_id: UUID, limit: int) -> list[Question]:
    rows = await session.fetch(
        f"{_QUESTION} where gap_id = $1 order by asked_at desc, turn_id desc limit $2",
        gap_id,
        limit,
    )
    return [_question(row) for row in rows]


async def page_questions(session: Session, page: Page, gap_id: UUID) -> list[Question]:
    rows = await session.fetch(
        f"{_QUESTION} where gap_id = $1 and {page.clause(2)}",
        gap_id,
        *page.args,
    )
    return [_question(row) for row in rows]


async def category_asked(session: Session, gap_id: UUID) -> UUID | None:
    """Return a category of the part that the latest question was asked of; None for all of the base."""
    found: UUID | None = await session.fetchval(
        """select c.id
             from (select categories from app.asked_question where gap_id = $1
                    order by asked_at desc, turn_id desc limit 1) latest,
                  unnest(latest.categories) with ordinality as asked (id, n)
                  join app.category c on c.id = asked.id
            order by asked.n limit 1""",
        gap_id,
    )
    return found


async def places_asked(session: Session, gap_id: UUID) -> list[At]:
    """Return where a gap was asked about, as far as that is known."""
    rows = await session.fetch(
        "select distinct stage from app.asked_question where gap_id = $1 and stage is not null", gap_id
    )
    return [at for row in rows if (at := at_of(row["stage"]))]


async def place_of_turns(session: Session, turns: Sequence[UUID]) -> At | None:
    """Return where the latest of these turns was asked, if that is known."""
    return at_of(
        await session.fetchval(
            """select stage from app.asked_question where turn_id = any($1) and stage is not null
                order by asked_at desc, turn_id desc limit 1""",
            list(turns),
        )
    )


async def find_asked(session: Session, turns: Sequence[UUID]) -> UUID | None:
    """Return the gap of the latest of these turns that has one."""
    found: UUID | None = await session.fetchval(
        """select gap_id from app.asked_question where turn_id = any($1) and gap_id is not null
            order by asked_at desc, turn_id desc limit 1""",
        list(turns),
    )
    return found


async def shares(session: Session, since: datetime) -> list[Share]:
    rows = await session.fetch(
        """select (asked_at at time zone 'UTC')::date as day,
                  count(*) filter (where kind = 'found') as found,
                  count(*) filter (where kind = 'weak') as weak,
                  count(*) filter (where kind = 'not_found') as not_found
             from app.asked_question where asked_at >= $1 group by 1 order by 1""",
        since,
    )
    return [Share(**row) for row in rows]


async def hold_gap(session: Session, gap_id: UUID) -> bool:
    """Keep a gap from being deleted until the commit. False if it is gone."""
    found = await session.fetchval("select true from app.gap where id = $1 for key share", gap_id)
    return bool(found)


def _question(row: Record) -> Question:
    values = dict(row)
    asked, at = values.pop("categories"), at_of(values.pop("stage"))
    return Question(**values, categories=None if asked is None else tuple(asked), at=at)


def _gap(row: Record) -> Gap:
    values = dict(row)
    return Gap(**values | {"stages": stages_of(values["stages"])})
