"""What models may cost: held before a call, counted after it, never more than one turn above the limit."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import httpx2
import pytest

from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer
from gptagent.features.agents import service as agents
from gptagent.features.conversations.memory.jobs import MemoryJobs
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.rehearsing.model import Place, Rehearsal
from gptagent.features.dialog.rehearsing.service import rehearse
from gptagent.features.identity.model import Links
from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.jobs import BudgetJobs
from gptagent.features.inference.budgets.model import Amount, Budgets, Limits, begin_of, end_of
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.inference.model import ChatTurn, ModelRequest, Price, PriceList, Use
from gptagent.features.knowledge.service import Understanding
from gptagent.features.mail.jobs import MailJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.errors import Conflict, Invalid, UpstreamUnavailable
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.settings import Settings
from mailboxes import FROM, mailbox_here
from members import add_member, bearer
from readers import texts
from scenes import Scene
from worlds import NOT_FOUND

PARALLEL = 50
QUESTION = "How much does delivery to the city cost?"
PRICES = PriceList({"sandbox": Price(Decimal(2), Decimal(10))})


@pytest.fixture
def door(database, model):
    return GuardedModel(database, model, names=("sandbox",))


def asking(scope, **of):
    use = Use(scope, **of)
    return ModelRequest("You answer briefly.", (ChatTurn("user", "Hello " * 40),), 0.2, 60, use=use)


async def allow(database, scope, *, contact=None, then="quote", **limits):
    wanted = Budgets(Limits(**limits), contact or Limits(), then)
    async with database.session(scope) as session:
        return await budgets.set_budgets(session, wanted, now=utcnow())


async def used(database, scope):
    """Return what the workspace has used today."""
    async with database.session(scope) as session:
        found = await budgets.list_used(session, now=utcnow())
    return next((one.used for one in found if (one.level, one.period) == ("workspace", "day")), Amount())


async def held(database, scope):
    async with database.session(scope) as session:
        return await session.fetchval("select count(*) from app.budget_hold where expires_at > now()")


def answered(control):
    used = [call["usage"] for call in control.get("/calls?prompts=0").json()["calls"] if call["usage"]]
    return [one["prompt_tokens"] + one["completion_tokens"] for one in used]


async def test_fifty_at_once_never_spend_more_than_one_turn_above_the_limit(door, database, scope, control):
    """Until the limit is reached calls go through, in whatever order; beyond it none begins."""
    (one,) = [await door.complete(asking(scope))]
    each = one.tokens_in + one.tokens_out
    limit = 10 * each + 1
    await allow(database, scope, day_tokens=limit)
    done = []
    for _ in range(20):  # what a burst could not begin since others held it begins in the next one
        results = await asyncio.gather(
            *(door.complete(asking(scope)) for _ in range(PARALLEL)), return_exceptions=True
        )
        done += [one for one in results if not isinstance(one, BaseException)]
        refused = [one for one in results if isinstance(one, BaseException)]
        assert all(isinstance(one, BudgetExhausted) for one in refused), refused
        spent = await used(database, scope)
        assert spent.tokens <= limit + each
        if len(refused) == PARALLEL:
            break
    assert spent.tokens >= limit
    assert spent.tokens == sum(answered(control)) == each * (len(done) + 1)
    assert await held(database, scope) == 0


async def test_a_call_that_fails_holds_nothing(door, database, scope, control):
    control.post("/faults", json={"action": "status", "status": 503}).raise_for_status()
    await allow(database, scope, day_tokens=100_000)
    with pytest.raises(UpstreamUnavailable):
        await door.complete(asking(scope))
    assert await held(database, scope) == 0
    assert await used(database, scope) == Amount()


async def test_money_is_counted_by_the_price_and_tokens_where_there_is_none(database, scope, model, control):
    await allow(database, scope, day_cents=0)
    with pytest.raises(BudgetExhausted):
        await GuardedModel(database, replace(model, prices=PRICES), PRICES, ("sandbox",)).complete(
            asking(scope)
        )
    await allow(database, scope, day_cents=1)
    priced = GuardedModel(database, replace(model, prices=PRICES), PRICES, ("sandbox",))
    reply = await priced.complete(asking(scope))
    spent = await used(database, scope)
    assert spent.micro_usd == reply.cost_micro_usd == reply.tokens_in * 2 + reply.tokens_out * 10
    unpriced = await GuardedModel(database, model).complete(asking(scope))
    assert await used(database, scope) == spent + Amount(0, unpriced.tokens_in + unpriced.tokens_out)
    await priced.model.aclose()


async def test_a_provider_that_tells_no_tokens_has_used_what_was_held(database, scope, model, control):
    class Mute:
        async def complete(self, request):
            return replace(await model.complete(request), tokens_in=0, tokens_out=0, cost_micro_usd=None)

    mute = GuardedModel(database, Mute(), names=("sandbox",))
    await allow(database, scope, day_tokens=1)
    await mute.complete(asking(scope))
    assert (await used(database, scope)).tokens >= 60
    with pytest.raises(BudgetExhausted):
        await mute.complete(asking(scope))


async def test_each_contact_and_agent_has_a_limit_of_its_own(door, database, scope, control):
    ann, bob, agent = new_id(), new_id(), new_id()
    await allow(database, scope, contact=Limits(day_tokens=1))
    await door.complete(asking(scope, contact=ann))
    with pytest.raises(BudgetExhausted):
        await door.complete(asking(scope, contact=ann))
    await door.complete(asking(scope, contact=bob))
    await allow(database, scope)
    own = {"agent_id": agent, "limits": Limits(month_tokens=1)}
    await door.complete(asking(scope, **own))
    with pytest.raises(BudgetExhausted) as refused:
        await door.complete(asking(scope, **own))
    assert timedelta(seconds=refused.value.retry_after) <= timedelta(days=31)
    await door.complete(asking(scope, agent_id=new_id()))


@pytest.fixture
async def scene(world, model):
    scene = await Scene.open(world)
    scene.door = GuardedModel(world.db, model, names=("sandbox",))
    scene.runner = replace(scene.runner, responder=ModelResponder(scene.door))
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles. It takes two days.")
    return scene


async def test_a_turn_without_money_quotes_the_base(scene, world, control):
    """MSG-5"""
    await allow(world.db, world.scope, day_tokens=0)
    await scene.says(QUESTION)
    await scene.calm()
    (turn,) = await scene.turns()
    assert (turn["outcome"], turn["reason"], turn["model_calls"]) == ("reply", "budget_exhausted", 0)
    assert turn["answer"]["by"] == "extractive"
    (reply,) = await scene.sent()
    assert "490 roubles" in reply
    ctx = JobContext(world.db, None, world.scope, 1, 1)
    await MemoryJobs(scene.door).read(ctx, conversation_id=str(scene.conversation_id))
    assert control.get("/calls").json()["calls"] == []


async def test_a_turn_without_money_asks_a_person_where_that_is_wanted(scene, world, control):
    """MSG-5: the agent's own limit, by its setting; nothing is sent, a task on the deal says why."""
    await allow(world.db, world.scope, then="hand_off")
    await scene.set_agent(budget={"day_tokens": 0})
    await scene.says(QUESTION)
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "budget_exhausted")]
    assert await scene.sent() == []
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "budget" in str(task)
    await scene.set_agent(budget={"day_tokens": None})
    control.post("/script?replace=1", json=[{"reply": "It costs 490 roubles [1]."}]).raise_for_status()
    await scene.says(QUESTION)
    await scene.calm()
    assert await scene.sent() == ["It costs 490 roubles."]
    assert NOT_FOUND not in await scene.sent()


async def test_what_is_played_as_a_customer_takes_nothing_from_their_budget(scene, world, control):
    """A replay of last weeks' chats must not be why those customers get quotations today."""
    await scene.says(QUESTION)
    await scene.calm()
    kept = await scene.conversation()
    place = Place("", kept["connection_id"], lead_id=kept["lead_id"], contact_id=kept["contact_id"])
    await allow(world.db, world.scope, contact=Limits(day_tokens=1_000_000))
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    generation = Generation(ModelResponder(scene.door), ExtractiveResponder(), Understanding(None))
    before = await used(world.db, world.scope)
    await rehearse(world.db, world.scope, generation, Rehearsal(agent, QUESTION, place=place))
    assert (await used(world.db, world.scope)).tokens > before.tokens
    async with world.db.session(world.scope) as session:
        levels = await session.fetch("select distinct level from app.budget_use order by level")
    assert [row["level"] for row in levels] == ["agent", "workspace"]


async def test_a_budget_that_is_only_tried_is_told_to_nobody_as_used_up(scene, world, control):
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    tried = replace(agent, settings=replace(agent.settings, budget=Limits(day_tokens=1)))
    generation = Generation(ModelResponder(scene.door), ExtractiveResponder(), Understanding(None))
    for _ in range(2):
        done = await rehearse(world.db, world.scope, generation, Rehearsal(tried, QUESTION))
        assert done.by != "extractive"
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select max(told_percent) from app.budget_use") == 0
        told = "select count(*) from app.audit_event where action like 'budget.%'"
        assert await session.fetchval(told) == 0


async def test_owners_are_told_once_at_eighty_percent_and_once_at_the_end(door, world, control):
    """MSG-5"""
    database, scope = world.db, world.scope
    await add_member(database, scope, "viewer")
    reply = await door.complete(asking(scope))
    each = reply.tokens_in + reply.tokens_out
    await allow(database, scope, day_tokens=5 * each)
    for _ in range(4):
        await door.complete(asking(scope))
    with pytest.raises(BudgetExhausted):
        await door.complete(asking(scope))
    async with database.session(scope) as session:
        rows = await session.fetch(
            "select action, target_kind from app.audit_event where action like 'budget.%' order by seq"
        )
    assert [tuple(row) for row in rows] == [
        ("budget.nearly_used", "workspace"),
        ("budget.used_up", "workspace"),
    ]
    ctx = JobContext(database, None, scope, 1, 1)
    async with mailbox_here() as mailbox:
        mailer = MailJobs(SmtpMailer(SmtpServer.parse(mailbox.smtp), FROM, step_seconds=60))
        for _ in range(2):
            await BudgetJobs(Links("https://gpt.example", sends_letters=True)).tell(ctx)
        async with database.session(scope) as session:
            queued = await session.fetch(
                """select payload from jobs.pgqueuer
                    where entrypoint = 'mail.send' and headers->>'org' = $1""",
                str(scope.org_id),
            )
        for row in queued:
            await mailer.send(ctx, **json.loads(row["payload"]))
        (letter,) = await mailbox.letters()
    assert "used up" in letter["subject"]
    assert "/settings/models" in letter["text"]


def test_periods_begin_by_utc():
    now = utcnow().replace(month=12, day=31, hour=23)
    assert begin_of("day", now).hour == begin_of("month", now).hour == 0
    assert begin_of("month", now).day == 1
    assert end_of("day", now) == end_of("month", now) == begin_of("day", now) + timedelta(days=1)


async def test_limits_are_checked_recorded_and_kept_from_being_overwritten(database, scope):
    saved = await allow(database, scope, day_cents=500)
    assert saved.version == 1
    assert await allow(database, scope, day_cents=500) == saved
    async with database.session(scope) as session:
        with pytest.raises(Conflict):
            await budgets.set_budgets(session, Budgets(), version=0, now=utcnow())
        with pytest.raises(Invalid):
            await budgets.set_budgets(session, Budgets(Limits(day_tokens=-1)), now=utcnow())


async def test_the_page_and_the_api_say_what_is_used_and_of_what(alice, dora, door, home, request):
    """What is typed and is no number stays, with the word about it beside the field."""
    web, database, scope = (request.getfixturevalue(name) for name in ("web", "database", "scope"))
    page = "/settings/models"
    wrong = await alice.send(f"{page}/budgets", {"workspace.day_cents": "ten", "contact.day_tokens": "7"})
    assert wrong.status_code == 422
    assert 'value="ten"' in wrong.text
    typed = {"workspace.month_tokens": "1000000", "when_exhausted": "hand_off", "version": "0"}
    assert (await alice.send(f"{page}/budgets", typed)).status_code == 303
    await door.complete(asking(scope))
    spent = (await used(database, scope)).tokens
    assert f"Tokens: {spent}" in texts(await alice.open(page))
    shown = texts(await dora.open(page))
    assert "Each contact" in shown
    assert "Tokens:" not in shown
    late = await alice.send(f"{page}/budgets", {"version": "0"})
    assert late.status_code == 409
    headers = await bearer(database, load_vault(Settings(gptagent_home=home)), scope)
    async with httpx2.AsyncClient(base_url=web, headers=headers, timeout=30) as api:
        found = (await api.get("/api/v1/budgets")).json()
        assert (found["workspace"]["month_tokens"], found["when_exhausted"]) == (1_000_000, "hand_off")
        usage = (await api.get("/api/v1/budgets/usage")).json()["used"]
        assert {one["tokens"] for one in usage if one["level"] == "workspace"} == {spent}
