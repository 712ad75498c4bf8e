"""Working hours: whether an agent answers now, and when it begins to."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gptagent.features.agents.model import Hours

# Further ahead nobody looks: so many days may be holidays, and a week without hours is refused.
HORIZON_DAYS = 380
LAST_MINUTE = time(23, 59)


def wait_until_open(hours: Hours, now: datetime) -> timedelta | None:
    """Return how long the hours are closed from now on; None while they are open."""
    if not hours.is_on:
        return None
    for opens, closes in _windows(hours, now):
        if now < closes:
            return None if opens <= now else opens - now
    return timedelta(days=HORIZON_DAYS)


def _windows(hours: Hours, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of the hours of each day from today on, in UTC. Clocks may change on a day."""
    zone = ZoneInfo(hours.timezone)
    week = {one.day: one for one in hours.week}
    today = now.astimezone(zone).date()
    for number in range(HORIZON_DAYS):
        day = today + timedelta(days=number)
        opening = week.get(day.isoweekday())
        if opening is None or day in hours.holidays:
            continue
        closes = time.fromisoformat(opening.closes)
        until = datetime.combine(day, closes, zone)
        if closes == LAST_MINUTE:
            until = datetime.combine(day + timedelta(days=1), time(), zone)
        begin = datetime.combine(day, time.fromisoformat(opening.opens), zone)
        yield begin.astimezone(UTC), until.astimezone(UTC)
