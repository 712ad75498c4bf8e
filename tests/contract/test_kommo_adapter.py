"""The Kommo adapter against the emulator: every verb of the port, and where its calls may go."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from contract.kommo_tools import Recorder, connected, linked
from contract.sandbox_tools import accounts_at, receiving, until
from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm.model import CallPriority, NewTask
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import AppError, UpstreamUnavailable
from gptagent.sandbox.spawn import running

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"


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


async def test_the_account_is_known_by_its_token(crm, link, account):
    found = await crm.fetch_account(link)
    assert (found.id, found.subdomain) == (account.facts["account_id"], account.facts["subdomain"])
    assert found.can_send_messages


async def test_the_account_tells_the_currency_of_its_deals(crm, link, account):
    assert (await crm.fetch_account(link)).currency == "USD"
    account.steer("POST", "/knobs", currency="rub")
    assert (await crm.fetch_account(link)).currency == "RUB"
    account.steer("POST", "/knobs", currency="roubles")
    assert (await crm.fetch_account(link)).currency is None


async def test_a_token_without_the_scope_to_send_says_so(crm, account):
    token = account.steer("POST", "/tokens", scopes=["crm"])["token"]
    assert not (await crm.fetch_account(linked(account, token=token))).can_send_messages


async def test_the_pipeline_comes_with_its_stages_in_order(crm, link, account):
    (pipeline,) = await crm.fetch_pipelines(link)
    assert pipeline.is_main and pipeline.id == account.facts["pipeline"]["id"]
    assert [stage.id for stage in pipeline.stages] == [
        row["id"] for row in account.facts["pipeline"]["stages"]
    ]
    assert [stage.kind for stage in pipeline.stages][:2] == ["incoming", "open"]
    assert [stage.kind for stage in pipeline.stages][-2:] == ["won", "lost"]


async def test_a_lead_comes_with_its_contact(crm, link, account):
    chat = account.chat()
    lead = await crm.fetch_lead(link, chat["lead_id"])
    contact = await crm.fetch_contact(link, chat["contact_id"])
    assert lead.contact_ids == (chat["contact_id"],) and lead.stage_id == account.stage(1)
    assert contact.name == "Ann"


async def test_a_lead_or_contact_that_is_not_there_is_none(crm, link):
    assert await crm.fetch_lead(link, 1) is None
    assert await crm.fetch_contact(link, 1) is None


async def test_a_task_is_created_on_the_lead_with_its_due_time(crm, link, account):
    lead_id, due = account.chat()["lead_id"], datetime.now(UTC) + timedelta(hours=2)
    task_id = await crm.create_task(link, NewTask(lead_id, "Перезвонить", due, account.facts["user_ids"][0]))
    (entry,) = account.steer("GET", "/ledger")["entries"]
    assert (entry["id"], entry["text"], entry["entity_id"]) == (task_id, "Перезвонить", lead_id)
    assert entry["complete_till"] == int(due.timestamp())


async def test_a_created_task_is_found_again_by_its_text_and_time(crm, link, account):
    lead_id, started = account.chat()["lead_id"], datetime.now(UTC)
    task_id = await crm.create_task(link, NewTask(lead_id, "Call Ann", started))
    other = await crm.create_task(link, NewTask(lead_id, "Call Bob", started))
    assert await crm.find_task(link, lead_id, "Call Ann", started) == task_id != other
    assert await crm.find_task(link, lead_id, "Call", started) is None
    assert await crm.find_task(link, account.chat()["lead_id"], "Call Ann", started) is None
    assert await crm.find_task(link, lead_id, "Call Ann", started + timedelta(seconds=5)) is None


async def test_the_open_talk_of_the_chat_is_found_after_the_last_was_closed(crm, link, account):
    chat = account.chat()
    assert await crm.find_open_talk(link, chat["contact_id"], chat["chat_id"]) == chat["talk_id"]
    account.steer("POST", f"/talks/{chat['talk_id']}/close")
    assert await crm.find_open_talk(link, chat["contact_id"], chat["chat_id"]) is None
    renewed = account.steer("POST", f"/chats/{chat['chat_id']}/customer", text="Still there?")["talk_id"]
    assert await crm.find_open_talk(link, chat["contact_id"], chat["chat_id"]) == renewed != chat["talk_id"]
    assert await crm.find_open_talk(link, chat["contact_id"], str(uuid4())) is None


async def test_a_sent_message_is_in_the_chat_under_the_returned_id(crm, link, account):
    chat = account.chat(text="Hi")
    message_id = await crm.send_message(link, chat["talk_id"], "Добрый день")
    incoming, outgoing = await crm.list_messages(link, chat["talk_id"], EPOCH)
    assert (incoming.direction, incoming.author, incoming.text) == ("incoming", "customer", "Hi")
    assert (outgoing.id, outgoing.author, outgoing.text) == (message_id, "bot", "Добрый день")
    assert outgoing.delivery_status == "sent" and incoming.delivery_status is None


async def test_a_person_who_wrote_in_the_crm_is_told_apart(crm, link, account):
    chat = account.chat()
    account.steer("POST", f"/chats/{chat['chat_id']}/manager", text="I take over")
    (message,) = await crm.list_messages(link, chat["talk_id"], EPOCH)
    assert (message.direction, message.author) == ("outgoing", "human")


async def test_messages_are_listed_over_all_pages_oldest_first(crm, link, account):
    chat = account.chat()
    texts = [f"message {number}" for number in range(600)]
    account.steer("POST", f"/chats/{chat['chat_id']}/customer", texts=texts)
    found = await crm.list_messages(link, chat["talk_id"], EPOCH)
    assert [message.text for message in found] == texts


async def test_messages_before_the_asked_time_are_left_out(crm, link, account):
    chat = account.chat(text="Hi")
    later = datetime.now(UTC) + timedelta(seconds=5)
    assert await crm.list_messages(link, chat["talk_id"], later) == ()


async def test_what_the_registered_webhook_brings_is_read(crm, link, account):
    with receiving() as receiver:
        await crm.register_webhook(link, receiver.url.rstrip("/"))
        chat = account.chat(text="Сколько стоит?")
        account.steer("POST", f"/chats/{chat['chat_id']}/manager", text="I answer")
        account.steer("POST", f"/leads/{chat['lead_id']}/move", status_id=account.stage(2))
        account.steer("POST", f"/talks/{chat['talk_id']}/close")
        wanted = ["leads[add]", "message[add]", "outgoing_message[add]", "leads[status]", "talk[update]"]
        until(lambda: all(receiver.bodies(prefix) for prefix in wanted))
        read = {
            prefix: crm.read_webhook(FORM, urlencode(receiver.bodies(prefix)[0]).encode())
            for prefix in wanted
        }
    added, said, answered, moved, closed = (read[prefix].events[0] for prefix in wanted)
    assert {webhook.account_id for webhook in read.values()} == {account.facts["account_id"]}
    assert (added.change, added.lead_id) == ("added", chat["lead_id"])
    assert (said.author, said.text, said.talk_id) == ("customer", "Сколько стоит?", chat["talk_id"])
    assert (said.chat_id, said.lead_id) == (chat["chat_id"], chat["lead_id"])
    assert (answered.author, answered.text) == ("human", "I answer")
    assert (moved.change, moved.stage_id) == ("moved", account.stage(2))
    assert (closed.talk_id, closed.is_open) == (chat["talk_id"], False)


async def test_registering_again_changes_nothing_and_the_address_ends_with_a_slash(crm, link, account):
    await crm.register_webhook(link, "https://app.example/hooks/secret")
    await crm.register_webhook(link, "https://app.example/hooks/secret/")
    (held,) = account.api("GET", "/webhooks").json()["_embedded"]["webhooks"]
    assert held["destination"] == "https://app.example/hooks/secret/"
    assert {"add_message", "add_outgoing_message", "delete_lead"} <= set(held["settings"])


async def test_every_call_waits_for_its_slot_but_a_send_which_has_reserved_it(crm, link, account, limiter):
    chat = account.chat()
    await crm.fetch_account(link)
    await crm.fetch_pipelines(link)
    await crm.reserve_send(link)
    await crm.send_message(link, chat["talk_id"], "Hello")
    keys = (f"account:{link.connection_id}", "address:default")
    order = [CallPriority.READ, CallPriority.SYNC, CallPriority.SEND]
    assert limiter.waited == [(*keys, priority) for priority in order]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "acme.kommo.com.evil.example", "kommo.com", "a.b.kommo.com", "acme.kommo.com:8443", "",
     "acme.kommo.com/", "acme@evil.kommo.com", "127.0.0.1", "-a.kommo.com", "acme.kommo.com\n", "kommo.test",
     "acme.kommo.testing"],
)  # fmt: skip
async def test_a_host_that_is_no_account_is_never_called(crm, account, limiter, host):
    with pytest.raises(AppError, match="crm_host_refused"):
        await crm.fetch_account(linked(account, host=host))
    assert limiter.waited == []


async def test_an_emulated_account_is_refused_where_no_emulator_is_set(account, limiter):
    egress = Egress()
    with pytest.raises(AppError, match="crm_host_refused"):
        await KommoCrm(egress, limiter).fetch_account(linked(account))
    await egress.aclose()


@pytest.mark.parametrize("host", ["acme.kommo.com", "acme.amocrm.ru", "ACME.amocrm.com"])
async def test_a_real_account_is_called_at_its_own_address_over_https(limiter, account, host):
    asked = []

    async def nowhere(name, port):
        asked.append((name, port))
        raise OSError("no such name")

    crm = KommoCrm(Egress(resolver=nowhere), limiter)
    with pytest.raises(UpstreamUnavailable):
        await crm.fetch_account(linked(account, host=host))
    assert asked == [(host.lower(), 443)]


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ключ", "tab\there"])
async def test_a_token_that_cannot_be_sent_is_an_unauthorized_one(crm, account, limiter, token):
    with pytest.raises(AppError, match="crm_unauthorized"):
        await crm.fetch_account(linked(account, token=token))
    assert limiter.waited == []


def test_a_link_does_not_show_its_token(account):
    assert account.facts["token"] not in repr(linked(account))


def test_a_delivery_that_is_none_is_malformed(limiter):
    crm = KommoCrm(Egress(), limiter)
    with pytest.raises(AppError, match="crm_webhook_malformed"):
        crm.read_webhook(FORM, b"hello")
    assert crm.read_webhook("application/json", json.dumps({"account": {"id": 5}}).encode()).account_id == 5
