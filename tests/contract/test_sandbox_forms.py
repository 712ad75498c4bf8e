"""The emulator's webhooks have the keys, and their order, of what was captured from the real one."""

import httpx2
import pytest

from contract.sandbox_tools import accounts_at, receiving, until
from gptagent.sandbox.kommo.forms import encode_tree
from gptagent.sandbox.spawn import running

ACCOUNT = ["account[subdomain]", "account[id]", "account[_links][self]"]
MESSAGE_HEAD = ["id", "chat_id", "talk_id", "contact_id", "text", "created_at", "message_type"]
BINDING = ["element_type", "entity_type", "element_id", "entity_id"]
AUTHOR = ["author][id", "author][type", "author][name"]
MESSAGE = [*MESSAGE_HEAD, *BINDING, "type", *AUTHOR, "origin"]
ATTACHMENT = ["attachment][type", "attachment][link", "attachment][file_name"]
PICTURE = [*MESSAGE_HEAD, *ATTACHMENT, *BINDING, "type", *AUTHOR, "origin"]
TALK = ["talk_id", "created_at", "updated_at", "rate", "contact_id", "chat_id", "entity_id", "entity_type"]
TALK += ["is_in_work", "is_read", "origin"]
LEAD_TAIL = ["responsible_user_id", "last_modified", "modified_user_id", "created_user_id", "date_create"]
LEAD_TAIL += ["pipeline_id", "account_id"]
LEAD = ["id", "name", "status_id", "price", *LEAD_TAIL, "created_at", "updated_at"]
FIELDS = [
    f"custom_fields][{index}][{key}"
    for index, last in enumerate(
        [["values][0][value"]] * 3 + [["values][0][value", "values][0][enum"], ["values][0"]]
    )
    for key in ["id", "name", *last]
]
MOVED = ["id", "name", "status_id", "old_status_id", "price", *LEAD_TAIL, *FIELDS, "created_at", "updated_at"]
CONTACT = ["id", "name", "responsible_user_id", "date_create", "last_modified", "created_user_id"]
CONTACT += ["modified_user_id", "account_id", "created_at", "updated_at", "type"]
UNSORTED = ["uid", "source", "source_uid", "category"]
UNSORTED += [f"source_data][{key}" for key in ("from", "name", "to", "date", "service", "site")]
UNSORTED += [f"source_data][client][{key}" for key in ("name", "id", "picture")]
UNSORTED += [f"source_data][origin][{key}" for key in ("provider", "chat_id")]
UNSORTED += [f"source_data][data][0][{key}" for key in ("id", "manager", "date", "text")]
UNSORTED += [f"source_data][{key}" for key in ("source_uid", "source", "source_name")]
UNSORTED += ["date_create", "data][contacts][0][id", "pipeline_id", "account_id", "source_id", "lead_id"]
UNSORTED += ["created_at"]
EVERYTHING = ["add_message", "add_talk", "update_talk", "add_lead", "update_lead", "status_lead"]
EVERYTHING += ["add_contact", "add_unsorted", "add_outgoing_message"]


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture
def opened(url):
    with accounts_at(url) as factory:
        yield factory


@pytest.fixture
def hook():
    with receiving() as receiver:
        yield receiver


def expected(prefix, keys):
    return ACCOUNT + [f"{prefix}[0][{key}]" for key in keys]


def arrived(hook, prefix):
    until(lambda: hook.bodies(prefix))
    return hook.keys(prefix)


def test_the_encoder_reproduces_the_length_of_a_captured_body():
    moment, user = 1748289231, 10000698
    tree = {
        "account": {
            "subdomain": "etesttask",
            "id": 32427762,
            "_links": {"self": "https://etesttask.amocrm.ru"},
        },
        "contacts": {"add": {"0": {"id": 37054081, "name": "Абиба абибович", "responsible_user_id": user}}},
    }
    element = tree["contacts"]["add"]["0"]
    element |= {"date_create": moment, "last_modified": moment, "created_user_id": user}
    element |= {"modified_user_id": user, "account_id": 32427762, "created_at": moment}
    element |= {"updated_at": moment, "type": "contact"}
    body = encode_tree(tree)
    assert len(body) == 753
    assert b"%D0%90%D0%B1%D0%B8%D0%B1%D0%B0+%D0%B0" in body


def test_a_first_contact_announces_contact_lead_talk_and_message(opened, hook):
    account = opened()
    account.subscribe(hook.url, *EVERYTHING)
    account.chat(text="Hello & welcome")
    assert arrived(hook, "message[add]") == expected("message[add]", MESSAGE)
    assert arrived(hook, "talk[add]") == expected("talk[add]", TALK)
    assert arrived(hook, "leads[add]") == expected("leads[add]", LEAD)
    assert arrived(hook, "contacts[add]") == expected("contacts[add]", CONTACT)
    body = hook.bodies("message[add]")[0]
    assert body["message[add][0][text]"] == "Hello & welcome"
    assert body["message[add][0][author][type]"] == "external"
    assert body["account[id]"] == str(account.facts["account_id"])


def test_with_incoming_leads_on_the_first_contact_is_unsorted(opened, hook):
    account = opened(unsorted=True)
    account.subscribe(hook.url, *EVERYTHING)
    chat = account.chat(text="Hello", origin="telegram")
    assert arrived(hook, "unsorted[add]") == expected("unsorted[add]", UNSORTED)
    until(lambda: hook.bodies("leads[update]"))
    assert not hook.bodies("leads[add]")
    assert account.api("GET", f"/leads/{chat['lead_id']}").json()["status_id"] == account.stage(0)


def test_a_picture_carries_its_attachment_between_head_and_binding(opened, hook):
    account = opened()
    account.subscribe(hook.url, "add_message")
    attachment = {"type": "picture", "link": "https://amojo.kommo.com/a/file.jpeg", "file_name": "file.jpeg"}
    path = f"/chats/{account.chat()['chat_id']}/customer"
    account.steer("POST", path, text="", attachment=attachment)
    assert arrived(hook, "message[add]") == expected("message[add]", PICTURE)
    assert hook.bodies("message[add]")[0]["message[add][0][message_type]"] == "picture"


def test_a_moved_lead_tells_its_old_stage_and_its_fields_by_their_kinds(opened, hook):
    account = opened()
    account.subscribe(hook.url, "status_lead")
    lead = account.chat()["lead_id"]
    fields = account.api("GET", "/leads/custom_fields").json()["_embedded"]["custom_fields"]
    by_type = {custom["type"]: custom["id"] for custom in fields}
    values = [("numeric", "1000"), ("textarea", "Text"), ("checkbox", True), ("select", "Подписка")]
    values.append(("date", 1725915600))
    listed = [{"field_id": by_type[kind], "values": [{"value": value}]} for kind, value in values]
    account.api("PATCH", f"/leads/{lead}", {"custom_fields_values": listed}).raise_for_status()
    account.steer("POST", f"/leads/{lead}/move", status_id=account.stage(2))
    assert arrived(hook, "leads[status]") == expected("leads[status]", MOVED)
    assert hook.bodies("leads[status]")[0]["leads[status][0][old_status_id]"] == str(account.stage(1))


def test_what_people_and_bots_write_is_told_apart(opened, hook):
    account = opened()
    account.subscribe(hook.url, "add_outgoing_message")
    chat = account.chat()["chat_id"]
    account.steer("POST", f"/chats/{chat}/manager", text="I am Boris", user_id=account.facts["user_ids"][1])
    account.steer("POST", f"/chats/{chat}/bot", text="I am a bot")
    until(lambda: len(hook.bodies("outgoing_message[add]")) == 2)
    authors = [
        (
            body["outgoing_message[add][0][author][type]"],
            body.get("outgoing_message[add][0][author][user_id]"),
        )
        for body in hook.bodies("outgoing_message[add]")
    ]
    assert authors == [("internal", str(account.facts["user_ids"][1])), ("bot", None)]


def test_a_closed_talk_is_announced_and_the_next_message_opens_another_in_the_same_chat(opened, hook):
    account = opened()
    account.subscribe(hook.url, "add_talk", "update_talk", "add_message")
    chat = account.chat()
    account.steer("POST", f"/talks/{chat['talk_id']}/close")
    account.steer("POST", f"/chats/{chat['chat_id']}/customer", text="Still there?")
    assert arrived(hook, "talk[update]") == expected("talk[update]", TALK)
    until(lambda: hook.bodies("message[add]"))
    assert hook.bodies("talk[update]")[0]["talk[update][0][is_in_work]"] == "0"
    opened = hook.bodies("talk[add]")[0]["talk[add][0][talk_id]"]
    message = hook.bodies("message[add]")[0]
    assert message["message[add][0][talk_id]"] == opened != str(chat["talk_id"])
    assert message["message[add][0][chat_id]"] == chat["chat_id"]


def test_deliveries_carry_the_captured_headers(opened, hook):
    account = opened()
    account.subscribe(hook.url, "add_message")
    account.chat(text="Hi")
    until(lambda: hook.got)
    headers = {name.lower(): value for name, value in hook.got[0][0].items()}
    assert headers["user-agent"] == "amoCRM-Webhooks/3.0"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["accept-encoding"] == "gzip"
    assert len(headers["x-amocrm-requestid"]) == 36
    assert "accept" not in headers


def test_the_old_form_puts_the_account_last(opened, hook):
    account = opened()
    account.steer("POST", "/knobs", account_last=True)
    account.subscribe(hook.url, "add_lead")
    account.api("POST", "/leads", [{"name": "Test"}]).raise_for_status()
    assert arrived(hook, "leads[add]") == [f"leads[add][0][{key}]" for key in LEAD] + ACCOUNT


def test_an_unknown_account_has_no_api(url):
    assert httpx2.get(f"{url}/api/v4/account", headers={"Host": "nobody.kommo.test"}).status_code == 404
