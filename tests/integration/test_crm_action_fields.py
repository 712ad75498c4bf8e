"""Fields whose values are objects: checked against the account, written, told by the journal, taken back."""

import pytest

from gptagent.features.crm.actions import labels, service
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.model import field_key
from gptagent.features.crm.records import PageRequest
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.kernel.errors import Invalid
from integration.crm_desk import Desk

UUID, VERSION = "3b454645-5c7f-4539-9ef9-0dd1b3638dad", "13db6652-b3ed-4fff-aed8-0c6f3c43b887"
FIRST = PageRequest()
COMPANY = {"name": "Acme", "entity_type": 2, "vat_id": "77", "address": "Rome", "kpp": "5"}


class Shelf:
    """The fields by their kind, and what their values may point to."""

    def __init__(self, desk):
        self.desk, self.account = desk, desk.account
        self.ids = {}

    async def open(self):
        self.makes = await self.made("catalogs", name="Makes", elements=["Fiat"])
        self.models = await self.made("catalogs", name="Models", elements=["Panda"])
        self.file = (await self.made("files", name="offer.pdf"))["uuid"]
        await self.add("legal_entity")
        await self.add("linked_entity", search_in="contacts")
        await self.add("chained_list", catalogs=[self.makes["id"], self.models["id"]])
        await self.add("file")
        await self.add("smart_address")
        await self.add("items")
        await self.desk.read()
        return self

    async def made(self, what, **facts):
        return await self.account.call("POST", f"/{what}", facts)

    async def add(self, kind, **more):
        found = await self.made("fields", entity="leads", name=kind, type=kind, **more)
        self.ids[kind] = found["id"]

    async def elements(self):
        """Return a step of the chain through each list."""
        async with self.desk.session() as session:
            link = await self.desk.link(session)
        steps = []
        for catalog in (self.makes, self.models):
            found = await self.desk.crm.fetch_catalog_elements(link, catalog["id"], FIRST)
            steps.append({"catalog_id": catalog["id"], "catalog_element_id": found.items[0].id})
        return steps


class Reading(Desk):
    async def read(self):
        """Read the account again."""
        async with self.session() as session:
            sync = await syncing.request_sync(session, self.id, "manual")
        await SyncJobs(self.crm, self.world.vault).run(self.context(), sync_id=str(sync.id))


@pytest.fixture
async def shelf(world):
    return await Shelf(await Reading(world).open()).open()


async def test_objects_are_written_told_in_words_and_taken_back(shelf):
    """CRM-23 CRM-25"""
    desk, ids = shelf.desk, shelf.ids
    contact = desk.chat["contact_id"]
    fields = {
        ids["legal_entity"]: COMPANY,
        ids["linked_entity"]: {"entity_type": "contacts", "entity_id": contact},
        ids["chained_list"]: await shelf.elements(),
        ids["file"]: {"file_uuid": shelf.file, "file_name": "offer.pdf", "file_size": 9},
        ids["smart_address"]: [
            {"value": "Main 1", "code": "address_line_1"},
            {"value": "Rome", "code": "city"},
        ],
    }
    first = await desk.values(desk.lead)
    done = await desk.write(desk.lead, Asked({}, fields=fields))
    assert done.state == "done", done
    async with desk.session() as session:
        known = await service.known_of(session, desk.id)
    lines = {one.key: labels.line_of(known, one) for one in await desk.changes()}
    steps = fields[ids["chained_list"]]
    assert {key: line.after for key, line in lines.items()} == {
        field_key(ids["legal_entity"]): "Acme",
        field_key(ids["linked_entity"]): "Ann",
        field_key(ids["chained_list"]): ", ".join(
            f"{one['catalog_id']}/{one['catalog_element_id']}" for one in steps
        ),
        field_key(ids["file"]): "offer.pdf",
        field_key(ids["smart_address"]): "Main 1, Rome",
    }
    again = await desk.write(desk.lead, Asked({}, fields=fields))
    assert again.state == "done" and len(await desk.changes()) == len(lines)  # nothing is new in it
    changed = Asked({}, fields={ids["legal_entity"]: {"name": "Apex"}})
    await desk.write(desk.lead, changed)
    for change in await desk.changes():
        assert (await desk.settle(await desk.revert(change))).state == "done"
    assert await desk.values(desk.lead) == first


async def test_objects_that_do_not_fit_are_refused_with_their_field(shelf):
    """CRM-25"""
    desk, ids = shelf.desk, shelf.ids
    step, other = await shelf.elements()
    wrong = [
        ("legal_entity", "Acme"),
        ("legal_entity", {"vat_id": "7"}),
        ("legal_entity", COMPANY | {"entity_type": 3}),
        ("legal_entity", COMPANY | {"shoe_size": 44}),
        ("legal_entity", [COMPANY, COMPANY]),
        ("linked_entity", {"entity_type": "contacts", "entity_id": 1}),
        ("linked_entity", {"entity_type": "companies", "entity_id": 1}),
        ("linked_entity", {"entity_type": "leads", "entity_id": desk.lead.id}),
        ("linked_entity", {"entity_type": "catalog_elements", "entity_id": 1}),
        ("chained_list", {"catalog_id": step["catalog_id"]}),
        ("chained_list", [step, step]),
        ("chained_list", [step | {"catalog_id": 1}, other]),
        ("chained_list", [step] * 6),
        ("file", {"file_uuid": "../../etc"}),
        ("file", {"file_uuid": UUID, "version_uuid": VERSION, "file_size": -1}),
        ("smart_address", [{"value": "Rome", "code": "city"}, {"value": "Bari", "code": "city"}]),
        ("smart_address", {"value": "Rome", "code": "planet"}),
        ("items", {"sku": "1"}),
    ]
    for kind, value in wrong:
        with pytest.raises(Invalid) as refusal:
            await desk.ask(service.update_record, desk.lead, Asked({}, fields={ids[kind]: value}))
        assert [one.pointer for one in refusal.value.fields] == [f"fields/{ids[kind]}"], (kind, value)
    assert await desk.changes() == []


async def test_what_only_the_crm_can_tell_is_its_refusal(shelf):
    """A file that was deleted there meanwhile: the action fails with the vendor's words, nothing is noted."""
    desk, ids = shelf.desk, shelf.ids
    done = await desk.write(desk.lead, Asked({}, fields={ids["file"]: {"file_uuid": UUID}}))
    assert (done.state, done.error_code) == (
        "failed",
        "crm_rejected",
    ) and "custom_fields" in done.error_detail
    assert await desk.changes() == []
