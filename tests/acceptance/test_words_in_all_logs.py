"""After a whole run no log of web, worker and PostgreSQL and no metric knows a person or a word."""

import shutil
import tempfile
import time
from pathlib import Path

import httpx2
import psycopg
import pytest

from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.postgres import Postgres, prepare_database
from gptagent.migrations.run import migrate
from servers import serving, working
from worlds import PATIENT_HOOKS

METRICS_TOKEN = "a word of the operator's own"
EMAIL, NAME, PASSWORD = "dormouse@wonderland-canary.test", "Dormouse Canaryname", "correct horse battery"
CUSTOMER, PHONE = "Humpty Canarycustomer", "+79161234567"
QUESTION, REPLY = "Canaryquestion about a lost parcel", "Canaryreply: parcels wait for a week."
WRONG, UNKNOWN = "canary wrong password", "nobody@unknown-canary.test"
WAIT_SECONDS = 150.0  # a send whose connection was cut is believed lost after 45 s


@pytest.fixture
def installation():
    """A home with a database of its own."""
    home = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    home.chmod(0o755)
    server = Postgres(home)
    try:
        roles = prepare_database(server.start(), home)
        migrate(roles.owner_dsn, roles.app_dsn)
        yield home, roles
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def until(what, condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Life:
    """What people and programs do, well and badly."""

    def __init__(self, web, sandbox):
        self.web, self.sandbox, self.used = (
            web,
            sandbox,
            {EMAIL, NAME, PASSWORD, CUSTOMER, PHONE, WRONG, UNKNOWN},
        )
        self.used |= {QUESTION, REPLY, "Canary"}
        self.headers = {}

    def call(self, method, path, **options):
        return httpx2.request(method, f"{self.web.url}{path}", headers=self.headers, timeout=30, **options)

    def crm(self, method, path, body=None):
        url = f"{self.sandbox}/_sandbox/accounts/canarylog{path}"
        return httpx2.request(method, url, json=body, timeout=30).raise_for_status().json()

    def enter(self):
        person = {"email": EMAIL, "given_name": NAME, "password": PASSWORD, "organization": "Canary shop"}
        made = self.call("POST", "/api/v1/auth/register", json=person).json()
        self.used |= {made["access_token"], made["refresh_token"]}
        self.headers = {"authorization": f"Bearer {made['access_token']}"}
        for email in (EMAIL, UNKNOWN, f"{EMAIL}\0"):
            self.call("POST", "/api/v1/auth/login", json={"email": email, "password": WRONG})
        self.call("POST", "/api/v1/auth/register", json=person)
        self.call("POST", "/api/v1/auth/refresh", json={"refresh_token": made["refresh_token"] + "x"})

    def furnish(self):
        self.call("POST", "/api/v1/articles", json={"title": QUESTION, "content": REPLY})
        agent = self.call("POST", "/api/v1/agents", json={"name": "Canary agent"}).json()
        changes = {"is_active": True, "response_delay_seconds": 0, "not_found_text": REPLY}
        self.call("PATCH", f"/api/v1/agents/{agent['id']}", json=changes)
        url = f"{self.sandbox}/_sandbox/accounts"
        token = httpx2.post(url, json={"subdomain": "canarylog"}, timeout=30).json()["token"]
        self.used.add(token)
        self.crm("POST", "/knobs", PATIENT_HOOKS)
        for given in (token + "x", token):
            body = {"address": "canarylog.kommo.test", "token": given}
            self.call("POST", "/api/v1/connections", json=body)

    def talk(self):
        chat = self.crm("POST", "/chats", {"name": CUSTOMER, "phone": PHONE, "origin": "waba"})["chat_id"]
        self.crm("POST", "/faults", {"method": "POST", "path": "send_message", "count": 1, "action": "reset"})
        self.crm("POST", f"/chats/{chat}/customer", {"text": QUESTION})
        until("the agent answers", lambda: self.answered(chat))

    def answered(self, chat):
        return [
            one for one in self.crm("GET", f"/chats/{chat}/messages")["messages"] if one["author"] == "bot"
        ]

    def err(self):
        self.call("GET", "/api/v1/articles", params={"search": QUESTION})
        self.call("POST", "/api/v1/agents", json={"name": NAME, "odd": QUESTION})
        self.call("POST", "/api/v1/agents", json={"name": NAME * 50})
        self.call("GET", f"/api/v1/privacy/customers?search={CUSTOMER}")
        self.call("POST", "/api/v1/documents", files={"file": (f"{NAME}.pdf", QUESTION.encode())})
        self.call("GET", f"/login?next=/{EMAIL}")
        self.call("POST", "/api/v1/account/erase", json={"proof": WRONG})
        (one,) = self.call("GET", "/api/v1/conversations").json()["items"]
        self.call("GET", f"/api/v1/privacy/customers/{one['id']}")
        self.call("DELETE", f"/api/v1/privacy/customers/{one['id']}")
        self.call("GET", "/api/v1/account/export")


def fail_in_the_database(roles):
    """Statements that PostgreSQL refuses, with values in them: its own log must not show those."""
    with psycopg.connect(roles.app_dsn, autocommit=True) as connection:
        insert = "insert into app.person (id, email, full_name) values (gen_random_uuid(), %s, %s)"
        for sql, values in ((insert, [EMAIL, NAME]), ("select %s::int", [QUESTION])):
            with pytest.raises(psycopg.Error):
                connection.execute(sql, values)


def test_no_log_and_no_metric_knows_a_person_or_a_word(installation, kommo):
    """SEC-5"""
    home, roles = installation
    settings = {"KOMMO_SANDBOX_URL": kommo, "METRICS_TOKEN": METRICS_TOKEN, "REGISTRATION": "open"}
    with serving(home, port=free_port(), **settings) as web, working(home, **settings) as worker:
        life = Life(web, kommo)
        for step in (life.enter, life.furnish, life.talk, life.err):
            step()
        fail_in_the_database(roles)
        known = {"authorization": f"Bearer {METRICS_TOKEN}"}
        metrics = httpx2.get(f"{web.url}/metrics", headers=known, timeout=30)
        told = {"web": web.log, "worker": worker.log, "metrics": metrics.text}
    told |= {file.name: file.read_text(errors="ignore") for file in (home / "postgres").rglob("*.log")}
    assert len(told) >= 4 and all(told.values()) and metrics.status_code == 200
    found = [(log, word) for log, text in told.items() for word in life.used if word.lower() in text.lower()]
    assert found == []
