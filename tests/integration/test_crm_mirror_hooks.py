"""What the CRM tells of deals and contacts is in the mirror, as the API lists it: through the real door."""

import asyncio
import re
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest

from gptagent.adapters.kommo.client import Call
from gptagent.features.crm import service as crm
from gptagent.features.crm.entities import store
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.settings import Settings
from integration.conftest import serving_here
from members import bearer

SAMPLES = Path(__file__).parents[1] / "contract" / "kommo_samples"
FORM = {"content-type": "application/x-www-form-urlencoded"}
PATIENCE_SECONDS = 60
LATER = 2_000_000_000


@pytest.fixture(scope="module")
async def served(home, roles):
    async with serving_here(home) as url:
        yield url


class Shop:
    """A connection whose account reports to the platform's door, and the mirror as the API shows it."""

    def __init__(self, world, url, http, secret):
        self.world, self.account, self.id = world, world.account, world.hook.connection_id
        self.http, self.door = http, f"{url}/hooks/kommo/{secret}/"
        self.api = f"{url}/api/v1/connections/{self.id}"

    async def listed(self, kind):
        answer = await self.http.get(f"{self.api}/{kind}?limit=100")
        assert answer.status_code == 200, answer.text
        return {row["id"]: row for row in answer.json()["items"]}

    async def until(self, kind, record_id, **wanted):
        """Return the record once it is as wanted: the CRM's webhooks take their time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = (await self.listed(kind)).get(record_id, {})
            if found and all(found[name] == value for name, value in wanted.items()):
                return found
            assert time.monotonic() < deadline, f"{wanted}: {found}"
            await asyncio.sleep(0.05)

    async def tell(self, event, **element):
        """Deliver a webhook of one element by hand."""
        fields = {f"{event}[0][{name}]": value for name, value in element.items()}
        await self.deliver(urlencode({"account[id]": self.world.hook.account_id, **fields}))

    async def deliver(self, body):
        answer = await self.http.post(self.door, content=body, headers=FORM)
        assert answer.status_code == 200

    async def sync(self, port=None):
        async with self.session() as session:
            sync = await syncing.request_sync(session, self.id, "manual")
        context = JobContext(self.world.db, None, self.world.scope, 1, 1)
        await SyncJobs(port or self.world.crm(), self.world.vault).run(context, sync_id=str(sync.id))

    async def write(self, path, item):
        """Write as a person does, in the CRM itself."""
        async with self.session() as session:
            link = await crm.open_link(session, self.id, self.world.vault)
        await self.world.crm()._client.fetch(link, Call("human", path, "PATCH", json=item))

    def session(self):
        return self.world.db.session(self.world.scope)


@pytest.fixture
async def shop(world, served, home, kommo):
    async with world.db.session(world.scope) as session:
        link = await crm.open_link(session, world.hook.connection_id, world.vault)
    port = world.crm()
    body = await port._client.fetch(link, Call("list", "/webhooks"))
    (known,) = body["_embedded"]["webhooks"]
    secret = re.search(r"/hooks/kommo/([^/]+)", known["destination"])[1]
    await port.unregister_webhook(link, known["destination"])
    await port.register_webhook(link, f"{served}/hooks/kommo/{secret}/")
    headers = await bearer(world.db, load_vault(Settings(gptagent_home=home)), world.scope)
    async with httpx2.AsyncClient(timeout=30, headers=headers) as http:
        yield Shop(world, served, http, secret)


async def field(shop, entity, kind, name, **more):
    return await shop.account.call("POST", "/fields", {"entity": entity, "type": kind, "name": name, **more})


async def test_a_deal_follows_what_people_do_in_the_crm(shop):
    """Name, price, person, stage, tags and fields; gone when it is deleted, and back when it is restored."""
    chat = await shop.account.new_chat()
    lead = chat["lead_id"]
    choice = await field(shop, "leads", "radiobutton", "Size", enums=["S", "M"])
    date = await field(shop, "leads", "date", "Due")
    address = await field(shop, "leads", "smart_address", "Ship to")
    await shop.sync()
    account = await shop.account.call("GET", "")
    values = [
        {"field_id": choice["id"], "values": [{"value": "M"}]},
        {"field_id": date["id"], "values": [{"value": 1790026400}]},
        {"field_id": address["id"], "values": [{"value": "Rome", "enum_code": "city"}]},
    ]
    stage = account["pipeline"]["stages"][2]["id"]
    changes = {
        "name": "Villa",
        "price": 900,
        "responsible_user_id": account["user_ids"][1],
        "status_id": stage,
        "tags_to_add": [{"name": "VIP"}],
        "custom_fields_values": values,
    }
    await shop.write(f"/leads/{lead}", changes)
    found = await shop.until(
        "leads", lead, name="Villa", price=900, responsible_user_id=account["user_ids"][1], stage_id=stage
    )
    assert [tag["name"] for tag in found["tags"]] == ["VIP"] and found["tags"][0]["id"] > 0
    assert {one["name"]: one["text"] for one in found["fields"]} == {
        "Size": "M",
        "Due": "2026-09-21",
        "Ship to": "Rome",
    }
    emptied = [{"field_id": choice["id"], "values": None}]
    await shop.write(f"/leads/{lead}", {"name": "Villa 2", "custom_fields_values": emptied})
    found = await shop.until("leads", lead, name="Villa 2")
    assert {one["name"] for one in found["fields"]} == {"Due", "Ship to"}
    await shop.account.call("DELETE", f"/records/leads/{lead}")
    await gone(shop, "leads", lead)
    await shop.account.call("POST", f"/records/leads/{lead}/restore")
    assert (await shop.until("leads", lead, removed_at=None))["name"] == "Villa 2"


async def gone(shop, kind, record_id):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (await shop.listed(kind))[record_id]["removed_at"] is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return (await shop.listed(kind))[record_id]


async def test_a_contact_follows_what_people_do_in_the_crm(shop):
    chat = await shop.account.new_chat()
    contact = chat["contact_id"]
    await shop.sync()
    phone = [{"field_code": "PHONE", "values": [{"value": "+1 202 555", "enum_code": "MOB"}]}]
    await shop.write(f"/contacts/{contact}", {"name": "Ann Lee", "custom_fields_values": phone})
    found = await shop.until("contacts", contact, name="Ann Lee")
    assert found["phones"] == ["+1 202 555"]
    async with shop.session() as session:  # as reading the account would have stored it
        code = await session.fetchval(
            "select fields->0->'values'->0->>'code' from app.crm_contact where external_id = $1", contact
        )
    assert code == "MOB"
    await shop.account.call("DELETE", f"/records/contacts/{contact}")
    found = await gone(shop, "contacts", contact)
    assert (found["name"], found["phones"], found["fields"]) == ("", [], [])
    await shop.account.call("POST", f"/records/contacts/{contact}/restore")
    found = await shop.until("contacts", contact, removed_at=None)
    assert (found["name"], found["phones"]) == ("Ann Lee", ["+1 202 555"])


DEAL = {"id": 7, "status_id": 3, "pipeline_id": 2}


async def test_what_comes_late_does_not_overwrite_what_is_newer(shop):
    """Out of order among webhooks, and behind a reading of the account."""
    await shop.tell("leads[add]", **DEAL, name="New", updated_at=1790000010)
    await shop.tell("leads[update]", **DEAL, name="Old", price=1, updated_at=1790000000)
    await shop.tell("contacts[add]", id=5, type="contact", name="New", updated_at=1790000010)
    await shop.tell("contacts[update]", id=5, type="contact", name="Old", updated_at=1790000000)
    assert (await shop.listed("leads"))[7]["name"] == "New"
    assert (await shop.listed("contacts"))[5]["name"] == "New"
    chat = await shop.account.new_chat()
    await shop.sync()
    for kind, number in (("leads", chat["lead_id"]), ("contacts", chat["contact_id"])):
        read = (await shop.listed(kind))[number]
        more = {"type": "contact"} if kind == "contacts" else {"custom_fields][0][id": 1}
        await shop.tell(f"{kind}[update]", id=number, name="Late", updated_at=1790000000, **more)
        assert (await shop.listed(kind))[number] == read, kind


async def test_a_deleted_record_is_not_brought_back_by_what_comes_late(shop):
    await shop.tell("leads[add]", **DEAL, name="Deal", updated_at=1790000000)
    await shop.tell("leads[delete]", **DEAL)
    await shop.tell("leads[update]", **DEAL, name="Late", updated_at=1790000005)
    await shop.tell("leads[status]", **DEAL)  # the thin form has no time at all
    found = (await shop.listed("leads"))[7]
    assert found["removed_at"] is not None and found["name"] == "Deal"
    await shop.tell("contacts[add]", id=5, type="contact", name="Ann", updated_at=1790000000)
    await shop.tell("contacts[delete]", id=5, type="contact")
    await shop.tell("contacts[update]", id=5, type="contact", name="Late", updated_at=1790000005)
    found = (await shop.listed("contacts"))[5]
    assert found["removed_at"] is not None and found["name"] == ""
    for event, element in (("leads[update]", DEAL), ("contacts[update]", {"id": 5, "type": "contact"})):
        await shop.tell(event, **element, name="Back", updated_at=LATER)  # its restoring was not reported
    assert (await shop.listed("leads"))[7]["removed_at"] is None
    assert (await shop.listed("contacts"))[5]["name"] == "Back"


async def test_what_a_delivery_does_not_speak_of_stays(shop):
    await shop.tell(
        "leads[add]",
        **DEAL,
        **{"name": "Deal", "price": 90, "tags][0][id": 1, "tags][0][name": "VIP", "updated_at": 1790000000},
        **{
            "custom_fields][0][id": 1,
            "custom_fields][0][name": "F",
            "custom_fields][0][values][0][value": "x",
        },
    )
    known = (await shop.listed("leads"))[7]
    assert known["tags"] == [{"id": 1, "name": "VIP"}] and [one["name"] for one in known["fields"]] == ["F"]
    await shop.tell("leads[status]", id=7, status_id=4, pipeline_id=2)
    await shop.tell("leads[update]", id=7, updated_at=1790000001)
    found = (await shop.listed("leads"))[7]
    assert {**found, "updated_at": None} == {**known, "stage_id": 4, "updated_at": None}
    await shop.tell("contacts[add]", id=5, type="contact", name="Ann", updated_at=1790000000)
    await shop.tell("contacts[update]", id=5, type="contact", responsible_user_id=3, updated_at=1790000001)
    found = (await shop.listed("contacts"))[5]
    assert (found["name"], found["responsible_user_id"]) == ("Ann", 3)
    await shop.tell("contacts[update]", id=5, type="company", name="Acme", updated_at=1790000002)
    assert (await shop.listed("contacts"))[5]["name"] == "Ann"


async def test_the_captured_bodies_are_in_the_mirror(shop):
    names = ("02_leads_add_2025_unirock", "05_contacts_add_2025_etesttask", "07_leads_add_2025_etesttask")
    names += ("09_leads_add_2022_account_last", "10_dp_leads_add_thin", "doc/leads_responsible")
    for name in (*names, "doc/contacts_add_contact"):
        body = (SAMPLES / f"{name}.form").read_text().strip()
        ours = re.sub(r"account(%5B|\[)id(%5D|\])=\d+", f"account[id]={shop.world.hook.account_id}", body)
        await shop.deliver(re.sub(r"account(%5B|\[)subdomain(%5D|\])=\w+&?", "", ours).rstrip("&"))
    leads, contacts = await shop.listed("leads"), await shop.listed("contacts")
    told = {number: (lead["name"], lead["price"], lead["stage_id"]) for number, lead in leads.items()}
    assert told == {
        30052055: ("TEST MISHA (SORRY)", 0, 17944873),
        32966269: ("Test", 999, 76789230),
        1190401: ("AASDASD", 34343, 53861254),
        5141671: (None, None, 43283812),
        15318175: ("", 1000, 67548619),
    }
    names = ["Benefit", "Text", "Numeric", "Select", "Date"]
    assert [one["name"] for one in leads[15318175]["fields"]] == names
    assert contacts[37054081]["name"] == "Абиба абибович"
    assert {one["name"] for one in contacts[17611273]["fields"]} == {"Phone", "Birthday", "Any radiobutton"}


async def test_what_is_told_while_a_page_is_on_its_way_stays(shop):
    """The page was asked for before the change and is stored after it."""
    chat = await shop.account.new_chat()
    lead, contact = chat["lead_id"], chat["contact_id"]
    await shop.sync()
    port = shop.world.crm()
    now = int(time.time()) + 2

    class Late:
        def __getattr__(self, name):
            return getattr(port, name)

        async def fetch_leads(self, link, page):
            batch = await port.fetch_leads(link, page)
            await shop.tell("leads[update]", id=lead, name="Told", updated_at=now, **{"tags][0][name": "T"})
            return batch

        async def fetch_contacts(self, link, page):
            batch = await port.fetch_contacts(link, page)
            await shop.tell("contacts[delete]", id=contact, type="contact")
            return batch

    await shop.sync(Late())
    found = (await shop.listed("leads"))[lead]
    assert found["name"] == "Told" and [tag["name"] for tag in found["tags"]] == ["T"]
    assert (await shop.listed("contacts"))[contact]["removed_at"] is not None
    await shop.sync()
    assert (await shop.listed("contacts"))[contact]["removed_at"] is None


async def test_one_who_asked_to_be_forgotten_is_not_stored_again(shop):
    async with shop.session() as session:
        await store.erase_contact(session, shop.id, 5)
    await shop.tell("contacts[update]", id=5, type="contact", name="Ann", updated_at=LATER)
    assert 5 not in await shop.listed("contacts")
    async with shop.session() as session:
        assert await session.fetchval("select name from app.crm_contact where external_id = 5") == ""
