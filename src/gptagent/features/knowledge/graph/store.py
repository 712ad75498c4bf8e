"""SQL of the graph as people read and correct it. Tenancy is the database's: none names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from gptagent.features.knowledge.graph.model import (
    Entity,
    Fact,
    FactText,
    Origin,
    Relation,
    RelationKind,
    digest_of,
)
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_ENTITY = """e.id, e.type, e.name, e.confidence, e.is_corrected, e.version, e.created_at, e.updated_at,
  (select count(*)::int from app.graph_fact f where f.entity_id = e.id and not f.is_removed) as facts,
  (select count(*)::int from app.graph_relation r where r.source_id = e.id and not r.is_removed)
    + (select count(*)::int from app.graph_relation r where r.target_id = e.id and not r.is_removed)
    as relations,
  (select count(distinct s.chunk_id)::int from app.graph_alias a join app.graph_support s on s.alias_id = a.id
    where a.entity_id = e.id) as sources"""
_FITS = """($1 = '' or strpos(lower(e.name), lower($1)) > 0 or exists (
    select from app.graph_alias a where a.entity_id = e.id and strpos(lower(a.name), lower($1)) > 0))
  and ($2::text is null or e.type = $2)"""
_FACTS = """
  select f.id, f.attribute, f.value, f.valid_from, f.valid_until, f.is_corrected,
         (select count(*)::int from app.graph_support s where s.fact_id = f.id) as sources
    from app.graph_fact f where f.entity_id = $1 and not f.is_removed"""
_RELATIONS = """
  select r.id, r.kind, r.source_id = $1 as is_outgoing, o.id as other_id, o.name as other_name,
         o.type as other_type, r.is_corrected
    from app.graph_relation r
    join app.graph_entity o on o.id = case r.source_id when $1 then r.target_id else r.source_id end
   where $1 in (r.source_id, r.target_id) and not r.is_removed"""


async def lock_graph(session: Session) -> None:
    """Keep other writers of this workspace's graph waiting until the commit."""
    await session.execute("select pg_advisory_xact_lock(hashtextextended('graph ' || app.org()::text, 0))")


async def find_entities(
    session: Session, search: str, kind: str | None, limit: int, offset: int
) -> list[Entity]:
    """Return entities by name; `search` is part of the name or of an alias."""
    rows = await session.fetch(
        f"""select {_ENTITY} from app.graph_entity e where {_FITS}
             order by lower(e.name), e.id limit $3 offset $4""",
        search,
        kind,
        limit,
        offset,
    )
    return [Entity(**row) for row in rows]


async def page_entities(session: Session, page: Page, search: str, kind: str | None) -> list[Entity]:
    rows = await session.fetch(
        f"""select * from (select {_ENTITY} from app.graph_entity e where {_FITS}) e
             where {page.clause(3)}""",
        search,
        kind,
        *page.args,
    )
    return [Entity(**row) for row in rows]


async def count_types(session: Session, search: str) -> dict[str, int]:
    """Return how many entities of each type fit."""
    rows = await session.fetch(
        f"select e.type, count(*)::int as found from app.graph_entity e where {_FITS} group by e.type",
        search,
        None,
    )
    return {row["type"]: row["found"] for row in rows}


async def fetch_entity(session: Session, entity_id: UUID, *, lock: bool = False) -> Entity | None:
    if lock:
        await session.execute("select from app.graph_entity where id = $1 for update", entity_id)
    row = await session.fetchrow(f"select {_ENTITY} from app.graph_entity e where e.id = $1", entity_id)
    return Entity(**row) if row else None


async def list_aliases(session: Session, entity_id: UUID) -> list[str]:
    """Return the names of an entity, each once, the first one first."""
    rows = await session.fetch(
        """select name from app.graph_alias where entity_id = $1
            group by name order by bool_or(is_main) desc, name""",
        entity_id,
    )
    return [row["name"] for row in rows]


async def list_facts(session: Session, entity_id: UUID, limit: int, offset: int) -> list[Fact]:
    rows = await session.fetch(
        f"{_FACTS} order by f.attribute, f.value, f.id limit $2 offset $3", entity_id, limit, offset
    )
    return [Fact(**row) for row in rows]


async def page_facts(session: Session, entity_id: UUID, page: Page) -> list[Fact]:
    rows = await session.fetch(f"select * from ({_FACTS}) f where {page.clause(2)}", entity_id, *page.args)
    return [Fact(**row) for row in rows]


async def list_relations(session: Session, entity_id: UUID, limit: int, offset: int) -> list[Relation]:
    rows = await session.fetch(
        f"{_RELATIONS} order by r.source_id <> $1, r.kind, lower(o.name), r.id limit $2 offset $3",
        entity_id,
        limit,
        offset,
    )
    return [Relation(**row) for row in rows]


async def page_relations(session: Session, entity_id: UUID, page: Page) -> list[Relation]:
    rows = await session.fetch(
        f"select * from ({_RELATIONS}) r where {page.clause(2)}", entity_id, *page.args
    )
    return [Relation(**row) for row in rows]


async def list_origins(session: Session, entity_id: UUID, limit: int) -> list[Origin]:
    """Return passages that name an entity, the surest first."""
    rows = await session.fetch(
        """select c.id as chunk_id, case when c.article_id is null then 'document' else 'article' end
                    as source_kind,
                  coalesce(c.article_id, c.document_id) as source_id,
                  coalesce(a.title, d.title) as source_title,
                  coalesce(a.version, d.version) as version, c.heading, c.page, s.name as written_as
             from (select s.chunk_id, max(s.confidence) as confidence, min(s.name) as name
                     from app.graph_alias n join app.graph_support s on s.alias_id = n.id
                    where n.entity_id = $1 group by s.chunk_id) s
             join app.chunk c on c.id = s.chunk_id
             left join app.article a on a.id = c.article_id left join app.document d on d.id = c.document_id
            order by s.confidence desc, c.id limit $2""",
        entity_id,
        limit,
    )
    return [Origin(**row) for row in rows]


async def alias_owner(session: Session, kind: str, key: str) -> UUID | None:
    found: UUID | None = await session.fetchval(
        "select entity_id from app.graph_alias where type = $1 and key = $2", kind, key
    )
    return found


async def hold_names(session: Session, entity_id: UUID, now: datetime) -> None:
    """Note that a person has corrected something: the entity's names stay its own when it is read anew."""
    await session.execute("update app.graph_alias set is_corrected = true where entity_id = $1", entity_id)
    await session.execute(
        "update app.graph_entity set version = version + 1, updated_at = $2 where id = $1", entity_id, now
    )


async def rename_entity(session: Session, entity_id: UUID, kind: str, key: str, name: str) -> None:
    await session.execute(
        "update app.graph_entity set type = $2, name = $3, is_corrected = true where id = $1",
        entity_id,
        kind,
        name,
    )
    await session.execute("update app.graph_alias set is_main = false where entity_id = $1", entity_id)
    await session.execute(
        """insert into app.graph_alias (entity_id, type, key, name, is_main, is_corrected)
           values ($1, $2, $3, $4, true, true)
           on conflict (org_id, type, key) do update set name = excluded.name, is_main = true""",
        entity_id,
        kind,
        key,
        name,
    )
    await settle_names(session, entity_id)


async def take_off(session: Session, entity_id: UUID, name: str) -> bool:
    """Delete a name of an entity, and keep its digests by which it is not read as one again."""
    rows = await session.fetch(
        "delete from app.graph_alias where entity_id = $1 and name = $2 returning type, key", entity_id, name
    )
    await session.execute(
        "update app.graph_entity set not_names = not_names || $2::text[] where id = $1",
        entity_id,
        [digest_of(row["type"], row["key"]) for row in rows],
    )
    return bool(rows)


async def settle_names(session: Session, entity_id: UUID) -> None:
    """Forget of a name that an entity has that it was taken off once."""
    rows = await session.fetch("select type, key from app.graph_alias where entity_id = $1", entity_id)
    await session.execute(
        """update app.graph_entity
              set not_names = array(select distinct n from unnest(not_names) n where n <> all($2::text[]))
            where id = $1 and not_names && $2::text[]""",
        entity_id,
        [digest_of(row["type"], row["key"]) for row in rows],
    )


_MERGE = (
    """update app.graph_entity e set not_names = e.not_names || o.not_names
         from app.graph_entity o where e.id = $1 and o.id = $2""",
    "update app.graph_alias set entity_id = $1, is_main = false, is_corrected = true where entity_id = $2",
    # Of a fact that both have, the passages; any other as it is.
    """insert into app.graph_support (chunk_id, fact_id, name, confidence)
       select s.chunk_id, k.id, s.name, s.confidence
         from app.graph_fact o join app.graph_fact k on k.entity_id = $1 and k.digest = o.digest
         join app.graph_support s on s.fact_id = o.id where o.entity_id = $2 on conflict do nothing""",
    """update app.graph_fact o set entity_id = $1 where o.entity_id = $2
          and not exists (select from app.graph_fact k where k.entity_id = $1 and k.digest = o.digest)""",
    """insert into app.graph_relation (id, source_id, kind, target_id, is_corrected, is_removed)
       select gen_random_uuid(), source, kind, target, bool_or(is_corrected), bool_or(is_removed)
         from (select case source_id when $2 then $1 else source_id end as source, kind,
                      case target_id when $2 then $1 else target_id end as target, is_corrected, is_removed
                 from app.graph_relation where $2 in (source_id, target_id)) r
        where source <> target group by source, kind, target on conflict do nothing""",
    """insert into app.graph_support (chunk_id, relation_id, name, confidence)
       select s.chunk_id, k.id, s.name, s.confidence
         from app.graph_relation o join app.graph_support s on s.relation_id = o.id
         join app.graph_relation k on k.kind = o.kind
          and k.source_id = case o.source_id when $2 then $1 else o.source_id end
          and k.target_id = case o.target_id when $2 then $1 else o.target_id end
        where $2 in (o.source_id, o.target_id) on conflict do nothing""",
)


async def merge_entities(session: Session, kept_id: UUID, other_id: UUID) -> None:
    """Give one entity all that another has, and let that one go."""
    for statement in _MERGE:
        await session.execute(statement, kept_id, other_id)
    await session.execute("delete from app.graph_entity where id = $1", other_id)
    await settle_names(session, kept_id)
    await settle(session, [kept_id])


async def settle(session: Session, entity_ids: Collection[UUID]) -> None:
    """Bring names and confidences up to what the passages say."""
    await session.execute("select app.graph_settle(app.org(), $1::uuid[])", list(entity_ids))


async def ignore_entity(session: Session, entity_id: UUID) -> None:
    """Delete an entity, and keep digests by which it is not read again."""
    rows = await session.fetch("select type, key from app.graph_alias where entity_id = $1", entity_id)
    await session.execute(
        "insert into app.graph_ignored (digest) select unnest($1::text[]) on conflict do nothing",
        [digest_of(row["type"], row["key"]) for row in rows],
    )
    await session.execute("delete from app.graph_entity where id = $1", entity_id)


async def save_fact(
    session: Session,
    fact_id: UUID,
    entity_id: UUID,
    text: FactText,
    digest: str,
) -> bool:
    """Add a fact by hand. False if the entity has it already; one that was deleted comes back."""
    return bool(
        await session.fetchval(
            """insert into app.graph_fact as f
                 (id, entity_id, attribute, value, valid_from, valid_until, digest, is_corrected)
               values ($1, $2, $3, $4, $5, $6, $7, true)
               on conflict (org_id, entity_id, digest) do update
                 set attribute = excluded.attribute, value = excluded.value, valid_from = excluded.valid_from,
                     valid_until = excluded.valid_until, is_corrected = true, is_removed = false
               where f.is_removed returning true""",
            fact_id,
            entity_id,
            text.attribute,
            text.value,
            text.valid_from,
            text.valid_until,
            digest,
        )
    )


async def update_fact(session: Session, fact_id: UUID, entity_id: UUID, text: FactText) -> bool:
    return bool(
        await session.fetchval(
            """update app.graph_fact
                  set attribute = $3, value = $4, valid_from = $5, valid_until = $6, is_corrected = true
                where id = $1 and entity_id = $2 and not is_removed returning true""",
            fact_id,
            entity_id,
            text.attribute,
            text.value,
            text.valid_from,
            text.valid_until,
        )
    )


async def remove_fact(session: Session, fact_id: UUID, entity_id: UUID) -> bool:
    """Empty a fact; its digest stays, so that it is not read again."""
    return bool(
        await session.fetchval(
            """update app.graph_fact set attribute = '', value = '', valid_from = null, valid_until = null,
                      is_removed = true where id = $1 and entity_id = $2 and not is_removed returning true""",
            fact_id,
            entity_id,
        )
    )


async def save_relation(
    session: Session, relation_id: UUID, source_id: UUID, kind: RelationKind, target_id: UUID
) -> bool:
    """Add a relation by hand. False if it is there already; one that was deleted comes back."""
    return bool(
        await session.fetchval(
            """insert into app.graph_relation as r (id, source_id, kind, target_id, is_corrected)
               values ($1, $2, $3, $4, true)
               on conflict (org_id, source_id, kind, target_id) do update
                 set is_corrected = true, is_removed = false
               where r.is_removed returning true""",
            relation_id,
            source_id,
            kind,
            target_id,
        )
    )


async def remove_relation(session: Session, relation_id: UUID, entity_id: UUID) -> UUID | None:
    """Hide a relation, so that it is not read again; return the other entity, None if there is none such."""
    other_id: UUID | None = await session.fetchval(
        """update app.graph_relation set is_removed = true
            where id = $1 and $2 in (source_id, target_id) and not is_removed
            returning case source_id when $2 then target_id else source_id end""",
        relation_id,
        entity_id,
    )
    return other_id


async def similar_entities(session: Session, entity_id: UUID, search: str, limit: int) -> list[Entity]:
    """Return other entities with this in their names; those of the same type first."""
    rows = await session.fetch(
        f"""select {_ENTITY} from app.graph_entity e
             where {_FITS} and e.id <> $3
             order by e.type <> (select type from app.graph_entity where id = $3), lower(e.name), e.id
             limit $4""",
        search,
        None,
        entity_id,
        limit,
    )
    return [Entity(**row) for row in rows]
