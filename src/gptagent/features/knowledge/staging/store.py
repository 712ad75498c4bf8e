"""All SQL of stages that articles and documents are for. Tenancy is the database's."""

# ruff: noqa: S608 - what is put into statements are this module's own parts of them

from collections.abc import Collection
from uuid import UUID

from gptagent.features.knowledge.staging.model import At, StageKey
from gptagent.kernel.db import Session

# Of a source, $source: its stages as `str` of a StageKey has them, and whether it is for every one.
STAGES_OF = """array(select concat_ws(':', t.connection_id, t.pipeline_id, t.stage_id)
                       from app.source_stage t where t.source_id = $source
                      order by t.connection_id, t.pipeline_id, t.stage_id) as stages,
               not exists (select from app.staged_source b where b.source_id = $source) as is_everywhere"""

# What is not for who asks: what is for other stages than the one asked at, $at (its three numbers as texts,
# none of them without a deal; null if stages do not count), and the files of agents other than $agent, which
# is null where no agent asks. They are put before the other parts of a statement.
_SOURCES_ELSEWHERE = """source_elsewhere as (
  select b.source_id as id from app.staged_source b
   where $at::text[] is not null
     and not exists (select from app.source_stage t
                      where t.source_id = b.source_id and t.connection_id = ($at::text[])[1]::uuid
                        and t.pipeline_id = ($at::text[])[2]::bigint
                        and t.stage_id = ($at::text[])[3]::bigint)
  union
  select d.id from app.document d where d.agent_id is not null and d.agent_id is distinct from $agent::uuid
)"""
_CHUNKS_ELSEWHERE = f"""{_SOURCES_ELSEWHERE}, chunk_elsewhere as (
  select c.id from source_elsewhere s join app.chunk c on c.article_id = s.id
  union all select c.id from source_elsewhere s join app.chunk c on c.document_id = s.id
)"""


def sources_elsewhere(first: int) -> str:
    """Return `source_elsewhere`; its parameters, from this number on: where is asked as `said`, the agent."""
    return _SOURCES_ELSEWHERE.replace("$at", f"${first}").replace("$agent", f"${first + 1}")


def chunks_elsewhere(first: int) -> str:
    """Return `source_elsewhere` and its passages, `chunk_elsewhere`, with the same parameters."""
    return _CHUNKS_ELSEWHERE.replace("$at", f"${first}").replace("$agent", f"${first + 1}")


_COUNT_ELSEWHERE = f"""with {chunks_elsewhere(1)}
select count(*) from (select from chunk_elsewhere limit $3) x"""


def said(at: At | None) -> list[str] | None:
    """Return where is asked as the statements take it."""
    if at is None:
        return None
    if at.stage is None:
        return []
    return [str(at.stage.connection_id), str(at.stage.pipeline_id), str(at.stage.stage_id)]


async def has_staged(session: Session) -> bool:
    """Tell whether anything of the base is for some stages only."""
    return bool(await session.fetchval("select exists (select from app.staged_source)"))


async def count_elsewhere(session: Session, at: At | None, agent_id: UUID | None, most: int) -> int:
    """Return how many passages are for other stages or of other agents, `most` if there are more."""
    return int(await session.fetchval(_COUNT_ELSEWHERE, said(at), agent_id, most))


async def known_stages(session: Session, keys: Collection[StageKey]) -> int:
    """Return how many of the stages are in the mirror, whether or not the CRM still has them."""
    count: int = await session.fetchval(
        """select count(*) from app.crm_stage
            where (connection_id, pipeline_id, external_id)
                  in (select * from unnest($1::uuid[], $2::bigint[], $3::bigint[]))""",
        *_columns(keys),
    )
    return count


async def bind_article(session: Session, article_id: UUID, stages: Collection[StageKey]) -> None:
    await _unbind(session, article_id)
    if stages:
        await session.execute(
            "insert into app.staged_source (source_id, article_id) values ($1, $1)", article_id
        )
        await _insert(session, article_id, stages)


async def bind_document(session: Session, document_id: UUID, stages: Collection[StageKey]) -> None:
    await _unbind(session, document_id)
    if stages:
        await session.execute(
            "insert into app.staged_source (source_id, document_id) values ($1, $1)", document_id
        )
        await _insert(session, document_id, stages)


async def copy_to_document(session: Session, document_id: UUID, from_id: UUID) -> None:
    """Have a document be for the stages of another one."""
    await session.execute(
        """insert into app.staged_source (source_id, document_id)
           select $1, $1 from app.staged_source where source_id = $2 on conflict do nothing""",
        document_id,
        from_id,
    )
    await session.execute(
        """insert into app.source_stage (source_id, connection_id, pipeline_id, stage_id)
           select $1, connection_id, pipeline_id, stage_id from app.source_stage where source_id = $2
           on conflict do nothing""",
        document_id,
        from_id,
    )


async def _unbind(session: Session, source_id: UUID) -> None:
    await session.execute("delete from app.staged_source where source_id = $1", source_id)


async def _insert(session: Session, source_id: UUID, stages: Collection[StageKey]) -> None:
    await session.execute(
        """insert into app.source_stage (source_id, connection_id, pipeline_id, stage_id)
           select $1, * from unnest($2::uuid[], $3::bigint[], $4::bigint[])""",
        source_id,
        *_columns(stages),
    )


def _columns(keys: Collection[StageKey]) -> tuple[list[UUID], list[int], list[int]]:
    return (
        [one.connection_id for one in keys],
        [one.pipeline_id for one in keys],
        [one.stage_id for one in keys],
    )
