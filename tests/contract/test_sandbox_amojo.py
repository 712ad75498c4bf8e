"""The emulated Chats API: signed requests in, signed hooks out (spec: chats)."""

import hashlib
import hmac
import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import httpx2
import pytest

from contract.sandbox_tools import Server, accounts_at, until
from gptagent.sandbox.kommo.amojo.signing import content_md5, signature
from gptagent.sandbox.spawn import running

SECRET = "0123456789abcdef0123456789abcdef01234567"
ANN = {"id": "ann", "name": "Ann", "profile": {"phone": "+12025550101"}}


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


class OwnChannel:
    """A messenger's server: it signs with the channel's secret, computed here and not by the emulator."""

    def __init__(self, url, http, account, hook_url):
        self.url, self.http, self.account = url, http, account
        made = http.post(f"{url}/_sandbox/channels", json={"hook_url": hook_url, "secret": SECRET})
        self.id = made.raise_for_status().json()["id"]
        self.scope = f"{self.id}_{account.facts['amojo_id']}"

    def ask(self, method, path, body=None, *, at=None, secret=SECRET, md5=None, query=""):
        raw = b"" if body is None else json.dumps(body).encode()
        path = f"/v2/origin/custom/{path}"
        headers = {
            "Date": format_datetime(at or datetime.now(UTC)),
            "Content-Type": "application/json",
            "Content-MD5": md5 or hashlib.md5(raw, usedforsecurity=False).hexdigest(),
        }
        said = "\n".join((method, headers["Content-MD5"], "application/json", headers["Date"], path))
        headers["X-Signature"] = hmac.new(secret.encode(), said.encode(), hashlib.sha1).hexdigest()
        return self.http.request(method, self.url + path + query, content=raw, headers=headers)

    def connect(self):
        body = {"account_id": self.account.facts["amojo_id"], "title": "Demo", "hook_api_version": "v2"}
        return self.ask("POST", f"{self.id}/connect", body)

    def say(self, msgid, text="Hello", **changes):
        payload = {
            "timestamp": 1790000000,
            "msec_timestamp": 1790000000000,
            "msgid": msgid,
            "conversation_id": "talk-1",
            "sender": ANN,
            "message": {"type": "text", "text": text},
            "silent": False,
        }
        body = {"event_type": "new_message", "payload": payload | changes}
        return self.ask("POST", self.scope, body)


@pytest.fixture
def hooks():
    """The messenger's own server: path, headers and raw body of what it was told."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Be quiet."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", told
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def channel(url, hooks):
    with accounts_at(url) as factory, httpx2.Client(timeout=60) as http:
        channel = OwnChannel(url, http, factory(), f"{hooks[0]}/:scope_id")
        yield channel


def test_the_vendors_own_vector():
    """Section 4 of the facts: one request of POST .../connect, signed."""
    body = b'{"account_id":"af9945ff-1490-4cad-807d-945c15d88bec","title":"Demo","hook_api_version":"v2"}'
    path = "/v2/origin/custom/f90ba33d-c9d9-44da-b76c-c349b0ecbe41/connect"
    given = (content_md5(body), "application/json", "Thu, 01 Oct 2026 15:11:21 +0000")
    assert content_md5(b"") == "d41d8cd98f00b204e9800998ecf8427e"
    assert given[0] == "db1ad5caacc3673fb8546df470c2ec61"
    assert signature(SECRET, "POST", given, path) == "c063afb7f7493f9a81e571a994e11bb656437007"


def test_a_channel_is_connected_to_an_account_and_disconnected(channel):
    assert channel.connect().json()["scope_id"] == channel.scope
    assert channel.connect().status_code == 200
    account = {"account_id": channel.account.facts["amojo_id"]}
    gone = channel.ask("DELETE", f"{channel.id}/disconnect", account)
    assert (gone.status_code, gone.content) == (200, b"")
    assert channel.say("m1").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "another"},
        {"md5": "d41d8cd98f00b204e9800998ecf8427e"},
        {"at": -timedelta(minutes=16)},
        {"at": timedelta(minutes=20)},
    ],
)
def test_a_wrong_signature_digest_or_time_is_refused(channel, wrong):
    if "at" in wrong:
        wrong = {"at": datetime.now(UTC) + wrong["at"]}
    refused = channel.ask("POST", f"{channel.id}/connect", {"account_id": "x"}, **wrong)
    assert refused.status_code == 403
    assert refused.json() == {
        "status": 0,
        "error_code": 403,
        "error_type": "ORIGIN_INVALID_SIGNATURE",
        "error_description": "invalid signature",
    }


def test_an_unknown_channel_is_not_registered(channel):
    refused = channel.ask("POST", "f90ba33d-c9d9-44da-b76c-c349b0ecbe41/connect", {"account_id": "x"})
    assert (refused.status_code, refused.json()["error_type"]) == (404, "ORIGIN_NOT_REGISTERED")


def test_types_are_taken_to_the_letter(channel):
    channel.connect()
    assert channel.say("m1", timestamp="1790000000").status_code == 400
    assert channel.say("m1", message={"type": "picture", "text": ""}).status_code == 400


def test_a_customers_message_arrives_in_the_account_once(channel):
    channel.connect()
    first = channel.say("m1").json()["new_message"]
    assert first == channel.say("m1").json()["new_message"]
    (chat,) = channel.account.steer("GET", "/chats")["chats"]
    assert (chat["origin"], chat["message_count"], first["msgid"]) == ("amo.ext.sandbox", 1, "m1")
    opened = channel.ask("POST", f"{channel.scope}/chats", {"conversation_id": "talk-1", "user": ANN}).json()
    assert opened["id"] == first["conversation_id"] and opened["user"]["client_id"] == "ann"
    assert opened["user"]["phone"] == "+12025550101"


def test_what_a_manager_writes_is_handed_over_once_and_signed(channel, hooks):
    channel.connect()
    told = channel.say("m1").json()["new_message"]
    (chat,) = channel.account.steer("GET", "/chats")["chats"]
    wrote = channel.account.steer("POST", f"/chats/{chat['chat_id']}/manager", text="How can I help?")
    until(lambda: hooks[1])
    ((path, headers, raw),) = hooks[1]
    signed = {name.lower(): value for name, value in headers.items()}["x-signature"]
    assert path == f"/{channel.scope}"
    assert signed == hmac.new(SECRET.encode(), raw, hashlib.sha1).hexdigest()
    message = json.loads(raw)["message"]
    assert message["conversation"] == {"id": told["conversation_id"], "client_id": "talk-1"}
    assert (message["receiver"]["client_id"], message["receiver"]["phone"]) == ("ann", "+12025550101")
    assert message["message"]["text"] == "How can I help?"
    assert message["message"]["id"] == wrote["message_id"]
    path = f"{channel.scope}/{wrote['message_id']}/delivery_status"
    assert channel.ask("POST", path, {"status_code": -1, "error_code": 901, "error": "x"}).status_code == 200
    assert channel.ask("POST", path, {"status_code": 7}).status_code == 400
    unknown = f"{channel.scope}/unknown/delivery_status"
    assert channel.ask("POST", unknown, {"status_code": 1}).status_code == 404


def test_history_edits_typing_and_reactions(channel):
    channel.connect()
    told = channel.say("m1").json()["new_message"]
    channel.say("m2", "And delivery?")
    where = f"{channel.scope}/chats/{told['conversation_id']}/history"
    page = channel.ask("GET", where, query="?offset=1&limit=50").json()["messages"]
    assert [row["message"]["client_id"] for row in page] == ["m2"]
    assert channel.ask("GET", where, query="?offset=9").status_code == 204
    assert channel.ask("GET", where, query="?limit=51").status_code == 400
    payload = {"timestamp": 1, "msgid": "m2", "conversation_id": "talk-1", "sender": ANN}
    words = {"type": "text", "text": "And the price?"}
    edit = {"event_type": "edit_message", "payload": payload | {"message": words}}
    assert channel.ask("POST", channel.scope, edit).status_code == 200
    (row,) = channel.ask("GET", where, query="?offset=1").json()["messages"]
    assert row["message"]["text"] == words["text"]
    typing = {"conversation_id": "talk-1", "sender": {"id": "ann"}}
    assert channel.ask("POST", f"{channel.scope}/typing", typing).status_code == 204
    reaction = {"conversation_id": "talk-1", "msgid": "m1", "user": {"id": "ann"}}
    reaction |= {"type": "react", "emoji": "👍"}
    assert channel.ask("POST", f"{channel.scope}/react", reaction).status_code == 200
    assert channel.ask("POST", f"{channel.scope}/react", reaction | {"msgid": "m9"}).status_code == 404
