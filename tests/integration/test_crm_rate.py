"""The rate as the CRM counts it, and the addresses calls leave from."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest

from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm.limiter import PostgresCallLimiter
from gptagent.features.crm.model import CrmLink
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress, Ways
from gptagent.kernel.proxies import Proxy
from gptagent.sandbox.spawn import running
from integration.rate_process import persist
from proxies import running_proxy

WORKERS = 10
ACCOUNTS = 50
CALLS = 60
CALLS_EACH = 3
VENDORS_LIMIT = 7
TESTS = Path(__file__).parents[1]


@pytest.fixture
def emulator():
    """One of its own: it counts what arrives from everybody."""
    with running("kommo") as url:
        yield url


@pytest.fixture
async def client():
    async with httpx2.AsyncClient(timeout=30) as client:
        yield client


async def opened(url, client, number, brand="kommo"):
    answer = await client.post(f"{url}/_sandbox/accounts", json={"subdomain": f"shop{number}"})
    return CrmLink(uuid4(), uuid4(), f"shop{number}.{brand}.test", answer.json()["token"])


async def counted(url, client):
    return (await client.get(f"{url}/_sandbox/stats")).json()


def allowed(url):
    parts = urlsplit(url)
    return frozenset({(parts.hostname, parts.port)})


@asynccontextmanager
async def worker(roles, url):
    """A process's worth: a pool, a limiter and a client of its own."""
    database, egress = await Database.connect(roles.app_dsn, max_connections=2), Egress(allowed(url))
    yield KommoCrm(egress, PostgresCallLimiter(database), sandbox_url=url)
    await egress.aclose()
    await database.close()


async def test_ten_workers_with_fifty_accounts_stay_below_the_vendors_limit(roles, emulator, client):
    """Counted by the emulator: never more than seven within any second, from one address."""
    links = [await opened(emulator, client, number) for number in range(ACCOUNTS)]
    async with AsyncExitStack() as stack:
        crms = [await stack.enter_async_context(worker(roles, emulator)) for _ in range(WORKERS)]
        calls = [
            persist(
                crms[number % WORKERS].fetch_account
                if number % 3
                else crms[number % WORKERS].fetch_pipelines,
                links[number % ACCOUNTS],
            )
            for number in range(CALLS)
        ]
        await asyncio.gather(*calls)
    seen = await counted(emulator, client)
    assert seen["requests"] == CALLS and seen["limited"] == 0
    assert seen["peak_per_second"] <= VENDORS_LIMIT


async def test_ten_processes_never_exceed_the_limit_as_the_emulator_counts_it(roles, emulator, client):
    """Processes of the operating system that share nothing but the database; two per account."""
    links = [await opened(emulator, client, number) for number in range(WORKERS // 2)]
    before = await counted(emulator, client)
    workers = [
        {
            "org": str(link.org_id),
            "connection": str(link.connection_id),
            "host": link.host,
            "token": link.token,
            "calls": CALLS_EACH,
        }
        for link in links * 2
    ]
    given = json.dumps({"dsn": roles.app_dsn, "url": emulator, "processes": workers})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.rate_process", given),
        cwd=TESTS,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert len(set(said.split())) == WORKERS
    seen = await counted(emulator, client)
    assert seen["requests"] - before["requests"] == WORKERS * CALLS_EACH and seen["limited"] == 0
    assert seen["peak_per_second"] <= VENDORS_LIMIT


async def test_each_account_leaves_by_one_proxy_and_each_proxy_has_its_own_rate(roles, emulator, client):
    """Three proxies: the same account by the same one in every process, and thrice the calls in a second."""
    links = [await opened(emulator, client, number) for number in range(12)]
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(running_proxy(user=f"u{n}", password="p@ss:1")) for n in range(3)
        ]
        proxies = Proxy.parse_all(",".join(server.url for server in servers))
        first = await proxied(roles, emulator, proxies, stack)
        second = await proxied(roles, emulator, tuple(reversed(proxies)), stack)
        for crm in (first, second):
            await asyncio.gather(*(persist(crm.fetch_account, link) for link in links))
    by_proxy = [set(server.hosts) for server in servers]
    assert set.union(*by_proxy) == {link.host for link in links}
    assert sum(map(len, by_proxy)) == len(links), "an account left by two addresses"
    assert all(server.tunnels for server in servers)
    assert (await counted(emulator, client))["requests"] == 2 * len(links)


async def proxied(roles, url, proxies, stack):
    database = await Database.connect(roles.app_dsn, max_connections=2)
    stack.push_async_callback(database.close)
    direct = Egress(allowed(url))
    ways = Ways(direct, {proxy.name: Egress(allowed(url), proxy=proxy) for proxy in proxies})
    stack.push_async_callback(ways.aclose)
    return KommoCrm(direct, PostgresCallLimiter(database), sandbox_url=url, ways=ways)
