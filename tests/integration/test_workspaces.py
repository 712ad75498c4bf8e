"""Workspaces: several per person, renamed, suspended, deleted after a time to change one's mind."""

from types import SimpleNamespace

import pytest

from gptagent.entrypoints.deletion import delete_due_workspaces
from gptagent.features.audit import service as audit
from gptagent.features.organizations import service
from gptagent.features.organizations.model import OWNED_WORKSPACES_MAX
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.scope import PLATFORM_ID, Actor, Scope
from isolation.estate import furnish, tables_of_tenants
from members import add_member


async def do(database, scope, verb, *args, **options):
    async with database.session(scope) as session:
        return await verb(session, *args, **options)


async def open_workspace(database, scope, name="Second"):
    return await service.open_workspace(
        database, name, locale="en", origin=scope.origin, person_id=scope.actor.id
    )


async def test_anybody_may_own_a_workspace_of_their_own(database, scope):
    """TEN-7"""
    dora = await add_member(database, scope, "viewer")
    made = await open_workspace(database, dora)
    assert (made.role, made.slug) == ("owner", "second")
    async with database.installation() as session:
        names = [one.name for one in await service.list_workspaces(session, dora.actor.id)]
    assert names == ["Alice's", "Second"]
    created = await do(database, Scope(made.org_id), audit.list_entries)
    assert [(one.action, one.actor_id) for one in created] == [("workspace.created", dora.actor.id)]


async def test_one_person_owns_so_many_and_no_more(database, scope):
    for _ in range(OWNED_WORKSPACES_MAX - 1):
        await open_workspace(database, scope)
    with pytest.raises(Conflict, match="too_many_workspaces"):
        await open_workspace(database, scope)


async def test_a_new_name_makes_a_new_slug_and_is_recorded(database, scope):
    """TEN-10"""
    renamed = await do(database, scope, service.update_settings, {"name": "Щука и сыновья"})
    assert renamed.slug == "shchuka-i-synovia"
    kept = await do(database, scope, service.update_settings, {"name": "Pike", "slug": "our-pike"})
    assert (kept.name, kept.slug) == ("Pike", "our-pike")
    latest = (await do(database, scope, audit.list_entries))[0]
    assert latest.action == "workspace.renamed"
    assert latest.changes == {"name": ("Щука и сыновья", "Pike"), "slug": ("shchuka-i-synovia", "our-pike")}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"name": "x" * 256},
        {"slug": "Big"},
        {"slug": "-a"},
        {"locale": "xx"},
        {"role": "owner"},
    ],
)
async def test_a_wrong_setting_is_named(database, scope, changes):
    with pytest.raises(Invalid) as refused:
        await do(database, scope, service.update_settings, changes)
    assert [fault.pointer for fault in refused.value.fields] == list(changes)


async def test_deletion_takes_the_name_and_can_be_taken_back(database, scope):
    """TEN-9"""
    with pytest.raises(Invalid):
        await do(database, scope, service.request_deletion, "another")
    asked = await do(database, scope, service.request_deletion, "Alice's")
    assert (asked.delete_at - asked.created_at).days == 7
    assert await do(database, scope, service.find_silence) == "workspace_deletion"
    assert (await do(database, scope, service.cancel_deletion)).delete_at is None
    assert await do(database, scope, service.find_silence) is None
    latest = [one.action for one in await do(database, scope, audit.list_entries)]
    assert latest[:2] == ["workspace.deletion_cancelled", "workspace.deletion_requested"]


async def make_due(database, scope):
    async with database.session(scope) as session:
        await session.execute("update app.organization set delete_at = now() - interval '1 s'")


async def test_once_its_time_has_come_it_is_too_late(database, scope):
    await make_due(database, scope)
    with pytest.raises(Conflict, match="deletion_due"):
        await do(database, scope, service.cancel_deletion)


@pytest.fixture
async def platform(database, tmp_path, kommo):
    """What a deletion needs of a platform, with the emulated CRM."""
    settings = SimpleNamespace(base_url="http://127.0.0.1:9")
    return SimpleNamespace(db=database, files=LocalFiles(tmp_path / "files"), settings=settings)


async def rows_of(database, org_id):
    """Return how many rows each tenant's table has of this workspace."""
    async with database.session(Scope(org_id)) as session:
        found = {
            table: await session.fetchval(f"select count(*) from app.{table}")  # noqa: S608 - the catalogue's
            for table in await tables_of_tenants(session)
        }
        found["organization"] = await session.fetchval("select count(*) from app.organization")
    return {table: count for table, count in found.items() if count}


async def chunks(data):
    yield data


async def test_a_deleted_workspace_leaves_nothing_but_the_end_of_its_chain(database, platform, scope):
    """TEN-9: no row in any tenant's table, no file; the neighbour has all of theirs."""
    estate = await furnish(database, database._vault, f"gone{scope.org_id.hex[-8:]}")
    await add_member(database, estate.scope, "viewer")
    neighbour = await rows_of(database, scope.org_id)
    for owner in (estate.scope, scope):
        await platform.files.put(owner.key("documents", "a.txt"), chunks(b"text"), max_bytes=100)
    platform.crm = SimpleNamespace(unregister_webhook=lambda *_: refused())
    platform.vault = database._vault
    async with database.session(estate.scope) as session:  # no worker is here to empty it
        await session.execute("insert into app.file_garbage (key) values ('left behind')")
    before = await rows_of(database, estate.scope.org_id)
    async with database.session(estate.scope) as session:
        (last, *_) = await audit.list_entries(session)
        untouched = set(await tables_of_tenants(session)) - before.keys()
    assert not untouched - {"live_event"}, "furnish these tables: an empty one proves nothing"
    await make_due(database, estate.scope)
    assert await delete_due_workspaces(platform) >= 1

    assert await rows_of(database, estate.scope.org_id) == {}
    with pytest.raises(Exception, match="file_not_found"):
        await platform.files.open_path(estate.scope.key("documents", "a.txt"))
    assert await platform.files.open_path(scope.key("documents", "a.txt"))
    assert await rows_of(database, scope.org_id) == neighbour
    async with database.session(Scope(PLATFORM_ID, Actor("operator"))) as session:
        row = next(
            one for one in await audit.list_entries(session) if one.target_id == str(estate.scope.org_id)
        )
    assert row.action == "workspace.deleted" and row.changes["audit_rows"][0] == last.seq
    async with database.installation() as session:
        assert await service.list_workspaces(session, estate.scope.actor.id) == []


async def refused():
    """Answer as a CRM that does not accept the token."""
    from gptagent.kernel.errors import Forbidden

    raise Forbidden("crm_unauthorized", "The CRM does not accept the access token.")


async def test_a_workspace_that_is_not_due_stays(database, scope):
    await do(database, scope, service.request_deletion, "Alice's")
    async with database.installation() as session:
        assert scope.org_id not in await service.list_due_deletions(session)
        assert not await service.delete_workspace(session, scope.org_id)
    assert await rows_of(database, scope.org_id)


async def destinations(account):
    url = f"{account.url}/api/v4/webhooks"
    headers = {"authorization": f"Bearer {account.token}", "host": f"{account.subdomain}.kommo.test"}
    answer = await account.client.get(url, headers=headers)
    return answer.json()["_embedded"]["webhooks"] if answer.status_code == 200 else []


async def test_no_crm_keeps_a_webhook_of_a_deleted_workspace(world, database, platform):
    """TEN-9: one that does not answer holds the deletion up until it does."""
    platform.crm, platform.vault = world.crm(), world.vault
    assert len(await destinations(world.account)) == 1
    await make_due(database, world.scope)
    fault = {"method": "DELETE", "path": "/api/v4/webhooks", "count": 1, "status": 503}
    await world.account.call("POST", "/faults", fault)
    await delete_due_workspaces(platform)
    assert await rows_of(database, world.scope.org_id)
    await delete_due_workspaces(platform)
    assert await destinations(world.account) == []
    assert await rows_of(database, world.scope.org_id) == {}
