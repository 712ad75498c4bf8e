"""All SQL of reranking. Tenancy is the database's: no statement names the workspace."""

from datetime import timedelta
from uuid import UUID

import asyncpg

from gptagent.features.knowledge.ports import RerankingModel
from gptagent.features.knowledge.reranking.model import Standing, Worth
from gptagent.kernel.db import Session


async def fetch_due(session: Session, model: RerankingModel, pause: timedelta, most: int) -> list[UUID]:
    """Return workspaces, of all, in which the model is to be measured."""
    rows = await session.fetch(
        "select org_id from app.reranking_due($1, $2, $3, $4)", model.base_url, model.name, pause, most
    )
    return [row["org_id"] for row in rows]


async def begin(session: Session, model: RerankingModel) -> None:
    """Note that the model is being measured; what was known of another one is forgotten."""
    await session.execute(
        """insert into app.reranking as r (base_url, model, asked_at) values ($1, $2, clock_timestamp())
           on conflict (org_id) do update
              set base_url = $1, model = $2, asked_at = clock_timestamp(),
                  helps = r.helps and r.base_url = $1 and r.model = $2,
                  is_wanted = r.is_wanted and r.base_url = $1 and r.model = $2,
                  error_code = case when r.base_url = $1 and r.model = $2 then r.error_code end,
                  missed_at = case when r.base_url = $1 and r.model = $2 then r.missed_at end,
                  sample_size = case when r.base_url = $1 and r.model = $2 then r.sample_size end,
                  measured_at = case when r.base_url = $1 and r.model = $2 then r.measured_at end""",
        model.base_url,
        model.name,
    )


async def queue(session: Session, lost_after: timedelta) -> bool:
    """Note that a measurement is queued; False if one is queued or under way already."""
    return bool(
        await session.fetchval(
            """update app.reranking set queued_at = clock_timestamp()
                where queued_at is null or queued_at < now() - $1::interval returning true""",
            lost_after,
        )
    )


async def is_queued(session: Session) -> bool:
    """Tell whether a measurement is still to be made, and let no other job begin it until the commit."""
    return bool(
        await session.fetchval("select true from app.reranking where queued_at is not null for update")
    )


async def save_worth(session: Session, model: RerankingModel, worth: Worth) -> bool:
    """Return False if the model is no longer the one that is measured."""
    return bool(
        await session.fetchval(
            """update app.reranking
                  set sample_size = $3, recall_before = $4, recall_after = $5,
                      mrr_before = $6, mrr_after = $7, helps = $8, refused = $9,
                      measured_at = now(), error_code = null, is_wanted = false, queued_at = null,
                      measured_chunks = coalesce((select chunks from app.lexical_stats), 0),
                      measured_lexemes = coalesce((select lexemes from app.lexical_stats), 0)
                where base_url = $1 and model = $2 returning true""",
            model.base_url,
            model.name,
            worth.sample_size,
            worth.recall_before,
            worth.recall_after,
            worth.mrr_before,
            worth.mrr_after,
            worth.helps,
            worth.refused,
        )
    )


async def let_go(session: Session) -> None:
    """Note that the measurement that was queued has ended, and was of another model."""
    await session.execute("update app.reranking set queued_at = null")


async def note_failed(session: Session, error_code: str) -> None:
    await session.execute(
        """update app.reranking set error_code = $1, asked_at = now(), is_wanted = false, queued_at = null""",
        error_code,
    )


async def note_missed(session: Session) -> None:
    await session.execute("update app.reranking set missed_at = now()")


async def want(session: Session) -> None:
    """Have it measured again; what was measured counts until then."""
    await session.execute("update app.reranking set is_wanted = true")


async def is_used(session: Session, model: RerankingModel) -> bool:
    return bool(
        await session.fetchval(
            "select exists (select from app.reranking where base_url = $1 and model = $2 and helps)",
            model.base_url,
            model.name,
        )
    )


async def fetch_standing(session: Session, model: RerankingModel) -> Standing | None:
    row = await session.fetchrow(
        """select base_url, model, sample_size, recall_before, recall_after, mrr_before, mrr_after, helps,
                  refused, measured_at, error_code, missed_at
             from app.reranking where base_url = $1 and model = $2""",
        model.base_url,
        model.name,
    )
    return _standing(row) if row else None


def _standing(row: asyncpg.Record) -> Standing:
    worth = None
    if row["sample_size"] is not None:
        worth = Worth(
            row["sample_size"],
            row["recall_before"],
            row["recall_after"],
            row["mrr_before"],
            row["mrr_after"],
            row["helps"],
            row["refused"],
        )
    return Standing(
        row["base_url"], row["model"], worth, row["measured_at"], row["error_code"], row["missed_at"]
    )
