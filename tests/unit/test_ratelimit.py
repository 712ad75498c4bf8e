"""Requests counted in one process: by windows of the clock, and sliding; forgotten when they are over."""

from types import SimpleNamespace

import pytest
from limits import parse

from gptagent.kernel import ratelimit
from gptagent.kernel.ratelimit import FORGET_SECONDS, Counts, RateLimiter

LIMIT = parse("3/minute")


@pytest.fixture
def at(monkeypatch):
    """Set the clock of the counts."""

    def set_clock(seconds):
        clock = SimpleNamespace(time=lambda: 1_000_000.0 * 60 + seconds, monotonic=lambda: 500.0 + seconds)
        monkeypatch.setattr(ratelimit, "time", clock)

    set_clock(0)
    return set_clock


def tried(counts, *times, at):
    """Return which of the tries at these seconds counted."""
    taken = []
    for seconds in times:
        at(seconds)
        taken.append(counts.try_once(LIMIT, "door", "ann"))
    return taken


def test_tries_slide_and_a_refused_one_does_not_count(at):
    """AUTH-12: three within any minute, not three in each minute of the clock."""
    counts = Counts()
    assert tried(counts, 0, 50, 59, 59.5, at=at) == [True, True, True, False]
    assert tried(counts, 60, 61, 109, at=at) == [True, False, False]
    assert tried(counts, 110, 119, 119.5, at=at) == [True, True, False]
    assert counts.try_once(LIMIT, "door", "bob"), "each key is counted by itself"


async def test_a_window_begins_by_the_clock(at):
    limiter = RateLimiter(None, factor=2)
    taken = []
    for seconds in (0, 1, 58, 59, 59, 59, 59):
        at(seconds)
        taken.append(await limiter.hit(LIMIT, "api"))
    assert [(one.limit, one.remaining, one.allowed) for one in taken[-3:]] == [
        (6, 1, True),
        (6, 0, True),
        (6, 0, False),
    ]
    assert (taken[0].reset, taken[-1].reset) == (60, 1)
    at(60)
    assert (await limiter.hit(LIMIT, "api")).remaining == 5


def test_what_is_over_is_forgotten_and_nothing_else(at):
    """Else whoever comes from ever new addresses would fill the memory."""
    counts = Counts()
    for number in range(1_000):
        counts.try_once(LIMIT, f"address {number}")
        counts.count(f"window {number}", 10)
    at(FORGET_SECONDS - 5)
    counts.try_once(LIMIT, "late")
    at(FORGET_SECONDS + 1)
    counts.try_once(LIMIT, "now")
    assert not counts._windows
    assert [key.split("/")[1] for key in counts._tries] == ["late", "now"]
