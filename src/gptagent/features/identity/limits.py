"""Brute force on passwords is limited per account and per address; the limit never fails open."""

import hashlib
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from gptagent.kernel.errors import RateLimited

PER_ADDRESS = parse("10/minute")  # AUTH-12
PER_ACCOUNT = parse("10/15minute")
LINKS_PER_ADDRESS = parse("30/minute")  # of invitations: nobody tries tokens


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """`shared` counts over all processes; `local` keeps counting in this one while Redis is away."""

    shared: MovingWindowRateLimiter
    local: MovingWindowRateLimiter

    @classmethod
    def build(cls, redis_url: str | None) -> "LoginLimits":
        memory = MovingWindowRateLimiter(MemoryStorage())
        if redis_url is None:
            return cls(memory, memory)
        storage: Storage = RedisStorage(f"async+{redis_url}", implementation="redispy", wrap_exceptions=True)
        return cls(MovingWindowRateLimiter(storage), memory)

    async def check(self, address: str, email: str) -> None:
        """Count one try. Raises RateLimited."""
        account = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        await self._hit(PER_ADDRESS, "login-address", address)
        await self._hit(PER_ACCOUNT, "login-account", account)

    async def check_link(self, address: str) -> None:
        """Count one look at a link that is a credential by itself. Raises RateLimited."""
        await self._hit(LINKS_PER_ADDRESS, "link-address", address)

    async def _hit(self, limit: RateLimitItem, *keys: str) -> None:
        try:
            allowed = await self.shared.hit(limit, *keys)
        except StorageError:
            allowed = await self.local.hit(limit, *keys)
        if not allowed:
            raise RateLimited(
                "too_many_logins",
                "Too many attempts. Try again in a few minutes.",
                retry_after=limit.get_expiry(),
            )
