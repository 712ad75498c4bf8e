"""A real worker process for the tests of jobs: it says on stdout what happens to it.

Its heartbeat is shorter than the product's, so that a killed worker's jobs come back sooner. Given are where
the database is and how many seconds a slow job takes.
"""

import asyncio
import os
import signal
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from gptagent.kernel import jobs
from gptagent.kernel.db import Database
from gptagent.kernel.files import LocalFiles

KILLER, SLOW = "test.killer", "test.slow"


def say(word, *details):
    print(word, *details, flush=True)  # noqa: T201 - the test reads it


async def die(ctx, /):
    say("picked", ctx.attempt)
    os.kill(os.getpid(), signal.SIGKILL)


async def take_time(_ctx, /):
    say("started")
    await asyncio.sleep(float(sys.argv[2]))
    say("finished")


async def bury(_ctx, /):
    say("buried")


async def main(dsn):
    shutdown = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, shutdown.set)
    database = await Database.connect(dsn)
    specs = [jobs.JobSpec(KILLER, die, on_dead=bury), jobs.JobSpec(SLOW, take_time)]
    with tempfile.TemporaryDirectory() as folder:
        await jobs.run_worker(database, LocalFiles(Path(folder)), specs, shutdown)
    await database.close()
    say("ended")


if __name__ == "__main__":
    jobs.HEARTBEAT_TIMEOUT = timedelta(seconds=1)
    jobs.DEQUEUE_TIMEOUT = timedelta(seconds=0.2)
    asyncio.run(main(sys.argv[1]))
