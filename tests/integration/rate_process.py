"""Worker processes that call the CRM, each with a pool, a limiter and a client of its own.

They are forked once everything is imported, and begin at the same moment, when all are ready. Given is JSON:
where the database and the emulator are, and for each process its account's host and token and how many calls
it makes. Each says on stdout which process it was when it is done.
"""

import asyncio
import json
import os
import sys
from urllib.parse import urlsplit
from uuid import UUID

from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm.limiter import PostgresCallLimiter
from gptagent.features.crm.model import CrmLink
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import RateLimited


async def persist(call, link):
    """Ask until it is our turn, as jobs do."""
    while True:
        try:
            return await call(link)
        except RateLimited as error:
            if error.code != "crm_busy":  # the CRM itself had to say no
                raise


async def work(given, mine, ready, go):
    parts = urlsplit(given["url"])
    database = await Database.connect(given["dsn"], max_connections=1)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    crm = KommoCrm(egress, PostgresCallLimiter(database), sandbox_url=given["url"])
    link = CrmLink(UUID(mine["org"]), UUID(mine["connection"]), mine["host"], mine["token"])
    await egress.request("GET", f"{given['url']}/_sandbox/stats", deadline=30, max_bytes=100_000)
    os.write(ready, b".")
    await asyncio.to_thread(os.read, go, 1)  # returns when the other end is closed
    calls = [crm.fetch_account if number % 2 else crm.fetch_pipelines for number in range(mine["calls"])]
    await asyncio.gather(*(persist(call, link) for call in calls))
    await egress.aclose()
    await database.close()


def fork(given, mine, ready, go):
    child = os.fork()
    if child == 0:
        try:
            os.close(ready[0])
            os.close(go[1])
            asyncio.run(work(given, mine, ready[1], go[0]))
            print(os.getpid(), flush=True)  # noqa: T201 - the test reads it
        except BaseException:  # noqa: BLE001 - a process of its own ends here
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return child


def main(given):
    ready, go = os.pipe(), os.pipe()
    children = [fork(given, one, ready, go) for one in given["processes"]]
    os.close(ready[1])
    for _ in children:
        os.read(ready[0], 1)  # nothing, should one have died
    os.close(go[1])
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
