"""What a turn did is kept beside it; a rehearsal does the same without any effect."""

import html
from dataclasses import replace

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.dialog.acting.jobs import ActingJobs
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.rehearsing.service import Place, Rehearsal, Said, rehearse
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.dialog.tracing.api import explanation_out
from gptagent.kernel.jobs import JobContext
from integration.conftest import serving_here
from members import add_member
from readers import reader_of
from scenes import Scene
from worlds import NOT_FOUND

QUESTION = "How much does delivery to the city cost?"
TRUE = "Delivery to the city costs 490 roubles [1]."
ARTICLE = ("Delivery", "Delivery to the city costs 490 roubles. It takes two days.")
PRICE = {"field": "price", "condition": "When the customer names a budget", "overwrite": True}
FIXED_ORDER = ["instructions", "goal", "rules", "deal", "passage", "question"]
# What a rehearsal may not touch; of all other tables too, see the test.
MAY_GROW = {"llm_usage"}


@pytest.fixture
async def scene(world, model):
    scene = await Scene.open(world)
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    await scene.write_article(*ARTICLE)
    return scene


def script(control, *rules):
    control.post("/script?replace=1", json=list(rules)).raise_for_status()


async def ask(scene, text=QUESTION):
    await scene.says(text)
    await scene.calm()
    return (await scene.turns())[-1]


async def explanation_of(scene, turn):
    async with scene.world.db.session(scene.world.scope) as session:
        return await tracing.find_explanation(session, scene.conversation_id, turn["id"])


async def test_a_reply_is_explained_with_all_that_made_it(scene, control):
    """MSG-6, MSG-11"""
    await scene.set_agent(goal="A booked visit.")
    script(control, {"reply": TRUE})
    turn = await ask(scene)
    told = await explanation_of(scene, turn)
    assert [block.kind for block in told.blocks] == FIXED_ORDER
    (call,) = control.get("/calls").json()["calls"]
    system = "\n\n".join(block.text for block in told.blocks[:-1])
    assert [system, told.blocks[-1].text] == [message["content"] for message in call["prompt"]]
    assert all(block.chars == len(block.text) for block in told.blocks)
    (used,) = told.calls
    assert (used.purpose, used.model) == ("reply", "sandbox")
    assert (used.tokens_in, used.tokens_out) == (turn["tokens_in"], turn["tokens_out"])
    (passage,) = told.passages
    assert (passage.title, passage.by_words, passage.by_meaning) == ("Delivery", 1, None)
    assert passage.support > 0
    gates = [gate.name for gate in told.gates if gate.is_passed]
    assert gates[:3] == ["nobody_holds", "workspace", "connection"] and gates[-1] == "hours"
    assert {"understand", "gather", "model:reply", "answer"} == {step.name for step in told.steps}
    assert told.agent_name == "Agent" and told.settings.goal == "A booked visit."
    assert (told.input.unanswered, told.input.lead["id"]) == ((1,), scene.chat["lead_id"])


async def test_what_the_fact_gate_took_out_is_told(scene, control):
    script(control, {"match": "has no source", "reply": TRUE}, {"reply": "Delivery costs 590 roubles [1]."})
    told = await explanation_of(scene, await ask(scene))
    (rewrite,) = told.rewrites
    assert (rewrite.outcome, rewrite.facts) == ("rewritten", ("590 roubles",))
    assert [call.purpose for call in told.calls] == ["reply", "rewrite"]


async def test_a_model_that_is_away_is_told_with_its_error(scene, control):
    """MSG-8"""
    control.post("/faults", json={"status": 401}).raise_for_status()
    told = await explanation_of(scene, await ask(scene))
    assert [(call.purpose, call.error) for call in told.calls] == [("reply", "llm_unauthorized")]


async def test_a_refused_turn_tells_at_which_gate_it_ended(scene):
    await scene.set_agent(is_active=False)
    told = await explanation_of(scene, await ask(scene))
    assert [(gate.name, gate.is_passed) for gate in told.gates][-1] == ("no_active_agent", False)
    assert not told.blocks and not told.calls


async def test_how_an_answer_was_made_is_still_told_where_a_gate_kept_it_back(scene, control):
    script(control, {"reply": TRUE})
    await scene.break_send(status=503)
    await scene.says(QUESTION)
    await scene.advance()
    await scene.set_agent(is_active=False)
    await scene.calm()
    (turn,) = await scene.turns()
    assert (turn["outcome"], turn["reason"]) == ("refused", "no_active_agent")
    told = await explanation_of(scene, turn)
    assert [call.purpose for call in told.calls] == ["reply"] and told.blocks


async def test_memories_are_not_kept_a_second_time(scene, control):
    """Who has them erased has them erased here too."""
    async with scene.world.db.session(scene.world.scope) as session:
        await scene.says("Hello")
        await session.execute(
            """insert into app.memory (id, conversation_id, kind, topic, text, author, confidence, said_at)
               values (gen_random_uuid(), $1, 'fact', 'city', 'Lives in Canaryville', 'person', 1, now())""",
            scene.conversation_id,
        )
    script(control, {"reply": TRUE})
    told = await explanation_of(scene, await ask(scene))
    (block,) = [block for block in told.blocks if block.kind == "memory"]
    assert block.chars > 0 and not block.is_kept
    assert "Canaryville" in str(control.get("/calls").json()["calls"][-1]["prompt"])
    assert "Canaryville" not in str(told)


async def test_the_conversation_shows_how_each_reply_was_made(scene, control, home, kommo):
    """Owners see what the model was told, members everything but its words, viewers nothing of it."""
    await scene.set_agent(instructions="Speak like canary-7788.")
    script(control, {"reply": TRUE})
    turn = await ask(scene)
    world, at = scene.world, f"/conversations/{scene.conversation_id}"
    page = f"{at}/turns/{turn['id']}"
    bob = await add_member(world.db, world.scope, "member")
    dora = await add_member(world.db, world.scope, "viewer")
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as owner,
        reader_of(url, world.db, bob) as member,
        reader_of(url, world.db, dora) as viewer,
    ):
        assert page in (await owner.open(at)).text and page in (await member.open(at)).text
        assert page not in (await viewer.open(at)).text
        told = html.unescape((await owner.open(page)).text)
        assert "canary-7788" in told and "Instructions of the agent" in told
        assert "Delivery to the city costs 490 roubles." in told
        part = html.unescape((await owner.open(f"{page}?part=drawer")).text)
        assert "canary-7788" in part and "<html" not in part
        less = html.unescape((await member.open(page)).text)
        assert "canary-7788" not in less and "Instructions of the agent" in less
        owner.http.cookies.set("language", "ru")
        assert "Инструкции агента" in html.unescape((await owner.open(page)).text)
        assert (await viewer.open(page)).status_code == 403


async def rows(world):
    """Return how many rows each table has, and the sum of all that they say."""
    async with world.db.session(world.scope) as session:
        names = await session.fetch(
            """select relname from pg_class where relnamespace = 'app'::regnamespace and relkind = 'r'
                 and has_table_privilege(oid, 'select')"""
        )
        sql = "select coalesce(md5(string_agg(t::text, '' order by t::text)), '') from app.{} t"
        return {row["relname"]: await session.fetchval(sql.format(row["relname"])) for row in names}


async def rehearsed(scene, message=QUESTION, *, changes=None, **wanted):
    world, runner = scene.world, scene.runner
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    settings = replace(agent.settings, **(changes or {}))
    generation = Generation(runner.responder, runner.fallback, runner.understanding)
    rehearsal = Rehearsal(replace(agent, settings=settings), message, **wanted)
    return await rehearse(world.db, world.scope, generation, rehearsal)


async def test_a_rehearsal_answers_as_the_turn_does_and_changes_nothing(scene, control):
    """MSG-22: the model is asked the very same; only what it used is recorded."""
    script(control, {"reply": TRUE})
    await ask(scene)
    before, ledger = await rows(scene.world), await scene.world.account.call("GET", "/ledger")
    chat = scene.chat
    connection_id = (await scene.conversation())["connection_id"]
    place = Place("waba", connection_id, lead_id=chat["lead_id"], contact_id=chat["contact_id"])
    done = await rehearsed(scene, place=place)
    after = await rows(scene.world)
    assert {name for name in before if before[name] != after[name]} == MAY_GROW
    assert await scene.world.account.call("GET", "/ledger") == ledger
    turn, rehearsal = control.get("/calls").json()["calls"]
    assert turn["prompt"] == rehearsal["prompt"]
    assert (done.text, done.outcome, done.by) == (
        "Delivery to the city costs 490 roubles.",
        "reply",
        "sandbox",
    )
    assert [source.title for source in done.sources] == ["Delivery"]
    assert [plan.kind for plan in done.plans] == ["send_reply"]
    used = rehearsal["usage"]
    assert (done.tokens_in, done.tokens_out) == (used["prompt_tokens"], used["completion_tokens"])
    async with scene.world.db.session(scene.world.scope) as session:
        purposes = await session.fetch("select purpose, turn_id from app.llm_usage order by created_at")
    assert [row["purpose"] for row in purposes] == ["reply", "rehearsal"]
    assert purposes[-1]["turn_id"] is None


async def test_a_rehearsal_has_the_settings_history_and_place_it_is_given(scene, control):
    script(control, {"reply": "NO_ANSWER"})
    changes = {"not_found_text": "Who knows?", "not_found_task": True, "instructions": "Sing."}
    history = (Said("customer", "Hello"), Said("agent", "Good day!"))
    done = await rehearsed(scene, "What now?", changes=changes, history=history)
    prompt = control.get("/calls").json()["calls"][-1]["prompt"]
    assert prompt[0]["content"].startswith("Sing.")
    assert [message["content"] for message in prompt[1:]] == ["Hello", "Good day!", "What now?"]
    assert (done.text, done.outcome) == ("Who knows?", "not_found")
    assert [plan.kind for plan in done.plans] == ["send_reply", "create_task"]
    assert "What now?" in done.plans[-1].text
    async with scene.world.db.session(scene.world.scope) as session:
        (agent,) = await agents.list_agents(session)
    assert agent.settings.not_found_text == NOT_FOUND


async def test_a_rehearsal_tells_where_the_agent_would_be_silent(scene, control):
    script(control, {"reply": TRUE})
    async with scene.world.db.session(scene.world.scope) as session:
        (agent,) = await agents.list_agents(session)
    channels = replace(agent.settings.channels, all=False, chosen=("telegram",))
    done = await rehearsed(scene, changes={"channels": channels}, place=Place("waba"))
    assert (done.silence, done.outcome) == ("channel", "reply")
    draft = await rehearsed(scene, changes={"check_before_sending": True}, place=Place("waba"))
    assert draft.silence is None
    assert [plan.kind for plan in draft.plans] == ["put_down_draft", "create_task"]


async def test_what_is_called_after_the_answer_is_told_of_and_only_planned_in_a_rehearsal(scene, control):
    """MSG-14, MSG-15"""
    await scene.set_agent(
        actions={"create_task": "alone", "add_note": "suggest"}, update_rules={"lead": [PRICE]}
    )
    task = {"text": "Call Ann back", "due_in_hours": 2, "reason": "", "confidence": 1}
    called = [
        {"name": "write_field", "arguments": {"rule": 1, "value": "700"}},
        {"name": "create_task", "arguments": task},
        {"name": "add_note", "arguments": {"text": "Ann", "reason": "", "confidence": 0.5}},
        {"name": "create_task", "arguments": {**task, "lead_id": 1}},
    ]
    looking = {"system": "You look after the CRM", "tools": called}
    script(control, looking, {"reply": f"{TRUE} I will call you back."})
    world, scope = scene.world, scene.world.scope
    turn = await ask(scene)
    jobs = ActingJobs(scene.runner.responder.model)
    await jobs.act(JobContext(world.db, None, scope, 1, 1), turn_id=str(turn["id"]))
    told = await explanation_of(scene, turn)
    assert [(one.name, one.state, one.result) for one in told.tools] == [
        ("write_field", "done", ""),
        ("create_task", "done", "alone"),
        ("add_note", "planned", "suggest"),
        ("create_task", "refused", "unknown_argument"),
    ]
    assert [one.purpose for one in told.calls] == ["reply", "actions"]
    for with_prompts in (True, False):  # as on the page: a member sees which tools, not with which words
        out = explanation_out(told, with_prompts=with_prompts)
        assert [one.arguments is not None for one in out.tools] == [with_prompts] * 4
    async with world.db.session(scope) as session:
        (agent,) = await agents.list_agents(session)
        before = await session.fetchval("select count(*) from app.crm_action")
    place = Place("waba", world.hook.connection_id, lead_id=scene.chat["lead_id"])
    generation = Generation(scene.runner.responder, scene.runner.fallback, scene.runner.understanding)
    played = await rehearse(world.db, scope, generation, Rehearsal(agent, QUESTION, place=place))
    assert [one.kind for one in played.plans] == [
        "write_field",
        "create_task",
        "add_note",
        "send_reply",
        "create_task",
    ]
    assert "I will call you back." in played.plans[-1].text
    assert played.fields == (("lead.price", "700"),)
    async with world.db.session(scope) as session:
        assert await session.fetchval("select count(*) from app.crm_action") == before
