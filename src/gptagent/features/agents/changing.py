"""Changes of an agent's settings: published at once, or kept as a draft that nobody gets yet.

What is published counts from the next message on, and becomes a version with who and when.
"""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from gptagent.features.agents import references, store
from gptagent.features.agents.checking import described, merge
from gptagent.features.agents.limits import check_plan, plan_faults
from gptagent.features.agents.model import Agent, Settings
from gptagent.features.agents.naming import NAME_TAKEN, check_name
from gptagent.features.agents.ports import PublishCondition, may_always_publish
from gptagent.features.agents.reading import as_edited, get_agent
from gptagent.features.agents.table import SETTINGS
from gptagent.features.agents.versions import store as versions
from gptagent.features.agents.versions.model import NOTE_MAX_CHARS, VERSIONS_KEPT, NewVersion
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid

TOPIC = "agents"


async def update_agent(
    session: Session,
    agent_id: UUID,
    changes: Mapping[str, object],
    *,
    condition: PublishCondition = may_always_publish,
) -> Agent:
    """Change and publish what is named, also inside of groups, and leave the rest.

    A draft stays one, with the same changes made in it. Raises NotFound; Invalid naming every wrong field,
    unknown ones and references to nothing among them; what `condition` raises if settings change.
    """
    old = await get_agent(session, agent_id, lock=True)
    new = await _changed(session, old, old, changes)
    if old.draft is not None:
        new = replace(new, draft=merge(old.draft, _settings_of(changes))[0])
    return await _write(session, old, new, NewVersion(), condition)


async def save_draft(
    session: Session, agent_id: UUID, changes: Mapping[str, object], *, by_itself: bool = False
) -> Agent:
    """Change what is named in the draft of the settings; it counts once it is published.

    The name and whether the agent is active are no part of it: named, they change at once. Nobody asks for
    what is saved `by_itself`, every few seconds: it goes on record once for each who has a hand in a draft.
    Raises as `update_agent` does.
    """
    old = await get_agent(session, agent_id, lock=True)
    new = await _changed(session, old, as_edited(old), changes)
    is_known = (
        by_itself and old.draft is not None and await audit.was_last(session, "agent.drafted", str(old.id))
    )
    return await _write(
        session, old, replace(new, settings=old.settings, draft=new.settings), is_on_record=is_known
    )


async def publish(
    session: Session,
    agent_id: UUID,
    changes: Mapping[str, object],
    *,
    note: str = "",
    condition: PublishCondition = may_always_publish,
) -> Agent:
    """Change what is named, and publish that together with all that waits in the draft.

    Raises as `update_agent` does.
    """
    old = await get_agent(session, agent_id, lock=True)
    new = await _changed(session, old, as_edited(old), changes)
    return await _write(session, old, replace(new, draft=None), NewVersion(_checked_note(note)), condition)


async def publish_draft(
    session: Session, agent_id: UUID, *, note: str = "", condition: PublishCondition = may_always_publish
) -> Agent:
    """Publish what waits in the draft. Raises NotFound, Conflict if nothing does, else as `update_agent`."""
    old = await get_agent(session, agent_id, lock=True)
    if old.draft is None:
        raise Conflict("nothing_to_publish", "There are no unpublished changes.")
    return await publish(session, agent_id, {}, note=note, condition=condition)


async def discard_draft(session: Session, agent_id: UUID) -> Agent:
    """Forget what was changed and not published. Raises NotFound."""
    old = await get_agent(session, agent_id, lock=True)
    return await _write(session, old, replace(old, draft=None))


async def restore(
    session: Session, old: Agent, settings: Settings, number: int, note: str = "", *, held_back: bool = False
) -> Agent:
    """Publish the settings of an earlier version anew; the agent is locked. A draft stays as it is.

    `held_back` goes on record: a condition of publishing would not have let it pass.
    Raises Invalid on `note`, and on what the plan does not allow (any more).
    """
    new = replace(old, settings=settings)
    return await _write(session, old, new, NewVersion(_checked_note(note), number, held_back))


async def preview_settings(session: Session, base: Settings, changes: Mapping[str, object]) -> Settings:
    """Return these settings with the changes, checked as by `save_draft`; store nothing.

    Raises Invalid naming every wrong field; name and state are no settings.
    """
    settings, faults = await _merged(session, base, changes)
    if faults:
        raise invalid(faults)
    return settings


async def tell(session: Session, agent_id: UUID) -> None:
    """Tell open pages that the agent has changed."""
    await session.publish(TOPIC, "changed", {"agent_id": str(agent_id)})


def invalid(faults: list[FieldError]) -> Invalid:
    return Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))


async def _changed(session: Session, old: Agent, base: Agent, changes: Mapping[str, object]) -> Agent:
    """Return `base` after the change. Raises Invalid."""
    name, faults = await check_name(session, changes.get("name", old.name), old.id)
    is_active = changes.get("is_active", old.is_active)
    if not isinstance(is_active, bool):
        faults.append(FieldError("is_active", "Yes or no."))
    settings, wrong = await _merged(session, base.settings, _settings_of(changes))
    faults += wrong
    if faults:
        raise invalid(faults)
    return replace(base, name=name, is_active=bool(is_active), settings=settings)


async def _merged(
    session: Session, base: Settings, changes: Mapping[str, object]
) -> tuple[Settings, list[FieldError]]:
    """Return the settings after the change, and all that is wrong with it."""
    settings, faults = merge(base, changes)
    faults += await plan_faults(session, base, settings)
    named = {fault.pointer for fault in faults}
    unknown = await references.unknown_references(session, base, settings)
    return settings, faults + [one for one in unknown if one.pointer not in named]


def _settings_of(changes: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in changes.items() if key not in {"name", "is_active"}}


async def _write(
    session: Session,
    old: Agent,
    new: Agent,
    version: NewVersion | None = None,
    condition: PublishCondition | None = None,
    *,
    is_on_record: bool = False,
) -> Agent:
    """Store what changed; other settings than before are a version, unless `condition` or the plan raises.

    The plan is asked here too: a draft may be of before a change of the plan, or have got long instructions
    and a model that bears short ones only from different hands.
    """
    new = replace(new, draft=None if new.draft == new.settings else new.draft)
    if new == old:
        return old
    if new.is_active and not old.is_active:
        await check_plan(session, None, new.settings)
    if new.settings != old.settings and version is not None:
        await check_plan(session, old.settings, new.settings)
        if condition is not None:
            await condition(session, old, new.settings)
        new = replace(new, published=old.published + 1)
        await versions.insert_version(session, old.id, new.published, new.settings, version)
        await versions.forget_versions(session, old.id, new.published - VERSIONS_KEPT)
    if not await store.update_agent(session, new):
        raise Invalid.field("name", NAME_TAKEN)
    await tell(session, old.id)
    if not is_on_record:
        await _record(session, old, new, version)
    return await get_agent(session, old.id)


async def _record(session: Session, old: Agent, new: Agent, version: NewVersion | None) -> None:
    """Of long texts the record holds that they changed: they may name people."""
    before, after = _recorded(old), _recorded(new)
    shown: dict[str, tuple[object, object] | None] = {
        key: None if key in SETTINGS and SETTINGS[key].is_quiet else (before[key], value)
        for key, value in after.items()
        if before[key] != value
    }
    if version is not None and version.restored_from is not None:
        shown["restored_from"] = (None, version.restored_from)
        if version.held_back:
            shown["scenarios_passed"] = (None, False)
    await audit.record(
        session, Entry("agent.updated" if shown else "agent.drafted", "agent", str(old.id), shown)
    )


def _recorded(agent: Agent) -> dict[str, object]:
    return {"name": agent.name, "is_active": agent.is_active, **described(agent.settings)}


def _checked_note(note: str) -> str:
    clean = note.strip()
    if len(clean) > NOTE_MAX_CHARS:
        raise Invalid.field("note", "At most {high} characters.", high=NOTE_MAX_CHARS)
    return clean
