"""A connection that was read and what is asked for on it, for the tests of actions in the CRM."""

from gptagent.adapters.kommo.client import Call
from gptagent.bootstrap import build_platform
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.actions.reverting import Reverting, revert_change
from gptagent.features.crm.actions.service import Target
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.kernel.errors import RateLimited, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.settings import Settings
from worlds import Waiting


class Desk:
    """One connection that was read, a deal with its contact, and the actions asked for on them."""

    def __init__(self, world):
        self.world, self.account = world, world.account
        self.id = world.hook.connection_id
        self.crm = world.crm(Waiting(world.account))

    async def open(self):
        self.chat = await self.account.new_chat()
        async with self.session() as session:
            sync = await syncing.request_sync(session, self.id, "manual")
        await SyncJobs(self.crm, self.world.vault).run(self.context(), sync_id=str(sync.id))
        async with self.session() as session:
            self.known = await service.known_of(session, self.id)
        return self

    def session(self):
        return self.world.db.session(self.world.scope)

    def context(self, attempt=1):
        return JobContext(self.world.db, None, self.world.scope, 1, attempt)

    @property
    def lead(self):
        return Target(self.id, "leads", self.chat["lead_id"])

    @property
    def contact(self):
        return Target(self.id, "contacts", self.chat["contact_id"])

    def field(self, entity, kind):
        return next(one for one in self.known.fields if one.entity == entity and one.type == kind)

    async def ask(self, verb, *args, **options):
        async with self.session() as session:
            return await verb(session, *args, **options)

    async def perform(self, action, port=None):
        jobs = ActionJobs(port or self.crm, self.world.vault)
        await jobs.perform(self.context(), action_id=str(action.id))
        return await self.ask(service.get_action, self.id, action.id)

    async def settle(self, action):
        """Run the job until it neither waits nor asks to be run again."""
        for _ in range(5):
            try:
                done = await self.perform(action)
            except (UpstreamUnavailable, RateLimited):
                continue
            if done.state not in {"pending", "sending"}:
                return done
        raise AssertionError(done)

    async def write(self, target, asked, **options):
        return await self.settle(await self.ask(service.update_record, target, asked, **options))

    async def values(self, target):
        link = await self.ask(self.link)
        return await self.crm.fetch_values(link, target.kind, target.id)

    async def link(self, session):
        return await crm.open_link(session, self.id, self.world.vault)

    async def changes(self, **options):
        found, _ = await self.ask(service.list_changes, self.id, limit=100, **options)
        return found

    async def revert(self, change, *, force=False):
        door = Reverting(self.world.db, self.crm, self.world.vault)
        return await revert_change(door, self.world.scope, self.id, change.id, force=force)

    async def reseal(self, home):
        """Seal the account's token with the keys of the process that serves this home."""
        platform = await build_platform(Settings(gptagent_home=home))
        link = await self.ask(self.link)
        sealed = platform.vault.seal(link.token, org_id=link.org_id, purpose=crm.TOKEN_PURPOSE)
        await platform.close()
        async with self.session() as session:
            await session.execute("update app.crm_connection set token_sealed = $1", sealed)

    async def elsewhere(self, target, **item):
        """Write as a person does, in the CRM itself."""
        link = await self.ask(self.link)
        call = Call("human", f"/{target.kind}/{target.id}", "PATCH", json=item)
        await self.crm._client.fetch(link, call)
