"""Every kind the CRM sends, as our own record: the table of CRM-13 to CRM-16."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptagent.adapters.kommo.deliveries import READERS, read_delivery
from gptagent.adapters.kommo.fields import read_hook_fields
from gptagent.adapters.kommo.tree import parse_body
from gptagent.features.crm.deliveries.model import (
    Call,
    CatalogItemChanged,
    ContactChanged,
    CustomerChanged,
    IncomingLeadChanged,
    LeadTriggered,
    NoteAdded,
    RecordRef,
    TaskChanged,
)
from gptagent.features.crm.model import InboundMessage, LeadChanged, Letter, OtherEvent, TalkChanged
from gptagent.features.crm.records import Tag
from gptagent.features.crm.values import Choice, Flag, Labelled, Moment

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
SAMPLES = Path(__file__).parents[1] / "contract" / "kommo_samples"
AT = {"updated_at": "1790000000"}
WHEN = datetime.fromtimestamp(1790000000, UTC)
LEAD = {"id": "7", "status_id": "3", "pipeline_id": "2"}
CONTACT = {"id": "5", "name": "Ann", "type": "contact"}
NOTE = {"id": "9", "element_type": "2", "element_id": "7", "text": "Hi", "note_type": "4", **AT}
MESSAGE = {"id": "m", "chat_id": "c", "talk_id": "4", "created_at": "1790000000", "text": "Hello"}
OUTSIDE = {"author": {"type": "external", "name": "Ann"}, "type": "incoming"}
INSIDE = {"author": {"type": "internal", "name": "Bob"}, "type": "outgoing"}
TALK = {"talk_id": "4", "chat_id": "c", "entity_id": "7", "is_in_work": "0"}
TASK = {"id": "8", "element_id": "5", "element_type": "1", "text": "Call", "status": "1"}
INCOMING = {"uid": "u1", "category": "forms", "lead_id": "7"}
ITEM = {"id": "6", "catalog_id": "1", "name": "Cup"}

LETTER = {
    "message_id": "77",
    "thread_id": "8",
    "income": "1",
    "from": {"email": "ann@customers.test", "name": "Ann"},
    "to": {"email": "sales@company.test"},
    "subject": " Cups ",
    "content_summary": "How much?",
    "lead_id": "7",
    "contact_id": "5",
    "created_at": "1790000000",
}

# What comes under each key, and what we make of it.
TABLE = {
    "leads[add]": ({**LEAD, **AT}, LeadChanged(7, "added", 2, 3, changed_at=WHEN)),
    "leads[update]": ({**LEAD, "price": "90"}, LeadChanged(7, "updated", 2, 3, price=90)),
    "leads[delete]": (LEAD, LeadChanged(7, "deleted", 2, 3)),
    "leads[restore]": (LEAD, LeadChanged(7, "restored", 2, 3)),
    "leads[status]": (
        {**LEAD, "old_status_id": "1", "old_pipeline_id": "4"},
        LeadChanged(7, "moved", 2, 3, old_stage_id=1, old_pipeline_id=4),
    ),
    "leads[responsible]": (
        {**LEAD, "responsible_user_id": "11", "old_responsible_user_id": "12"},
        LeadChanged(7, "responsible", 2, 3, responsible_user_id=11, old_responsible_user_id=12),
    ),
    "leads[note]": (
        {"note": NOTE, "type": "lead"},
        NoteAdded(9, RecordRef("lead", 7), "text", "Hi", changed_at=WHEN),
    ),
    "leads[mail_in]": (LEAD, LeadTriggered(7, "mail_in", 2, 3)),
    "leads[call_in]": (LEAD, LeadTriggered(7, "call_in", 2, 3)),
    "leads[chat]": (LEAD, LeadTriggered(7, "chat", 2, 3)),
    "leads[site_visit]": (LEAD, LeadTriggered(7, "site_visit", 2, 3)),
    "contacts[add]": (CONTACT, ContactChanged(RecordRef("contact", 5), "added", "Ann")),
    "contacts[update]": (
        {**CONTACT, "type": "company", "linked_leads_id": {"7": {"ID": "7"}}},
        ContactChanged(RecordRef("company", 5), "updated", "Ann", linked_lead_ids=(7,)),
    ),
    "contacts[responsible]": (
        {**CONTACT, "old_responsible_user_id": "12"},
        ContactChanged(RecordRef("contact", 5), "updated", "Ann", old_responsible_user_id=12),
    ),
    "contacts[delete]": ({"id": "5", "type": "contact"}, ContactChanged(RecordRef("contact", 5), "deleted")),
    "contacts[restore]": (
        {**CONTACT, "linked_company_id": "4"},
        ContactChanged(RecordRef("contact", 5), "restored", "Ann", company_id=4),
    ),
    "contacts[note]": (
        {"note": {**NOTE, "element_type": "3", "note_type": "5", "text": "a.pdf"}, "type": "company"},
        NoteAdded(9, RecordRef("company", 7), "file", "a.pdf", changed_at=WHEN),
    ),
    "companies[note]": (
        {"note": {"id": "9", "element_id": "7", "note_type": "25"}},
        NoteAdded(9, RecordRef("company", 7), "other", ""),
    ),
    "customers[add]": ({"id": "12", "name": "Ann"}, CustomerChanged(12, "added", "Ann")),
    "customers[update]": ({"id": "12", "main_user_id": "3"}, CustomerChanged(12, "updated", None, 3)),
    "customers[responsible]": (
        {"id": "12", "responsible_user_id": "4"},
        CustomerChanged(12, "updated", None, 4),
    ),
    "customers[delete]": ({"id": "12"}, CustomerChanged(12, "deleted")),
    "customers[note]": (
        {"note": {**NOTE, "element_type": "12"}},
        NoteAdded(9, RecordRef("customer", 7), "text", "Hi", changed_at=WHEN),
    ),
    "task[add]": (
        {**TASK, "complete_before": "1790000000", "complete_till": "2026-09-21 14:13:20"},
        TaskChanged(8, "added", RecordRef("contact", 5), text="Call", is_done=True, due_at=WHEN),
    ),
    "task[update]": (
        {**TASK, "old_text": "Write", "status": "0", "result": {"id": "1", "text": "Done"}},
        TaskChanged(
            8,
            "updated",
            RecordRef("contact", 5),
            text="Call",
            old_text="Write",
            is_done=False,
            result="Done",
        ),
    ),
    "task[responsible]": (
        {"id": "8", "responsible_user_id": "4", "complete_till": "2026-09-21 14:13:20"},
        TaskChanged(8, "updated", responsible_user_id=4, due_at=WHEN),
    ),
    "task[delete]": ({"id": "8"}, TaskChanged(8, "deleted")),
    "unsorted[add]": (
        {**INCOMING, "source_data": {"service": "telegram", "data": [{"text": "Hi"}]}},
        IncomingLeadChanged("u1", "added", "forms", (7,), source="telegram", text="Hi"),
    ),
    "unsorted[update]": (
        {**INCOMING, "pipeline_id": "2", "data": {"contacts": [{"id": "5"}]}},
        IncomingLeadChanged("u1", "updated", "forms", (7,), (5,), 2),
    ),
    "unsorted[delete]": (
        {"uid": "u1", "action": "decline", "decline_result": {"leads": ["7"], "contacts": ["5"]}},
        IncomingLeadChanged("u1", "declined", "", (7,), (5,)),
    ),
    "talk[add]": (TALK, TalkChanged(4, "c", None, 7, is_open=False)),
    "talk[update]": ({**TALK, "is_in_work": "1"}, TalkChanged(4, "c", None, 7, is_open=True)),
    "message[add]": (
        {**MESSAGE, **OUTSIDE},
        InboundMessage("m", "c", 4, None, None, "customer", "Ann", "Hello", WHEN, ""),
    ),
    "letter[add]": (
        LETTER,
        dataclasses.replace(
            InboundMessage(
                "mail:77", "mail:8", None, 5, 7, "customer", "Ann", "Cups\n\nHow much?", WHEN, "mail"
            ),
            letter=Letter("Cups", "ann@customers.test", "sales@company.test"),
        ),
    ),
    "outgoing_message[add]": (
        {**MESSAGE, **INSIDE},
        InboundMessage("m", "c", 4, None, None, "human", "Bob", "Hello", WHEN, ""),
    ),
    "catalogs[add]": (ITEM, CatalogItemChanged(1, 6, "added", "Cup")),
    "catalogs[update]": (ITEM, CatalogItemChanged(1, 6, "updated", "Cup")),
    "catalogs[delete]": ({"id": "6", "catalog_id": "1"}, CatalogItemChanged(1, 6, "deleted")),
}


def leaves(node, path):
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in items:
            yield from leaves(child, f"{path}[{key}]")
    else:
        yield path, node


def deliver(*elements, last=False):
    """Return what a form of these (key, element) pairs is read as; the account stands first or last."""
    account = [("account[id]", "31"), ("account[subdomain]", "acme")]
    body = []
    for number, (key, element) in enumerate(elements):
        body += leaves(element, f"{key}[{number}]")
    return read_delivery(parse_body(FORM, urlencode(body + account if last else account + body).encode()))


def test_the_table_names_every_key_that_is_read():
    """CRM-15"""
    assert TABLE.keys() == READERS.keys()


@pytest.mark.parametrize("key", TABLE)
def test_each_kind_is_read_from_form_and_json(key):
    """CRM-13, CRM-15"""
    element, expected = TABLE[key]
    webhook = deliver((key, element))
    assert (webhook.events, webhook.account_id, webhook.kind) == ((expected,), 31, key)
    kind, action = key[:-1].split("[")
    body = json.dumps({kind: {action: [element]}, "account": {"id": 31}}).encode()
    assert read_delivery(parse_body(JSON, body)).events == (expected,)


@pytest.mark.parametrize("key", TABLE)
def test_all_elements_are_read_with_the_account_last(key):
    """CRM-14"""
    element, expected = TABLE[key]
    webhook = deliver((key, element), (key, element), (key, element), last=True)
    assert (webhook.events, webhook.account_id) == ((expected,) * 3, 31)


@pytest.mark.parametrize("key", TABLE)
def test_a_copy_has_the_key_of_the_first_and_a_change_another(key):
    """CRM-16"""
    element = {**TABLE[key][0], **AT}
    once, again, other = (
        deliver((key, one)).keys for one in (element, element, {**element, "updated_at": "1790000001"})
    )
    if "note" not in element:
        assert once == again != other
    assert once == again and once[0] is not None


def test_what_may_rightly_come_again_has_no_key():
    """CRM-16: the thin form has no time; a deal that goes to and fro comes to a stage twice."""
    assert deliver(("leads[status]", LEAD)).keys == (None,)
    assert deliver(("task[delete]", {"id": "8"})).keys != (None,)


def test_custom_fields_of_every_shape_are_read():
    """Values in objects, dates bare, a radio button without a list, a check mark as 1."""
    fields = [
        {"id": "1", "name": "Phone", "code": "PHONE", "values": [{"value": "+1", "enum": "3"}]},
        {"id": "2", "name": "Date", "values": ["1725915600"]},
        {"id": "3", "name": "Radio", "values": {"value": "2", "enum": "566642"}},
        {"id": "4", "name": "Check", "values": ["1"]},
        {"id": "5", "name": "Empty"},
    ]
    types = {1: "multitext", 2: "date", 3: "radiobutton", 4: "checkbox", 5: "text"}
    (event,) = deliver(("leads[update]", {**LEAD, "custom_fields": fields})).events
    assert [(one.name, one.values) for one in read_hook_fields(event.fields, types)] == [
        ("Phone", (Labelled("+1", None, 3),)),
        ("Date", (Moment(datetime(2024, 9, 9, 21, tzinfo=UTC)),)),
        ("Radio", (Choice("2", 566642),)),
        ("Check", (Flag(flag=True),)),
        ("Empty", ()),
    ]


def test_a_list_that_is_not_there_is_told_from_an_empty_one():
    (bare,) = deliver(("leads[update]", LEAD)).events
    assert bare.fields is None and bare.tags is None
    tags = [{"id": "4", "name": "VIP"}, {"name": "New"}, {"id": "5"}]
    (event,) = deliver(("leads[update]", {**LEAD, "tags": tags})).events
    assert event.tags == (Tag(4, "VIP"), Tag(0, "New"))


@pytest.mark.parametrize(
    ("note", "call"),
    [
        ({"note_type": "10", "text": '{"PHONE":"+1","DURATION":"0"}'}, Call("+1", 0, is_missed=True)),
        ({"note_type": "10", "text": '{"PHONE":"+1","DURATION":"30"}'}, Call("+1", 30, is_missed=False)),
        (
            {"note_type": "10", "metadata": '{"phone":"+1","duration":9,"call_status":6}'},
            Call("+1", 9, is_missed=True),
        ),
        ({"note_type": "10", "metadata": '{"phone":"+1","call_status":"4"}'}, Call("+1", 0, is_missed=False)),
        ({"note_type": "11", "text": '{"PHONE":"+1","DURATION":"0"}'}, Call("+1", 0, is_missed=False)),
        ({"note_type": "call_in", "params": {"phone": "+1", "duration": "0"}}, Call("+1", 0, is_missed=True)),
        ({"note_type": "10", "text": "{broken"}, Call("", 0, is_missed=True)),
    ],
)
def test_a_call_says_whether_it_was_missed(note, call):
    """CRM-20"""
    (event,) = deliver(("leads[note]", {"note": {**NOTE, **note}})).events
    assert event.call == call


def test_published_bodies_of_records_are_read():
    def only(name):
        (event,) = read_delivery(parse_body(FORM, (SAMPLES / f"{name}.form").read_bytes())).events
        return event

    contact = only("doc/contacts_add_contact")
    radio = read_hook_fields(contact.fields, {})[2]
    assert contact.record == RecordRef("contact", 17611273)
    assert read_hook_fields(contact.fields, {radio.field_id: "radiobutton"})[2].values == (
        Choice("2", 566642),
    )
    note = only("doc/contacts_note_company")
    assert (note.record, note.kind, note.text, note.responsible_user_id) == (
        RecordRef("company", 17614267),
        "text",
        "text note",
        11087123,
    )
    task = only("doc/task_update_result_added")
    assert (task.record, task.is_done, task.result) == (
        RecordRef("company", 17612485),
        True,
        "client responded",
    )
    assert task.due_at == datetime(2024, 9, 17, 13, 18, 57, tzinfo=UTC)
    accepted = only("doc/unsorted_delete_accept")
    assert (accepted.change, accepted.category, accepted.lead_ids) == ("accepted", "mail", (15258873,))
    incoming = only("20_unsorted_add_2023_chats_telegram")
    assert (incoming.source, incoming.text, incoming.lead_ids, incoming.contact_ids) == (
        "telegram",
        "v",
        (28455371,),
        (93589657,),
    )
    assert only("doc/catalogs_delete") == CatalogItemChanged(32908, 347577, "deleted")
    assert only("doc/amocrm_dp_mail_in") == LeadTriggered(4921027, "mail_in", 752662, 16203334)
    assert only("doc/task_delete").change == "deleted"


NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "note", "values", "text", "type", "0"]), inner, max_size=4)
    ),
    max_leaves=10,
)
KEYS = sorted({name for element, _ in TABLE.values() for name in element})


@given(st.sampled_from(sorted(READERS)), st.dictionaries(st.sampled_from(KEYS), NODES, max_size=8))
def test_junk_under_a_known_key_is_read_as_something(key, element):
    kind, action = key[:-1].split("[")
    (event,) = read_delivery({kind: {action: [element]}}).events
    assert isinstance(event, OtherEvent) or dataclasses.is_dataclass(event)
