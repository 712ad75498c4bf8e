"""What the tests of the Kommo adapter share: a limiter that takes notes, a connection, faults."""

from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm.model import CrmLink
from gptagent.kernel.egress import Egress


class Recorder:
    """A limiter that lets everything pass and notes what it was asked."""

    def __init__(self):
        self.waited = []
        self.blocked = []
        self.reported = []

    async def wait(self, account_key, address_key, priority):
        self.waited.append((account_key, address_key, priority))

    async def block(self, account_key, address_key, seconds):
        self.blocked.append((account_key, address_key, seconds))

    async def report(self, account_key, *, failed):
        self.reported.append((account_key, failed))


@asynccontextmanager
async def connected(url, limiter, **options):
    parts = urlsplit(url)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    try:
        yield KommoCrm(egress, limiter, sandbox_url=url, **options)
    finally:
        await egress.aclose()


def linked(account, **changes):
    facts = {"host": account.facts["host"], "token": account.facts["token"]}
    return CrmLink(uuid4(), uuid4(), **(facts | changes))


def break_next(account, **fault):
    account.steer("POST", "/faults", **({"count": 1} | fault))
