"""The verbs of scripts and answers to objections."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import lexical
from gptagent.features.knowledge.retrieval import SEARCH_MAX_CHARS
from gptagent.features.knowledge.scoring import store as scoring
from gptagent.features.knowledge.scripts import store
from gptagent.features.knowledge.scripts.model import (
    GIVEN_MAX_CHARS,
    OBJECTION_FITS,
    OBJECTIONS_GIVEN,
    SCRIPTS_GIVEN,
    SCRIPTS_MAX,
    Family,
    Given,
    NewScript,
    Script,
    fit,
)
from gptagent.features.knowledge.scripts.variables import fill
from gptagent.features.knowledge.staging.model import StageKey
from gptagent.features.knowledge.staging.service import check_stages
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page, orders

SCRIPT_ORDERS = orders(name="title") | {"priority": Order("priority", "priority", "number")}
_FIELDS = ("kind", "title", "content", "stages", "is_active", "priority")


async def create_script(session: Session, family: Family, new: NewScript, *, now: datetime) -> Script:
    """Write a script or an objection. Raises Invalid by field, Conflict over SCRIPTS_MAX."""
    wanted = new.checked(family)
    if await store.lock_family(session, family) >= SCRIPTS_MAX:
        raise Conflict("too_many_scripts", "There are {max} of them already.", params={"max": SCRIPTS_MAX})
    await check_stages(session, wanted.stages)
    script_id = new_id()
    await store.insert_script(session, script_id, family, wanted, now)
    await audit.record(
        session,
        Entry("script.created" if family == "script" else "objection.created", family, str(script_id)),
    )
    return await get_script(session, family, script_id)


async def update_script(
    session: Session, family: Family, script_id: UUID, changes: Mapping[str, Any], *, now: datetime
) -> Script:
    """Change the named fields, with `version` only if it is that. Raises NotFound, Invalid, Conflict."""
    old = await get_script(session, family, script_id, lock=True)
    if changes.get("version") not in {None, old.version}:
        raise Conflict("script_changed", "Somebody else changed it. Reload it and try again.")
    before = NewScript(**{name: getattr(old, name) for name in _FIELDS})
    named = {name: value for name, value in changes.items() if name in _FIELDS and value is not None}
    wanted = replace(before, **named).checked(family)
    if "stages" not in named and not old.is_everywhere and not old.stages:
        raise Invalid.field("stages", "Its stages are gone. Choose others, or none for every stage.")
    changed = {name for name in _FIELDS if getattr(before, name) != getattr(wanted, name)}
    if not changed and old.is_everywhere == (not wanted.stages):
        return old
    await check_stages(session, wanted.stages if "stages" in named else ())
    await store.update_script(session, script_id, wanted, now)
    told: dict[str, tuple[object, object] | None] = dict.fromkeys(changed)
    if "is_active" in changed:
        told["is_active"] = (before.is_active, wanted.is_active)
    await audit.record(
        session,
        Entry("script.updated" if family == "script" else "objection.updated", family, str(script_id), told),
    )
    return await get_script(session, family, script_id)


async def delete_script(session: Session, family: Family, script_id: UUID) -> None:
    """Raises NotFound."""
    if not await store.delete_script(session, family, script_id):
        raise _missing()
    await audit.record(
        session,
        Entry("script.deleted" if family == "script" else "objection.deleted", family, str(script_id)),
    )


async def get_script(session: Session, family: Family, script_id: UUID, *, lock: bool = False) -> Script:
    """Raises NotFound. `lock` keeps others from changing it meanwhile."""
    found = await store.fetch_script(session, family, script_id, lock=lock)
    if found is None:
        raise _missing()
    return found


async def list_scripts(session: Session, family: Family, *, search: str = "", kind: str = "") -> list[Script]:
    """Return them in the order they are used in."""
    return await store.list_scripts(session, family, search.strip(), kind)


async def page_scripts(
    session: Session, family: Family, page: Page, *, search: str = "", kind: str = ""
) -> tuple[list[Script], str | None]:
    """Return a page of them, and the cursor of the next one if there is more."""
    found = await store.page_scripts(session, page, family, search.strip(), kind)
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.id))


async def find_scripts(session: Session, stage: StageKey | None, message: str) -> list[Script]:
    """Return what fits a customer's message at a stage: scripts, then answers to objections.

    Scripts for the very stage come before those for every one. An objection fits if the message holds enough
    of its words, by the threshold of searching, the best one first.
    """
    found = await store.fitting(session, stage)
    objections = [one for one in found if one.family == "objection"]
    scripts = [one for one in found if one.family == "script"]
    return [*scripts, *await _answering(session, objections, message)]


def give_scripts(found: Sequence[Script], values: Mapping[str, str]) -> list[Given]:
    """Return what an agent is given of those that fit, as much as it may be.

    Variables are filled with `values`; a sentence without its value is left out, and what nothing is left of
    is not given.
    """
    filled = [_given(one, values) for one in found]
    given = [one for one in filled if one.text]
    chosen = [
        *[one for one in given if one.family == "script"][:SCRIPTS_GIVEN],
        *[one for one in given if one.family == "objection"][:OBJECTIONS_GIVEN],
    ]
    return list(_within(chosen, GIVEN_MAX_CHARS))


async def note_used(session: Session, ids: Collection[UUID], *, now: datetime) -> None:
    """Count a reply that left and named these as its sources."""
    if ids:
        await store.count_use(session, ids, now)


async def _answering(session: Session, objections: Sequence[Script], message: str) -> list[Script]:
    """Return the objections that the message makes, the one that fits best first."""
    wordings = [(one, wording) for one in objections for wording in one.wordings]
    if not wordings or not message.strip():
        return []
    texts = [
        lexical.normalise_question(text) for text in (message[:SEARCH_MAX_CHARS], *(w for _, w in wordings))
    ]
    said, *stems = await scoring.stem(session, texts)
    near: dict[str, list[str]] = {}  # kin share a beginning: only such words are compared
    for lexeme in said:
        near.setdefault(lexeme[: lexical.KIN_MIN_CHARS], []).append(lexeme)
    fits: dict[UUID, float] = {}
    for (one, _), lexemes in zip(wordings, stems, strict=True):
        wording = lexical.informative(lexemes)
        heard = [x for word in wording for x in near.get(word[: lexical.KIN_MIN_CHARS], ())]
        fits[one.id] = max(fits.get(one.id, 0.0), fit(wording, heard))
    found = [one for one in objections if fits[one.id] >= OBJECTION_FITS]
    return sorted(found, key=lambda one: (-fits[one.id], one.priority))


def _given(script: Script, values: Mapping[str, str]) -> Given:
    title = script.wordings[0] if script.family == "objection" and script.wordings else script.title
    return Given(script.id, script.family, script.kind, title, fill(script.content, values))


def _within(given: Sequence[Given], chars: int) -> Sequence[Given]:
    kept: list[Given] = []
    for one in given:
        chars -= len(one.text)
        if chars >= 0:
            kept.append(one)
    return kept


def _missing() -> NotFound:
    return NotFound("script_not_found", "There is no such script.")
