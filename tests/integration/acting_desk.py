"""A chat of an account whose agent acts in its CRM, for the tests of acting."""

from dataclasses import replace

from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service as actions
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.features.dialog.acting import service
from gptagent.features.dialog.acting.jobs import ActingJobs
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import SYSTEM, Scope

LOOKING = "You look after the CRM"


def rule(field, condition="When the customer names it", *, overwrite=False):
    return {"field": field, "condition": condition, "overwrite": overwrite}


def write(number, value):
    return ("write_field", {"rule": number, "value": value})


def due(**more):
    return {
        "text": "Call Ann back",
        "due_in_hours": 2,
        "reason": "She asks for it",
        "confidence": 0.9,
        **more,
    }


class Desk:
    """A chat of an account that was read, whose agent asks a model, and what the agent does in its CRM."""

    def __init__(self, scene, control, model):
        self.scene, self.world, self.control = scene, scene.world, control
        self.model, self.id = model, scene.world.hook.connection_id
        self.jobs = ActingJobs(model)

    async def open(self):
        scene = self.scene
        scene.runner = replace(scene.runner, responder=ModelResponder(self.model))
        await self.world.account.call("POST", "/tags", {"entity": "leads", "name": "VIP"})
        async with self.session() as session:
            sync = await syncing.request_sync(session, self.id, "manual")
        await SyncJobs(scene.crm, self.world.vault).run(self.context(), sync_id=str(sync.id))
        async with self.session() as session:
            self.known = await actions.known_of(session, self.id)
        await scene.write_article("Delivery", "Delivery to the city costs 490 roubles. It takes two days.")
        return self

    def session(self):
        return self.world.db.session(self.world.scope)

    def context(self, attempt=1):
        return JobContext(self.world.db, None, Scope(self.world.scope.org_id, SYSTEM), 1, attempt)

    def field(self, entity, kind):
        return next(one for one in self.known.fields if one.entity == entity and one.type == kind)

    def calls(self, *tools, reply="Delivery to the city costs 490 roubles [1]."):
        """Let the model call these tools after its next answers."""
        asked = [{"name": name, "arguments": arguments} for name, arguments in tools]
        rules = [{"system": LOOKING, "tools": asked}, {"system": LOOKING, "reply": ""}, {"reply": reply}]
        self.control.post("/script?replace=1", json=rules if asked else rules[1:]).raise_for_status()

    async def says(self, text="How much does delivery to the city cost?", *, acts=True):
        await self.scene.says(text)
        await self.scene.calm()
        if acts:
            await self.act()

    async def act(self, jobs=None):
        """Run the jobs that look at turns, and those of the CRM, each twice: the second changes nothing."""
        for row in await self.rows("select turn_id from app.action_run order by created_at"):
            for _ in range(2):
                await (jobs or self.jobs).act(self.context(), turn_id=str(row["turn_id"]))
        await self.perform()

    async def perform(self):
        jobs = ActionJobs(self.scene.crm, self.world.vault)
        for row in await self.rows("select id from app.crm_action order by created_at, id"):
            for _ in range(2):
                await jobs.perform(self.context(), action_id=str(row["id"]))

    async def rows(self, sql):
        async with self.session() as session:
            return await session.fetch(sql)

    async def runs(self):
        rows = await self.rows("select turn_id from app.action_run order by created_at")
        async with self.session() as session:
            found = await service.list_runs(session, [row["turn_id"] for row in rows])
        return [found[row["turn_id"]] for row in rows]

    async def verdicts(self):
        """What became of the calls of the latest turn."""
        return [(one.tool, one.verdict) for one in (await self.runs())[-1].calls]

    async def proposals(self):
        async with self.session() as session:
            return await service.list_latest(session, self.scene.conversation_id)

    async def values(self, entity="leads"):
        async with self.session() as session:
            link = await crm.open_link(session, self.id, self.world.vault)
        number = self.scene.chat["lead_id" if entity == "leads" else "contact_id"]
        return await self.scene.crm.fetch_values(link, entity, number)

    async def changes(self):
        async with self.session() as session:
            found, _ = await actions.list_changes(session, self.id, limit=50)
        return found

    async def ledger(self, kind):
        answer = await self.world.account.call("GET", "/ledger")
        return [entry for entry in answer["entries"] if entry["kind"] == kind]

    def prompt(self):
        """What the model was told when it was last asked what to do."""
        asked = self.control.get("/calls").json()["calls"]
        found = [one["prompt"] for one in asked if LOOKING in one["prompt"][0]["content"]]
        return found[-1] if found else None
