"""What it costs to count one request in the process itself, as every webhook is, and one try to log in while
thousands of accounts are remembered.
"""

import asyncio
import time

from figures import show
from gptagent.entrypoints.request_limits import PER_HOOK
from gptagent.features.identity.limits import PER_ACCOUNT
from gptagent.kernel.ratelimit import RateLimiter

REQUESTS = 20_000
CONNECTIONS = 500
TRIES = 5_000
ROUNDS = 5


def requests() -> float:
    """Return the microseconds of CPU of one request, in the quickest of the rounds."""
    limiter = RateLimiter(None, factor=1_000)
    places = [f"connection-{number}" for number in range(CONNECTIONS)]
    rounds = []
    for _round in range(ROUNDS):
        began = time.process_time()
        for number in range(REQUESTS):
            limiter.hit_here(PER_HOOK, "hook", places[number % CONNECTIONS])
        rounds.append((time.process_time() - began) / REQUESTS * 1e6)
    return min(rounds)


async def tries() -> float:
    """Return the microseconds of CPU of one try, each of another account."""
    limiter = RateLimiter(None)
    began = time.process_time()
    for number in range(TRIES):
        await limiter.hit_strictly(PER_ACCOUNT, "login-account", str(number))
        await asyncio.sleep(0)
    return (time.process_time() - began) / TRIES * 1e6


if __name__ == "__main__":
    show("limit_count_us", "local", requests())
    show("limit_try_us", "local", asyncio.run(tries()))
