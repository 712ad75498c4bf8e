"""A real worker process whose nights last all day and come often: it says on stdout when it forgets."""

import asyncio
from datetime import timedelta

from gptagent.bootstrap import build_platform
from gptagent.entrypoints import worker
from gptagent.features.privacy.service import apply_retention
from gptagent.kernel.settings import Settings


async def apply_aloud(database):
    count = await apply_retention(database)
    print("forgot", count, flush=True)  # noqa: T201 - the test reads it
    return count


async def main():
    await worker.run(await build_platform(Settings.load()))


if __name__ == "__main__":
    worker.apply_retention = apply_aloud
    worker.TIDY_HOURS = range(24)
    worker.TIDY_EVERY = timedelta(seconds=0.2)
    worker.LEADER_RETRY_SECONDS = 0.2
    asyncio.run(main())
