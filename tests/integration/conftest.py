"""The web application on the tests' database, served over real HTTP, and its readers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from administrators import enter_with, make_administrator
from cast import make_scope
from gptagent.adapters.llm.port import OpenAiCompatible, Patience
from gptagent.features.crm import service as crm
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.knowledge.model import StageKey
from gptagent.features.knowledge.reranking import service as reranking
from gptagent.features.knowledge.staging.service import list_stages
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id
from gptagent.kernel.postgres import Roles
from gptagent.kernel.scope import Scope
from gptagent.sandbox.spawn import running
from here import keeping, serving_here
from hookings import Door
from mailboxes import Mailbox, mailbox_here
from members import add_member
from readers import Reader, reader_of, stranger_at
from trust import TRUST
from worlds import World

__all__ = ["serving_here"]


@pytest.fixture(autouse=True)
def patient_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a question wait as long for its meaning and its order as a busy machine may take."""
    for one in (vectors, reranking):
        monkeypatch.setattr(one, "QUESTION_SECONDS", 20.0)


@pytest.fixture(scope="session")
async def roles(home: Path, roles: Roles) -> AsyncIterator[Roles]:
    """The database ends after the servers that are kept."""
    async with keeping(home):
        yield roles


@pytest.fixture(scope="session")
async def web(home: Path, roles) -> AsyncIterator[str]:
    async with serving_here(home, registration="open") as url:
        yield url


@pytest.fixture(scope="session")
def llm() -> Iterator[str]:
    """Address of an emulated model."""
    with running("llm") as url:
        yield url


@pytest.fixture
def control(llm: str) -> Iterator[httpx2.Client]:
    """What the emulated model is told to answer, and what it was asked; it has forgotten other tests."""
    with httpx2.Client(base_url=f"{llm}/_sandbox", timeout=30, verify=TRUST) as http:
        http.post("/reset").raise_for_status()
        yield http


@pytest.fixture
async def model(llm: str, control: httpx2.Client) -> AsyncIterator[OpenAiCompatible]:
    """The adapter that asks the emulated model."""
    parts = urlsplit(llm)
    allow = frozenset({(parts.hostname, parts.port)})
    model = OpenAiCompatible(allow, f"{llm}/v1", "key", "sandbox", patience=Patience(first_pause=0.01))
    yield model
    await model.aclose()


@pytest.fixture(scope="module")
async def mail_server() -> AsyncIterator[Mailbox]:
    async with mailbox_here() as mailbox:
        yield mailbox


@pytest.fixture
async def mailbox(mail_server: Mailbox) -> Mailbox:
    """A mail server that nobody has sent anything yet."""
    await mail_server.clear()
    return mail_server


@pytest.fixture
async def alice(web: str, database: Database, scope: Scope) -> AsyncIterator[Reader]:
    """The owner of a workspace."""
    async with reader_of(web, database, scope) as reader:
        yield reader


@pytest.fixture
async def dora(web: str, database: Database, scope: Scope) -> AsyncIterator[Reader]:
    """May only look at Alice's workspace."""
    async with reader_of(web, database, await add_member(database, scope, "viewer")) as reader:
        yield reader


@pytest.fixture
async def stranger(web: str) -> AsyncIterator[Reader]:
    async with stranger_at(web) as reader:
        yield reader


@pytest.fixture
async def ada_scope(database):
    return await make_scope(database, "Ada's")


@pytest.fixture
async def platform(roles, ada_scope):
    """The ticket of Ada, who administers the platform."""
    return await make_administrator(roles, ada_scope)


@pytest.fixture
async def ada(web, database, platform, ada_scope):
    """Ada with a browser."""
    async with reader_of(web, database, ada_scope) as reader:
        enter_with(reader, reader.http.cookies["session"])
        yield reader


@pytest.fixture
async def bob(database, scope):
    return await add_member(database, scope, "member", email=f"{new_id().hex}@bob.test")


@pytest.fixture
async def stages(world: World) -> list[StageKey]:
    """Two stages of one pipeline, known from the account."""
    async with world.db.session(world.scope) as session:
        link = await crm.open_link(session, world.hook.connection_id, world.vault)
    pipelines = await world.crm().fetch_pipelines(link)
    async with world.db.session(world.scope) as session:
        await mirror.upsert_pipelines(session, world.hook.connection_id, pipelines)
        return [key for key, _ in await list_stages(session)][:2]


@pytest.fixture
def hooks(world: World) -> Door:
    """The door of the world's connection, without HTTP."""
    return Door(world)
