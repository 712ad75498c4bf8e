"""Every failure the CRM port promises to name, made by the emulator for every call."""

from datetime import UTC, datetime

import pytest

from contract.kommo_calls import CALLS
from contract.kommo_tools import Recorder, break_next, connected, linked
from contract.sandbox_tools import accounts_at, until
from gptagent.adapters.kommo.client import BLOCK_SECONDS, Deadlines
from gptagent.adapters.kommo.failures import DEFAULT_RETRY_SECONDS
from gptagent.features.crm.model import NewTask
from gptagent.kernel.errors import AppError, OutcomeUnknown, UpstreamUnavailable
from gptagent.sandbox.spawn import running

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture
def opened(url):
    with accounts_at(url) as factory:
        yield factory


@pytest.fixture
def account(opened):
    return opened()


@pytest.fixture
def limiter():
    return Recorder()


@pytest.fixture
async def crm(url, limiter):
    async with connected(url, limiter) as crm:
        yield crm


@pytest.fixture
def link(account):
    return linked(account)


async def failure(call, crm, link):
    with pytest.raises(AppError) as caught:
        await CALLS[call].make(crm, link)
    known = next(kind for kind in type(caught.value).__mro__ if kind.__module__ == AppError.__module__)
    return known.__name__, caught.value.code


async def test_a_message_taken_in_without_an_answer_is_found_by_reading_back(url, limiter, account, link):
    chat = account.chat()
    break_next(account, action="accept_then_timeout", path="send_message")
    async with connected(url, limiter, deadlines=Deadlines(write=3)) as crm:
        with pytest.raises(OutcomeUnknown, match="crm_outcome_unknown"):
            await crm.send_message(link, chat["talk_id"], "Only once")
        until(lambda: account.steer("GET", "/ledger")["entries"])  # a busy emulator takes it in later
        (message,) = await crm.list_messages(link, chat["talk_id"], EPOCH)
    assert message.text == "Only once"


async def test_a_read_without_an_answer_is_unavailable(url, limiter, account, link):
    break_next(account, action="delay", delay_ms=3000)
    async with connected(url, limiter, deadlines=Deadlines(read=0.3)) as crm:
        with pytest.raises(UpstreamUnavailable, match="crm_unavailable"):
            await crm.fetch_account(link)


async def test_a_closed_talk_refuses_the_message(crm, link, account):
    chat = account.chat()
    account.steer("POST", f"/talks/{chat['talk_id']}/close")
    with pytest.raises(AppError, match="crm_talk_closed"):
        await crm.send_message(link, chat["talk_id"], "Too late")


async def test_a_revoked_token_a_missing_scope_and_a_spent_quota_are_named(crm, opened):
    account = opened(quota=1)
    talk, link = account.chat()["talk_id"], linked(account)
    narrow = account.steer("POST", "/tokens", scopes=["crm"])["token"]
    with pytest.raises(AppError, match="crm_scope"):
        await crm.send_message(linked(account, token=narrow), talk, "x")
    await crm.send_message(link, talk, "x")
    with pytest.raises(AppError, match="crm_payment_required"):
        await crm.send_message(link, talk, "x")
    account.steer("DELETE", "/tokens")
    with pytest.raises(AppError, match="crm_unauthorized"):
        await crm.fetch_account(link)


async def test_a_rejection_tells_what_the_crm_found_wrong(crm, link):
    with pytest.raises(AppError, match="crm_rejected") as caught:
        await crm.create_task(link, NewTask(404, "Call", EPOCH))
    assert caught.value.params["status"] == 400
    assert "entity_id: Element not found" in caught.value.params["detail"]


async def test_a_block_and_a_rate_excess_stop_the_account_for_as_long_as_told(crm, link, account, limiter):
    faults = [
        ({"status": 403, "body": "html"}, BLOCK_SECONDS),
        ({"status": 429, "retry_after": 7}, 7),
        ({"status": 429, "body": "html"}, DEFAULT_RETRY_SECONDS),
        ({"status": 429, "retry_after": 10**9}, 3600),
    ]
    for fault, seconds in faults:
        break_next(account, **fault)
        with pytest.raises(AppError) as caught:
            await crm.fetch_account(link)
        assert caught.value.retry_after == seconds
    account_key = f"account:{link.connection_id}"
    # The page means that our address is blocked, a 429 may be this account's own doing.
    others = [(account_key, account_key, seconds) for _, seconds in faults[1:]]
    assert limiter.blocked == [(account_key, "address:default", BLOCK_SECONDS), *others]


async def test_the_emulators_own_rate_limit_is_understood(crm, link, account, limiter):
    account.steer("POST", "/knobs", requests_per_second=1, retry_after_s=2)
    await crm.fetch_account(link)
    with pytest.raises(AppError, match="crm_rate_limited"):
        await crm.fetch_account(link)
    assert limiter.blocked[0][2] == 2


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("fetch_account", ("UpstreamUnavailable", "crm_unavailable")),
        ("create_task", ("OutcomeUnknown", "crm_outcome_unknown")),
        ("send_message", ("OutcomeUnknown", "crm_outcome_unknown")),
    ],
)
async def test_a_success_without_the_id_asked_for_confirms_nothing(crm, link, account, call, expected):
    break_next(account, status=200)
    assert await failure(call, crm, link) == expected
