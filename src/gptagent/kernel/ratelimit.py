"""Counting requests: over all processes in Redis, in this one alone while Redis is away.

Ordinary limits use windows that begin by the clock: one operation of the store tells all there is to tell.
Strict ones slide, and are counted here as well as in Redis: whoever stops or empties Redis gets no further
try.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import structlog
from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from gptagent.kernel import observe
from gptagent.kernel.errors import RateLimited

log = structlog.get_logger(__name__)

REDIS_TIMEOUT_SECONDS = 0.25  # a request waits no longer for a hung Redis
REDIS_PAUSE_SECONDS = 5.0  # between two looks whether it is back; one request at a time looks
FORGET_SECONDS = 60.0  # between two looks at what is over
LOST = (StorageError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit after this request was counted. `reset` is in seconds."""

    limit: int
    remaining: int
    reset: int
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(self.reset),
        }

    def check(self) -> None:
        """Raise RateLimited if this request was one too many."""
        if not self.allowed:
            raise RateLimited(
                "rate_limited", "Too many requests. Try again in a moment.", retry_after=self.reset
            )


@dataclass(slots=True)
class Counts:
    """What is counted in this process.

    The library's storage in memory goes through all keys, each in a thread, with nearly every request
    (`limits` 5.8.0, `MemoryStorage.__expire_events`): with thousands of addresses a third of the time.
    """

    _windows: dict[str, tuple[int, float]] = field(default_factory=dict)  # key: (requests, its end)
    _tries: dict[str, tuple[deque[float], float]] = field(default_factory=dict)  # key: (when each was, end)
    _forgot_at: float = 0.0

    def count(self, key: str, seconds: int) -> int:
        """Count a request under a key that lasts so long; return how many there were."""
        now = self._now()
        count, ends = self._windows.get(key, (0, now + seconds))
        self._windows[key] = (count + 1, ends)
        return count + 1

    def try_once(self, limit: RateLimitItem, *keys: str) -> bool:
        """Count a try unless there were too many within the time of the limit; return whether it counts."""
        now, seconds, key = self._now(), limit.get_expiry(), limit.key_for(*keys)
        tries, _ = self._tries.get(key, (deque[float](), now))
        while tries and tries[0] <= now - seconds:
            tries.popleft()
        if len(tries) >= limit.amount:
            return False
        tries.append(now)
        self._tries[key] = (tries, now + seconds)
        return True

    def _now(self) -> float:
        """Return the time; forget what is over now and then."""
        now = time.monotonic()
        if now - self._forgot_at > FORGET_SECONDS:
            self._forgot_at = now
            self._windows = {key: one for key, one in self._windows.items() if one[1] > now}
            self._tries = {key: one for key, one in self._tries.items() if one[1] > now}
        return now


class RateLimiter:
    """Counts of all limits. `factor` multiplies ordinary ones; strict ones stay what they are."""

    def __init__(self, redis_url: str | None, *, factor: int = 1) -> None:
        self._factor = factor
        self._local = Counts()
        self._shared: RedisStorage | None = None
        self._sliding_shared: MovingWindowRateLimiter | None = None
        self._away_until = 0.0
        if redis_url is not None:
            self._shared = RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                wrap_exceptions=True,
                socket_timeout=REDIS_TIMEOUT_SECONDS,
                socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            )
            self._sliding_shared = MovingWindowRateLimiter(self._shared)

    @property
    def is_degraded(self) -> bool:
        """Whether Redis is configured and was away when it was last asked."""
        return self._away_until > 0

    async def aclose(self) -> None:
        """Give the connections to Redis back."""
        if self._shared is not None:
            bridge: Any = self._shared.bridge  # its class depends on the library chosen above
            await bridge.storage.aclose()

    async def hit(self, limit: RateLimitItem, *keys: str) -> Allowance:
        """Count a request, in Redis if there is one. Tells what is left instead of raising."""
        if self._shared is not None and self._may_ask():
            key, reset = _window(limit, keys)
            try:
                async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                    count = await self._shared.incr(key, limit.get_expiry())
            except LOST as error:
                self._note_loss(error)
            else:
                self._note_return()
                return self._allowance(limit, count, reset)
        return self.hit_here(limit, *keys)

    def hit_here(self, limit: RateLimitItem, *keys: str) -> Allowance:
        """Count a request in this process only: microseconds, for paths with no time for Redis."""
        key, reset = _window(limit, keys)
        return self._allowance(limit, self._local.count(key, limit.get_expiry()), reset)

    async def hit_strictly(self, limit: RateLimitItem, *keys: str) -> bool:
        """Count a try here and in Redis; whichever says no is right. Never lets everybody in."""
        if not self._local.try_once(limit, *keys):
            return False
        if self._sliding_shared is not None and self._may_ask():
            try:
                async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                    allowed = await self._sliding_shared.hit(limit, *keys)
            except LOST as error:
                self._note_loss(error)
            else:
                self._note_return()
                return allowed
        return True

    def _allowance(self, limit: RateLimitItem, count: int, reset: int) -> Allowance:
        amount = limit.amount * self._factor
        return Allowance(amount, max(0, amount - count), reset, count <= amount)

    def _may_ask(self) -> bool:
        """Whether Redis may be asked now; while it is away, this request looks for all others."""
        if not self._away_until:
            return True
        now = time.monotonic()
        if now < self._away_until:
            return False
        self._away_until = now + REDIS_PAUSE_SECONDS
        return True

    def _note_loss(self, error: BaseException) -> None:
        observe.RATE_LIMITS_ALONE.inc()
        if not self._away_until:
            log.warning("redis_away", error=type(error).__name__)
        self._away_until = time.monotonic() + REDIS_PAUSE_SECONDS

    def _note_return(self) -> None:
        if self._away_until:
            log.info("redis_back")
            self._away_until = 0.0


def _window(limit: RateLimitItem, keys: tuple[str, ...]) -> tuple[str, int]:
    """Return the key of the window that is now, and the seconds it still lasts."""
    seconds, now = limit.get_expiry(), time.time()
    window = int(now // seconds)
    return f"{limit.key_for(*keys)}/{window}", max(1, round((window + 1) * seconds - now))
