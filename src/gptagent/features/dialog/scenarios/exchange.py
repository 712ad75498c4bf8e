"""Scenarios as a JSON file, to be kept beside code or taken to another workspace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.dialog.scenarios import service, store
from gptagent.features.dialog.scenarios.checking import checked
from gptagent.features.dialog.scenarios.model import SCENARIOS_MAX, NewScenario, Play, Scenario
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid
from gptagent.kernel.ids import new_id

FORMAT = "gptagent.scenarios"
VERSION = 1
FILE_MAX_BYTES = 2_000_000


class Entered(msgspec.Struct, forbid_unknown_fields=True):
    """A scenario of a file. Of the workspace it is if the file says so, else of the agent it is read for."""

    name: str
    play: Play
    is_shared: bool = False


class File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    version: int
    scenarios: list[Entered]


@dataclass(frozen=True, slots=True)
class Imported:
    created: int
    changed: int


async def export_scenarios(session: Session, agent_id: UUID | None = None) -> bytes:
    """Return an agent's scenarios, or all, as a file. The export is recorded.

    A connection's and a deal's numbers mean nothing elsewhere, but here they do: they stay.
    """
    found = await service.list_scenarios(session, agent_id)
    await audit.record(session, Entry("scenarios.exported", "scenario", "", {"count": (None, len(found))}))
    file = File(FORMAT, VERSION, [Entered(one.name, one.play, one.agent_id is None) for one in found])
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


async def import_scenarios(
    session: Session, data: bytes, agent_id: UUID | None, *, now: datetime
) -> Imported:
    """Save every scenario of a file, or none; one of the same name is put in the place of the old one.

    Without an agent all are the workspace's. Raises Invalid naming each fault, Conflict if there is no room.
    """
    await service.check_agent(session, agent_id)
    entered = _checked(read_file(data), agent_id)
    created, changed = 0, 0
    for new in entered:
        old = await store.find_named(session, new.agent_id, new.name)
        if old is None:
            if not await store.insert_scenario(session, new_id(), new, now):
                raise Conflict("scenario_changed", "Somebody else changed it. Reload it and try again.")
            created += 1
        elif _is_other(old, new):
            await store.update_scenario(session, old.id, new, now)
            changed += 1
    if await store.count_scenarios(session) > SCENARIOS_MAX:
        raise service.too_many()
    done = Imported(created, changed)
    counted = {"created": (None, created), "changed": (None, changed)}
    await audit.record(session, Entry("scenarios.imported", "scenario", "", counted))
    await service.tell(session)
    return done


def read_file(data: bytes) -> list[Entered]:
    """Raises Invalid on `file`."""
    if len(data) > FILE_MAX_BYTES:
        raise Invalid.field("file", "The file is larger than {max} MB.", max=FILE_MAX_BYTES // 1_000_000)
    try:
        file = msgspec.json.decode(data, type=File)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Invalid.field("file", "This is no file of scenarios as they are exported here.") from error
    if file.format != FORMAT or file.version != VERSION:
        raise Invalid.field("file", "This is no file of scenarios as they are exported here.")
    if len(file.scenarios) > SCENARIOS_MAX:
        raise service.too_many()
    return file.scenarios


def _checked(entered: Sequence[Entered], agent_id: UUID | None) -> list[NewScenario]:
    found: list[NewScenario] = []
    faults: list[FieldError] = []
    seen = set()
    for number, one in enumerate(entered, start=1):
        try:
            new = checked(NewScenario(one.name, one.play, None if one.is_shared else agent_id))
        except Invalid as error:
            faults += [FieldError(f"{number}/{its.pointer}", its.message, its.params) for its in error.fields]
            continue
        key = (new.agent_id, new.name.lower())
        if key in seen:
            faults.append(FieldError(f"{number}/name", "This name is in the file twice."))
        seen.add(key)
        found.append(new)
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    return found


def _is_other(old: Scenario, new: NewScenario) -> bool:
    return (old.name, old.play) != (new.name, new.play)
