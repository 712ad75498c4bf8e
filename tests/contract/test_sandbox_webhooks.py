"""Webhooks arrive as often, as shuffled and as late as they were told to."""

import pytest

from contract.sandbox_tools import accounts_at, receiving, until
from gptagent.sandbox.spawn import running

TEXT = "message[add][0][text]"


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture
def account(url):
    with accounts_at(url) as opened:
        yield opened()


@pytest.fixture
def hook(account):
    with receiving() as receiver:
        account.subscribe(receiver.url, "add_message")
        yield receiver


def write(account, *texts):
    chat = account.chat()
    return account.steer("POST", f"/chats/{chat['chat_id']}/customer", texts=list(texts))["message_ids"]


def texts(hook):
    return [body[TEXT] for body in hook.bodies("message[add]")]


def test_messages_of_a_chat_arrive_once_and_in_order(account, hook):
    wanted = [str(number) for number in range(30)]
    write(account, *wanted)
    until(lambda: len(hook.got) >= 30)
    until(lambda: account.steer("GET", "/deliveries")["under_way"] == 0)
    assert texts(hook) == wanted


def test_every_copy_of_a_duplicated_delivery_has_its_own_request_id(account, hook):
    account.steer("POST", "/knobs", copies=[3, 3])
    (message,) = write(account, "Hello")
    until(lambda: len(hook.got) == 3)
    assert {body["message[add][0][id]"] for body in hook.bodies("message[add]")} == {message}
    assert len({headers["X-Amocrm-Requestid"] for headers, _ in hook.got}) == 3


def test_a_shuffle_window_changes_the_order_and_loses_nothing(account, hook):
    account.steer("POST", "/knobs", shuffle_window=20, seed=7)
    wanted = [str(number) for number in range(20)]
    write(account, *wanted)
    until(lambda: len(hook.got) == 20)
    assert sorted(texts(hook), key=int) == wanted
    assert texts(hook) != wanted


def test_a_shuffle_window_that_does_not_fill_is_released_all_the_same(account, hook):
    account.steer("POST", "/knobs", shuffle_window=100, shuffle_hold_ms=50)
    write(account, "one", "two")
    until(lambda: sorted(texts(hook)) == ["one", "two"])


def test_dropped_deliveries_are_counted_and_never_arrive(account, hook):
    account.steer("POST", "/knobs", drop=1.0)
    write(account, "lost")
    account.steer("POST", "/knobs", drop=0.0)
    write(account, "kept")
    until(lambda: hook.got)
    assert texts(hook) == ["kept"]
    assert account.steer("GET", "/deliveries")["dropped"] == 1


def test_a_failing_receiver_gets_five_attempts_in_all(account, hook):
    hook.status = 500
    account.steer("POST", "/knobs", retry_scale=0.0001)
    write(account, "again")
    until(lambda: len(hook.got) == 5)
    until(lambda: account.steer("GET", "/deliveries")["under_way"] == 0)
    log = account.steer("GET", "/deliveries")["deliveries"]
    assert [(row["attempt"], row["status"]) for row in log] == [(n, 500) for n in range(1, 6)]


def test_a_refusing_receiver_gets_three_attempts_only(account, hook):
    hook.status = 404
    account.steer("POST", "/knobs", retry_scale=0.0001)
    write(account, "again")
    until(lambda: len(hook.got) == 3)
    until(lambda: account.steer("GET", "/deliveries")["under_way"] == 0)
    assert len(hook.got) == 3


def test_a_recovered_receiver_gets_the_message_by_a_retry(account, hook):
    hook.status = 503
    account.steer("POST", "/knobs", retry_scale=0.001)
    write(account, "patience")
    until(lambda: hook.got)
    hook.status = 200
    until(lambda: account.steer("GET", "/deliveries")["under_way"] == 0)
    assert account.steer("GET", "/deliveries")["deliveries"][-1]["outcome"] == "accepted"


def test_too_many_invalid_answers_disable_the_subscription_until_it_is_renewed(account, hook):
    hook.status = 500
    account.steer("POST", "/knobs", retries=False, invalid_answers_until_disabled=3)
    write(account, *"abcd")

    def listed():
        return account.api("GET", "/webhooks").json()["_embedded"]["webhooks"][0]

    until(lambda: listed()["disabled"])
    hook.status = 200
    write(account, "unheard")
    account.subscribe(hook.url, "add_message")
    write(account, "heard")
    until(lambda: "heard" in texts(hook))
    assert "unheard" not in texts(hook)
    assert listed()["disabled"] is False


def test_only_subscribed_events_are_sent(account, hook):
    account.chat(text="Hi")
    until(lambda: hook.got)
    assert account.steer("GET", "/deliveries")["emitted"]["leads[add]"] == 1
    assert {row["event"] for row in account.steer("GET", "/deliveries")["deliveries"]} == {"message[add]"}


def test_subscriptions_are_listed_changed_and_deleted(account, hook):
    changed = account.subscribe(hook.url, "add_message", "add_talk")
    assert changed["settings"] == ["add_message", "add_talk"]
    assert account.api("GET", "/webhooks").json()["_total_items"] == 1
    assert account.api("DELETE", "/webhooks", {"destination": hook.url}).status_code == 204
    assert account.api("DELETE", "/webhooks", {"destination": hook.url}).status_code == 404
    assert account.api("GET", "/webhooks").status_code == 204
    wrong = {"destination": "no url", "settings": ["add_message"]}
    assert account.api("POST", "/webhooks", wrong).status_code == 400
