"""A house of its own: database, web process and worker, so that every job and log line in it is ours."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from gptagent.bootstrap import Platform, build_platform
from gptagent.kernel.http import csrf_of_session
from gptagent.kernel.scope import Scope
from gptagent.kernel.settings import Settings
from homes import new_home, own_database
from isolation.estate import Estate, furnish
from members import bearer, cookie_of
from servers import Server, serving, working


@pytest.fixture(scope="session")
def house() -> Iterator[Path]:
    """A home with a migrated database of its own."""
    with new_home() as home, own_database(home):
        yield home


@pytest.fixture(scope="session")
async def platform(house: Path) -> AsyncIterator[Platform]:
    """What the processes are made of, for looking behind them."""
    platform = await build_platform(Settings(gptagent_home=house, host="127.0.0.1"))
    yield platform
    await platform.close()


@pytest.fixture(scope="session")
def web(house: Path) -> Iterator[Server]:
    with serving(
        house, RATE_FACTOR="1000", REGISTRATION="open", METRICS_TOKEN="the operator's own word"
    ) as server:
        yield server


@pytest.fixture
def worker(house: Path) -> Iterator[Server]:
    with working(house) as server:
        yield server


async def furnished(platform: Platform, canary: str) -> Estate:
    """A workspace with every kind of object, its file included."""
    estate = await furnish(platform.db, platform.vault, canary)

    async def words():
        yield canary.encode()

    for kind in ("attachments", "article-files"):
        await platform.files.put(estate.scope.key(kind, canary), words(), max_bytes=100)
    return estate


@pytest.fixture(scope="session")
async def alice(platform: Platform) -> Estate:
    return await furnished(platform, "canary7q2x")


@pytest.fixture(scope="session")
async def charlie(platform: Platform) -> Estate:
    """Furnished as well: he has something of everything, and none of it is Alice's."""
    return await furnished(platform, "sparrow5k8z")


@pytest.fixture(scope="session")
async def erin(platform: Platform) -> Estate:
    """Shares her workspace with people of every role: its owner is not the only one."""
    return await furnished(platform, "wren3d9p")


@dataclass(frozen=True)
class Caller:
    """Somebody at the door: over the API with a token, on pages with a browser's cookie."""

    http: httpx2.AsyncClient
    estate: Estate
    headers: dict[str, str]
    cookie: str

    async def call(self, method: str, path: str, **options) -> httpx2.Response:
        return await self.http.request(method, path, headers=self._credentials(method, path), **options)

    def _credentials(self, method: str, path: str) -> dict[str, str]:
        if path.startswith("/api/"):
            return self.headers
        browser = {"cookie": f"session={self.cookie}"}
        return browser if method == "GET" else browser | {"x-csrf-token": csrf_of_session(self.cookie).token}


@pytest.fixture(scope="session")
async def http(web: Server) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=web.url, timeout=60) as client:
        yield client


@pytest.fixture
async def enter(http, platform: Platform) -> Callable[..., Awaitable[Caller]]:
    """Log somebody in, anew for each test: the owner, or the person of this ticket."""

    async def entered(estate: Estate, scope: Scope | None = None) -> Caller:
        who = scope or estate.scope
        cookie = await cookie_of(platform.db, who)
        headers = await bearer(platform.db, platform.vault, who)
        return Caller(http, estate, headers, cookie)

    return entered


@pytest.fixture
async def as_charlie(enter, charlie: Estate) -> Caller:
    return await enter(charlie)


@pytest.fixture
async def as_alice(enter, alice: Estate) -> Caller:
    return await enter(alice)


@pytest.fixture
async def dora(platform: Platform) -> Estate:
    """A workspace whose objects may be changed and deleted."""
    return await furnished(platform, f"dora{uuid4().hex[:8]}")


@pytest.fixture
async def as_dora(enter, dora: Estate) -> Caller:
    return await enter(dora)
