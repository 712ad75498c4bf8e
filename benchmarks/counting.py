"""What it costs to count one request in the process itself, as every webhook is counted."""

import time

from figures import show
from gptagent.entrypoints.request_limits import PER_HOOK
from gptagent.kernel.ratelimit import RateLimiter

REQUESTS = 20_000
CONNECTIONS = 500
ROUNDS = 5


def measure() -> float:
    """Return the microseconds of CPU of one count, in the quickest of the rounds."""
    limiter = RateLimiter(None, factor=1_000)
    places = [f"connection-{number}" for number in range(CONNECTIONS)]
    rounds = []
    for _round in range(ROUNDS):
        began = time.process_time()
        for number in range(REQUESTS):
            limiter.hit_here(PER_HOOK, "hook", places[number % CONNECTIONS])
        rounds.append((time.process_time() - began) / REQUESTS * 1e6)
    return min(rounds)


if __name__ == "__main__":
    show("limit_count_us", "local", measure())
