"""The fake Kommo answers as the documentation and the captures say, and fails on demand."""

import httpx2
import pytest

from contract.sandbox_tools import accounts_at, until
from gptagent.sandbox.spawn import running


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


def send(account, talk, text="Hello", **options):
    return account.api("POST", f"/talks/{talk}/send_message", {"text": text}, **options)


def transcript(account, chat):
    return account.steer("GET", f"/chats/{chat['chat_id']}/messages")["messages"]


def test_a_sent_message_is_accepted_stored_and_in_the_ledger(account):
    chat = account.chat()
    response = send(account, chat["talk_id"])
    assert response.status_code == 202
    (message,) = transcript(account, chat)
    assert (message["id"], message["author"], message["text"]) == (response.json()["id"], "bot", "Hello")
    (entry,) = account.steer("GET", "/ledger")["entries"]
    assert (entry["kind"], entry["id"], entry["talk_id"]) == ("send", message["id"], chat["talk_id"])


def test_messages_are_listed_newest_first_from_a_moment_on(account):
    chat = account.chat(text="Hi")
    send(account, chat["talk_id"], "Hello Ann")
    path = f"/talks/{chat['talk_id']}/messages"
    listed = account.api("GET", f"{path}?limit=10").json()["_embedded"]["messages"]
    assert [(row["type"], row["author"]["type"]) for row in listed] == [
        ("outgoing", "bot"),
        ("incoming", "external"),
    ]
    assert "next" in account.api("GET", f"{path}?limit=1").json()["_links"]
    later = listed[0]["created_at"] + 100
    assert account.api("GET", f"{path}?filter[created_at][from]={later}").status_code == 204


def test_a_closed_talk_refuses_messages_until_the_customer_opens_another(account):
    chat = account.chat()
    assert account.api("POST", f"/talks/{chat['talk_id']}/close", {"force_close": True}).status_code == 202
    refused = send(account, chat["talk_id"])
    assert (refused.status_code, refused.json()["detail"]) == (422, "Talk is closed")
    account.steer("POST", f"/chats/{chat['chat_id']}/customer", text="Hello?")
    path = f"/talks?filter[contact_id][]={chat['contact_id']}&filter[only_in_work]=1"
    (talk,) = account.api("GET", path).json()["_embedded"]["talks"]
    assert (talk["chat_id"], talk["status"]) == (chat["chat_id"], "in_work")
    assert send(account, talk["talk_id"]).status_code == 202


@pytest.mark.parametrize(
    ("features", "status"), [({"sending": False}, 402), ({"quota": 0}, 402), ({"scopes": ["crm"]}, 403)]
)
def test_sending_needs_plan_quota_and_scope(opened, features, status):
    account = opened(**features)
    chat = account.chat()
    assert send(account, chat["talk_id"]).status_code == status
    assert transcript(account, chat) == []


def test_an_unknown_talk_and_an_empty_text_are_refused(account):
    assert send(account, 1).status_code == 404
    blank = send(account, account.chat()["talk_id"], "")
    assert blank.status_code == 400
    assert blank.json()["validation-errors"][0]["errors"][0]["path"] == "text"


def test_a_closed_window_shows_in_the_delivery_status(account):
    account.steer("POST", "/knobs", window_open=False)
    chat = account.chat()
    send(account, chat["talk_id"])
    assert transcript(account, chat)[0]["delivery_status"] == "error"


def test_without_a_valid_token_nothing_is_told(account):
    assert account.api("GET", "/account", token="x.y.z").status_code == 401
    account.steer("DELETE", "/tokens")
    refused = account.api("GET", "/account")
    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")


def test_an_accounts_token_opens_no_other_account(opened, account):
    assert opened().api("GET", "/account", token=account.facts["token"]).status_code == 401


def test_the_eighth_request_of_a_second_is_refused_and_persistence_is_blocked(account):
    account.steer("POST", "/knobs", requests_per_second=7, violations_until_block=5)
    answers = [account.api("GET", "/account") for _ in range(40)]
    while answers[-1].status_code != 403:  # those of a busy machine come more slowly
        answers.append(account.api("GET", "/account"))
    answers.append(account.api("GET", "/account"))
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert limited.json()["retry_after"] == 1
    assert limited.headers["retry-after"] == "1"
    assert answers[-1].status_code == 403
    assert answers[-1].headers["content-type"].startswith("text/html")
    assert account.steer("GET", "/stats")["limited"] > 5


def test_a_request_accepted_without_an_answer_is_carried_out_once(account):
    chat = account.chat()
    account.steer("POST", "/faults", path="send_message", action="accept_then_timeout", count=1)
    with pytest.raises(httpx2.ReadTimeout):
        send(account, chat["talk_id"], "Did it arrive?", timeout=3)
    until(lambda: transcript(account, chat))  # a busy emulator reads it later than that
    assert [row["text"] for row in transcript(account, chat)] == ["Did it arrive?"]
    assert account.steer("GET", "/faults")["faults"] == []
    assert send(account, chat["talk_id"], "Yes").status_code == 202


def test_a_reset_connection_has_carried_nothing_out(account):
    chat = account.chat()
    account.steer("POST", "/faults", path="send_message", action="reset", count=1)
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        send(account, chat["talk_id"])
    assert transcript(account, chat) == []


@pytest.mark.parametrize("status", [429, 500, 502, 504, 401, 403])
def test_faults_answer_with_their_status_for_their_path_and_count(account, status):
    account.steer("POST", "/faults", method="GET", path="/leads", status=status, count=2, retry_after=9)
    assert [account.api("GET", path).status_code for path in ("/account", "/leads", "/leads", "/leads")] == [
        200,
        status,
        status,
        204,
    ]


def test_a_rule_that_is_no_regular_expression_is_refused(account):
    with pytest.raises(httpx2.HTTPStatusError, match="422"):
        account.steer("POST", "/faults", path="(", status=500)
    assert account.steer("GET", "/faults")["faults"] == []


def test_the_contact_of_an_incoming_lead_is_listed_once_it_was_accepted(opened):
    account = opened(unsorted=True)
    chat = account.chat(text="Hi")
    assert account.api("GET", "/contacts").status_code == 204
    account.steer("POST", f"/leads/{chat['lead_id']}/move", status_id=account.stage(1))
    (contact,) = account.api("GET", "/contacts").json()["_embedded"]["contacts"]
    assert contact["id"] == chat["contact_id"]


def test_an_html_fault_is_no_json(account):
    account.steer("POST", "/faults", status=403, body="html", count=1)
    blocked = account.api("GET", "/account")
    assert (blocked.status_code, "nginx" in blocked.text) == (403, True)


def test_a_lead_is_read_with_its_contact_and_absent_ones_have_no_content(account):
    chat = account.chat(phone="+1 202 555 0100")
    lead = account.api("GET", f"/leads/{chat['lead_id']}?with=contacts").json()
    assert [row["id"] for row in lead["_embedded"]["contacts"]] == [chat["contact_id"]]
    assert lead["_links"]["self"]["href"].startswith(
        f"https://{account.facts['subdomain']}.kommo.test/api/v4"
    )
    contact = account.api("GET", f"/contacts/{chat['contact_id']}").json()
    phone = contact["custom_fields_values"][0]
    assert (phone["field_code"], phone["values"][0]["value"]) == ("PHONE", "+1 202 555 0100")
    assert account.api("GET", "/leads/1").status_code == 204
    assert account.api("GET", "/contacts?filter[id][]=1").status_code == 204


def test_writes_answer_thinly_and_echo_request_ids(account):
    created = account.api("POST", "/leads", [{"name": "A", "request_id": "r7"}, {"name": "B"}]).json()
    rows = created["_embedded"]["leads"]
    assert [set(row) for row in rows] == [{"id", "request_id", "_links"}] * 2
    assert [row["request_id"] for row in rows] == ["r7", "1"]
    changed = account.api("PATCH", "/leads", [{"id": rows[0]["id"], "price": 5}]).json()
    assert set(changed["_embedded"]["leads"][0]) == {"id", "updated_at", "request_id", "_links"}
    flat = account.api("PATCH", f"/leads/{rows[0]['id']}", {"name": "C"}).json()
    assert flat["id"] == rows[0]["id"]
    assert account.api("GET", f"/leads/{rows[0]['id']}").json()["price"] == 5


def test_stages_can_be_won_and_lost_but_not_incoming(account):
    lead = account.chat()["lead_id"]
    refused = account.api("PATCH", f"/leads/{lead}", {"status_id": account.stage(0)})
    assert refused.json()["validation-errors"][0]["errors"][0]["code"] == "NotSupportedChoice"
    for stage in (142, 143):
        assert account.api("PATCH", f"/leads/{lead}", {"status_id": stage}).status_code == 200
    row = account.api("GET", f"/leads/{lead}").json()
    assert (row["status_id"], row["closed_at"] is not None) == (143, True)


def test_field_values_are_checked_and_read_back_in_the_vendors_form(account):
    lead = account.chat()["lead_id"]
    fields = account.api("GET", "/leads/custom_fields").json()["_embedded"]["custom_fields"]
    select = next(custom for custom in fields if custom["type"] == "select")
    good = [{"field_id": select["id"], "values": [{"enum_id": select["enums"][1]["id"]}]}]
    account.api("PATCH", f"/leads/{lead}", {"custom_fields_values": good}).raise_for_status()
    stored = account.api("GET", f"/leads/{lead}").json()["custom_fields_values"]
    assert stored[0]["values"][0]["value"] == select["enums"][1]["value"]
    bad = [{"field_id": select["id"], "values": [{"value": "nothing of the kind"}]}]
    refused = account.api("PATCH", f"/leads/{lead}", {"name": "X", "custom_fields_values": bad})
    assert refused.status_code == 400
    assert account.api("GET", f"/leads/{lead}").json()["name"] != "X"
    cleared = [{"field_id": select["id"], "values": None}]
    account.api("PATCH", f"/leads/{lead}", {"custom_fields_values": cleared}).raise_for_status()
    assert account.api("GET", f"/leads/{lead}").json()["custom_fields_values"] is None


def test_tags_are_replaced_as_a_set_and_changed_in_steps(account):
    lead = account.chat()["lead_id"]

    def tags_after(**change):
        account.api("PATCH", f"/leads/{lead}", change).raise_for_status()
        return [tag["name"] for tag in account.api("GET", f"/leads/{lead}").json()["_embedded"]["tags"]]

    assert tags_after(tags_to_add=[{"name": "hot"}, {"name": "vip"}]) == ["hot", "vip"]
    assert tags_after(tags_to_delete=[{"name": "hot"}]) == ["vip"]
    assert tags_after(_embedded={"tags": [{"name": "new"}]}) == ["new"]
    assert tags_after(_embedded={"tags": None}) == []


def test_tasks_are_created_found_by_their_lead_and_completed(account):
    lead = account.chat()["lead_id"]
    task = {"text": "Call back", "complete_till": 1_900_000_000, "entity_type": "leads", "entity_id": lead}
    created = account.api("POST", "/tasks", [task]).json()["_embedded"]["tasks"][0]["id"]
    path = f"/tasks?filter[entity_type]=leads&filter[entity_id]={lead}&filter[is_completed]=0"
    (row,) = account.api("GET", path).json()["_embedded"]["tasks"]
    assert (row["id"], row["result"]) == (created, [])
    done = {"is_completed": True, "result": {"text": "Reached"}}
    account.api("PATCH", f"/tasks/{created}", done).raise_for_status()
    assert account.api("GET", path).status_code == 204
    assert account.api("GET", f"/tasks/{created}").json()["result"] == {"text": "Reached"}
    assert account.steer("GET", "/ledger")["entries"][0]["text"] == "Call back"
    assert account.api("POST", "/tasks", [{"text": "No date"}]).status_code == 400


def test_notes_are_kept_at_their_lead(account):
    lead = account.chat()["lead_id"]
    note = [{"note_type": "common", "params": {"text": "Likes tea"}}]
    account.api("POST", f"/leads/{lead}/notes", note).raise_for_status()
    (row,) = account.api("GET", f"/leads/{lead}/notes").json()["_embedded"]["notes"]
    assert row["params"] == {"text": "Likes tea"}


def test_lists_are_paged_and_limited(account):
    account.api("POST", "/leads", [{"name": f"Lead {n}"} for n in range(5)]).raise_for_status()
    first = account.api("GET", "/leads?limit=3").json()
    last = account.api("GET", "/leads?limit=3&page=2").json()
    assert [len(page["_embedded"]["leads"]) for page in (first, last)] == [3, 2]
    assert ("next" in first["_links"], "next" in last["_links"]) == (True, False)
    refused = account.api("GET", "/leads?limit=251")
    assert (refused.status_code, refused.json()["detail"]) == (422, "Limit 250 per page")


def test_the_account_knows_itself_its_people_and_its_pipeline(account):
    about = account.api("GET", "/account?with=amojo_id").json()
    assert (about["id"], about["subdomain"]) == (account.facts["account_id"], account.facts["subdomain"])
    assert about["amojo_id"]
    users = account.api("GET", "/users").json()["_embedded"]["users"]
    assert [user["id"] for user in users] == account.facts["user_ids"]
    (pipeline,) = account.api("GET", "/leads/pipelines").json()["_embedded"]["pipelines"]
    stages = pipeline["_embedded"]["statuses"]
    assert [stages[0]["type"], stages[-2]["id"], stages[-1]["id"]] == [1, 142, 143]


def test_every_answer_has_its_request_id(account):
    ids = {account.api("GET", path).headers["x-request-id"] for path in ("/account", "/leads/1", "/nowhere")}
    assert len(ids) == 3


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/leads", 405)])
def test_wrong_paths_and_methods_get_problems(account, method, path, status):
    refused = account.api(method, path)
    assert (refused.status_code, refused.json()["status"]) == (status, status)


def test_a_chat_can_be_played_in_the_browser_without_a_script(url, account):
    chat = account.chat()
    page = f"{url}/chat/{account.facts['subdomain']}/{chat['chat_id']}"
    with httpx2.Client(follow_redirects=True) as browser:
        browser.post(f"{page}/customer", data={"text": "<i>Hello</i>"})
        shown = browser.post(f"{page}/manager?lang=en", data={"text": "Good day"}).text
    assert "&lt;i&gt;Hello&lt;/i&gt;" in shown
    assert "Write as the manager" in shown
    until(lambda: [row["author"] for row in transcript(account, chat)] == ["external", "internal"])
