"""All SQL of the graph's names in the search. Tenancy is the database's: no statement names the workspace."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.knowledge.naming.benefit import Benefit, GraphUse
from gptagent.features.knowledge.naming.model import Naming
from gptagent.kernel.db import Session

NAMES_MAX = 20  # of a question that are looked at, the longest first
OTHERS_MAX = 100  # names of the same entities


async def find_names(session: Session, lexemes: Sequence[str], *, always: bool) -> list[Naming]:
    """Return the names of entities that these words hold, with the entities' other names.

    There are none where they are not used, unless `always`. A name is in the graph only as long as a passage
    says it or a person has confirmed it.
    """
    rows = await session.fetch(
        """with said as (
             select a.entity_id, a.name, a.lexemes from app.graph_alias a
              where ($2 or exists (select from app.graph_benefit where is_used))
                and a.lexemes[1] = any($1::text[]) and a.lexemes <@ $1::text[]
              order by cardinality(a.lexemes) desc, a.id limit $3
           )
           select s.name, s.lexemes, o.name as other, o.lexemes as other_lexemes
             from said s join app.graph_alias o on o.entity_id = s.entity_id
            where o.lexemes <> s.lexemes and cardinality(o.lexemes) > 0
            order by cardinality(s.lexemes) desc, s.name, o.id limit $4""",
        list(lexemes),
        always,
        NAMES_MAX,
        OTHERS_MAX,
    )
    return [
        Naming(row["name"], frozenset(row["lexemes"]), row["other"], frozenset(row["other_lexemes"]))
        for row in rows
    ]


async def fetch_use(session: Session) -> GraphUse:
    row = await session.fetchrow(
        """select is_used, sample_size, named, recall_without, recall_with, mrr_without, mrr_with,
                  measured_at, queued_at, failed_at from app.graph_benefit"""
    )
    if row is None:
        return GraphUse()
    values = dict(row)
    measured_at, queued_at = values.pop("measured_at"), values.pop("queued_at")
    failed_at = values.pop("failed_at")
    benefit = Benefit(**values) if values["sample_size"] is not None else None
    return GraphUse(benefit, measured_at, queued_at is not None, failed_at)


async def queue(session: Session, now: datetime, patience: timedelta) -> bool:
    """Note that a measurement waits. False if one does already, for less than `patience`."""
    return bool(
        await session.fetchval(
            """insert into app.graph_benefit as b (changed_at, queued_at) values ($1, $1)
               on conflict (org_id) do update set queued_at = excluded.queued_at
                where b.queued_at is null or b.queued_at < $1 - $2::interval returning true""",
            now,
            patience,
        )
    )


async def note_failed(session: Session, now: datetime) -> None:
    """Note that the measurement that waited has failed: the schedule begins none for an hour."""
    await session.execute("update app.graph_benefit set queued_at = null, failed_at = $1", now)


async def count_changes(session: Session) -> int:
    """Return how many passages came and went, ever."""
    return int(await session.fetchval("select coalesce((select changes from app.lexical_stats), 0)"))


async def save_benefit(session: Session, benefit: Benefit, begun_at: datetime, base_changes: int) -> None:
    values = asdict(benefit)
    await session.execute(
        """update app.graph_benefit
              set is_used = $1, sample_size = $2, named = $3, recall_without = $4, recall_with = $5,
                  mrr_without = $6, mrr_with = $7, measured_at = $8, base_changes = $9, queued_at = null,
                  failed_at = null""",
        *values.values(),
        begun_at,
        base_changes,
    )


async def fetch_due(session: Session, rest: timedelta, most: int) -> list[UUID]:
    """Return workspaces, of all, whose names have to be measured."""
    rows = await session.fetch("select org_id from app.graphs_to_measure($1, $2)", rest, most)
    return [row["org_id"] for row in rows]
