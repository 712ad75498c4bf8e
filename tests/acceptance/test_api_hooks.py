"""The door of the CRM's webhooks: verified, stored once, acknowledged; all else changes nothing."""

from uuid import uuid4

import httpx2
import pytest

from cast import make_scope
from contract.sandbox_tools import Account
from members import add_member

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Hooked:
    """A workspace connected to an account of the emulated CRM."""

    def __init__(self, door, path, account_id, scope):
        self.scope = scope
        self.door = door
        self.path = path
        self.account_id = account_id

    async def deliver(self, text="Hello", *, message_id="", chat_id="", account_id=None, path=None):
        form = {
            "account[id]": str(account_id or self.account_id),
            "message[add][0][id]": message_id or str(uuid4()),
            "message[add][0][chat_id]": chat_id or str(uuid4()),
            "message[add][0][type]": "incoming",
            "message[add][0][author][type]": "external",
            "message[add][0][author][name]": "Humpty Dumpty",
            "message[add][0][text]": text,
            "message[add][0][created_at]": "1789340833",
        }
        self.door.used |= {"Humpty Dumpty"}
        return await self.door.http.post(path or self.path, data=form)

    async def conversations(self):
        return (await self.door("GET", "/api/v1/conversations")).json()["items"]

    async def texts(self, chat_id):
        (found,) = [item for item in await self.conversations() if item["chat_id"] == chat_id]
        thread = await self.door("GET", f"/api/v1/conversations/{found['id']}/messages")
        return [message["text"] for message in thread.json()["items"]]


@pytest.fixture(scope="module")
async def hooked(door, database, sandbox):
    with httpx2.Client(timeout=30) as client:
        account = Account.open(sandbox, client)
        scope = await make_scope(database, "Hooked")
        owner = await door.of(scope)
        body = {"address": account.facts["host"], "token": account.facts["token"]}
        response = await owner("POST", "/api/v1/connections", json=body)
        assert response.status_code == 201, response.text
        (hook,) = account.api("GET", "/webhooks").json()["_embedded"]["webhooks"]
        path = "/hooks/" + hook["destination"].partition("/hooks/")[2]
        door.used |= {path.split("/")[3], account.facts["token"]}
        yield Hooked(owner, path, account.facts["account_id"], scope)


async def test_a_connection_is_told_without_its_secrets(hooked, door):
    (found,) = (await hooked.door("GET", "/api/v1/connections")).json()["items"]
    assert (found["status"], found["account_id"]) == ("connected", hooked.account_id)
    text = (await hooked.door("GET", f"/api/v1/connections/{found['id']}")).text
    assert (
        hooked.path.split("/")[3] not in text
        and "token" not in text
        and "hook" not in text.replace("last_webhook_at", "")
    )


async def test_a_message_is_stored_and_acknowledged(hooked):
    response = await hooked.deliver("Do you have eggs?", chat_id="eggs")
    assert (response.status_code, response.content) == (200, b"")
    assert await hooked.texts("eggs") == ["Do you have eggs?"]


async def test_a_message_delivered_again_is_stored_once(hooked):
    for _copy in range(3):
        assert (await hooked.deliver("Once", message_id="once", chat_id="once")).status_code == 200
    assert await hooked.texts("once") == ["Once"]


async def test_the_address_without_its_slash_is_the_same(hooked):
    response = await hooked.deliver("No slash", chat_id="slash", path=hooked.path.rstrip("/"))
    assert response.status_code == 200
    assert await hooked.texts("slash") == ["No slash"]


async def test_the_vendor_may_look_whether_the_address_exists(hooked, door):
    assert (await door("GET", hooked.path)).status_code == 200
    assert (await door("GET", "/hooks/kommo/nobodys/")).status_code == 404


async def test_an_unknown_secret_and_another_account_are_the_same_404(hooked):
    before = await hooked.conversations()
    unknown = await hooked.deliver(path="/hooks/kommo/nobodys/")
    wrong = await hooked.deliver(account_id=hooked.account_id + 1)
    assert (unknown.status_code, unknown.content) == (wrong.status_code, wrong.content) == (404, b"")
    assert await hooked.conversations() == before


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"no pairs at all", "application/x-www-form-urlencoded"),
        (b"a" + b"[b]" * 50 + b"=1", "application/x-www-form-urlencoded"),
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b"account[id]=1", "text/plain"),
        (b"account[id]=1", "multipart/form-data"),
    ],
)
async def test_what_cannot_be_read_is_malformed_and_not_stored(content, kind, hooked, door):
    before = await hooked.conversations()
    response = await door("POST", hooked.path, content=content, headers={"content-type": kind})
    assert (response.status_code, response.content) == (400, b"")
    assert await hooked.conversations() == before


async def test_a_delivery_beyond_the_limit_is_refused(hooked, door):
    response = await door("POST", hooked.path, content=b"a=" + b"x" * 1_000_001, headers=FORM)
    assert response.status_code == 413


@pytest.mark.parametrize(
    "text", ["a\0b", "\ud7ff\U0010ffff", "x" * 30_000, "%00%ff", "'; drop table app.message"]
)
async def test_any_text_of_a_customer_is_taken(text, hooked):
    chat_id = str(uuid4())
    assert (await hooked.deliver(text, chat_id=chat_id)).status_code == 200
    assert await hooked.texts(chat_id) == [text.replace("\0", "")[:20_000]]


async def test_kinds_of_events_nobody_knows_are_acknowledged(hooked, door):
    content = f"account[id]={hooked.account_id}&comets[seen][0][tail]=%00long&odd=1".encode()
    assert (await door("POST", hooked.path, content=content, headers=FORM)).status_code == 200


async def test_a_session_or_token_is_not_needed_and_not_looked_at(hooked):
    response = await hooked.door.http.post(
        hooked.path, headers={"authorization": "Bearer x"}, data={"a": "b"}
    )
    assert response.status_code == 200


async def test_what_came_is_listed_shown_and_kept_from_those_who_may_not_see_it(hooked, door, database):
    """CRM-16 and the console over the API."""
    await hooked.deliver("Read me", message_id="shown", chat_id="shown")
    await hooked.deliver("Read me", message_id="shown", chat_id="shown")
    (connection,) = (await hooked.door("GET", "/api/v1/connections")).json()["items"]
    path = f"/api/v1/connections/{connection['id']}"
    listed = (await hooked.door("GET", f"{path}/deliveries?search=shown")).json()["items"]
    assert [(one["kind"], one["state"], one["error"]) for one in listed] == [
        ("message[add]", "ignored", "duplicate"),
        ("message[add]", "processed", None),
    ]
    first = f"{path}/deliveries/{listed[-1]['id']}"
    assert (await hooked.door("GET", first)).json() == listed[-1]
    shown = (await hooked.door("GET", f"{first}/payload")).json()
    assert shown["payload"]["message"]["add"][0]["text"] == "Read me"
    ignored = (await hooked.door("GET", f"{path}/deliveries?state=ignored&limit=1")).json()
    assert ignored["items"][0]["id"] == listed[0]["id"]
    again = await hooked.door("POST", f"{first}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "delivery_not_failed")
    health = (await hooked.door("GET", f"{path}/webhook")).json()
    assert health["deliveries"] >= 2 and health["failed"] == 0 and health["last_delivery_at"]
    viewer = await door.of(await add_member(database, hooked.scope, "viewer"))
    assert (await viewer("GET", first)).status_code == 200
    assert (await viewer("GET", f"{first}/payload")).status_code == 403
    assert (await viewer("POST", f"{first}/retry")).status_code == 403
