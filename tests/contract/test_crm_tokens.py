"""Tokens renew themselves: once over all workers, at the account's new address, or the connection breaks."""

import asyncio
import os
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from contract.kommo_tools import Recorder, break_next, connected
from contract.oauth_tools import counts, door_of, open_office, renewal_of
from contract.sandbox_tools import accounts_at, until
from gptagent.adapters.kommo.client import Call
from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting import service
from gptagent.kernel.crypto import Vault
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Forbidden, UpstreamUnavailable
from gptagent.sandbox.spawn import running

VAULT = Vault([os.urandom(32)])
WORKERS = 50


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
async def bare(url):
    """The adapter that renews nothing."""
    async with connected(url, Recorder()) as adapter:
        yield adapter


@pytest.fixture
async def office(url, database, scope, account, bare):
    return await open_office(door_of(database, VAULT, bare), scope, url, account.http)


@pytest.fixture
async def adapter(url, database, bare):
    async with connected(url, Recorder(), tokens=renewal_of(database, VAULT, bare)) as adapter:
        yield adapter


@pytest.fixture
async def connection(office, account, database):
    """Connected a while ago: a token that is refused right after it was made is not renewed again."""
    made = await office.connect(account)
    await age(database, office.scope)
    return made


async def queued(office, job):
    async with office.door.db.session(office.scope) as session:
        rows = await session.fetch(
            "select payload from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2",
            job,
            str(office.scope.org_id),
        )
    return [row["payload"] for row in rows]


async def age(database, scope):
    async with database.session(scope) as session:
        await session.execute("update app.crm_grant set renewed_at = renewed_at - interval '1 hour'")


async def make_due(database, scope):
    async with database.session(scope) as session:
        await session.execute("update app.crm_grant set renew_at = now() - interval '1 minute'")


async def test_fifty_workers_on_one_expired_token_make_exactly_one_refresh(
    office, connection, account, url, bare
):
    """CRM-4"""
    account.steer("POST", "/grants/expire")
    account.steer("POST", "/knobs", latency_ms=[20, 60])
    link = await office.link(connection.id)
    parts = urlsplit(url)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))

    async def work():
        # Nothing of what keeps them apart is shared in memory: each might be a process of its own.
        renewal = renewal_of(office.door.db, VAULT, bare)
        worker = KommoCrm(egress, Recorder(), sandbox_url=url, tokens=renewal)
        while True:
            try:
                return await worker.fetch_account(link)
            except UpstreamUnavailable:  # a busy machine: its job would come again
                continue

    accounts = await asyncio.gather(*(work() for _ in range(WORKERS)))
    await egress.aclose()
    assert {one.id for one in accounts} == {account.facts["account_id"]}
    assert counts(account) == {"exchanged": 1, "refreshed": 1, "refused": 0}
    fresh = await office.link(connection.id)
    assert fresh.token != link.token
    assert (await office.row(connection.id))["status"] == "connected"


async def test_within_one_process_the_others_wait_without_a_connection_to_the_database(
    office, connection, account, adapter
):
    account.steer("POST", "/grants/expire")
    link = await office.link(connection.id)
    await asyncio.gather(*(adapter.fetch_account(link) for _ in range(WORKERS)))
    assert counts(account)["refreshed"] == 1


async def test_a_call_is_repeated_once_with_the_new_token(office, connection, account, adapter):
    """CRM-4"""
    account.steer("POST", "/grants/expire")
    link = await office.link(connection.id)
    assert (await adapter.fetch_account(link)).id == account.facts["account_id"]
    assert (await adapter.fetch_account(link)).id == account.facts["account_id"]
    assert counts(account)["refreshed"] == 1


async def test_a_send_behind_its_fence_is_not_repeated(office, connection, account, adapter):
    account.steer("POST", "/grants/expire")
    chat = account.chat()
    link = await office.link(connection.id)
    with pytest.raises(UpstreamUnavailable, match="crm_token_renewed"):
        await adapter.send_message(link, chat["talk_id"], "Hello")
    assert account.steer("GET", "/ledger")["entries"] == []
    await adapter.send_message(await office.link(connection.id), chat["talk_id"], "Hello")
    assert len(account.steer("GET", "/ledger")["entries"]) == 1


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_refused_refresh_breaks_the_connection(office, connection, account, adapter, status):
    """CRM-5"""
    account.steer("POST", "/knobs", refresh_refusal_status=status)
    account.steer("DELETE", "/grants")
    link = await office.link(connection.id)
    for _ in range(2):
        with pytest.raises(Forbidden, match="crm_unauthorized"):
            await adapter.fetch_account(link)
    row = await office.row(connection.id)
    assert (row["status"], row["status_reason"]) == ("broken", "crm_unauthorized")
    assert counts(account)["refused"] == 1
    assert len(await queued(office, "crm.tell_broken")) == 1
    assert (await office.connect(account)).status == "connected"
    assert (await adapter.fetch_account(await office.link(connection.id))).id == account.facts["account_id"]


async def test_a_token_that_is_refused_right_after_its_renewal_breaks_the_connection(
    office, account, adapter, database
):
    made = await office.connect(account)
    account.steer("POST", "/grants/expire")
    with pytest.raises(Forbidden, match="crm_unauthorized"):
        await adapter.fetch_account(await office.link(made.id))
    assert counts(account)["refreshed"] == 0 and (await office.row(made.id))["status"] == "broken"


@pytest.mark.parametrize(
    ("token", "old_host_status"), [("good", 401), ("good", 404), ("expired", 401), ("expired", 404)]
)
async def test_a_renamed_account_is_followed(office, connection, account, adapter, *, token, old_host_status):
    if token == "expired":
        account.steer("POST", "/grants/expire")
    renamed = f"{account.facts['subdomain']}-renamed"
    account.steer("POST", "/rename", subdomain=renamed, old_host_status=old_host_status)
    found = await adapter.fetch_account(await office.link(connection.id))
    assert found.subdomain == renamed
    row = await office.row(connection.id)
    assert (row["host"], row["status"]) == (f"{renamed}.kommo.test", "connected")
    account.facts["subdomain"] = renamed
    assert counts(account)["refreshed"] == 1


async def test_something_unknown_in_an_account_that_is_there_moves_nothing(
    office, connection, account, adapter
):
    link = await office.link(connection.id)
    with pytest.raises(Exception, match="crm_not_found"):
        await adapter.list_messages(link, 999_999, connection.created_at)
    assert counts(account)["refreshed"] == 0


async def test_a_long_lived_token_is_not_renewed(office, account, adapter):
    command = crm.ConnectCrm(account.facts["host"], account.facts["token"])
    made = await service.connect_account(office.door, office.scope, command)
    account.steer("DELETE", "/tokens")
    with pytest.raises(Forbidden, match="crm_unauthorized"):
        await adapter.fetch_account(await office.link(made.id))
    assert counts(account) == {"exchanged": 0, "refreshed": 0, "refused": 0}


async def test_an_answer_that_never_came_leaves_the_pair_as_it_was(office, connection, account, adapter):
    account.steer("POST", "/grants/expire")
    break_next(account, method="POST", path="access_token", action="reset")
    link = await office.link(connection.id)
    with pytest.raises(UpstreamUnavailable):
        await adapter.fetch_account(link)
    row = await office.row(connection.id)
    assert row["status"] == "connected" and (await office.link(connection.id)).token == link.token
    assert (await adapter.fetch_account(link)).id == account.facts["account_id"]


async def test_a_blocked_address_breaks_nothing(office, connection, account, adapter):
    account.steer("POST", "/grants/expire")
    break_next(account, method="POST", path="access_token", status=403, body="html")
    with pytest.raises(Exception, match="crm_blocked"):
        await adapter.fetch_account(await office.link(connection.id))
    assert (await office.row(connection.id))["status"] == "connected"


async def test_whoever_stops_waiting_does_not_lose_the_answer(office, connection, account, adapter):
    """A job that is cancelled in the middle of a refresh must not burn the token."""
    account.steer("POST", "/grants/expire")
    account.steer("POST", "/knobs", latency_ms=[500, 500])
    link = await office.link(connection.id)
    before = account.steer("GET", "/stats")["requests"]
    waiting = asyncio.create_task(adapter.fetch_account(link))
    # The refused call and the request for a new pair have come there; the pair is not made yet.
    await asyncio.to_thread(until, lambda: account.steer("GET", "/stats")["requests"] >= before + 2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await adapter.fetch_account(link)).id == account.facts["account_id"]
    assert counts(account) == {"exchanged": 1, "refreshed": 1, "refused": 0}


async def test_every_token_is_renewed_before_its_end(office, connection, account, database, bare):
    """CRM-4: by a schedule that runs in one worker of all; a token that is not due is left alone."""
    renewal, org_id = renewal_of(database, VAULT, bare), office.scope.org_id
    await renewal.renew_due(org_id, connection.id)
    assert counts(account)["refreshed"] == 0
    await make_due(database, office.scope)
    await service.queue_renewals(database)
    await service.queue_renewals(database)
    (payload,) = await queued(office, "crm.renew_token")
    assert str(connection.id).encode() in payload
    before = await office.link(connection.id)
    await asyncio.gather(*(renewal.renew_due(org_id, connection.id) for _ in range(3)))
    assert counts(account)["refreshed"] == 1
    assert (await office.link(connection.id)).token != before.token
    grant = await office.grant(connection.id)
    assert grant["renew_at"] - grant["renewed_at"] == timedelta(seconds=86_400 * 0.8)


async def test_without_the_keys_a_token_cannot_be_renewed(office, connection, account, adapter, database):
    async with database.session(office.scope) as session:
        await session.execute("delete from app.crm_integration")
    account.steer("POST", "/grants/expire")
    with pytest.raises(Forbidden):
        await adapter.fetch_account(await office.link(connection.id))
    assert (await office.row(connection.id))["status_reason"] == "crm_keys_missing"


async def test_an_expired_token_is_no_secret_of_a_call(office, connection, account):
    call = Call("x", "/y", json={"client_secret": "s3cret"}, headers={"x-refresh-token": "s3cret"})
    assert "s3cret" not in repr(call) and "s3cret" not in repr(office.door.keys)
