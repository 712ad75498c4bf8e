"""The verbs of facts about the company."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.facts import store
from gptagent.features.knowledge.facts.model import FACTS_MAX, Fact, NewFact, Told, told_of
from gptagent.features.knowledge.questions.asking import Askers
from gptagent.features.knowledge.staging.model import StageKey
from gptagent.features.knowledge.staging.service import check_stages
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page, orders

FACT_ORDERS = orders() | {"priority": Order("priority", "priority", "number")}
_FIELDS = ("content", "agents", "stages", "priority")


async def create_fact(session: Session, new: NewFact, *, askers: Askers, now: datetime) -> Fact:
    """Write a fact. Raises Invalid by field, Conflict over FACTS_MAX."""
    wanted = new.checked()
    if await store.lock_facts(session) >= FACTS_MAX:
        raise Conflict("too_many_facts", "There are {max} of them already.", params={"max": FACTS_MAX})
    await _check_agents(session, askers, wanted.agents)
    await check_stages(session, wanted.stages)
    fact_id = new_id()
    await store.insert_fact(session, fact_id, wanted, now)
    await audit.record(session, Entry("company_fact.created", "company_fact", str(fact_id)))
    return await get_fact(session, fact_id)


async def update_fact(
    session: Session, fact_id: UUID, changes: Mapping[str, Any], *, askers: Askers, now: datetime
) -> Fact:
    """Change the named fields, with `version` only if it is that. Raises NotFound, Invalid, Conflict."""
    old = await get_fact(session, fact_id, lock=True)
    if changes.get("version") not in {None, old.version}:
        raise Conflict("facts_changed", "Somebody else changed this fact. Reload it and try again.")
    before = NewFact(**{name: getattr(old, name) for name in _FIELDS})
    named = {name: value for name, value in changes.items() if name in _FIELDS and value is not None}
    wanted = replace(before, **named).checked()
    changed = {name for name in _FIELDS if getattr(before, name) != getattr(wanted, name)}
    if "agents" in named and old.is_global != (not wanted.agents):
        changed.add("agents")  # also of one whose agents are gone
    if "stages" in named and old.is_everywhere != (not wanted.stages):
        changed.add("stages")
    if not changed:
        return old
    await _check_agents(session, askers, wanted.agents if "agents" in changed else ())
    await check_stages(session, wanted.stages if "stages" in changed else ())
    await store.update_fact(session, fact_id, wanted, now)
    if "agents" in changed:
        await store.set_agents(session, fact_id, wanted.agents)
    if "stages" in changed:
        await store.set_stages(session, fact_id, wanted.stages)
    await store.part_from_old_text(session, fact_id)
    told: dict[str, tuple[object, object] | None] = dict.fromkeys(changed)
    await audit.record(session, Entry("company_fact.updated", "company_fact", str(fact_id), told))
    return await get_fact(session, fact_id)


async def delete_fact(session: Session, fact_id: UUID) -> None:
    """Raises NotFound."""
    await store.part_from_old_text(session, fact_id)
    if not await store.delete_fact(session, fact_id):
        raise _missing()
    await audit.record(session, Entry("company_fact.deleted", "company_fact", str(fact_id)))


async def get_fact(session: Session, fact_id: UUID, *, lock: bool = False) -> Fact:
    """Raises NotFound. `lock` keeps others from changing it meanwhile."""
    found = await store.fetch_fact(session, fact_id, lock=lock)
    if found is None:
        raise _missing()
    return found


async def list_facts(session: Session, *, search: str = "") -> list[Fact]:
    """Return them in the order they are told in."""
    return await store.list_facts(session, search.strip())


async def page_facts(session: Session, page: Page, *, search: str = "") -> tuple[list[Fact], str | None]:
    """Return a page of them, and the cursor of the next one if there is more."""
    found = await store.page_facts(session, page, search.strip())
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.id))


async def choose_facts(session: Session, agent_id: UUID, stage: StageKey | None) -> Told:
    """Return what a model is told about the company when this agent answers at this stage of a deal.

    By priority, then the more used ones first, as many as FACTS_GIVEN and GIVEN_MAX_CHARS allow.
    """
    return told_of(await store.fitting(session, agent_id, stage))


async def read_contents(session: Session) -> list[tuple[UUID, str]]:
    """Return all that is told about the company to whomever: each fact's id and what it says. They stay until
    the commit.
    """
    return await store.read_contents(session)


async def note_told(session: Session, ids: Collection[UUID], *, now: datetime) -> None:
    """Count a reply of a model that was told these."""
    if ids:
        await store.count_use(session, ids, now)


async def _check_agents(session: Session, askers: Askers, agents: Collection[UUID]) -> None:
    if agents and set(agents) - {one.id for one in await askers(session)}:
        raise Invalid.field("agents", "There is no such agent.")


def _missing() -> NotFound:
    return NotFound("company_fact_not_found", "There is no such fact.")
