"""All SQL of drafts. Tenancy is the database's: no statement names the workspace."""

from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.knowledge.drafts.model import Draft, DraftText, Material, Status, Talk
from gptagent.features.knowledge.staging.model import stages_of
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

_DRAFT = """
select d.id, d.status, d.made_by, d.question, d.talk::text as talk, d.title, d.content, d.conversation_id,
       g.id as gap_id, d.stages, d.article_id, a.title as article_title, d.decided_by, d.decided_at,
       d.created_at, d.updated_at
  from app.knowledge_draft d left join app.gap g on g.id = d.gap_id
       left join app.article a on a.id = d.article_id"""
_LISTED = f"from ({_DRAFT}) draft where status = $1"


async def insert_draft(
    session: Session, conversation_id: UUID, material: Material, text: DraftText, now: datetime
) -> None:
    await session.execute(
        """insert into app.knowledge_draft (id, conversation_id, gap_id, made_by, question, talk, title,
                                            content, stages, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, $10)""",
        new_id(),
        conversation_id,
        material.gap_id,
        text.made_by,
        material.question,
        msgspec.json.encode(material.talks).decode(),
        text.title,
        text.content,
        [str(one) for one in material.stages],
        now,
    )


async def lock_drafts(session: Session) -> None:
    """Let those who propose in a workspace do it one after another, or two would propose the same."""
    await session.execute("select pg_advisory_xact_lock(hashtextextended('drafts|' || app.org()::text, 0))")


async def is_known(session: Session, gap_id: UUID | None, question: str) -> bool:
    """Tell whether the same waits for a decision, or was rejected."""
    return bool(
        await session.fetchval(
            """select exists (select from app.knowledge_draft where status in ('proposed', 'rejected')
                                 and (gap_id = $1 or lower(question) = lower($2)))""",
            gap_id,
            question,
        )
    )


async def fetch_draft(session: Session, draft_id: UUID) -> Draft | None:
    row = await session.fetchrow(f"{_DRAFT} where d.id = $1", draft_id)
    return _draft(row) if row else None


async def find_drafts(session: Session, status: Status, limit: int, offset: int) -> list[Draft]:
    rows = await session.fetch(
        f"select * {_LISTED} order by created_at desc, id desc limit $2 offset $3", status, limit, offset
    )
    return [_draft(row) for row in rows]


async def page_drafts(session: Session, page: Page, status: Status) -> list[Draft]:
    rows = await session.fetch(f"select * {_LISTED} and {page.clause(2)}", status, *page.args)
    return [_draft(row) for row in rows]


async def count_drafts(session: Session) -> dict[str, int]:
    rows = await session.fetch("select status, count(*) as drafts from app.knowledge_draft group by status")
    return {row["status"]: row["drafts"] for row in rows}


async def decide(
    session: Session, draft_id: UUID, status: Status, article_id: UUID | None, now: datetime
) -> bool:
    """Return False if somebody else has decided, or the draft was erased."""
    return bool(
        await session.fetchval(
            """update app.knowledge_draft
                  set status = $2, article_id = $3, decided_by = $4, decided_at = $5, updated_at = $5
                where id = $1 and status = 'proposed' returning true""",
            draft_id,
            status,
            article_id,
            session.scope.actor.id,
            now,
        )
    )


def _draft(row: Record) -> Draft:
    values = dict(row)
    talk = msgspec.json.decode(values.pop("talk"), type=tuple[Talk, ...])
    return Draft(**values | {"stages": stages_of(values["stages"])}, talk=talk)
