"""Brute force on passwords is limited per account and per address; the limit never fails open."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from limits import RateLimitItem, parse

from gptagent.kernel.errors import RateLimited
from gptagent.kernel.ratelimit import RateLimiter

PER_ADDRESS = parse("10/minute")  # AUTH-12
PER_ACCOUNT = parse("10/15minute")
SIGN_INS_PER_ADDRESS = parse("30/minute")  # each makes calls to the provider
LINKS_PER_ADDRESS = parse("30/minute")  # of invitations: nobody tries tokens
TESTS_PER_PERSON = parse("10/minute")  # messages in test chats: each may cost money
LETTERS_PER_ADDRESS = parse("10/minute")
LETTERS_PER_ACCOUNT = parse("5/hour")  # nobody's mailbox is flooded through us
LETTERS_PER_RECIPIENT = parse("5/hour")  # of invitations and confirmations, whoever has them sent
LETTERS_PER_WORKSPACE = parse("60/hour")


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """Tries are counted over all processes, and in this one whatever becomes of Redis."""

    limiter: RateLimiter

    @classmethod
    def build(cls, redis_url: str | None) -> "LoginLimits":
        return cls(RateLimiter(redis_url))

    async def check(self, address: str, email: str) -> None:
        """Count one try. Raises RateLimited."""
        account = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        await self._hit(PER_ADDRESS, "login-address", address)
        await self._hit(PER_ACCOUNT, "login-account", account)

    async def check_sign_in(self, address: str) -> None:
        """Count one step of a sign-in by a provider. Raises RateLimited."""
        await self._hit(SIGN_INS_PER_ADDRESS, "sign-in-address", address)

    async def check_link(self, address: str) -> None:
        """Count one look at a link that is a credential by itself. Raises RateLimited."""
        await self._hit(LINKS_PER_ADDRESS, "link-address", address)

    async def check_address(self, address: str) -> None:
        """Count one try of somebody who has not said who they are. Raises RateLimited."""
        await self._hit(PER_ADDRESS, "login-address", address)

    async def check_person(self, person_id: UUID) -> None:
        """Count one try of somebody logged in to show who they are. Raises RateLimited."""
        await self._hit(PER_ACCOUNT, "confirm-person", person_id.hex)

    async def check_test(self, person_id: UUID) -> None:
        """Count one message in a test chat. Raises RateLimited."""
        if not await self.limiter.hit_strictly(TESTS_PER_PERSON, "test-person", person_id.hex):
            raise RateLimited(
                "too_many_tests",
                "Ten messages a minute are enough for a test. Wait a moment.",
                retry_after=60,
            )

    async def check_letter(self, address: str, email: str) -> None:
        """Count one letter somebody asks for. Raises RateLimited, alike for an unknown account."""
        account = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        await self._hit(LETTERS_PER_ADDRESS, "letter-address", address)
        await self._hit(LETTERS_PER_ACCOUNT, "letter-account", account)

    async def check_recipient(self, email: str, org_id: UUID) -> None:
        """Count one letter a workspace's person has sent to somebody. Raises RateLimited."""
        recipient = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        try:
            await self._hit(LETTERS_PER_RECIPIENT, "letter-recipient", recipient)
            await self._hit(LETTERS_PER_WORKSPACE, "letter-workspace", org_id.hex)
        except RateLimited as error:
            raise RateLimited(
                "too_many_letters",
                "Too many letters were sent lately. Try again later.",
                retry_after=error.retry_after,
            ) from error

    async def _hit(self, limit: RateLimitItem, *keys: str) -> None:
        if not await self.limiter.hit_strictly(limit, *keys):
            raise RateLimited(
                "too_many_logins",
                "Too many attempts. Try again in a few minutes.",
                retry_after=limit.get_expiry(),
            )
