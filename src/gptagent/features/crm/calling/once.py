"""What is made in the CRM once, although whoever makes it may be killed or frozen at any moment."""

import time
from collections.abc import Awaitable, Callable

# Below the time after which the queue gives the job of a worker without a heartbeat to another one (10 s).
FRESH_SECONDS = 8.0
LOOKS_MAX = 3  # of a CRM that takes its time with each


async def made_once(
    find: Callable[[], Awaitable[int | None]],
    create: Callable[[], Awaitable[int]],
    *,
    begun_before: bool,
    since: float,
) -> int:
    """Return the number of what `create` makes, or of what `find` shows to be made already.

    It is looked for if an earlier run has begun (`begun_before`), and if since the job was taken (`since`,
    monotonic), or since the last look, more time has passed than this worker can have had the job for itself.
    """
    looked_at = since
    for number in range(LOOKS_MAX):
        is_fresh = time.monotonic() - looked_at < FRESH_SECONDS
        if is_fresh and (number > 0 or not begun_before):
            break
        looked_at = time.monotonic()
        found = await find()
        if found is not None:
            return found
    return await create()
