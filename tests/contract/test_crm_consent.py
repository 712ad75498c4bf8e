"""Connecting by consent: whose state is taken, where the code is exchanged, who may have an account."""

import os

import pytest

from cast import make_scope
from contract.kommo_tools import Recorder, connected
from contract.oauth_tools import allow, counts, door_of, open_office
from contract.sandbox_tools import accounts_at
from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting import service
from gptagent.features.crm.connecting.accounts import remove_in_crm
from gptagent.features.crm.connecting.model import (
    Credentials,
    NewIntegration,
    disconnect_signature,
    shared_integration,
)
from gptagent.features.crm.events import AccountConnected
from gptagent.features.crm.service import ConnectCrm
from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from gptagent.kernel.events import Subscribers
from gptagent.kernel.ids import new_id, new_token
from gptagent.sandbox.spawn import running

VAULT = Vault([os.urandom(32)])


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture(scope="module")
def factory(url):
    with accounts_at(url) as factory:
        yield factory


@pytest.fixture
def account(factory):
    return factory()


@pytest.fixture
async def door(url, database):
    async with connected(url, Recorder()) as adapter:
        yield door_of(database, VAULT, adapter)


@pytest.fixture
async def office(url, scope, door, account):
    return await open_office(door, scope, url, account.http)


async def test_a_consent_ends_in_a_connection_whose_secrets_are_sealed(office, account, database, url):
    """CRM-3"""
    told = []

    async def hear(session, event):
        told.append(event.connection_id)

    office.door = door_of(
        database, VAULT, office.door.crm, subscribers=Subscribers({AccountConnected: (hear,)})
    )
    address = await office.begin()
    assert address.startswith(f"{url}/_www/kommo/oauth?client_id={office.integration['client_id']}&state=")
    made = await office.finish(allow(account, address))
    assert (made.status, made.host, made.access_kind) == ("connected", account.facts["host"], "oauth")
    assert made.account_id == account.facts["account_id"] and "send_external_messages" in made.scopes
    assert told == [made.id]
    row, grant = await office.row(made.id), await office.grant(made.id)
    assert row["client_id"] == office.integration["client_id"]
    life = (row["access_expires_at"] - grant["renewed_at"]).total_seconds()
    assert 0.79 < (grant["renew_at"] - grant["renewed_at"]).total_seconds() / life < 0.81
    async with database.session(office.scope) as session:
        kept = await session.fetchval(
            "select string_agg(t::text, '') from (select c::text as t from app.crm_connection c union all"
            " select g::text from app.crm_grant g union all select i::text from app.crm_integration i) all_"
        )
    link = await office.link(made.id)
    for secret in (link.token, office.integration["client_secret"]):
        assert secret not in kept and secret.encode().hex() not in kept
    assert len(account.api("GET", "/webhooks").json()["_embedded"]["webhooks"]) == 1


async def test_a_state_is_taken_once(office, account):
    """CRM-2"""
    answer = allow(account, await office.begin())
    await office.finish(answer)
    with pytest.raises(Forbidden, match="crm_consent_expired"):
        await office.finish(answer)
    assert counts(account)["exchanged"] == 1


async def test_a_state_of_another_browser_or_person_is_refused_and_spoilt(office, account):
    """CRM-2"""
    for other in ({"session_id": new_id()}, {"person_id": new_id()}, {"person_id": None, "session_id": None}):
        answer = allow(account, await office.begin())
        with pytest.raises(Forbidden, match="crm_consent_expired"):
            await office.finish(answer, **other)
        with pytest.raises(Forbidden, match="crm_consent_expired"):
            await office.finish(answer)
    assert counts(account)["exchanged"] == 0


async def test_a_state_asked_for_by_a_program_is_taken_from_any_browser_of_its_person(office, account):
    answer = allow(account, await office.begin(session_id=None))
    made = await office.finish(answer, session_id=new_id())
    assert made.status == "connected"


async def test_what_a_key_asked_for_is_finished_by_anybody_with_the_right(office, account):
    answer = allow(account, await office.begin(person_id=None, session_id=None))
    assert (await office.finish(answer, person_id=new_id(), session_id=new_id())).status == "connected"


async def test_a_state_is_over_after_ten_minutes(office, account, database):
    """CRM-2"""
    answer = allow(account, await office.begin())
    async with database.session(office.scope) as session:
        left = await session.fetchval("select extract(epoch from expires_at - now()) from app.crm_consent")
        assert 590 < left <= 600
        await session.execute("update app.crm_consent set expires_at = now()")
    with pytest.raises(Forbidden, match="crm_consent_expired"):
        await office.finish(answer)
    await office.begin()
    async with database.session(office.scope) as session:
        assert await session.fetchval("select count(*) from app.crm_consent") == 1


async def test_a_state_of_another_workspace_connects_nothing_there(office, account, other_scope):
    """CRM-2"""
    answer = allow(account, await office.begin())
    office.scope, asked = other_scope, office.scope
    with pytest.raises(Forbidden, match="crm_consent_expired"):
        await office.finish(answer, person_id=asked.actor.id)
    assert counts(account)["exchanged"] == 0


async def test_an_unknown_state_is_refused(office):
    with pytest.raises(Forbidden, match="crm_consent_expired"):
        await service.use_consent(
            office.door, new_token(), person_id=office.person_id, session_id=office.session_id
        )


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "evil.example",
        "kommo.com",
        "acme.kommo.com.evil.example",
        "evil.example#.kommo.com",
        "evil.example/.kommo.com",
        "a.b.kommo.com",
        "acme.kommo.com:8443",
        "acme.kommo.com:443",
        "user@acme.kommo.com",
        "https://acme.kommo.com",
        "acme.kommo.com/..",
        "acme.kommo.com\r\nhost: evil.example",
        "acme.kommo.com\n",
        "acme.kommo.com.",
        "acme.kommo.com%00.evil.example",
        "acme.kommo.com?x=1",
        "acme.kommo.com\\evil",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "169.254.169.254",
        "аcme.kommo.com",
        "acme。kommo.com",
        "acme.amocrm.ru",
        "acme.amocrm.test",
        "-acme.kommo.com",
        f"{'a' * 64}.kommo.com",
    ],
)
async def test_a_code_goes_to_no_other_host(office, account, referer):
    """Neither elsewhere nor to the other brand: the secret would go with it."""
    answer = allow(account, await office.begin()) | {"referer": referer}
    with pytest.raises(Invalid, match="crm_host_refused"):
        await office.finish(answer)
    assert counts(account) == {"exchanged": 0, "refreshed": 0, "refused": 0}


async def test_the_answer_must_be_of_the_same_integration(office, account):
    answer = allow(account, await office.begin()) | {"client_id": "another"}
    with pytest.raises(Forbidden, match="crm_consent_expired"):
        await office.finish(answer)


async def test_a_code_the_crm_refuses_stores_nothing(office, account, database):
    answer = allow(account, await office.begin()) | {"code": "made-up"}
    with pytest.raises(Forbidden, match="crm_grant_refused"):
        await office.finish(answer)
    async with database.session(office.scope) as session:
        assert await crm.list_connections(session) == []


async def test_amocrm_is_connected_in_the_same_way(door, scope, account, url):
    office = await open_office(door, scope, url, account.http, brand="amocrm")
    made = await office.connect(account)
    assert (made.brand, made.host) == ("amocrm", f"{account.facts['subdomain']}.amocrm.test")


async def test_the_installations_integration_is_used_where_a_workspace_has_none(office, database):
    shared = Credentials("kommo", "shared-client", "shared-secret")
    door = door_of(database, VAULT, office.door.crm, shared={"kommo": shared})
    newcomer = await make_scope(database, "Newcomer's")
    async with database.session(newcomer) as session:
        (found,) = await door.keys.usable(session)
        assert found == shared_integration(shared) and found.secret_end == "cret"
        assert await door.keys.find(session, "kommo", "shared-client") == shared
        assert await door.keys.find(session, "kommo", "other-client") is None
    async with database.session(office.scope) as session:
        (own,) = await door.keys.usable(session)
        assert own.client_id == office.integration["client_id"]


async def test_keys_are_kept_sealed_replaced_and_not_removed_while_needed(office, account, other_scope):
    """CRM-1"""
    db = office.door.db
    async with db.session(office.scope) as session:
        (listed,) = await service.list_integrations(session)
        assert listed.secret_end == office.integration["client_secret"][-4:]
        assert office.integration["client_secret"] not in repr(listed)
        with pytest.raises(Invalid) as refused:
            await service.add_integration(session, NewIntegration("hubspot", "two words", ""), VAULT)
        assert {fault.pointer for fault in refused.value.fields} == {"brand", "client_id", "client_secret"}
        changed = await service.change_integration(session, listed.id, "another-secret-9876", VAULT)
        assert changed.secret_end == "9876"
        await service.change_integration(session, listed.id, office.integration["client_secret"], VAULT)
    async with db.session(office.scope) as session:
        new = NewIntegration("kommo", office.integration["client_id"], "x")
        with pytest.raises(Conflict, match="crm_integration_exists"):
            await service.add_integration(session, new, VAULT)
    async with db.session(other_scope) as session:
        with pytest.raises(NotFound):
            await service.remove_integration(session, listed.id)
    made = await office.connect(account)
    async with db.session(office.scope) as session:
        with pytest.raises(Conflict, match="crm_integration_in_use"):
            await service.remove_integration(session, listed.id)
        await crm.disconnect_crm(session, made.id)
        await service.remove_integration(session, listed.id)
        assert await service.list_integrations(session) == []


async def test_an_account_of_another_workspace_is_refused_without_a_name(office, account, other_scope, url):
    mine = await office.connect(account)
    theirs = await open_office(office.door, other_scope, url, account.http)
    with pytest.raises(Conflict, match="crm_account_taken") as refused:
        await theirs.connect(account)
    assert "Alice" not in str(refused.value) and not refused.value.params
    with pytest.raises(Conflict, match="crm_account_taken"):
        command = ConnectCrm(account.facts["host"], account.facts["token"])
        await service.connect_account(office.door, other_scope, command)
    assert (await office.row(mine.id))["status"] == "connected"
    again = await office.connect(account)
    assert again.id == mine.id
    async with office.door.db.session(office.scope) as session:
        await crm.disconnect_crm(session, mine.id)
    assert (await theirs.connect(account)).status == "connected"


async def test_a_long_lived_token_takes_the_place_of_a_grant_and_back(office, account):
    made = await office.connect(account)
    command = ConnectCrm(account.facts["host"], account.facts["token"])
    same = await service.connect_account(office.door, office.scope, command)
    assert (same.id, same.access_kind) == (made.id, "long_lived")
    assert same.access_expires_at.year == 2033 and await office.grant(made.id) is None
    await office.connect(account)
    assert await office.grant(made.id) is not None


def test_the_signature_of_a_disconnect_is_the_vendors():
    keys = Credentials("kommo", "0b0832f6-d123-4123-9123-e73f236833c1", "test_secret_1")
    assert disconnect_signature(keys, 12345678) == (
        "c42c9c3b74e6e8e42932d85610565ece014f9f7edca66888f6168e41767833de"
    )


async def test_a_signed_disconnect_wipes_the_tokens_and_breaks_the_connection(office, account):
    """CRM-5, CRM-24"""
    made = await office.connect(account)
    client, number = office.integration["client_id"], account.facts["account_id"]
    keys = Credentials("kommo", client, office.integration["client_secret"])
    signature = disconnect_signature(keys, number)
    for wrong in ("", signature[:-1] + "g", disconnect_signature(keys, number + 1)):
        assert not await remove_in_crm(office.door, client, number, wrong)
    assert not await remove_in_crm(office.door, client, number + 1, signature)
    assert not await remove_in_crm(office.door, new_token(), number, signature)
    assert (await office.row(made.id))["status"] == "connected"
    assert await remove_in_crm(office.door, client, number, signature)
    row = await office.row(made.id)
    assert (row["status"], row["status_reason"], row["scopes"]) == ("broken", "crm_removed", None)
    assert await office.grant(made.id) is None and (await office.link(made.id)).token == ""
    again = await office.connect(account)
    assert (again.id, again.status) == (made.id, "connected")
