"""Every failure the CRM port promises to name, made by the emulator for every call."""

from datetime import UTC, datetime

import pytest

from contract.kommo_tools import Recorder, break_next, connected, linked
from contract.sandbox_tools import accounts_at
from gptagent.adapters.kommo.client import BLOCK_SECONDS, DEFAULT_RETRY_SECONDS, Deadlines
from gptagent.features.crm.model import NewTask
from gptagent.kernel.errors import AppError, OutcomeUnknown, UpstreamUnavailable
from gptagent.sandbox.spawn import running

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
READS = {
    "fetch_account": lambda crm, link: crm.fetch_account(link),
    "fetch_pipelines": lambda crm, link: crm.fetch_pipelines(link),
    "fetch_lead": lambda crm, link: crm.fetch_lead(link, 1),
    "fetch_contact": lambda crm, link: crm.fetch_contact(link, 1),
    "find_task": lambda crm, link: crm.find_task(link, 1, "x", EPOCH),
    "find_open_talk": lambda crm, link: crm.find_open_talk(link, 1, "x"),
    "list_messages": lambda crm, link: crm.list_messages(link, 1, EPOCH),
    "fetch_talk": lambda crm, link: crm.fetch_talk(link, 1),
    "list_bots": lambda crm, link: crm.list_bots(link),
    "list_text_fields": lambda crm, link: crm.list_text_fields(link),
    "read_field": lambda crm, link: crm.read_field(link, 1, 1),
    "list_bot_messages": lambda crm, link: crm.list_bot_messages(link, 1, EPOCH),
}
WRITES = {
    "create_task": lambda crm, link: crm.create_task(link, NewTask(1, "Call", EPOCH)),
    "send_message": lambda crm, link: crm.send_message(link, 1, "Hello"),
    "create_text_field": lambda crm, link: crm.create_text_field(link, "AI reply"),
    "write_field": lambda crm, link: crm.write_field(link, 1, 1, "Hello"),
    "register_webhook": lambda crm, link: crm.register_webhook(link, "https://app.example/hooks/x"),
}
CALLS = READS | WRITES


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
        await CALLS[call](crm, link)
    return type(caught.value).__name__, caught.value.code


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"status": 401}, "Forbidden", "crm_unauthorized"),
        ({"status": 402}, "Conflict", "crm_payment_required"),
        ({"status": 403}, "Forbidden", "crm_scope"),
        ({"status": 403, "body": "html"}, "RateLimited", "crm_blocked"),
        ({"status": 404}, "NotFound", "crm_not_found"),
        ({"status": 400}, "Invalid", "crm_rejected"),
        ({"status": 422}, "Invalid", "crm_rejected"),
        ({"status": 405, "body": "html"}, "Invalid", "crm_rejected"),
        ({"status": 429, "retry_after": 7}, "RateLimited", "crm_rate_limited"),
        ({"status": 429, "body": "html"}, "RateLimited", "crm_rate_limited"),
        ({"status": 503}, "UpstreamUnavailable", "crm_unavailable"),
    ],
)  # fmt: skip
async def test_a_refusal_means_the_same_for_every_call(crm, link, account, call, *, fault, kind, code):
    break_next(account, **fault)
    assert await failure(call, crm, link) == (kind, code)


@pytest.mark.parametrize("status", [500, 502, 504, 520])
@pytest.mark.parametrize("body", ["json", "html"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_server_error_leaves_the_outcome_of_a_write_open(crm, link, account, call, *, status, body):
    break_next(account, status=status, body=body)
    expected = (
        ("OutcomeUnknown", "crm_outcome_unknown")
        if call in WRITES
        else ("UpstreamUnavailable", "crm_unavailable")
    )
    assert await failure(call, crm, link) == expected


@pytest.mark.parametrize("call", CALLS)
async def test_a_cut_connection_leaves_the_outcome_of_a_write_open(crm, link, account, call):
    break_next(account, action="reset")
    expected = (
        ("OutcomeUnknown", "crm_outcome_unknown")
        if call in WRITES
        else ("UpstreamUnavailable", "crm_unavailable")
    )
    assert await failure(call, crm, link) == expected


@pytest.mark.parametrize("call", CALLS)
async def test_an_answer_that_is_no_json_confirms_nothing(crm, link, account, call):
    break_next(account, status=200, body="html")
    expected = "OutcomeUnknown" if call in WRITES else "UpstreamUnavailable"
    assert (await failure(call, crm, link))[0] == expected


async def test_a_message_taken_in_without_an_answer_is_found_by_reading_back(url, limiter, account, link):
    chat = account.chat()
    break_next(account, action="accept_then_timeout", path="send_message")
    async with connected(url, limiter, deadlines=Deadlines(write=0.5)) as crm:
        with pytest.raises(OutcomeUnknown, match="crm_outcome_unknown"):
            await crm.send_message(link, chat["talk_id"], "Only once")
        (message,) = await crm.list_messages(link, chat["talk_id"], EPOCH)
    assert message.text == "Only once"


async def test_a_read_without_an_answer_is_unavailable(url, limiter, account, link):
    break_next(account, action="delay", delay_ms=3000)
    async with connected(url, limiter, deadlines=Deadlines(read=0.3)) as crm:
        with pytest.raises(UpstreamUnavailable, match="crm_unavailable"):
            await crm.fetch_account(link)


@pytest.mark.parametrize("call", CALLS)
async def test_where_nothing_listens_even_a_write_was_not_carried_out(limiter, account, link, call):
    async with connected("http://127.0.0.1:9", limiter) as crm:
        assert await failure(call, crm, link) == ("UpstreamUnavailable", "crm_unavailable")


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
