"""Salesbots, waiting bots and files of the CRM: what the emulator does, and what we make of it."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from contract.kommo_tools import Recorder, break_next, connected, linked
from contract.sandbox_tools import accounts_at, receiving, until
from gptagent.features.crm.model import CallPriority
from gptagent.kernel.errors import AppError, Invalid, NotFound, RateLimited, UpstreamUnavailable
from gptagent.sandbox.spawn import running

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
SECRET = "the integration's own secret"


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
async def crm(url):
    async with connected(url, Recorder()) as crm:
        yield crm


@pytest.fixture
def link(account):
    return linked(account)


def transcript(account, chat):
    return [m["text"] for m in account.steer("GET", f"/chats/{chat['chat_id']}/messages")["messages"]]


async def test_a_field_is_made_written_read_and_printed_by_a_bot(crm, link, account):
    chat = account.chat()
    made = await crm.create_text_field(link, "AI reply")
    assert (made.id, "textarea") in [(one.id, one.type) for one in await crm.fetch_fields(link, "leads")]
    bot_id = account.steer("POST", "/bots", name="Prints", text=f"{{{{lead.cf.{made.id}}}}}")["bot_id"]
    assert [(bot.id, bot.name) for bot in await crm.fetch_salesbots(link)] == [(bot_id, "Prints")]
    written_at = await crm.write_field(link, chat["lead_id"], made.id, "Two lines\nof a reply")
    held = await crm.read_field(link, chat["lead_id"], made.id)
    assert (held.text, held.changed_at) == ("Two lines\nof a reply", written_at)
    await crm.run_bot(link, bot_id, chat["lead_id"])
    until(lambda: transcript(account, chat) == ["Two lines\nof a reply"])
    (told,) = await crm.list_bot_messages(link, chat["lead_id"], EPOCH)
    (listed,) = await crm.list_messages(link, chat["talk_id"], EPOCH)
    assert (told.id, told.talk_id) == (listed.id, chat["talk_id"])


async def test_what_people_and_customers_write_is_no_bots_message(crm, link, account):
    chat = account.chat()
    account.steer("POST", f"/chats/{chat['chat_id']}/customer", text="Hello")
    account.steer("POST", f"/chats/{chat['chat_id']}/manager", text="Good day")
    assert await crm.list_bot_messages(link, chat["lead_id"], EPOCH) == ()


async def test_an_account_without_the_newer_interface_is_run_by_the_older(crm, link, account):
    chat = account.chat()
    bot_id = account.steer("POST", "/bots", name="Greets", text="Hi")["bot_id"]
    account.steer("POST", "/knobs", bots_v4=False)
    await crm.run_bot(link, bot_id, chat["lead_id"])
    until(lambda: transcript(account, chat) == ["Hi"])
    with pytest.raises(NotFound):
        await crm.fetch_salesbots(link)


async def test_a_plan_without_bots_refuses_both(crm, link, account):
    chat = account.chat()
    bot_id = account.steer("POST", "/bots", name="Greets", text="Hi")["bot_id"]
    account.steer("POST", "/knobs", plan_has_bots=False)
    with pytest.raises(AppError, match="crm_payment_required"):
        await crm.run_bot(link, bot_id, chat["lead_id"])
    assert account.api("POST", "/bots/run", [{"bot_id": bot_id, "entity_id": 1}]).status_code in {400, 402}


def test_another_bot_on_the_same_deal_ends_the_one_that_runs(account):
    """What it has not said by then is not said."""
    chat = account.chat()
    account.steer("POST", "/knobs", bot_delay_ms=3000)  # until the second is asked for
    first = account.steer("POST", "/bots", name="First", text="first")["bot_id"]
    second = account.steer("POST", "/bots", name="Second", text="second")["bot_id"]
    for bot_id in (first, second):
        body = {"entity_id": chat["lead_id"], "entity_type": "leads"}
        assert account.api("POST", f"/bots/{bot_id}/run", body).status_code == 202
    until(lambda: transcript(account, chat))
    assert transcript(account, chat) == ["second"]
    account.api("POST", f"/bots/{first}/run", body)
    assert account.api("POST", f"/bots/{first}/stop", body).status_code == 202
    assert account.steer("GET", "/bots")["runs"] == []


@pytest.fixture
def waiting(account):
    """A bot that has asked and waits: its chat, what it asked, and where it takes the answer."""

    def wait(**block):
        with receiving() as receiver:
            widget = {"url": receiver.url, "secret": SECRET, "host": account.facts["host"], "form": True}
            account.steer("POST", "/bots", name="Asks", widget=widget | block)
            chat = account.chat()
            account.steer("POST", f"/chats/{chat['chat_id']}/customer", text="How much?")
            until(lambda: receiver.got)
        headers, pairs = receiver.got[0]
        return chat, headers, dict(pairs)

    return wait


async def test_a_waiting_bot_prints_its_answer_and_takes_it_once(crm, link, account, waiting):
    chat, headers, asked = waiting()
    assert headers["User-Agent"] == "amoCRM-Webhooks/3.0"
    read = crm.read_widget_request(headers["Content-Type"], _form(asked))
    assert (read.lead_id, read.talk_id, read.text) == (chat["lead_id"], chat["talk_id"], "How much?")
    await crm.continue_bot(link, read.return_url, "490 roubles " * 20, 1)
    until(lambda: len(transcript(account, chat)) == 2)
    assert transcript(account, chat)[1].strip() == ("490 roubles " * 20).strip()
    with pytest.raises(NotFound, match="crm_slot_gone"):
        await crm.continue_bot(link, read.return_url, "again", 1)


async def test_an_address_of_another_account_is_never_asked(crm, link, opened, waiting):
    _, _, asked = waiting()
    with pytest.raises(Invalid, match="crm_host_refused"):
        await crm.continue_bot(linked(opened()), asked["return_url"], "secret words", 1)


def _form(pairs):
    return urlencode(pairs).encode()


def test_the_continuation_has_its_limits(account, waiting):
    """1 to 10 handlers, only show and goto, 80 characters and 25 buttons at most."""
    _, _, asked = waiting()
    path = asked["return_url"].partition("/api/v4")[2]
    goto = {"handler": "goto", "params": {"type": "question", "step": 1}}

    def status(*handlers):
        return account.api(
            "POST", path, {"data": {"reply": "x"}, "execute_handlers": list(handlers)}
        ).status_code

    assert status() == 400
    assert status(*[goto] * 11) == 400
    assert status({"handler": "mail", "params": {}}) == 400
    assert status({"handler": "show", "params": {"type": "text", "value": "x" * 81}}) == 400
    buttons = {"type": "buttons", "value": "x", "buttons": ["b"] * 26}
    assert status({"handler": "show", "params": buttons}) == 400
    assert status({"handler": "show", "params": {"type": "text", "value": "x" * 80}}, goto) == 202
    assert status(goto) == 404


@pytest.mark.parametrize(("alg", "digest"), [("HS256", hashlib.sha256), ("HS512", hashlib.sha512)])
def test_a_widget_request_is_signed_with_the_integrations_secret(waiting, *, alg, digest):
    chat, _, asked = waiting(alg=alg)
    head, payload, signature = asked["token"].split(".")
    expected = hmac.new(SECRET.encode(), f"{head}.{payload}".encode(), digest).digest()
    assert base64.urlsafe_b64encode(expected).rstrip(b"=").decode() == signature
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert {"iss", "aud", "exp", "account_id", "subdomain", "client_uuid", "entity_type"} <= claims.keys()
    assert claims["entity_id"] == chat["lead_id"]


def test_the_feed_of_events_has_its_rules(account):
    chat = account.chat()
    account.steer("POST", f"/chats/{chat['chat_id']}/customer", text="Hello")
    assert account.api("GET", "/events?limit=101").status_code == 422
    assert account.api("GET", "/events?filter[type][]=outgoing_chat_message").status_code == 204
    (event,) = account.api("GET", "/events?filter[type][]=incoming_chat_message").json()["_embedded"][
        "events"
    ]
    assert event["value_after"][0]["message"]["talk_id"] == chat["talk_id"]
    assert "Hello" not in str(event)


async def test_a_file_goes_into_the_drive_in_parts_and_with_a_message(crm, link, account):
    chat = account.chat()
    uuid = await crm.upload_file(link, "offer.pdf", b"%PDF" * 40_000)  # more than two parts
    await crm.send_message(link, chat["talk_id"], "The offer", drive_uuid=uuid)
    (message,) = account.steer("GET", f"/chats/{chat['chat_id']}/messages")["messages"]
    assert (message["text"], message["attachment"]["file_name"]) == ("The offer", "offer.pdf")
    with pytest.raises(Invalid):
        await crm.send_message(link, chat["talk_id"], "The offer", drive_uuid="nobodys")


async def test_calls_to_the_vendors_other_servers_take_their_slots_and_tell_how_they_ended(
    url, link, account
):
    """Every call goes through the limiter of its account and address."""
    limiter = Recorder()
    stored = account.steer("POST", "/files", name="a.txt", content=base64.b64encode(b"a").decode())
    before = account.steer("GET", "/stats")["requests"]
    async with connected(url, limiter) as crm:
        await crm.upload_file(link, "offer.pdf", b"%PDF" * 40_000)
        await crm.download_attachment(link, stored["link"], max_bytes=1000)
        made = account.steer("GET", "/stats")["requests"] - before
        assert made == 6  # where the drive is, a session, three parts, and the download
        assert [priority for *_, priority in limiter.waited] == [CallPriority.SEND] * 5 + [CallPriority.READ]
        assert {keys[0] for keys in limiter.waited} == {f"account:{link.connection_id}"}
        break_next(account, path="/attachments/", status=503)
        with pytest.raises(UpstreamUnavailable):
            await crm.download_attachment(link, stored["link"], max_bytes=1000)
        assert [failed for _, failed in limiter.reported] == [False] * 6 + [True]
        break_next(account, path="/attachments/", status=429, retry_after=7)
        with pytest.raises(RateLimited) as slow:
            await crm.download_attachment(link, stored["link"], max_bytes=1000)
    assert slow.value.retry_after == 7 and [seconds for *_, seconds in limiter.blocked] == [7]


@pytest.mark.parametrize(("part", "action"), [(2, "reset"), (2, "spoil"), (3, "spoil"), (3, "status")])
async def test_an_upload_that_breaks_off_may_be_made_again(crm, link, account, *, part, action):
    """Even where the drive has taken the last part in: no message names that file."""
    chat = account.chat()
    break_next(account, path=f"/upload/.*/{part}$", action=action, status=500)
    with pytest.raises(UpstreamUnavailable, match="crm_unavailable"):
        await crm.upload_file(link, "offer.pdf", b"%PDF" * 40_000)
    uuid = await crm.upload_file(link, "offer.pdf", b"%PDF" * 40_000)
    await crm.send_message(link, chat["talk_id"], "The offer", drive_uuid=uuid)
    (message,) = account.steer("GET", f"/chats/{chat['chat_id']}/messages")["messages"]
    assert message["attachment"]["file_name"] == "offer.pdf"
    file = await crm.fetch_file(link, uuid)
    assert file.size == 160_000


async def test_a_token_without_files_uploads_nothing(crm, opened):
    account = opened(scopes=["crm", "send_external_messages"])
    with pytest.raises(AppError, match="crm_scope"):
        await crm.upload_file(linked(account), "offer.pdf", b"x")


async def test_a_customers_file_is_fetched_from_the_vendors_servers_only(crm, link, account):
    stored = account.steer(
        "POST", "/files", name="a.ogg", mime="audio/ogg", content=base64.b64encode(b"voice").decode()
    )
    found = await crm.download_attachment(link, stored["link"], max_bytes=100)
    assert (found.content, found.mime) == (b"voice", "audio/ogg")
    with pytest.raises(NotFound):
        await crm.download_attachment(link, stored["link"].replace(stored["uuid"], "nobodys"), max_bytes=1000)
    for address in ("https://evil.example/a.ogg", stored["link"].replace("amojo.", "acme.")):
        with pytest.raises(Invalid, match="crm_host_refused"):
            await crm.download_attachment(link, address, max_bytes=100)


async def test_what_we_sent_travels_on_as_the_knobs_say(crm, link, account):
    chat = account.chat()
    account.steer("POST", "/knobs", delivered_after_ms=0, read_after_ms=60_000)
    await crm.send_message(link, chat["talk_id"], "Hello")
    assert [m.delivery_status for m in await crm.list_messages(link, chat["talk_id"], EPOCH)] == ["delivered"]


@pytest.mark.parametrize("status", [401, 402, 403, 404, 422, 429, 503])
async def test_the_older_interface_fails_with_the_same_names(crm, opened, *, status):
    account = opened()
    older = linked(account, host=f"{account.facts['subdomain']}.amocrm.test")
    break_next(account, path="api/v2/salesbot/run", status=status)
    with pytest.raises(AppError) as caught:
        await crm.run_bot(older, 1, 1)
    assert caught.value.code in {
        "crm_unauthorized",
        "crm_payment_required",
        "crm_scope",
        "crm_not_found",
        "crm_rejected",
        "crm_rate_limited",
        "crm_unavailable",
    }
