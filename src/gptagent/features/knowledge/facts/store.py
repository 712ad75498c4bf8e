"""All SQL of facts about the company. Tenancy is the database's: no statement names the workspace."""

from datetime import datetime

from gptagent.features.knowledge.facts.model import CompanyFacts
from gptagent.kernel.db import Session


async def fetch_facts(session: Session) -> CompanyFacts:
    row = await session.fetchrow("select content, version, updated_at from app.company_facts")
    return CompanyFacts(**row) if row else CompanyFacts()


async def save_facts(
    session: Session, content: str, version: int | None, now: datetime
) -> CompanyFacts | None:
    """Return None if there is another version by now; a `version` of None takes any."""
    row = await session.fetchrow(
        """insert into app.company_facts as f (content, version, updated_at)
           select $1, 1, $3 where coalesce($2::int, 0) = 0 or exists (select from app.company_facts)
           on conflict (org_id) do update
             set content = excluded.content, version = f.version + 1, updated_at = excluded.updated_at
           where $2::int is null or f.version = $2
           returning content, version, updated_at""",
        content,
        version,
        now,
    )
    return CompanyFacts(**row) if row else None
