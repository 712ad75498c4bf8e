"""For the same event the emulator's body has the keys of the published one, in the same order."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest

from contract.sandbox_tools import accounts_at, receiving, until
from gptagent.adapters.kommo.deliveries import READERS, read_delivery
from gptagent.adapters.kommo.tree import parse_body
from gptagent.features.crm.model import OtherEvent
from gptagent.sandbox.kommo.rest.webhooks import CODES
from gptagent.sandbox.spawn import running

SAMPLES = Path(__file__).parent / "kommo_samples"
PICTURE = {"type": "picture", "link": "https://amojo.kommo.com/a/file.jpeg", "file_name": "file.jpeg"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture(scope="module")
def hook():
    with receiving() as receiver:
        yield receiver


class Lab:
    """An account of its own, all of whose webhooks are received."""

    def __init__(self, account, hook):
        self.account = account
        self.hook = hook
        hook.got.clear()
        codes = sorted(code for code in CODES if not code.endswith("_customer"))
        account.subscribe(hook.url, *codes)

    def until_all_came(self):
        """What comes late would be taken for the next account's."""
        until(lambda: self.steer("GET", "/deliveries")["under_way"] == 0)

    def keys(self, prefix):
        until(lambda: self.hook.bodies(prefix))
        return self.hook.keys(prefix)

    def steer(self, method, path, **body):
        return self.account.steer(method, path, **body)

    def api(self, method, path, body=None):
        response = self.account.api(method, path, body)
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    def fields(self, kind="leads"):
        found = self.api("GET", f"/{kind}/custom_fields")["_embedded"]["custom_fields"]
        return {custom["type"]: custom["id"] for custom in found}


@pytest.fixture
def lab(url, hook):
    with accounts_at(url) as opened:
        lab = Lab(opened(unsorted=False), hook)
        yield lab
        lab.until_all_came()


@pytest.fixture
def unsorted_lab(url, hook):
    with accounts_at(url) as opened:
        lab = Lab(opened(unsorted=True), hook)
        yield lab
        lab.until_all_came()


def published(name):
    """Return the sample's keys. Samples of documents show the event without its account."""
    keys = [key for key, _ in parse_qsl((SAMPLES / f"{name}.form").read_text(), keep_blank_values=True)]
    return keys if any(key.startswith("account") for key in keys) else [*ACCOUNT, *keys]


ACCOUNT = ["account[subdomain]", "account[id]", "account[_links][self]"]


def without_fields(keys):
    return [key for key in keys if "[custom_fields]" not in key]


@pytest.mark.parametrize("name", ["02_leads_add_2025_unirock", "07_leads_add_2025_etesttask"])
def test_an_added_lead(lab, name):
    lab.api("POST", "/leads", [{"name": "Deal"}])
    assert lab.keys("leads[add]") == published(name)


def test_an_added_lead_of_old_with_the_account_last(lab):
    lab.steer("POST", "/knobs", account_last=True)
    lab.api("POST", "/leads", [{"name": "Deal"}])
    assert lab.keys("leads[add]") == published("09_leads_add_2022_account_last")


def test_an_added_contact(lab):
    lab.api("POST", "/contacts", [{"name": "Ann"}])
    assert lab.keys("contacts[add]") == published("05_contacts_add_2025_etesttask")
    lab.hook.got.clear()
    lab.api("POST", "/contacts", [{"name": "Ann", "custom_fields_values": phone(lab)}])
    assert without_fields(lab.keys("contacts[add]")) == without_fields(published("doc/contacts_add_contact"))


def phone(lab):
    return [{"field_id": lab.fields("contacts")["multitext"], "values": [{"value": "+1"}]}]


def test_the_thin_form_of_the_digital_pipeline(lab):
    lab.steer("POST", "/digital_pipeline", url=lab.hook.url + "dp/")
    lead = lab.api("POST", "/leads", [{"name": "Deal"}])["_embedded"]["leads"][0]["id"]
    thin = published("10_dp_leads_add_thin")
    until(lambda: [pairs for _, pairs in lab.hook.got if [key for key, _ in pairs] == thin])
    lab.steer("POST", f"/leads/{lead}/move", status_id=lab.account.stage(2))
    moved = published("14_dp_leads_status_2023_full_http")
    until(lambda: [pairs for _, pairs in lab.hook.got if [key for key, _ in pairs] == moved])
    lab.steer("POST", f"/leads/{lead}/trigger", trigger="mail_in")
    assert set(lab.keys("leads[mail_in]")[:3]) == set(published("doc/amocrm_dp_mail_in")[3:])


def test_a_customers_message(lab):
    lab.steer("POST", "/chats", name="Ann", text="Hello")
    assert lab.keys("message[add]") == published("22_message_add_2026_waba_text")


def test_a_customers_message_of_2023(lab):
    lab.steer("POST", "/knobs", message_type=False, avatars=True)
    lab.steer("POST", "/chats", name="Ann", text="Hello", origin="telegram")
    assert lab.keys("message[add]") == published("17_message_add_2023_telegram_text")


def test_a_message_before_it_is_bound_to_anything(lab):
    lab.steer("POST", "/knobs", bind_entities=False)
    lab.steer("POST", "/chats", name="Ann", text="Hello")
    bound = re.compile(r"\[(?:element|entity)_")
    assert lab.keys("message[add]") == [
        key for key in published("22_message_add_2026_waba_text") if not bound.search(key)
    ]


def test_a_picture(lab):
    chat = lab.account.chat()["chat_id"]
    lab.steer("POST", f"/chats/{chat}/customer", text="", attachment=PICTURE)
    assert lab.keys("message[add]") == published("24_message_add_2026_waba_picture")


def test_talks(lab):
    talk = lab.account.chat(text="Hello")["talk_id"]
    assert lab.keys("talk[add]") == published("doc/talk_add")
    partial = [key for key in published("31_talk_add_2026_waba_PARTIAL") if key.startswith("talk")]
    assert set(partial) <= set(lab.keys("talk[add]"))
    lab.steer("POST", f"/talks/{talk}/close")
    assert lab.keys("talk[update]") == published("doc/talk_update_closed")


def test_incoming_leads_accepted_and_declined(unsorted_lab):
    lab = unsorted_lab
    lab.steer("POST", "/chats", name="Ann", text="Hello", origin="telegram")
    assert lab.keys("unsorted[add]") == published("20_unsorted_add_2023_chats_telegram")
    (one,) = lab.api("GET", "/leads/unsorted")["_embedded"]["unsorted"]
    answered = lab.api("POST", f"/leads/unsorted/{one['uid']}/accept", {})
    assert answered["uid"] == one["uid"]
    assert lab.keys("unsorted[delete]") == published("doc/unsorted_delete_accept")
    lab.hook.got.clear()
    lab.steer("POST", "/chats", name="Bob", text="Hello")
    until(lambda: lab.account.api("GET", "/leads/unsorted").status_code == 200)
    (other,) = lab.api("GET", "/leads/unsorted")["_embedded"]["unsorted"]
    lab.api("DELETE", f"/leads/unsorted/{other['uid']}/decline")
    assert "unsorted[delete][0][decline_result][leads][0]" in lab.keys("unsorted[delete]")
    assert lab.account.api("DELETE", f"/leads/unsorted/{other['uid']}/decline").status_code == 404


def test_a_moved_a_handed_over_and_a_deleted_lead(lab):
    chat, fields = lab.account.chat(), lab.fields()
    lead = chat["lead_id"]
    values = [("numeric", "1000"), ("textarea", "Text"), ("checkbox", True), ("select", "Подписка")]
    values.append(("date", 1725915600))
    listed = [{"field_id": fields[kind], "values": [{"value": value}]} for kind, value in values]
    lab.api("PATCH", f"/leads/{lead}", {"custom_fields_values": listed})
    lab.steer("POST", f"/leads/{lead}/move", status_id=lab.account.stage(2))
    assert lab.keys("leads[status]") == published("doc/leads_status")
    lab.api("PATCH", f"/leads/{lead}", {"responsible_user_id": lab.account.facts["user_ids"][1]})
    handed = [key for key in published("doc/leads_responsible") if "old_status_id" not in key]
    assert lab.keys("leads[responsible]") == handed
    lab.steer("DELETE", f"/records/leads/{lead}")
    assert lab.keys("leads[delete]") == published("doc/leads_delete")
    lab.steer("POST", f"/records/leads/{lead}/restore")
    assert "leads[restore][0][status_id]" in lab.keys("leads[restore]")


def test_tasks(lab):
    lead = lab.account.chat()["lead_id"]
    new = {"text": "Call", "complete_till": 1790000000, "entity_type": "leads", "entity_id": lead}
    task = lab.api("POST", "/tasks", [new])["_embedded"]["tasks"][0]["id"]
    lab.api("PATCH", f"/tasks/{task}", {"is_completed": True, "result": {"text": "Done"}})
    assert lab.keys("task[update]") == published("doc/task_update_result_added")
    lab.steer("DELETE", f"/tasks/{task}")
    assert lab.keys("task[delete]") == published("doc/task_delete")


def test_notes_files_and_calls(lab):
    company = lab.api("POST", "/companies", [{"name": "Acme"}])["_embedded"]["companies"][0]["id"]
    note = {"note_type": "common", "params": {"text": "text note"}}
    lab.api("POST", f"/companies/{company}/notes", [note])
    assert lab.keys("contacts[note]") == published("doc/contacts_note_company")
    lead = lab.account.chat()["lead_id"]
    file = {"note_type": "attachment", "params": {"file_uuid": "u", "file_name": "a.pdf"}}
    lab.api("POST", f"/leads/{lead}/notes", [file])
    until(lambda: len(lab.hook.bodies("leads[note]")) == 2)
    lab.steer("POST", "/calls", entity="leads", id=lead, phone="+1202")
    until(lambda: len(lab.hook.bodies("leads[note]")) == 3)
    body = lab.hook.bodies("leads[note]")[-1]
    assert body["leads[note][0][note][note_type]"] == "10"


def test_an_element_of_a_list_that_is_gone(lab):
    gone = {"id": 347577, "catalog_id": 32908, "type": "catalog"}
    lab.steer("POST", "/announce", event="catalogs[delete]", elements=[gone])
    assert lab.keys("catalogs[delete]") == published("doc/catalogs_delete")


def test_several_elements_in_one_body(lab):
    elements = [{"id": 1, "catalog_id": 2}, {"id": 3, "catalog_id": 2}]
    lab.steer("POST", "/announce", event="catalogs[add]", elements=elements)
    assert [key for key in lab.keys("catalogs[add]") if key.endswith("[id]")][1:] == [
        "catalogs[add][0][id]",
        "catalogs[add][1][id]",
    ]


def test_whatever_the_emulator_sends_is_read_as_what_it_is(lab):
    """CRM-15: nothing it sends is of a kind or shape that the platform does not know."""
    chat = lab.account.chat(text="Hello")
    lead, contact = chat["lead_id"], chat["contact_id"]
    lab.steer("POST", f"/chats/{chat['chat_id']}/manager", text="Hi")
    lab.api("PATCH", f"/contacts/{contact}", {"name": "Anna"})
    lab.api("PATCH", f"/leads/{lead}", {"name": "Deal"})
    lab.steer("POST", "/calls", entity="contacts", id=contact)
    lab.steer("DELETE", f"/records/contacts/{contact}")
    until(lambda: lab.hook.bodies("contacts[delete]"))
    for _, pairs in list(lab.hook.got):
        for event in read_delivery(parse_body(FORM, urlencode(pairs).encode())).events:
            assert not isinstance(event, OtherEvent), pairs
    assert {"message[add]", "contacts[delete]"} <= set(READERS)
