"""The verbs of scenarios, and of what publishing waits for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from gptagent.features.agents import service as agents
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.dialog.scenarios import store
from gptagent.features.dialog.scenarios.checking import checked, checked_repeats
from gptagent.features.dialog.scenarios.model import SCENARIOS_MAX, Condition, NewScenario, Scenario
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

ORDERS = store.ORDERS
TOPIC = "scenarios"
NAME_TAKEN = "A scenario with this name exists already."


async def create_scenario(session: Session, new: NewScenario, *, now: datetime) -> Scenario:
    """Keep a scenario. Raises Invalid naming every fault, Conflict if there are too many, NotFound."""
    new = checked(new)
    await check_agent(session, new.agent_id)
    if await store.count_scenarios(session) >= SCENARIOS_MAX:
        raise too_many()
    scenario_id = new_id()
    if not await store.insert_scenario(session, scenario_id, new, now):
        raise Invalid.field("name", NAME_TAKEN)
    await audit.record(session, Entry("scenario.created", "scenario", str(scenario_id)))
    await tell(session)
    return await get_scenario(session, scenario_id)


async def update_scenario(
    session: Session, scenario_id: UUID, new: NewScenario, *, now: datetime, version: int | None = None
) -> Scenario:
    """Put another content in the place of the old one. Raises NotFound, Invalid, and Conflict if somebody
    else changed it since `version`.
    """
    old = await get_scenario(session, scenario_id, lock=True)
    if version is not None and version != old.version:
        raise Conflict("scenario_changed", "Somebody else changed it. Reload it and try again.")
    new = checked(new)
    await check_agent(session, new.agent_id)
    changes = _changes(old, new)
    if not changes:
        return old
    if not await store.update_scenario(session, scenario_id, new, now):
        raise Invalid.field("name", NAME_TAKEN)
    await audit.record(session, Entry("scenario.changed", "scenario", str(scenario_id), changes))
    await tell(session)
    return await get_scenario(session, scenario_id)


async def delete_scenario(session: Session, scenario_id: UUID) -> None:
    """Raises NotFound. What runs of it found stays with the runs."""
    if not await store.delete_scenario(session, scenario_id):
        raise _missing()
    await audit.record(session, Entry("scenario.deleted", "scenario", str(scenario_id)))
    await tell(session)


async def get_scenario(session: Session, scenario_id: UUID, *, lock: bool = False) -> Scenario:
    """Raises NotFound."""
    scenario = await store.fetch_scenario(session, scenario_id, lock=lock)
    if scenario is None:
        raise _missing()
    return scenario


async def list_scenarios(session: Session, agent_id: UUID | None = None) -> list[Scenario]:
    """Return all, or those an agent is run against: its own and the workspace's. By name."""
    return await store.list_scenarios(session, agent_id)


async def page_scenarios(
    session: Session, page: Page, agent_id: UUID | None = None
) -> tuple[list[Scenario], str | None]:
    """Return a page of list_scenarios, and the cursor of the next one if there is more."""
    found = await store.page_scenarios(session, page, agent_id)
    by_name = page.order.name == "name"
    return page.cut(found, lambda one: (one.name.lower() if by_name else one.created_at, one.id))


async def get_condition(session: Session, agent_id: UUID) -> Condition:
    """Return what publishing the agent waits for. Raises NotFound."""
    await agents.get_agent(session, agent_id)
    return await store.fetch_condition(session, agent_id)


async def set_condition(session: Session, agent_id: UUID, condition: Condition) -> Condition:
    """Let publishing wait for a passed run, or not. Raises NotFound, Invalid."""
    agent = await agents.get_agent(session, agent_id, lock=True)
    condition = replace(condition, repeats=checked_repeats(condition.repeats))
    old = await store.fetch_condition(session, agent.id)
    if old != condition:
        await store.save_condition(session, agent.id, condition)
        changes = {
            "publish_if_passed": (old.is_on, condition.is_on),
            "repeats": (old.repeats, condition.repeats),
        }
        await audit.record(session, Entry("publish_condition.changed", "agent", str(agent.id), changes))
        await tell(session)
    return condition


async def tell(session: Session) -> None:
    await session.publish(TOPIC, "changed", {})


def too_many() -> Conflict:
    return Conflict("too_many_scenarios", "At most {max} scenarios are kept.", params={"max": SCENARIOS_MAX})


def _changes(old: Scenario, new: NewScenario) -> Mapping[str, tuple[object, object] | None]:
    """Return what is other; of words only that they are: they may name people."""
    found = {
        "name": old.name != new.name,
        "agent": old.agent_id != new.agent_id,
        "content": old.play != new.play,
    }
    return {field: None for field, is_other in found.items() if is_other}


async def check_agent(session: Session, agent_id: UUID | None) -> None:
    """Raise Invalid on `agent_id` if there is no such agent."""
    if agent_id is not None and await agents.find_agent(session, agent_id) is None:
        raise Invalid.field("agent_id", "There is no such agent.")


def _missing() -> NotFound:
    return NotFound("scenario_not_found", "There is no such scenario.")
