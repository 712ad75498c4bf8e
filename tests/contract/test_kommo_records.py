"""Records, settings and lists of an account as the adapter reads them; and the emulator's own facts."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import msgspec
import pytest

from contract.kommo_tools import Recorder, connected, linked
from contract.sandbox_tools import accounts_at, receiving, until
from gptagent.adapters.kommo.fields import KNOWN_TYPES, write_fields
from gptagent.features.crm.model import CallPriority
from gptagent.features.crm.records import Channel, Link, PageRequest
from gptagent.features.crm.values import (
    Chained,
    Choice,
    FieldValue,
    File,
    Flag,
    Labelled,
    LegalEntity,
    Linked,
    Moment,
    Number,
    Text,
)
from gptagent.kernel.errors import Forbidden, NotFound
from gptagent.sandbox.spawn import running

FIRST = PageRequest()
FORM = "application/x-www-form-urlencoded"
DAY = datetime(2026, 9, 21, tzinfo=UTC)
LONG_AGO = 1_700_000_000


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


@pytest.fixture
def amocrm(account):
    """The same account by its Russian name."""
    return linked(account, host=account.facts["host"].replace(".kommo.", ".amocrm."))


async def every(read, **options):
    """Return all items over all pages, and how many pages there were."""
    items, page = [], PageRequest(**options)
    while True:
        batch = await read(page)
        items += batch.items
        if not batch.has_more:
            return items, page.number
        page = replace(page, number=page.number + 1)


def made_field(account, kind):
    """Make a field of this kind, and what its values may point to; return both."""
    options = {}
    if kind in {"select", "multiselect", "radiobutton", "category"}:
        options = {"enums": ["Один", "Два"]}
    if kind == "multitext":
        options = {"code": "PHONE"}
    if kind == "chained_list":
        lists = [account.steer("POST", "/catalogs", name=name, elements=[name]) for name in ("Make", "Model")]
        options = {"catalogs": [one["id"] for one in lists]}
    if kind == "linked_entity":
        options = {"search_in": "contacts_and_companies"}
    field = account.steer("POST", "/fields", entity="leads", name=kind, type=kind, **options)
    return field, options.get("catalogs", [])


async def values_of(crm, link, account, kind):
    """Return a field as the emulator has made it, with values of its kind."""
    field, catalogs = made_field(account, kind)
    single = {
        **dict.fromkeys(("text", "textarea", "url", "streetaddress", "tracking_data"), Text("https://a.b/")),
        **dict.fromkeys(("numeric", "price", "monetary"), Number(Decimal("12.50"))),
        "checkbox": Flag(flag=True),
        **dict.fromkeys(("date", "date_time", "birthday"), Moment(DAY)),
        "legal_entity": LegalEntity("Acme", 2, "77", "Main 1", {"kpp": "5"}),
    }
    values = (single[kind],) if kind in single else (Choice(*first_of(field)),)
    if kind == "linked_entity":
        values = (Linked("Ann", account.chat()["contact_id"], "contacts", None),)
    elif kind == "file":
        uuid = account.steer("POST", "/files", name="a.pdf")["uuid"]
        values = (File(uuid, "v-1", "a.pdf", 9),)
    elif kind == "chained_list":
        batches = [await crm.fetch_catalog_elements(link, one, FIRST) for one in catalogs]
        steps = zip(catalogs, batches, strict=True)
        values = tuple(Chained(one, batch.items[0].id) for one, batch in steps)
    elif kind == "smart_address":
        values = tuple(Labelled(f"Part {one['id']}", one["code"], one["id"]) for one in field["enums"])
    elif kind == "multitext":
        _, number, code = first_of(field)
        values = (Labelled("+1", code, number),)
    return field, values


def first_of(field):
    first = next(iter(field["enums"]), {"value": "", "id": None, "code": None})
    return first["value"], first["id"], first["code"]


def plain(values):
    """Without what a webhook does not tell: a phone's kind by its code, an address's by its number."""
    return [
        msgspec.structs.replace(one, code=None, enum_id=None) if isinstance(one, Labelled | Choice) else one
        for one in values
    ]


@pytest.mark.parametrize("kind", sorted(KNOWN_TYPES))
async def test_a_field_is_written_read_back_and_told_by_a_webhook(crm, link, account, kind):
    """CRM-25"""
    field, values = await values_of(crm, link, account, kind)
    written = FieldValue(field["id"], kind, values, kind, field["code"])
    lead_id = account.chat()["lead_id"]
    with receiving() as receiver:
        await crm.register_webhook(link, receiver.url.rstrip("/"))
        body = {"custom_fields_values": write_fields([written])}
        account.api("PATCH", f"/leads/{lead_id}", body).raise_for_status()
        until(lambda: receiver.bodies("leads[update]"))
        (told,) = crm.read_webhook(FORM, urlencode(receiver.bodies("leads[update]")[0]).encode()).events
    assert (await crm.fetch_lead(link, lead_id)).fields == (written,)
    (row,) = [one for one in (await crm.fetch_leads(link, FIRST)).items if one.id == lead_id]
    assert row.fields == (written,)
    (known,) = [one for one in await crm.fetch_fields(link, "leads") if one.id == field["id"]]
    assert known.is_known and known.type == kind
    (heard,) = crm.read_hook_fields(told.fields, {known.id: known.type})
    assert plain(heard.values) == plain(values) and heard.text == written.text
    emptied = write_fields([msgspec.structs.replace(written, values=())])
    account.api("PATCH", f"/leads/{lead_id}", {"custom_fields_values": emptied}).raise_for_status()
    assert (await crm.fetch_lead(link, lead_id)).fields == ()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("legal_entity", [{"value": {"entity_type": 1}}]),
        ("legal_entity", [{"value": {"name": "Acme", "entity_type": 3}}]),
        ("linked_entity", [{"value": {"name": "X", "entity_id": 1, "entity_type": "contacts"}}]),
        ("linked_entity", [{"value": {"name": "X", "entity_id": 1, "entity_type": "leads"}}]),
        ("chained_list", [{"catalog_id": 1, "catalog_element_id": 1}]),
        ("chained_list", [{"catalog_id": 1, "catalog_element_id": 1}] * 6),
        ("file", [{"value": {"file_uuid": "nobodys"}}]),
        ("smart_address", [{"value": "Rome"}]),
        ("smart_address", [{"value": "Rome", "enum_code": "planet"}]),
    ],
)
def test_the_emulator_takes_no_object_that_points_nowhere(account, kind, values):
    field, _ = made_field(account, kind)
    body = {"custom_fields_values": [{"field_id": field["id"], "values": values}]}
    refused = account.api("PATCH", f"/leads/{account.chat()['lead_id']}", body)
    assert refused.status_code == 400
    assert refused.json()["validation-errors"][0]["errors"][0]["path"].startswith("custom_fields_values.0")


async def test_a_field_of_an_unknown_kind_is_listed_as_such(crm, link, account):
    field = account.steer("POST", "/fields", entity="companies", name="Bills", type="items")
    found = {one.id: one for one in await crm.fetch_fields(link, "companies")}
    assert not found[field["id"]].is_known


async def test_fields_come_in_pages_of_fifty_and_are_counted(crm, link, account):
    for number in range(60):
        account.steer("POST", "/fields", entity="contacts", name=f"F{number}")
    page = account.api("GET", "/contacts/custom_fields?limit=250").json()
    assert len(page["_embedded"]["custom_fields"]) == 50
    assert (page["_total_items"], page["_page_count"]) == (63, 2) and "last" in page["_links"]
    assert len(await crm.fetch_fields(link, "contacts")) == 63


async def test_contacts_come_page_by_page_with_their_phones(crm, link, account, limiter):
    """CRM-7"""
    made = account.steer("POST", "/records/contacts", count=501)
    found, pages = await every(lambda page: crm.fetch_contacts(link, page))
    assert pages == 3 and [one.id for one in found] == sorted(range(made["first_id"], made["last_id"] + 1))
    assert found[7].phones == ("+12020000007",) and found[7].name == "Record 8"
    assert {priority for *_, priority in limiter.waited} == {CallPriority.SYNC}


async def test_only_what_changed_since_is_read(crm, link, account):
    old = account.steer("POST", "/records/leads", count=300, updated_at=LONG_AGO)
    fresh = account.steer("POST", "/records/leads", count=2)
    since = datetime.fromtimestamp(LONG_AGO, UTC) + timedelta(days=1)
    found, pages = await every(lambda page: crm.fetch_leads(link, page), since=since)
    assert pages == 1 and [one.id for one in found] == [fresh["first_id"], fresh["last_id"]]
    account.api("PATCH", f"/leads/{old['first_id']}", {"name": "Touched"}).raise_for_status()
    found, _ = await every(lambda page: crm.fetch_leads(link, page), since=since)
    assert found[0].name == "Touched"


async def test_where_lists_cannot_be_filtered_the_latest_changes_are_read_first(crm, link, amocrm, account):
    assert [(await crm.fetch_account(one)).filters_lists for one in (link, amocrm)] == [True, True]
    account.steer("POST", "/knobs", api_filter=False)
    assert [(await crm.fetch_account(one)).filters_lists for one in (link, amocrm)] == [True, False]
    account.steer("POST", "/records/contacts", count=600, updated_at=LONG_AGO)
    account.steer("POST", "/records/contacts", count=3)
    since = datetime.fromtimestamp(LONG_AGO, UTC) + timedelta(days=1)
    found, pages = await every(lambda page: crm.fetch_contacts(amocrm, page), since=since, filtered=False)
    assert (len(found), pages) == (3, 1)


async def test_an_empty_account_is_an_empty_list_everywhere(crm, link, account):
    assert account.api("GET", "/contacts").status_code == 204
    for read in (crm.fetch_contacts, crm.fetch_leads, crm.fetch_companies, crm.fetch_unsorted, crm.fetch_log):
        batch = await read(link, FIRST)
        assert (batch.items, batch.has_more) == ((), False), read.__name__
    assert await crm.fetch_catalogs(link) == () and await crm.fetch_salesbots(link) == ()


async def test_a_page_of_more_than_250_is_refused(account):
    refused = account.api("GET", "/leads?limit=251")
    assert (refused.status_code, refused.json()["detail"]) == (422, "Limit 250 per page")
    assert account.api("GET", "/events?limit=101").status_code == 422


async def test_a_lead_comes_with_tags_contacts_company_and_why_it_was_lost(crm, link, account):
    chat = account.chat()
    company = account.api("POST", "/companies", [{"name": "Acme"}]).json()["_embedded"]["companies"][0]["id"]
    tag = account.steer("POST", "/tags", entity="leads", name="VIP")
    body = {
        "price": 900,
        "_embedded": {"tags": [{"id": tag["id"]}, {"name": "New"}], "companies": [{"id": company}]},
    }
    account.api("PATCH", f"/leads/{chat['lead_id']}", body).raise_for_status()
    reason = next(iter(account.api("GET", "/leads/loss_reasons").json()["_embedded"]["loss_reasons"]))
    lost = {"status_id": 143, "loss_reason_id": reason["id"]}
    account.api("PATCH", f"/leads/{chat['lead_id']}", lost).raise_for_status()
    (lead,) = (await crm.fetch_leads(link, FIRST)).items
    assert (lead.price, lead.stage_id, lead.loss_reason) == (900, 143, reason["name"])
    assert lead.contact_ids == (chat["contact_id"],) and lead.company_ids == (company,)
    assert [one.name for one in lead.tags] == ["VIP", "New"] and lead.tags[0].id == tag["id"]
    assert lead.closed_at is not None
    tags = await crm.fetch_tags(link, "leads", FIRST)
    assert [one.name for one in tags.items] == ["VIP", "New"]
    (found,) = (await crm.fetch_companies(link, FIRST)).items
    assert (found.id, found.name) == (company, "Acme")
    links = await crm.fetch_links(link, "leads", chat["lead_id"])
    assert links == (Link("contacts", chat["contact_id"], is_main=True), Link("companies", company))


async def test_people_come_with_their_rights_and_whether_they_are_active(crm, link, account):
    boris = account.facts["user_ids"][1]
    account.steer("PATCH", f"/users/{boris}", is_active=False)
    anna, gone = await crm.fetch_users(link)
    assert (anna.is_admin, anna.is_active, anna.rights["leads"]["view"]) == (True, True, "A")
    assert (gone.id, gone.is_admin, gone.is_active) == (boris, False, False)


async def test_salesbots_and_talks_are_of_kommo_and_events_of_both(crm, link, amocrm, account):
    account.steer("POST", "/bots", name="Greeter")
    account.chat(text="Hi", origin="telegram")
    assert [bot.name for bot in await crm.fetch_salesbots(link)] == ["Greeter"]
    with pytest.raises(NotFound):
        await crm.fetch_salesbots(amocrm)
    for one in (link, amocrm):
        assert (await crm.fetch_channels(one, FIRST)).items == (Channel("telegram"),)


async def test_the_log_names_messages_and_moves_and_tells_no_text(crm, link, account):
    chat = account.chat(text="A secret")
    account.steer("POST", f"/leads/{chat['lead_id']}/move", status_id=account.stage(2))
    (message,) = (await crm.fetch_log(link, FIRST, types=("incoming_chat_message",))).items
    assert (message.entity_type, message.entity_id) == ("lead", chat["lead_id"])
    assert message.after[0]["message"]["talk_id"] == chat["talk_id"]
    assert "A secret" not in account.api("GET", "/events").text
    (move,) = (await crm.fetch_log(link, FIRST, types=("lead_status_changed",))).items
    assert move.after[0]["lead_status"]["id"] == account.stage(2)
    assert move.before[0]["lead_status"]["id"] == account.stage(1)


async def test_an_incoming_lead_waits_among_the_unsorted(crm, opened):
    account = opened(unsorted=True)
    chat = account.chat(text="Hi")
    link = linked(account)
    (waiting,) = (await crm.fetch_unsorted(link, FIRST)).items
    assert (waiting.category, waiting.lead_id, waiting.chat_id) == (
        "chats",
        chat["lead_id"],
        chat["chat_id"],
    )
    account.steer("POST", f"/leads/{chat['lead_id']}/move", status_id=account.stage(1))
    assert (await crm.fetch_unsorted(link, FIRST)).items == ()


async def test_lists_and_notes_are_read(crm, link, account):
    made = account.steer("POST", "/catalogs", name="Goods", type="products", elements=["Tea", "Cup"])
    (catalog,) = await crm.fetch_catalogs(link)
    assert (catalog.id, catalog.name, catalog.type) == (made["id"], "Goods", "products")
    elements = await crm.fetch_catalog_elements(link, catalog.id, FIRST)
    assert [one.name for one in elements.items] == ["Tea", "Cup"]
    with pytest.raises(NotFound):
        await crm.fetch_catalog_elements(link, 1, FIRST)
    lead_id = account.chat()["lead_id"]
    note = [{"note_type": "common", "params": {"text": "Call back"}}]
    account.api("POST", f"/leads/{lead_id}/notes", note).raise_for_status()
    (found,) = (await crm.fetch_notes(link, "leads", lead_id, FIRST)).items
    assert (found.kind, found.text) == ("common", "Call back")


async def test_a_file_of_the_drive_says_what_it_is_and_where_it_lies(crm, link, account):
    made = account.steer("POST", "/files", name="offer.pdf")
    file = await crm.fetch_file(link, made["uuid"])
    assert (file.name, file.size, file.mime) == ("offer.pdf", 9, "application/pdf")
    assert file.download_url.startswith("https://drive-c.kommo.test/download/")
    with pytest.raises(NotFound):
        await crm.fetch_file(link, "../account")
    narrow = account.steer("POST", "/tokens", scopes=["crm"])["token"]
    with pytest.raises(Forbidden, match="crm_scope"):
        await crm.fetch_file(linked(account, token=narrow), made["uuid"])


async def test_a_refused_list_says_which_right_is_missing(crm, link, account):
    account.steer("POST", "/faults", method="GET", path="/users", status=403, count=1)
    with pytest.raises(Forbidden, match="crm_scope"):
        await crm.fetch_users(link)


async def test_five_thousand_contacts_need_the_memory_of_a_few_pages(crm, link, account):
    """CRM-7"""

    async def peak():
        tracemalloc.start()
        page = FIRST
        while (await crm.fetch_contacts(link, page)).has_more:
            page = replace(page, number=page.number + 1)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return page.number, most

    account.steer("POST", "/records/contacts", count=750)
    few, small = await peak()
    account.steer("POST", "/records/contacts", count=4250)
    many, large = await peak()
    assert (few, many) == (3, 20) and large < 1.5 * small
