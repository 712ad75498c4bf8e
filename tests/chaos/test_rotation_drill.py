"""The drill of docs/reference/cli.md: a key is replaced under a running platform, a rotation is killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest

from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.crypto import Vault
from gptagent.kernel.ids import new_id
from gptagent.kernel.postgres import Postgres, prepare_database
from gptagent.kernel.scope import PLATFORM_ID
from gptagent.kernel.settings import child_environment
from gptagent.migrations.run import migrate
from servers import serving, working
from worlds import PATIENT_HOOKS

A, B = os.urandom(32), os.urandom(32)
VALUES = 500
WAIT_SECONDS = 120.0
PERSON = {"email": "alice@example.test", "password": "correct horse battery"}
NOT_FOUND = "I will ask a colleague."


def given(*keys):
    return ",".join(b64encode(key).decode() for key in keys)


def until(what, condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def installation():
    """A home with a database of its own; yields it with the owner's address."""
    home = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    home.chmod(0o755)
    server = Postgres(home)
    try:
        roles = prepare_database(server.start(), home)
        migrate(roles.owner_dsn, roles.app_dsn)
        yield home, roles.owner_dsn
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


class Shop:
    """A workspace whose agent answers in an emulated CRM, over restarts with other keys."""

    def __init__(self, home, sandbox):
        self.home, self.sandbox, self.port = home, sandbox, free_port()
        self.token = ""

    @contextmanager
    def running(self, *keys):
        settings = {"SECRET_KEYS": given(*keys), "KOMMO_SANDBOX_URL": self.sandbox}
        with (
            serving(self.home, port=self.port, REGISTRATION="open", **settings),
            working(self.home, **settings),
        ):
            yield

    def call(self, method, path, body=None):
        url = f"http://127.0.0.1:{self.port}/api/v1{path}"
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx2.request(method, url, json=body, headers=headers, timeout=30)

    def of_crm(self, method, path, body=None):
        url = f"{self.sandbox}/_sandbox/accounts/rotation{path}"
        return httpx2.request(method, url, json=body, timeout=30).raise_for_status().json()

    def open(self):
        made = self.call("POST", "/auth/register", {**PERSON, "given_name": "Alice", "organization": "Shop"})
        self.token = made.json()["access_token"]
        agent = self.call("POST", "/agents", {"name": "Agent"}).json()
        changes = {"is_active": True, "response_delay_seconds": 0, "not_found_text": NOT_FOUND}
        self.call("PATCH", f"/agents/{agent['id']}", {**changes, "not_found_task": False}).raise_for_status()
        url = f"{self.sandbox}/_sandbox/accounts"
        account = httpx2.post(url, json={"subdomain": "rotation"}, timeout=30).json()
        self.of_crm("POST", "/knobs", PATIENT_HOOKS)
        body = {"address": "rotation.kommo.test", "token": account["token"]}
        assert self.call("POST", "/connections", body).status_code == 201

    def answers_a_customer(self):
        chat = self.of_crm("POST", "/chats", {"name": "Ann", "origin": "waba"})["chat_id"]
        self.of_crm("POST", f"/chats/{chat}/customer", {"text": "Where is my parcel?"})
        until(
            "the agent answers",
            lambda: any(
                message["author"] == "bot"
                for message in self.of_crm("GET", f"/chats/{chat}/messages")["messages"]
            ),
        )


def command(home, name, *keys):
    environment = {**child_environment(), "GPTAGENT_HOME": str(home), "SECRET_KEYS": given(*keys)}
    return subprocess.Popen(
        [sys.executable, "-m", "gptagent", "secrets", name],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def status(home, *keys):
    """Return how many values each key has sealed, in the order of the lines."""
    process = command(home, "status", *keys)
    output, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, errors
    assert not any(b64encode(key).decode() in output for key in (A, B))
    return [int(line.split()[1]) for line in output.splitlines()]


def seal_values(owner, vault):
    """Rows of people's keys, and a second factor; return whose the factor is."""
    sealed = [(new_id(),) for _ in range(VALUES)]
    for (person,) in sealed:
        value = vault.seal("a person's key", org_id=PLATFORM_ID, purpose=f"person-key:{person}")
        owner.execute("insert into app.person_key values (%s, %s)", [person, value])
    (alice,) = owner.execute("select id from app.person").fetchone()
    secret = vault.seal("JBSWY3DPEHPK3PXP", org_id=PLATFORM_ID, purpose=f"totp:{alice}")
    owner.execute("insert into app.totp (person_id, secret_sealed) values (%s, %s)", [alice, secret])
    return alice


def rotate_and_kill(home, owner_dsn):
    """Kill a rotation in its middle: it waits for a row that is locked here."""
    with psycopg.connect(owner_dsn) as lock:
        lock.execute("select from app.person_key order by person_id desc limit 1 for update")
        process = command(home, "rotate", B, A)
        until("the rotation has begun", lambda: status(home, B, A)[0] >= VALUES // 2)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=WAIT_SECONDS)
    done, left = status(home, B, A)
    assert done and left


@pytest.mark.timeout(600)
def test_a_key_is_replaced_under_a_running_platform_and_a_killed_rotation_goes_on(installation, kommo):
    """SEC-7: SECRET_KEYS=A, then B,A, then `secrets rotate`, killed once, then B alone."""
    home, owner_dsn = installation
    shop = Shop(home, kommo)
    with shop.running(A), psycopg.connect(owner_dsn, autocommit=True) as owner:
        shop.open()
        shop.answers_a_customer()
        alice = seal_values(owner, Vault([A]))
    with shop.running(B, A):
        assert shop.call("GET", "/agents").status_code == 200  # a token of key A, until it expires
        shop.answers_a_customer()
        rotate_and_kill(home, owner_dsn)
        shop.answers_a_customer()
        process = command(home, "rotate", B, A)
        shop.answers_a_customer()
        _output, errors = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == 0, errors
        assert status(home, B, A)[1] == 0
    with shop.running(B):
        assert shop.call("GET", "/agents").status_code == 401
        shop.answers_a_customer()
        shop.token = shop.call("POST", "/auth/login", PERSON).json()["access_token"]
        (connection,) = shop.call("GET", "/connections").json()["items"]
        assert connection["status"] == "connected"
    with psycopg.connect(owner_dsn) as owner:
        (sealed,) = owner.execute("select secret_sealed from app.totp").fetchone()
    assert Vault([B]).open(sealed, org_id=PLATFORM_ID, purpose=f"totp:{alice}") == "JBSWY3DPEHPK3PXP"
