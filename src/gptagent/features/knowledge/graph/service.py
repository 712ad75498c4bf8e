"""The verbs of the graph: looking at it and correcting it."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.graph import store
from gptagent.features.knowledge.graph.model import (
    ATTRIBUTE_MAX_CHARS,
    FACTS_MAX,
    KINDS,
    NAME_MAX_CHARS,
    TYPES,
    VALUE_MAX_CHARS,
    Card,
    Entity,
    Fact,
    FactText,
    Relation,
    fact_digest,
    normalise,
)
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page, orders

ENTITY_ORDERS = orders(name="name")
FACT_ORDERS = {"attribute": Order("attribute", "attribute", "text")}
RELATION_ORDERS = {"name": Order("name", "other_name", "text")}
ORIGINS_SHOWN = 50
SHOWN = 50  # facts and relations of an entity at once
SIMILAR_SHOWN = 20


async def find_entities(
    session: Session, *, search: str = "", kind: str | None = None, limit: int, offset: int = 0
) -> tuple[list[Entity], dict[str, int]]:
    """Return a part of the entities with `search` in a name of theirs, and how many of each type have it."""
    found = await store.find_entities(session, search.strip(), kind, limit, offset)
    return found, await store.count_types(session, search.strip())


async def page_entities(
    session: Session, page: Page, *, search: str = "", kind: str | None = None
) -> tuple[list[Entity], str | None]:
    """Return a page of the entities, and the cursor of the next one if there is more."""
    found = await store.page_entities(session, page, search.strip(), kind)
    return page.cut(found, lambda entity: (getattr(entity, page.order.column), entity.id))


async def count_types(session: Session) -> dict[str, int]:
    """Return how many entities of each type there are."""
    return await store.count_types(session, "")


async def get_card(session: Session, entity_id: UUID, *, facts: int = 1, relations: int = 1) -> Card:
    """Return an entity with names, SHOWN facts and relations of these pages (from 1) and up to ORIGINS_SHOWN
    passages. Raises NotFound.
    """
    entity = await _entity(session, entity_id)
    return Card(
        entity,
        tuple(await store.list_aliases(session, entity_id)),
        tuple(await store.list_facts(session, entity_id, SHOWN, _offset(facts, entity.facts))),
        tuple(await store.list_relations(session, entity_id, SHOWN, _offset(relations, entity.relations))),
        tuple(await store.list_origins(session, entity_id, ORIGINS_SHOWN)),
    )


def page_within(number: int, total: int) -> int:
    """Return the page of SHOWN rows with this number, the last one if there are not so many."""
    return max(min(number, -(-total // SHOWN)), 1)


def _offset(number: int, total: int) -> int:
    return (page_within(number, total) - 1) * SHOWN


async def page_facts(session: Session, entity_id: UUID, page: Page) -> tuple[list[Fact], str | None]:
    """Return a page of what is said of an entity, and the cursor of the next one. Raises NotFound."""
    await _entity(session, entity_id)
    found = await store.page_facts(session, entity_id, page)
    return page.cut(found, lambda fact: (fact.attribute, fact.id))


async def page_relations(session: Session, entity_id: UUID, page: Page) -> tuple[list[Relation], str | None]:
    """Return a page of an entity's relations, and the cursor of the next one. Raises NotFound."""
    await _entity(session, entity_id)
    found = await store.page_relations(session, entity_id, page)
    return page.cut(found, lambda relation: (relation.other_name, relation.id))


async def find_similar(session: Session, entity_id: UUID, search: str) -> list[Entity]:
    """Return other entities with this in a name of theirs, to be merged into this one."""
    return await store.similar_entities(session, entity_id, search.strip(), SIMILAR_SHOWN)


async def change_entity(
    session: Session,
    entity_id: UUID,
    *,
    name: str | None = None,
    kind: str | None = None,
    version: int | None = None,
    now: datetime,
) -> Card:
    """Give an entity another name or type; the old names stay with it. Reading anew changes neither.

    Raises NotFound, Invalid, and Conflict if another entity has the name or `version` is outdated.
    """
    await store.lock_graph(session)
    old = await _entity(session, entity_id, lock=True)
    if version not in {None, old.version}:
        raise Conflict("graph_entity_changed", "Somebody else changed this entity. Reload it and try again.")
    wanted = " ".join((old.name if name is None else name).split())
    wanted_type = old.type if kind is None else kind
    if wanted_type not in TYPES:
        raise Invalid.field("type", "Choose a type.")
    key = normalise(wanted)
    if not key or len(wanted) > NAME_MAX_CHARS:
        raise Invalid.field("name", "Write 1 to {max} characters.", max=NAME_MAX_CHARS)
    if (wanted, wanted_type) == (old.name, old.type):
        return await get_card(session, entity_id)
    if await store.alias_owner(session, wanted_type, key) not in {None, entity_id}:
        raise Conflict("graph_entity_exists", "Another entity has this name. Merge the two instead.")
    await store.rename_entity(session, entity_id, wanted_type, key, wanted)
    await store.hold_names(session, entity_id, now)
    changes: dict[str, tuple[object, object] | None] = {}
    if wanted != old.name:
        changes["name"] = None
    if wanted_type != old.type:
        changes["type"] = (old.type, wanted_type)
    await audit.record(session, Entry("graph_entity.updated", "graph_entity", str(entity_id), changes))
    return await get_card(session, entity_id)


async def merge_entities(session: Session, entity_id: UUID, other_id: UUID, *, now: datetime) -> Card:
    """Make one entity of two: it takes the names, facts, relations and passages of the other, which goes.

    Raises NotFound, and Invalid if the other is this one or is not there.
    """
    if entity_id == other_id:
        raise Invalid.field("other_id", "An entity cannot be merged with itself.")
    await _hold_both(session, entity_id, other_id)
    await store.merge_entities(session, entity_id, other_id)
    await store.hold_names(session, entity_id, now)
    changes = {"merged": (str(other_id), None)}
    await audit.record(session, Entry("graph_entity.merged", "graph_entity", str(entity_id), changes))
    return await get_card(session, entity_id)


async def delete_alias(session: Session, entity_id: UUID, name: str, *, now: datetime) -> Card:
    """Take a name off an entity; it is not read as a name of it again, though it may be that of another one.

    Raises NotFound, Invalid for a name it does not have, Conflict for the one by which it is shown.
    """
    await store.lock_graph(session)
    entity = await _entity(session, entity_id, lock=True)
    if name == entity.name:
        raise Conflict("graph_alias_shown", "It is shown by this name. Give it another one first.")
    if not await store.take_off(session, entity_id, name):
        raise Invalid("graph_alias_not_found", "It has no such name.")
    await store.settle(session, [entity_id])
    return await _corrected(session, entity_id, "graph_alias.deleted", now)


async def delete_entity(session: Session, entity_id: UUID) -> None:
    """Delete an entity with all that is said of it; it is not read again. Raises NotFound.

    The passages stay: what must not be known at all is deleted in its article or document.
    """
    await store.lock_graph(session)
    await _entity(session, entity_id, lock=True)
    await store.ignore_entity(session, entity_id)
    await audit.record(session, Entry("graph_entity.deleted", "graph_entity", str(entity_id)))


async def add_fact(
    session: Session,
    entity_id: UUID,
    text: FactText,
    *,
    now: datetime,
) -> Card:
    """Say something of an entity by hand. Raises NotFound, Invalid, and Conflict if it is said already."""
    checked = _checked(text)
    await store.lock_graph(session)
    entity = await _entity(session, entity_id, lock=True)
    if entity.facts >= FACTS_MAX:
        raise Conflict("too_many_graph_facts", "There are {max} facts already.", params={"max": FACTS_MAX})
    digest = fact_digest(checked.attribute, checked.value)
    if not await store.save_fact(session, new_id(), entity_id, checked, digest):
        raise Conflict("graph_fact_exists", "This fact is there already.")
    return await _corrected(session, entity_id, "graph_fact.added", now)


async def change_fact(
    session: Session,
    entity_id: UUID,
    fact_id: UUID,
    text: FactText,
    *,
    now: datetime,
) -> Card:
    """Correct a fact; reading anew does not undo it. Raises NotFound and Invalid."""
    checked = _checked(text)
    await store.lock_graph(session)
    await _entity(session, entity_id, lock=True)
    if not await store.update_fact(session, fact_id, entity_id, checked):
        raise NotFound("graph_fact_not_found", "There is no such fact.")
    return await _corrected(session, entity_id, "graph_fact.updated", now)


async def delete_fact(session: Session, entity_id: UUID, fact_id: UUID, *, now: datetime) -> None:
    """Delete a fact; it is not read again. Raises NotFound."""
    await store.lock_graph(session)
    await _entity(session, entity_id, lock=True)
    if not await store.remove_fact(session, fact_id, entity_id):
        raise NotFound("graph_fact_not_found", "There is no such fact.")
    await _corrected(session, entity_id, "graph_fact.deleted", now)


async def add_relation(
    session: Session, entity_id: UUID, kind: str, other_id: UUID, *, now: datetime
) -> Card:
    """Say by hand how an entity is related to another one; that one stays then too, whatever is read.

    Raises NotFound, Invalid, and Conflict if it is said already.
    """
    wanted = next((one for one in KINDS if one == kind), None)
    if wanted is None:
        raise Invalid.field("kind", "Choose a relation.")
    if entity_id == other_id:
        raise Invalid.field("other_id", "An entity cannot be related to itself.")
    await _hold_both(session, entity_id, other_id)
    if not await store.save_relation(session, new_id(), entity_id, wanted, other_id):
        raise Conflict("graph_relation_exists", "This relation is there already.")
    await store.hold_names(session, other_id, now)
    return await _corrected(session, entity_id, "graph_relation.added", now)


async def delete_relation(session: Session, entity_id: UUID, relation_id: UUID, *, now: datetime) -> None:
    """Delete a relation of an entity; it is not read again. Raises NotFound."""
    await store.lock_graph(session)
    await _entity(session, entity_id, lock=True)
    other_id = await store.remove_relation(session, relation_id, entity_id)
    if other_id is None:
        raise NotFound("graph_relation_not_found", "There is no such relation.")
    await store.hold_names(session, other_id, now)  # without it what was deleted would be forgotten
    await _corrected(session, entity_id, "graph_relation.deleted", now)


async def _corrected(session: Session, entity_id: UUID, action: str, now: datetime) -> Card:
    await store.hold_names(session, entity_id, now)
    await audit.record(session, Entry(action, "graph_entity", str(entity_id)))
    return await get_card(session, entity_id)


async def _hold_both(session: Session, entity_id: UUID, other_id: UUID) -> None:
    """Lock an entity and the other one that a person named. Raises NotFound, and Invalid for the other."""
    await store.lock_graph(session)
    await _entity(session, entity_id, lock=True)
    try:
        await _entity(session, other_id, lock=True)
    except NotFound as error:
        raise Invalid.field("other_id", error.message) from None


async def _entity(session: Session, entity_id: UUID, *, lock: bool = False) -> Entity:
    entity = await store.fetch_entity(session, entity_id, lock=lock)
    if entity is None:
        raise NotFound("graph_entity_not_found", "There is no such entity.")
    return entity


def _checked(text: FactText) -> FactText:
    """Return it without blanks around its words. Raises Invalid."""
    bare = replace(text, attribute=text.attribute.strip(), value=text.value.strip())
    limits = (("attribute", bare.attribute, ATTRIBUTE_MAX_CHARS), ("value", bare.value, VALUE_MAX_CHARS))
    faults = [
        FieldError(name, "Write 1 to {max} characters.", {"max": most})
        for name, words, most in limits
        if not 1 <= len(words) <= most
    ]
    if bare.valid_from and bare.valid_until and bare.valid_until < bare.valid_from:
        faults.append(FieldError("valid_until", "The end lies before the beginning."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    return bare
