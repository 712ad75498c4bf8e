"""A house of its own: the first account, registration by invitation, https, and a database that goes away."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import httpx2
import pytest

from acceptance.door import Door
from cast import make_scope
from gptagent.features.identity import service as identity
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.postgres import Postgres, prepare_database
from gptagent.kernel.settings import Settings
from gptagent.migrations.run import migrate
from servers import serving

PUBLIC_URL = "https://gpt.example.test"


@pytest.fixture(scope="module")
def own_home():
    home = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres(own_home):
    server = Postgres(own_home)
    roles = prepare_database(server.start(), own_home)
    migrate(roles.owner_dsn, roles.app_dsn)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def house(postgres, own_home):
    """By invitation only, behind https."""
    with serving(own_home, REGISTRATION="invite", PUBLIC_URL=PUBLIC_URL) as server:
        yield server


@pytest.fixture(scope="module")
async def db(postgres, own_home):
    database = await Database.connect(prepare_database(postgres.start(), own_home).app_dsn)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def guest(house, db, own_home):
    async with httpx2.AsyncClient(base_url=house.url, timeout=60) as client:
        yield Door(client, db, load_vault(Settings(gptagent_home=own_home)), house.used)


async def offer(db):
    async with db.installation() as session:
        return await identity.offer_setup(session)


async def person_of(db, email):
    async with db.installation() as session:
        person_id = await session.fetchval("select person_id from app.credential_by_email($1)", email)
    if person_id is None:
        return None
    async with db.installation(person_id) as session:
        return await identity.get_person(session, person_id)


async def test_the_setup_link_makes_one_administrator_and_is_used_up(guest, db):
    replaced, token = await offer(db), await offer(db)
    for wrong in (replaced, "guess", ""):
        response = await guest.register("early@house.test", setup_token=wrong)
        assert (response.status_code, response.json()["code"]) == (404, "setup_closed")
    emails = [f"first{number}@house.test" for number in range(4)]
    responses = await asyncio.gather(*(guest.register(email, setup_token=token) for email in emails))
    assert sorted(response.status_code for response in responses) == [201, 404, 404, 404]
    made = [person for email in emails if (person := await person_of(db, email))]
    assert len(made) == 1 and made[0].is_platform_admin
    assert await person_of(db, "early@house.test") is None
    assert await offer(db) is None


async def test_registration_by_invitation_tells_a_stranger_nothing(guest, db):
    scope = await make_scope(db, "Known")
    async with db.installation(scope.actor.id) as session:
        known = (await identity.get_person(session, scope.actor.id)).email
    answers = [await guest.register(email) for email in (known, "nobody.yet@house.test")]
    bodies = [response.json() | {"request_id": ""} for response in answers]
    assert bodies[0] == bodies[1]
    assert (answers[0].status_code, bodies[0]["code"]) == (403, "registration_closed")


@pytest.mark.parametrize("path", ["/health/live", "/api/v1/agents", "/login", "/hooks/kommo/nobodys/"])
async def test_https_is_insisted_on_where_the_public_address_has_it(path, guest):
    """SEC-1"""
    response = await guest("GET", path)
    value = response.headers["strict-transport-security"]
    assert int(value.partition("max-age=")[2].partition(";")[0]) >= 31_536_000
    assert "includeSubDomains" in value


@pytest.mark.parametrize(
    "path", ["/api/v1/agents", "/api/v1/auth/login", "/hooks/kommo/nobodys/", "/metrics"]
)
async def test_a_program_that_forgot_https_is_not_led_on(path, guest):
    """It would send its credential in clear every time, and nobody would notice."""
    for method in ("GET", "POST"):
        response = await guest(method, path, headers={"x-forwarded-proto": "http"})
        assert response.status_code >= 400 and "location" not in response.headers


async def test_without_its_database_the_platform_says_so_and_comes_back(guest, db, postgres, house):
    owner = await guest.of(await make_scope(db, "Steady"))
    asked = (
        (guest, "GET", "/health/ready"),
        (owner, "GET", "/api/v1/agents"),
        (guest, "POST", "/hooks/kommo/nobodys/"),
        (guest, "POST", "/api/v1/auth/login"),
    )
    body = {"email": "a@b.test", "password": "not the right one"}
    postgres.stop()
    try:
        for who, method, path in asked:
            response = await who(method, path, json=body if path.endswith("login") else None)
            assert response.status_code == 503, f"{path}: {response.text}"
            assert int(response.headers["retry-after"]) >= 1
            assert "sock" not in response.text and "/tmp" not in response.text
        assert (await guest("GET", "/health/live")).status_code == 200
    finally:
        postgres.start()
    house.until("the platform is back", lambda: house.answers("/health/ready"))
    assert (await owner("GET", "/api/v1/agents")).status_code == 200


async def test_the_log_of_that_time_has_no_stack_traces(house):
    """SEC-6: a database that is away is foreseen."""
    assert "request_failed" not in house.log
