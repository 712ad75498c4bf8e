"""Counting requests: over all processes in Redis, in this one alone while Redis is away.

Ordinary limits use windows that begin by the clock: one operation of the store tells all there is to tell.
Strict ones slide, and are counted here as well as in Redis: whoever stops or empties Redis gets no further
try.
"""

import asyncio
import time
from dataclasses import dataclass

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from gptagent.kernel import observe
from gptagent.kernel.errors import RateLimited

log = structlog.get_logger(__name__)

REDIS_TIMEOUT_SECONDS = 0.25  # a request waits no longer for a hung Redis
REDIS_PAUSE_SECONDS = 5.0  # between two looks whether it is back; one request at a time looks
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


class RateLimiter:
    """Counts of all limits. `factor` multiplies ordinary ones; strict ones stay what they are."""

    def __init__(self, redis_url: str | None, *, factor: int = 1) -> None:
        self._factor = factor
        self._local = MemoryStorage()
        self._sliding_local = MovingWindowRateLimiter(self._local)
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

    async def hit(self, limit: RateLimitItem, *keys: str) -> Allowance:
        """Count a request, in Redis if there is one. Tells what is left instead of raising."""
        if self._shared is not None and self._may_ask():
            try:
                async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                    counted = await self._count(self._shared, limit, keys)
            except LOST as error:
                self._note_loss(error)
            else:
                self._note_return()
                return counted
        return await self.hit_here(limit, *keys)

    async def hit_here(self, limit: RateLimitItem, *keys: str) -> Allowance:
        """Count a request in this process only: microseconds, for paths with no time for Redis."""
        return await self._count(self._local, limit, keys)

    async def hit_strictly(self, limit: RateLimitItem, *keys: str) -> bool:
        """Count a try here and in Redis; whichever says no is right. Never lets everybody in."""
        if not await self._sliding_local.hit(limit, *keys):
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

    async def _count(self, store: Storage, limit: RateLimitItem, keys: tuple[str, ...]) -> Allowance:
        seconds = limit.get_expiry()
        now = time.time()
        window = int(now // seconds)
        amount = limit.amount * self._factor
        count = await store.incr(f"{limit.key_for(*keys)}/{window}", seconds)
        reset = max(1, round((window + 1) * seconds - now))
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
