"""The verbs of checks: ask for one, carry it out, show what it found, dismiss."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import lexical
from gptagent.features.knowledge.checks import store
from gptagent.features.knowledge.checks.extraction import told_in
from gptagent.features.knowledge.checks.model import Check, Finding, Hit, Shown, Source, Statement, Told
from gptagent.features.knowledge.checks.store import NewFinding, Passage
from gptagent.features.knowledge.facts import service as facts
from gptagent.features.knowledge.scoring import store as scoring
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page
from gptagent.kernel.scope import SYSTEM, Scope

SCAN = "knowledge.scan"
BEHIND_REPLIES = -1
LIVE_TOPIC = "checks"
QUIET = timedelta(minutes=1)  # since the last change of a base, before it is checked by itself
STALE = timedelta(minutes=20)  # a check that has not moved for so long was lost
MOST_AT_ONCE = 20  # checks that one look at the schedule begins
STATEMENTS_MAX = 150_000  # of one check: some 50,000 passages with three numbers each
CONTRADICTIONS_MAX = 500
STALE_MAX = 500
ORDERS = {
    "-found_at": Order("-found_at", "found_at", descending=True),
    "found_at": Order("found_at", "found_at"),
}


async def request_check(session: Session, *, now: datetime) -> Check:
    """Ask for a check of the whole base; one that waits or goes on already is this one."""
    if await store.queue(session, now, STALE):
        await session.enqueue(SCAN, {}, priority=BEHIND_REPLIES)
        await audit.record(session, Entry("knowledge_check.requested", "knowledge_check", ""))
        await _tell(session)
    return await _some(session)


async def queue_due_checks(db: Database, *, now: datetime, quiet: timedelta = QUIET) -> int:
    """Begin checks of bases that have changed and are quiet by now. Returns how many."""
    async with db.installation() as session:
        due = await store.due(session, quiet, STALE, MOST_AT_ONCE)
    begun = 0
    for org_id in due:
        async with db.session(Scope(org_id, SYSTEM)) as session:
            if await store.queue(session, now, STALE):
                await session.enqueue(SCAN, {}, priority=BEHIND_REPLIES)
                await _tell(session)
                begun += 1
    return begun


async def get_check(session: Session) -> Check | None:
    """Return the latest check; None if there never was one."""
    return await store.fetch_check(session)


async def begin_check(session: Session, *, now: datetime) -> bool:
    """Return False if none is wanted any more."""
    begun = await store.begin(session, now)
    if begun:
        await _tell(session)
    return begun


async def unread_passages(session: Session, *, after: int, limit: int) -> list[Passage]:
    """Return passages that no check has read, after this number."""
    return await store.unread_passages(session, after, limit)


async def keep_statements(
    session: Session, told: Sequence[tuple[int, Told]], read: Sequence[int], *, now: datetime
) -> None:
    """Keep what passages say, unless they are gone meanwhile, and that they are read."""
    held = await store.mark_read(session, await store.hold_passages(session, read))
    kept = [(chunk_id, one) for chunk_id, one in told if chunk_id in held]
    words = await _words(session, [one for _chunk_id, one in kept])
    await store.insert_statements(
        session, [(chunk_id, one, own) for (chunk_id, one), own in zip(kept, words, strict=True)]
    )
    await store.advance(session, len(read), now)
    await _tell(session)


async def keep_facts(session: Session) -> None:
    """Put what the company's facts say in the place of what they said: they have no passages."""
    told = [
        (fact_id, one)
        for fact_id, content in await facts.read_contents(session)
        for one in told_in(content, "")
    ]
    await store.forget_facts(session)
    words = await _words(session, [one for _id, one in told])
    await store.insert_statements(
        session, [(by, one, own) for (by, one), own in zip(told, words, strict=True)]
    )


async def read_statements(session: Session) -> tuple[list[Statement], int]:
    """Return what is to be compared, and how much of it is beyond the bounds of one check."""
    found = await store.list_statements(session, STATEMENTS_MAX)
    return found, await store.count_statements(session) - len(found)


async def keep_findings(
    session: Session, statements: Sequence[Statement], hits: Sequence[Hit], left_out: int, *, now: datetime
) -> None:
    """End a check with what it found; sources that are gone meanwhile have no findings."""
    by_id = {one.id: one for one in statements}
    named = {number for hit in hits for number in (hit.statement, hit.other) if number is not None}
    texts = await store.sentences(session, named)
    held = await store.hold_sources(session, {by_id[number].source for number in named})
    found = {
        new.fingerprint: new
        for hit in reversed(hits)  # of the same words in one source the surest is kept
        if (new := _new(hit, by_id, texts)) and all(source in held for source, _text, _amounts in new.sides)
    }
    await store.save_findings(session, list(found.values()), now)
    await store.end(session, len(statements), left_out, now)
    await _tell(session)


async def fail_check(session: Session, *, now: datetime) -> None:
    """Show a check whose job died as failed."""
    await store.fail(session, now)
    await _tell(session)


async def find_findings(
    session: Session, shown: Shown, *, limit: int, offset: int = 0
) -> tuple[list[Finding], int]:
    """Return a part of the findings, the surest first, and how many there are."""
    return await store.find_findings(session, shown, limit=limit, offset=offset)


async def page_findings(session: Session, page: Page, shown: Shown) -> tuple[list[Finding], str | None]:
    """Return a page of the findings, and the cursor of the next one if there is more."""
    found = await store.page_findings(session, page, shown)
    return page.cut(found, lambda one: (one.found_at, one.id))


async def count_findings(session: Session) -> dict[str, int]:
    """Return how many there are to be shown of each."""
    return dict(await store.count_findings(session) or {})


async def dismiss(session: Session, finding_id: UUID) -> Finding:
    """Put a finding away until one of its sentences changes. Raises NotFound."""
    finding = await _get(session, finding_id)
    if await store.set_dismissed(session, finding_id, is_dismissed=True):
        await audit.record(session, Entry("finding.dismissed", "finding", str(finding_id)))
    return replace(finding, is_dismissed=True)


async def restore(session: Session, finding_id: UUID) -> Finding:
    """Show a dismissed finding again. Raises NotFound."""
    finding = await _get(session, finding_id)
    if await store.set_dismissed(session, finding_id, is_dismissed=False):
        await audit.record(session, Entry("finding.restored", "finding", str(finding_id)))
    return replace(finding, is_dismissed=False)


async def _get(session: Session, finding_id: UUID) -> Finding:
    finding = await store.fetch_finding(session, finding_id)
    if finding is None:
        raise NotFound("finding_not_found", "This was found no more by the latest check.")
    return finding


async def _words(session: Session, told: Sequence[Told]) -> list[list[str]]:
    stems = await scoring.stem(session, [lexical.normalise(one.subject) for one in told])
    return [sorted(set(own) - lexical.ASKING) for own in stems]


async def _some(session: Session) -> Check:
    check = await store.fetch_check(session)
    if check is None:
        raise LookupError("a check was just queued")
    return check


async def _tell(session: Session) -> None:
    await session.publish(LIVE_TOPIC, "changed", {})


def _new(hit: Hit, by_id: dict[int, Statement], texts: dict[int, str]) -> NewFinding | None:
    numbers = [number for number in (hit.statement, hit.other) if number is not None]
    if any(number not in texts for number in numbers):
        return None
    sides = tuple((by_id[n].source, texts[n], by_id[n].amounts) for n in numbers)
    unit = by_id[hit.statement].unit
    parts = [hit.kind, unit, *sorted(_named(source, text) for source, text, _amounts in sides)]
    fingerprint = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return NewFinding(new_id(), hit.kind, fingerprint, hit.rank, unit, sides)


def _named(source: Source, text: str) -> str:
    """Return what a sentence is known by; a fact says the same whichever it stands in."""
    return f"{source.kind}:{None if source.kind == 'company_facts' else source.id}:{text}"
