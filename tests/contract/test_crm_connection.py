"""Connecting an account of the CRM: what a person types, what is stored, what webhooks may say."""

import os

import pytest

from contract.kommo_tools import Recorder, break_next, connected
from contract.sandbox_tools import accounts_at
from gptagent.features.crm import service
from gptagent.features.crm.model import LeadChanged, OtherEvent, Webhook
from gptagent.features.crm.service import ConnectCrm, connect_crm, read_host
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import Forbidden, Invalid, Misconfigured, NotFound
from gptagent.kernel.events import Subscribers
from gptagent.kernel.ids import new_token
from gptagent.sandbox.spawn import running

PUBLIC_URL = "http://127.0.0.1:9"
VAULT = Vault([os.urandom(32)])


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture
def account(url):
    with accounts_at(url) as factory:
        yield factory()


@pytest.fixture
async def connect(url, database, account):
    """Connect the account for a workspace, with what a person might type otherwise."""
    async with connected(url, Recorder()) as crm:

        async def connect(scope, **changes):
            typed = {"address": account.facts["host"], "token": account.facts["token"]} | changes
            return await connect_crm(
                database, scope, ConnectCrm(**typed), crm=crm, vault=VAULT, public_url=PUBLIC_URL
            )

        yield connect


def destinations(account):
    hooks = account.api("GET", "/webhooks").json()["_embedded"]["webhooks"]
    return [hook["destination"] for hook in hooks]


async def find_hook(database, secret):
    async with database.installation() as session:
        return await service.find_hook(session, secret)


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("company", "company.kommo.com"),
        (" HTTPS://Company.Kommo.com/leads/?x=1 ", "company.kommo.com"),
        ("http://company.amocrm.ru", "company.amocrm.ru"),
        ("my-company.amocrm.com", "my-company.amocrm.com"),
        ("", None),
        ("-company", None),
        ("company.example.com", None),
        ("company.kommo.com.evil.example", None),
        ("evil.example#.kommo.com", None),
        ("user@company.kommo.com", None),
        ("a.b.kommo.com", None),
        ("company.kommo.com:8080", None),
        ("127.0.0.1", None),
        ("компания", None),
        ("a" * 64, None),
    ],
)
def test_only_an_account_of_the_vendor_is_an_address(typed, host):
    if host:
        assert read_host(typed) == host
        return
    with pytest.raises(Invalid) as refused:
        read_host(typed)
    assert refused.value.fields[0].pointer == "address"


async def test_a_connected_account_is_mirrored_and_its_secrets_are_sealed(database, scope, account, connect):
    connection = await connect(scope)
    assert (connection.status, connection.account_id) == ("connected", account.facts["account_id"])
    secret = destinations(account)[0].split("/")[-2]
    hook = await find_hook(database, secret)
    assert (hook.org_id, hook.connection_id) == (scope.org_id, connection.id)
    assert await find_hook(database, new_token()) is None
    async with database.session(scope) as session:
        assert await session.fetchval("select count(*) from app.crm_stage") > 3
        stored = await session.fetchval("select c::text from app.crm_connection c")
        link = await service.open_link(session, connection.id, VAULT)
        with pytest.raises(Misconfigured):
            await service.open_link(session, connection.id, Vault([os.urandom(32)]))
    assert link.token == account.facts["token"]
    for word in (secret, link.token):
        assert word not in stored and word.encode().hex() not in stored


async def test_connecting_again_renews_the_token_and_keeps_the_hook(database, scope, account, connect):
    first = await connect(scope)
    async with database.session(scope) as session:
        link = await service.open_link(session, first.id, VAULT)
        await service.mark_broken(session, link, VAULT, "crm_unauthorized")
        assert (await service.get_connection(session, first.id)).status == "broken"
    before = destinations(account)
    again = await connect(scope)
    assert (again.id, again.status, again.status_reason) == (first.id, "connected", None)
    assert destinations(account) == before


async def test_a_connection_without_its_webhook_is_not_called_connected(database, scope, account, connect):
    break_next(account, method="POST", path="/webhooks", status=429)
    connection = await connect(scope)
    assert (connection.status, connection.status_reason) == ("broken", "crm_rate_limited")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"token": ""}, "token"),
        ({"token": "two words"}, "token"),
        ({"token": "токен"}, "token"),
        ({"token": "x" * 8_001}, "token"),
        ({"token": "not-the-token"}, "token"),
        ({"address": "nobody-has-this.kommo.test"}, "address"),
    ],
)
async def test_what_does_not_connect_is_said_at_its_field_and_nothing_is_stored(
    database, scope, connect, changes, pointer
):
    with pytest.raises(Invalid) as refused:
        await connect(scope, **changes)
    assert refused.value.fields[0].pointer == pointer
    async with database.session(scope) as session:
        assert await service.list_connections(session) == []


async def test_a_disconnected_account_is_forgotten_with_its_mirror(
    database, scope, other_scope, account, connect
):
    connection = await connect(scope)
    secret = destinations(account)[0].split("/")[-2]
    async with database.session(other_scope) as session:
        for verb in (service.disconnect_crm, service.get_connection):
            with pytest.raises(NotFound):
                await verb(session, connection.id)
    async with database.session(scope) as session:
        await service.disconnect_crm(session, connection.id)
        assert await service.list_connections(session) == []
        assert await session.fetchval("select count(*) from app.crm_pipeline") == 0
        with pytest.raises(NotFound):
            await service.open_link(session, connection.id, VAULT)
    assert await find_hook(database, secret) is None


async def test_a_webhook_may_speak_for_its_own_account_only(database, scope, connect):
    connection = await connect(scope)
    hook = service.Hook(scope.org_id, connection.id, connection.account_id)
    moved = LeadChanged(7, "updated", 1, 2, name="Deal")
    async with database.session(scope) as session:
        with pytest.raises(Forbidden):
            await service.receive_webhook(
                session, hook, Webhook(connection.account_id + 1, None, (moved,)), Subscribers(), now=utcnow()
            )
        assert await service.get_lead_card(session, connection.id, 7) is None
        events = (moved, OtherEvent("company", {"id": 5}))
        webhook = Webhook(connection.account_id, None, events, {"leads": {}}, kind="leads[update]")
        await service.receive_webhook(session, hook, webhook, Subscribers(), now=utcnow())
        assert (await service.get_lead_card(session, connection.id, 7)).name == "Deal"
        (row,) = await session.fetch("select kind, state from app.crm_delivery")
        assert tuple(row) == ("leads[update]", "processed")
        assert (await service.get_connection(session, connection.id)).last_webhook_at is not None
