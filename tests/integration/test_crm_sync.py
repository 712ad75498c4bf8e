"""The mirror of an account: what a run copies, how it goes on, and who may ask for one."""

import asyncio
from dataclasses import replace

import pytest

from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm import service as crm
from gptagent.features.crm.entities import service as entities
from gptagent.features.crm.events import MessageArrived
from gptagent.features.crm.model import CallPriority, InboundMessage, LeadChanged, Webhook
from gptagent.features.crm.syncing import jobs
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, NotFound, RateLimited, UpstreamUnavailable
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.paging import Page
from readers import texts


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
    queued = await mirror.ask("first")
    assert queued.state == "queued" and queued.parts == ()
    sync = await mirror.run(queued)
    assert (sync.state, sync.is_full, sync.error_code) == ("completed", True, None)
    assert {one.state for one in sync.parts} == {"done"}
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


async def test_what_the_crm_lost_keeps_its_id_and_says_since_when(mirror):
    """CRM-6 CRM-8: nothing is deleted and made anew, and what comes back is the same row."""
    account = mirror.account
    made = await account.call("POST", "/pipelines", {"name": "Second", "stages": ["One", "Two"]})
    field = await account.call("POST", "/fields", {"entity": "leads", "name": "Colour"})
    tag = await account.call("POST", "/tags", {"entity": "leads", "name": "VIP"})
    await mirror.run()
    stages = [stage["id"] for stage in made["stages"] if stage["name"] in {"One", "Two"}]
    await account.call("PATCH", f"/pipelines/{made['id']}", {"name": "Renamed"})
    await account.call("DELETE", f"/pipelines/{made['id']}/stages/{stages[1]}")
    await account.call("DELETE", f"/fields/{field['id']}")
    await account.call("DELETE", f"/tags/{tag['id']}")
    sync = await mirror.run()
    assert (part(sync, "fields").removed, part(sync, "tags").removed) == (1, 1)
    pipelines = {one.id: one for one in await mirror.listed(crm.list_pipelines, removed=True)}
    assert pipelines[made["id"]].name == "Renamed"
    gone = {stage.id for stage in pipelines[made["id"]].stages if stage.removed_at}
    assert gone == {stages[1]}
    listed = {one.id: one for one in await mirror.listed(crm.list_fields, removed=True)}
    assert listed[field["id"]].removed_at and listed[field["id"]].name == "Colour"
    assert field["id"] not in {one.id for one in await mirror.listed(crm.list_fields)}
    await account.call("PATCH", f"/pipelines/{made['id']}", {"is_archive": True})
    await mirror.run()
    assert made["id"] not in {one.id for one in await mirror.listed(crm.list_pipelines)}
    await account.call("PATCH", f"/pipelines/{made['id']}", {"is_archive": False})
    await mirror.run()
    assert made["id"] in {one.id for one in await mirror.listed(crm.list_pipelines)}


async def test_a_run_reads_what_the_account_is_called_and_in_what_its_deals_are_valued(mirror):
    """CRM-6"""
    chat = await mirror.account.new_chat()
    for currency in ("RUB", "EUR", "RUB"):
        await mirror.account.call("POST", "/knobs", {"currency": currency})
        await mirror.run()
        async with mirror.session() as session:
            connection = await crm.get_connection(session, mirror.id)
            lead = await crm.get_lead_card(session, mirror.id, chat["lead_id"])
        assert (connection.currency, lead.currency) == (currency, currency)
    await mirror.rows("update app.crm_connection set name = 'Old', currency = null")
    await mirror.run()
    (row,) = await mirror.rows("select name, currency from app.crm_connection")
    assert row == {"name": mirror.account.subdomain, "currency": "RUB"}


async def test_a_later_run_reads_only_what_changed_and_a_full_one_finds_what_is_gone(mirror):
    """CRM-7"""
    account, day = mirror.account, 86_400
    old = int(utcnow().timestamp()) - 30 * day
    await account.call("POST", "/records/contacts", {"count": 300, "updated_at": old})
    made = await account.call("POST", "/records/leads", {"count": 3, "updated_at": old})
    first = await mirror.run()
    assert part(first, "contacts").added == 300
    async with mirror.session() as session:
        await session.execute("update app.crm_sync set started_at = started_at - interval '1 hour'")
    await account.call("POST", "/records/contacts", {"count": 2})
    await account.call("DELETE", f"/records/leads/{made['first_id']}")
    second = await mirror.run()
    assert not second.is_full and part(second, "contacts").since is not None
    assert (part(second, "contacts").read, part(second, "contacts").added) == (2, 2)
    assert part(second, "leads").read == 0
    async with mirror.session() as session:
        await session.execute("update app.crm_sync set started_at = started_at - interval '8 days'")
    third = await mirror.run()
    assert third.is_full and part(third, "leads").removed == 1
    lost = {one.id: one.removed_at is not None for one in await mirror.leads()}
    assert [id_ for id_, is_gone in lost.items() if is_gone] == [made["first_id"]]


async def test_a_contact_that_is_gone_leaves_only_its_number(mirror):
    made = await mirror.account.call("POST", "/records/contacts", {"count": 2, "name": "Ann"})
    await mirror.run()
    await mirror.account.call("DELETE", f"/records/contacts/{made['first_id']}")
    async with mirror.session() as session:
        await session.execute("update app.crm_sync set started_at = started_at - interval '8 days'")
    await mirror.run()
    gone, there = await mirror.contacts()
    assert (gone.name, gone.phones, gone.removed_at is not None) == ("", (), True)
    assert there.name == "Ann 2" and there.phones and there.removed_at is None


async def test_a_second_request_joins_the_first(mirror):
    """CRM-10: one row, one job, also when both come at the same moment."""
    several = await asyncio.gather(*(mirror.ask() for _ in range(5)))
    assert len({one.id for one in several}) == 1
    jobs = await mirror.rows(
        "select id from jobs.pgqueuer where entrypoint = 'crm.sync' and headers->>'org' = $1",
        str(mirror.world.scope.org_id),
    )
    assert len(jobs) == 1
    done = await mirror.run(several[0])
    assert (await mirror.ask()).id != done.id


async def test_a_run_goes_on_at_the_page_that_was_not_stored(mirror):
    """What a killed worker leaves: some parts done, one in the middle."""
    await mirror.account.call("POST", "/records/contacts", {"count": 600})
    sync = await mirror.ask()
    await mirror.account.call("POST", "/faults", {"method": "GET", "path": "/leads$", "status": 503})
    with pytest.raises(UpstreamUnavailable):
        await mirror.run(sync)
    held_up = await mirror.get(sync)
    assert (held_up.state, held_up.error_code) == ("running", "crm_unavailable")
    assert part(held_up, "contacts").state == "done" and part(held_up, "leads").state != "done"
    await mirror.account.call("DELETE", "/faults")
    before = (await mirror.account.call("GET", "/stats"))["requests"]
    done = await mirror.run(sync)
    assert done.state == "completed" and done.claim == 2
    assert (await mirror.account.call("GET", "/stats"))["requests"] - before == 1  # the deals, nothing else


async def test_a_worker_that_lost_its_run_stores_nothing_more(mirror):
    sync = await mirror.ask()
    crm_port, taken = mirror.jobs.crm, asyncio.Event()

    class Slow:
        def __getattr__(self, name):
            return getattr(crm_port, name)

        async def fetch_users(self, link):
            taken.set()
            await release.wait()
            return await crm_port.fetch_users(link)

    release = asyncio.Event()
    slow = Mirror(mirror.world)
    slow.jobs = replace(slow.jobs, crm=Slow())
    first = asyncio.create_task(slow.run(sync))
    await taken.wait()
    done = await mirror.run(sync)
    release.set()
    assert await first == done and done.claim == 2 and part(done, "users").read == 2


async def test_a_missing_right_ends_one_part_and_the_others_go_on(mirror):
    await mirror.account.call("POST", "/faults", {"method": "GET", "path": "/users", "status": 403})
    sync = await mirror.run()
    assert (sync.state, sync.has_failures) == ("completed", True)
    assert (part(sync, "users").state, part(sync, "users").error) == ("failed", "crm_scope")
    assert {one.state for one in sync.parts if one.name != "users"} == {"done"}


async def test_a_crm_that_stays_away_fails_the_run_with_its_reason(mirror):
    await mirror.account.call("POST", "/faults", {"method": "GET", "status": 503})
    sync = await mirror.ask()
    with pytest.raises(UpstreamUnavailable):
        await mirror.run(sync)
    context = JobContext(mirror.world.db, None, mirror.world.scope, 1, 3)
    await mirror.jobs.give_up(context, sync_id=str(sync.id))
    failed = await mirror.get(sync)
    assert (failed.state, failed.error_code) == ("failed", "crm_unavailable")
    await mirror.account.call("DELETE", "/faults")
    assert (await mirror.run()).state == "completed"


async def test_a_refused_token_breaks_the_connection_and_ends_the_run(mirror):
    await mirror.account.call("DELETE", "/tokens")
    sync = await mirror.run()
    assert (sync.state, sync.error_code) == ("failed", "crm_unauthorized")
    async with mirror.session() as session:
        assert (await crm.get_connection(session, mirror.id)).status == "broken"
        with pytest.raises(Conflict, match="connection_broken"):
            await syncing.request_sync(session, mirror.id, "manual")


async def test_amocrm_has_no_list_of_bots_and_lists_that_cannot_be_filtered(mirror):
    async with mirror.session() as session:
        await session.execute("update app.crm_connection set host = replace(host, '.kommo.', '.amocrm.')")
    await mirror.account.call("POST", "/knobs", {"api_filter": False})
    await mirror.account.new_chat()
    old = int(utcnow().timestamp()) - 86_400
    await mirror.account.call("POST", "/records/contacts", {"count": 300, "updated_at": old})
    assert part(await mirror.run(), "salesbots").state == "absent"
    second = await mirror.run()
    assert (second.state, part(second, "contacts").read) == ("completed", 1)


async def test_a_busy_account_makes_the_run_wait_its_turn(mirror):
    turned_away = []

    class Busy:
        async def wait(self, _account_key, _address_key, priority):
            if len(turned_away) < 5:
                turned_away.append(priority)
                raise RateLimited("crm_busy", "Busy.", retry_after=0.01)

        async def block(self, account_key, address_key, seconds):
            """Nothing to block."""

        async def report(self, account_key, *, failed):
            """Nobody is given up."""

    mirror.jobs = replace(
        mirror.jobs, crm=KommoCrm(mirror.world.egress, Busy(), sandbox_url=mirror.account.url)
    )
    assert (await mirror.run()).state == "completed"
    assert turned_away == [CallPriority.SYNC] * 5


async def test_a_deal_that_moved_while_its_page_was_read_stays_where_it_went(mirror):
    chat = await mirror.account.new_chat()
    await mirror.run()
    hook, scope = mirror.world.hook, mirror.world.scope
    port = mirror.jobs.crm

    class Late:
        def __getattr__(self, name):
            return getattr(port, name)

        async def fetch_leads(self, link, page):
            batch = await port.fetch_leads(link, page)
            moved = LeadChanged(chat["lead_id"], "moved", 1, 142, name="Won")
            webhook = Webhook(hook.account_id, None, (moved,))
            async with mirror.world.db.session(scope) as session:
                await crm.receive_webhook(session, hook, webhook, mirror.world.subscribers, now=utcnow())
            return batch

    mirror.jobs = replace(mirror.jobs, crm=Late())
    await mirror.run()
    (lead,) = await mirror.leads()
    assert (lead.name, lead.stage_id, lead.contact_ids) == ("Won", 142, (chat["contact_id"],))


async def test_a_run_that_takes_long_goes_on_in_another_job(mirror, monkeypatch):
    sync = await mirror.ask()
    monkeypatch.setattr(jobs, "RUN_SECONDS", -1.0)
    assert (await mirror.run(sync)).state == "running"
    queued = await mirror.rows(
        "select priority from jobs.pgqueuer where entrypoint = 'crm.sync' and headers->>'org' = $1",
        str(mirror.world.scope.org_id),
    )
    assert [row["priority"] for row in queued] == [-1, -1]  # behind whatever a customer waits for
    monkeypatch.undo()
    assert (await mirror.run(sync)).state == "completed"


async def test_no_more_scheduled_runs_begin_than_workers_have_places_for(mirror):
    assert await syncing.queue_due_syncs(mirror.world.db, most=0) == 0


async def test_connections_not_read_for_a_day_are_read_once_over_two_schedulers(mirror):
    most = 100_000  # other tests leave runs of theirs behind
    await mirror.run()
    assert await syncing.queue_due_syncs(mirror.world.db, most=most) >= 0
    assert len(await mirror.rows("select id from app.crm_sync")) == 1
    async with mirror.session() as session:
        await session.execute("update app.crm_sync set started_at = started_at - interval '25 hours'")
    await asyncio.gather(*(syncing.queue_due_syncs(mirror.world.db, most=most) for _ in range(2)))
    rows = await mirror.rows("select kind, state from app.crm_sync order by created_at")
    assert [(row["kind"], row["state"]) for row in rows][1:] == [("scheduled", "queued")]
    async with mirror.session() as session:  # lost with its job: it does not block the next one for ever
        await session.execute(
            "update app.crm_sync set updated_at = now() - interval '2 hours' where state = 'queued'"
        )
    await syncing.queue_due_syncs(mirror.world.db, most=most)
    states = await mirror.rows("select state, error_code from app.crm_sync order by created_at desc limit 2")
    assert [tuple(row.values()) for row in states] == [("queued", None), ("failed", "sync_lost")]


async def test_nobody_sees_or_starts_a_run_of_another_workspace(mirror, other_scope):
    """TEN-1"""
    sync = await mirror.run()
    async with mirror.world.db.session(other_scope) as session:
        for call in (
            syncing.request_sync(session, mirror.id, "manual"),
            syncing.get_sync(session, mirror.id, sync.id),
            syncing.page_syncs(session, mirror.id, Page(syncing.ORDERS["-created_at"])),
        ):
            with pytest.raises(NotFound):
                await call
        assert await crm.list_users(session, mirror.id, removed=True) == []


async def test_a_customer_who_was_erased_is_not_copied_again_until_they_write(mirror):
    chat = await mirror.account.new_chat()
    await mirror.run()
    async with mirror.session() as session:
        await crm.erase_contacts(session, mirror.id, [chat["contact_id"]])
        await session.execute("delete from app.crm_lead")
    await mirror.run()
    assert await mirror.contacts() == [] and await mirror.leads() == []
    (row,) = await mirror.rows("select * from app.crm_contact")
    assert row["name"] == "" and row["phones"] == [] and row["fields"] == "[]"
    message = InboundMessage(
        provider_id=new_id().hex,
        chat_id=chat["chat_id"],
        talk_id=chat["talk_id"],
        contact_id=chat["contact_id"],
        lead_id=chat["lead_id"],
        author="customer",
        author_name="Ann",
        text="Hello again",
        sent_at=utcnow(),
        origin="waba",
    )
    async with mirror.session() as session:
        await entities.welcome_back(session, MessageArrived(mirror.id, message))
    await mirror.run()
    assert [one.id for one in await mirror.contacts()] == [chat["contact_id"]]
    assert [one.id for one in await mirror.leads()] == [chat["lead_id"]]


async def test_the_card_of_a_deal_shows_its_fields(mirror):
    chat = await mirror.account.new_chat()
    await mirror.run()
    field = next(one for one in await mirror.listed(crm.list_fields, "leads") if one.type == "numeric")
    values = [{"field_id": field.id, "values": [{"value": "1200"}]}]
    headers = {
        "Host": f"{mirror.account.subdomain}.kommo.test",
        "Authorization": f"Bearer {mirror.account.token}",
    }
    answer = await mirror.account.client.patch(
        f"{mirror.account.url}/api/v4/leads/{chat['lead_id']}",
        json={"custom_fields_values": values},
        headers=headers,
    )
    answer.raise_for_status()
    await mirror.run()
    async with mirror.session() as session:
        card = await crm.get_lead_card(session, mirror.id, chat["lead_id"])
    assert card.facts == [(field.name, "1200")] and card.is_fresh


async def test_the_tab_shows_the_last_run_and_starts_another(mirror, web, alice, dora):
    """CRM-9, U170"""
    path = f"/integrations/{mirror.id}/sync"
    assert "Not read yet" in texts(await alice.open(path))
    await mirror.account.call("POST", "/faults", {"method": "GET", "path": "/users", "status": 403})
    await mirror.run()
    page = texts(await alice.open(path))
    assert (
        "Read in part" in page
        and "The token has no right to this." in page
        and "Pipelines and stages · 1" in page
    )
    assert "Read now" not in texts(await dora.open(path))
    assert (await dora.send(path)).status_code == 403
    shown = texts(await alice.follow(await alice.send(path)))
    assert "Being read" in shown and "Queued" in shown
    assert "Queued" in texts(await alice.open(f"{path}?part=runs"))
    found = texts(await alice.open(f"{path}?q=nothing+has+this+name"))
    assert "Nothing of this name." in found
