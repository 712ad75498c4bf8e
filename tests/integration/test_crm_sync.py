"""The mirror of an account: what a run copies, how it goes on, and who may ask for one."""

import pytest

from gptagent.features.crm import service as crm
from gptagent.features.crm.entities import service as entities
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.paging import Page


class Mirror:
    """One connection, its emulated account, and runs of the job one after another."""

    def __init__(self, world):
        self.world, self.account = world, world.account
        self.id = world.hook.connection_id
        self.jobs = SyncJobs(world.crm(), world.vault)

    def session(self):
        return self.world.db.session(self.world.scope)

    async def ask(self, kind="manual"):
        async with self.session() as session:
            return await syncing.request_sync(session, self.id, kind)

    async def run(self, sync=None):
        sync = sync or await self.ask()
        await self.jobs.run(JobContext(self.world.db, None, self.world.scope, 1, 1), sync_id=str(sync.id))
        return await self.get(sync)

    async def get(self, sync):
        async with self.session() as session:
            return await syncing.get_sync(session, self.id, sync.id)

    async def rows(self, sql, *args):
        async with self.session() as session:
            return [dict(row) for row in await session.fetch(sql, *args)]

    async def listed(self, verb, *args, **options):
        async with self.session() as session:
            return await verb(session, self.id, *args, **options)

    async def contacts(self):
        found, _ = await self.listed(entities.page_contacts, Page(entities.BY_ID, 200))
        return found

    async def leads(self):
        found, _ = await self.listed(entities.page_leads, Page(entities.BY_ID, 200))
        return found


@pytest.fixture
def mirror(world):
    return Mirror(world)


def part(sync, name):
    return next(one for one in sync.parts if one.name == name)


async def test_a_first_run_copies_the_whole_account(mirror):
    """CRM-6 CRM-7 CRM-8 CRM-9"""
    await mirror.account.call("POST", "/tags", {"entity": "leads", "name": "VIP"})
    await mirror.account.call("POST", "/bots", {"name": "Greeter"})
    chat = await mirror.account.new_chat()
    queued = await mirror.ask()
    assert queued.state == "queued"
    sync = await mirror.run(queued)
    assert (sync.state, sync.is_full, sync.error_code) == ("completed", True, None)
    assert {one.name: one.state for one in sync.parts} == dict.fromkeys(
        [one.name for one in sync.parts], "done"
    )
    assert [one.name for one in await mirror.listed(crm.list_tags)] == ["VIP"]
    assert [one.name for one in await mirror.listed(crm.list_salesbots)] == ["Greeter"]
    assert [one.origin for one in await mirror.listed(crm.list_channels)] == ["waba"]
    assert len(await mirror.listed(crm.list_users)) == 2
    fields = await mirror.listed(crm.list_fields, "leads")
    choice = next(one for one in fields if one.type == "select")
    assert [enum.value for enum in choice.enums] and choice.is_known
    (contact,), (lead,) = await mirror.contacts(), await mirror.leads()
    assert (contact.id, lead.id) == (chat["contact_id"], chat["lead_id"])
    assert lead.contact_ids == (contact.id,)
