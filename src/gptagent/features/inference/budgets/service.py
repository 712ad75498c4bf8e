"""Verbs of budgets: reserve before a call, settle after it, say how much is used."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity.model import Links
from gptagent.features.inference.budgets import store
from gptagent.features.inference.budgets.model import (
    HOLD_FOR,
    LIMIT_MAX,
    PERIODS,
    WARN_AT_PERCENT,
    Amount,
    Bearer,
    Budgets,
    Degrade,
    Limits,
    Period,
    UseOf,
    begin_of,
    end_of,
)
from gptagent.features.inference.model import Use
from gptagent.features.mail.model import Letter
from gptagent.features.mail.service import send_letter
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.policy import MANAGE_WORKSPACE, PERMISSIONS
from gptagent.kernel import observe
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, RateLimited
from gptagent.kernel.ids import new_id

TELL = "inference.tell_budget"
LIMIT_FIELDS = ("day_cents", "month_cents", "day_tokens", "month_tokens")


class BudgetExhausted(RateLimited):
    """No model is asked until the period ends. `then`: what becomes of a customer's question."""

    def __init__(self, then: Degrade, seconds: float) -> None:
        super().__init__("budget_exhausted", "The budget for AI models is used up.", retry_after=seconds)
        self.then = then


async def reserve(
    session: Session, use: Use, most: Amount, *, now: datetime
) -> UUID | BudgetExhausted | None:
    """Hold the most a call may come to; None if nothing limits it, BudgetExhausted if it must not begin.

    What a killed process held is found here, once it has expired, and counts as used.
    A call may begin while anything is left. Those that go on count with the most they may come to, so only
    the last of them can go beyond the limit.
    """
    budgets = await store.fetch_budgets(session)
    bearers = [one for one in _bearers(session, use, budgets) if one.limits.is_set]
    if not bearers:
        return None
    await store.lock(session)
    await _settle_expired(session, budgets, now)
    for bearer in bearers:
        held = await store.fetch_held(session, bearer)
        for period in PERIODS:
            ceiling, begin = bearer.limits.of(period), begin_of(period, now)
            used = await store.fetch_used(session, bearer, period, begin)
            if ceiling.is_reached(used + held):
                observe.BUDGET_REFUSALS.labels(bearer.level).inc()
                return BudgetExhausted(budgets.when_exhausted, (end_of(period, now) - now).total_seconds())
    hold_id = new_id()
    await store.insert_hold(session, hold_id, use.agent_id, use.contact, most, HOLD_FOR)
    return hold_id


async def release(session: Session, hold_id: UUID) -> None:
    """Let go what a call held that came to nothing."""
    await store.delete_hold(session, hold_id)


async def settle(session: Session, use: Use, hold_id: UUID | None, amount: Amount, *, now: datetime) -> None:
    """Count what a call has used instead of what it held, and tell the owners how far that goes.

    One that took so long that its hold has expired may have been counted by that already.
    """
    if hold_id is not None and not await store.delete_hold(session, hold_id):
        return
    await _count(session, use, amount, await store.fetch_budgets(session), now=now, spent_at=now)


async def _settle_expired(session: Session, budgets: Budgets, now: datetime) -> None:
    """Count what calls held whose process was killed: what they have cost nobody knows, but not more.

    The newest come first, so that the rows are taken in the order in which whoever settles takes them.
    """
    for use, amount, held_at in await store.take_expired(session, HOLD_FOR):
        observe.BUDGET_HOLDS_EXPIRED.inc()
        await _count(session, use, amount, budgets, now=now, spent_at=held_at)


async def _count(
    session: Session, use: Use, amount: Amount, budgets: Budgets, *, now: datetime, spent_at: datetime
) -> None:
    for bearer in _bearers(session, use, budgets):
        if bearer.level == "contact" and not bearer.limits.is_set:
            continue  # a row for each contact and day, that nobody asks for
        for period in PERIODS:
            if begin_of(period, spent_at) != begin_of(period, now):
                continue  # of a period that is over nobody asks any more
            used, is_first = await store.add_use(session, bearer, period, begin_of(period, now), amount)
            if bearer.level == "workspace" and is_first:
                await store.delete_old_uses(session, "contact", begin_of("month", now))
            await _tell(session, bearer, period, used, now)


async def get_budgets(session: Session) -> Budgets:
    """Return what the workspace has set; no limits if it never has."""
    return await store.fetch_budgets(session)


async def set_budgets(
    session: Session, wanted: Budgets, *, version: int | None = None, now: datetime
) -> Budgets:
    """Replace what is set. Raises Invalid, and Conflict if `version` is no longer the one that is kept."""
    faults = [*_faults("workspace", wanted.workspace), *_faults("contact", wanted.contact)]
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    old = await store.fetch_budgets(session)
    if dict(_document(wanted)) == dict(_document(old)) and version in {None, old.version}:
        return old
    saved = await store.save_budgets(session, wanted, version, now)
    if saved is None:
        raise Conflict("budgets_changed", "Somebody else changed this. Reload it and try again.")
    before = dict(_document(old))
    changes = {name: (before[name], value) for name, value in _document(saved) if before[name] != value}
    await audit.record(session, Entry("budgets.updated", "budgets", "", changes))
    return saved


async def list_used(session: Session, *, now: datetime) -> list[UseOf]:
    """Return what the workspace and each of its agents have used in the day and month that go on."""
    return await store.list_uses(
        session, ("workspace", "agent"), begin_of("day", now), begin_of("month", now)
    )


async def tell_used(session: Session, links: Links) -> int:
    """Write to all who may change the budgets, once for each mark that was passed. Returns to how many."""
    if not links.sends_letters:
        return 0
    marks = await store.take_unwritten(session)
    place = await organizations.get_settings(session)
    link = f"{links.base_url}/manage/{place.number}-{place.slug}/settings/models"
    members = [
        one
        for one in await organizations.list_members(session)
        if one.status == "active" and MANAGE_WORKSPACE in PERMISSIONS[one.role]
    ]
    for level, period, percent in marks:
        values = {
            "workspace": place.name,
            "level": level,
            "period": period,
            "percent": str(percent),
            "link": link,
        }
        for member in members:
            await send_letter(session, Letter("inference/budget_used", member.email, place.locale, values))
    return len(marks) * len(members)


def _bearers(session: Session, use: Use, budgets: Budgets) -> Iterator[Bearer]:
    """Always in this order: whoever settles takes their rows one after the other."""
    yield Bearer("workspace", session.scope.org_id, budgets.workspace)
    if use.agent_id is not None:
        yield Bearer("agent", use.agent_id, use.limits)
    if use.contact is not None:
        yield Bearer("contact", use.contact, budgets.contact)


async def _tell(session: Session, bearer: Bearer, period: Period, used: Amount, now: datetime) -> None:
    """Record it and write to the owners once when most of a limit is used, and once when all of it is.

    Of a contact nothing is told: one that writes very much is no matter for the owners, and there are many.
    """
    percent = bearer.limits.of(period).percent(used)
    mark = next((one for one in (100, WARN_AT_PERCENT) if percent >= one), 0)
    if not mark or bearer.level == "contact":
        return
    if not await store.note_told(session, bearer, period, begin_of(period, now), mark):
        return
    entry = Entry(
        "budget.used_up" if mark == 100 else "budget.nearly_used",
        bearer.level,
        str(bearer.id),
        {"period": (None, period)},
    )
    await audit.record(session, entry)
    await session.enqueue(TELL, {})


def _faults(group: str, limits: Limits) -> Iterator[FieldError]:
    for name in LIMIT_FIELDS:
        value = getattr(limits, name)
        if value is not None and not 0 <= value <= LIMIT_MAX:
            yield FieldError(
                f"{group}.{name}", "A whole number from {low} to {high}.", {"low": 0, "high": LIMIT_MAX}
            )


def _document(budgets: Budgets) -> Iterator[tuple[str, object]]:
    """Return what is set, by its path."""
    for group, limits in (("workspace", budgets.workspace), ("contact", budgets.contact)):
        for name in LIMIT_FIELDS:
            yield f"{group}.{name}", getattr(limits, name)
    yield "when_exhausted", budgets.when_exhausted
