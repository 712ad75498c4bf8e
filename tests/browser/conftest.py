"""A home of its own: each of these tests serves it by a process, and one home has one web process.

And one browser: each test has pages and cookies of its own in it.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from browsers import CHROMIUM, FLAGS
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.postgres import Roles
from gptagent.kernel.settings import Settings
from homes import new_home, own_database
from scenes import Scene
from servers import Server, serving
from worlds import World


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    with new_home() as home:
        yield home


@pytest.fixture(scope="session")
def roles(home: Path) -> Iterator[Roles]:
    with own_database(home) as roles:
        yield roles


@pytest.fixture(scope="session")
async def database(home: Path, roles: Roles) -> AsyncIterator[Database]:
    database = await Database.connect(roles.app_dsn, load_vault(Settings(gptagent_home=home)))
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        await chromium.close()


@pytest.fixture
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """What a test opens is shut when it ends."""
    yield chromium
    for context in list(chromium.contexts):
        await context.close()


@pytest.fixture(scope="module")
def web(home: Path, roles: Roles, kommo: str) -> Iterator[Server]:
    with serving(home, REGISTRATION="open", KOMMO_SANDBOX_URL=kommo) as server:
        yield server


@pytest.fixture
async def scene(world: World) -> Scene:
    scene = await Scene.open(world)
    await scene.write_article("Opening hours", "On Sunday we are open from ten to four.")
    await scene.says("Hello")
    await scene.calm()
    return scene
