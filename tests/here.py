"""The web application served from the tests' own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from gptagent.bootstrap import build_platform
from gptagent.entrypoints.demo.ports import free_port
from gptagent.entrypoints.serving import KEEP_ALIVE_SECONDS
from gptagent.entrypoints.web import build_web
from gptagent.kernel.settings import Settings

KEPT_SETTINGS = {"registration", "kommo_sandbox_url", "llm_model"}


class Server(uvicorn.Server):
    """Says when it accepts connections."""

    def __init__(self, config):
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self):
        """Leave the signals to the test run."""
        yield


@dataclass
class _Kept:
    """Servers of one home that go on after their test: building one takes longer than most tests."""

    home: Path
    stack: AsyncExitStack
    urls: dict[frozenset[tuple[str, object]], str] = field(default_factory=dict)

    async def url(self, settings: dict[str, object]) -> str:
        settings = {"registration": "open", **settings}  # what the others leave open, most ask for
        known = frozenset(settings.items())
        if known not in self.urls:
            self.urls[known] = await self.stack.enter_async_context(_serving(self.home, settings))
        return self.urls[known]


_kept: list[_Kept] = []


@asynccontextmanager
async def keeping(home: Path) -> AsyncIterator[None]:
    """Keep the servers of this home until the block ends, where they differ in KEPT_SETTINGS only."""
    async with AsyncExitStack() as stack:
        _kept.append(_Kept(home, stack))
        yield
        _kept.clear()


@asynccontextmanager
async def serving_here(home: Path, **settings: object) -> AsyncIterator[str]:
    """Serve the application from this process: several with different settings may share a home."""
    kept = next((one for one in _kept if one.home == home), None)
    if kept is not None and settings.keys() <= KEPT_SETTINGS:
        yield await kept.url(settings)
    else:
        async with _serving(home, settings) as url:
            yield url


@asynccontextmanager
async def _serving(home: Path, settings: dict[str, object]) -> AsyncIterator[str]:
    port = free_port()
    platform = await build_platform(Settings(gptagent_home=home, port=port, **settings))
    try:
        async with listening(build_web(platform), port):
            yield f"http://127.0.0.1:{port}"
    finally:
        await platform.close()


@asynccontextmanager
async def listening(app: ASGIApp, port: int) -> AsyncIterator[None]:
    """Serve an application on this port of the loopback until the block ends."""
    config = uvicorn.Config(
        app,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await server.is_up.wait()
        yield
    finally:
        server.should_exit = True
        await task
