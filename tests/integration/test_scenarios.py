"""Scenarios: saved, played against an agent, and what publishing waits for. Real turns answered anew."""

import asyncio
import json
import os
import re
import sys
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.audit import service as audit
from gptagent.features.crm import service as crm
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.crm.records import Channel
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.replaying import service as replaying
from gptagent.features.dialog.replaying.service import AskedReplay
from gptagent.features.dialog.scenario_runs import service as runs
from gptagent.features.dialog.scenario_runs.answering import Answering
from gptagent.features.dialog.scenario_runs.candidates import candidate_of
from gptagent.features.dialog.scenario_runs.jobs import ScenarioJobs
from gptagent.features.dialog.scenario_runs.model import Attempt
from gptagent.features.dialog.scenario_runs.service import AskedRun
from gptagent.features.dialog.scenarios import exchange, service
from gptagent.features.dialog.scenarios.model import Check, Condition, NewScenario, Play, Where
from gptagent.features.inference.model import ModelReply
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.service import Understanding
from gptagent.features.privacy import service as privacy
from gptagent.features.privacy import store as privacy_store
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from readers import texts
from scenes import Scene

PRICE = "Delivery to the city costs 490 roubles. It takes two days."
ASKED = "How much does delivery to the city cost?"
UNKNOWN = "Which spaceships do you repair?"
TELLS_PRICE = Play(
    messages=(ASKED, UNKNOWN),
    checks=(
        Check("contains", "490 roubles", at=1),
        Check("source", "delivery", at=1),
        Check("outcome", "not_found", at=2),
        Check("action", "create_task", at=2),
        Check("words", "free gratis", must=False),
    ),
)


def jobs_of(model=None):
    extractive = ExtractiveResponder()
    responder = extractive if model is None else ModelResponder(model)
    return ScenarioJobs(Answering(Generation(responder, extractive, Understanding(None))), model)


@pytest.fixture
async def agent(database, scope):
    async with database.session(scope) as session:
        await knowledge.create_article(session, NewArticle("Delivery", PRICE), now=utcnow())
        return await agents.create_agent(session, "Consultant", locale="en")


@pytest.fixture
def save(database, scope):
    async def run(name, play, agent_id=None):
        async with database.session(scope) as session:
            return await service.create_scenario(session, NewScenario(name, play, agent_id), now=utcnow())

    return run


@pytest.fixture
def play(database, scope):
    """Ask for a run and do its job."""

    async def run(agent_id, model=None, **asked):
        async with database.session(scope) as session:
            begun = await runs.request_run(session, AskedRun(agent_id, **asked), now=utcnow())
        await jobs_of(model).run(JobContext(database, None, scope, 1, 1), run_id=str(begun.id))
        return await found(database, scope, begun.id)

    return run


async def found(database, scope, run_id):
    async with database.session(scope) as session:
        run = await runs.get_run(session, run_id)
        return run, await runs.tallies(session, run)


def failures(tally):
    return [one.code for attempt in tally.attempts for one in attempt.failures]


def words(page):
    return " ".join(texts(page).split())


async def test_a_fixed_list_of_messages_is_played_without_a_model_and_failures_are_told_in_plain_words(
    database, scope, agent, alice, dora
):
    """AGT-27: the editor, the run and its page, without a script; nothing is kept as a conversation"""
    form = {
        "name": "Price of delivery", "agent_id": str(agent.id), "customer": "fixed",
        "messages": f"{ASKED}\n{UNKNOWN}",
        "check-0-look": "contains", "check-0-value": "490 ROUBLES", "check-0-at": "1",
        "check-1-look": "outcome:not_found", "check-1-at": "2",
        "check-2-look": "contains", "check-2-value": "490", "check-2-must": "not", "check-2-at": "0",
        "check-3-look": "", "check-3-value": "",
    }  # fmt: skip
    assert (await dora.send("/scenarios/create", form)).status_code == 403
    wrong = await alice.send("/scenarios/create", {**form, "name": "", "check-1-at": "9"})
    assert wrong.status_code == 422 and "Give the scenario a name." in texts(wrong)
    assert "The customer does not write so many messages." in texts(wrong) and "490 ROUBLES" in wrong.text
    for half, said in (
        ({"check-3-value": "Ask our courier"}, "Choose one of the list."),
        ({"check-3-look": "words"}, "Say what it looks for."),
    ):
        refused = await alice.send("/scenarios/create", {**form, **half})
        assert refused.status_code == 422 and said in texts(refused)
        assert all(typed in refused.text for typed in half.values())
    page = await alice.follow(await alice.send("/scenarios/create", form))
    assert 'value="490 ROUBLES"' in page.text
    (scenario,) = await listed(database, scope, agent)
    assert scenario.play.checks[2] == Check("contains", "490", must=False)

    asked = {"agent": str(agent.id), "repeats": "2", "budget": "0.5"}
    assert (await dora.send("/scenarios/runs", asked)).status_code == 403
    begun = await alice.send("/scenarios/runs", asked)
    run_id = UUID(begun.headers["location"].rpartition("/")[2])
    busy = await alice.send("/scenarios/runs", asked)
    assert busy.status_code == 409 and f"/scenario-runs/{run_id}" in busy.text
    await jobs_of().run(JobContext(database, None, scope, 1, 1), run_id=str(run_id))
    page = await alice.open(f"/scenario-runs/{run_id}")
    told = words(page)
    assert "Failed: 0 of 2 passed" in told and "Answer 1 says “490”, which it must not." in told
    assert PRICE[:38] in told and "Delivery" in told and "Pass rate: 0" in told
    alice.http.cookies.set("language", "ru")
    russian = await alice.open(f"/scenario-runs/{run_id}")
    alice.http.cookies.set("language", "en")
    assert "В ответе 1 есть текст «490», а его быть не должно." in russian.text

    fixed = {key: value for key, value in form.items() if not key.startswith("check-2")}
    await alice.send(f"/scenarios/{scenario.id}/edit", {**fixed, "version": "1"})
    stale = await alice.send(f"/scenarios/{scenario.id}/edit", {**form, "version": "1"})
    assert stale.status_code == 409 and "Somebody else changed it" in texts(stale)
    begun = await alice.send("/scenarios/runs", asked)
    run_id = UUID(begun.headers["location"].rpartition("/")[2])
    await jobs_of().run(JobContext(database, None, scope, 1, 1), run_id=str(run_id))
    assert "Passed 2/2" in words(await dora.open(f"/scenario-runs/{run_id}"))
    assert "Passed" in words(await alice.open(f"/scenarios?agent={agent.id}"))
    async with database.session(scope) as session:
        kept = "select (select count(*) from app.conversation) + (select count(*) from app.turn)"
        assert not await session.fetchval(kept)
        names = {one.action for one in await audit.list_entries(session)}
    assert {"scenario.created", "scenario.changed", "scenario_run.requested"} <= names


async def listed(database, scope, agent):
    async with database.session(scope) as session:
        return await service.list_scenarios(session, agent.id)


async def test_every_kind_of_condition_is_judged_on_what_the_agent_really_answers(agent, save, play):
    """AGT-27: text, source, outcome, planned action; of the workspace's scenarios every agent is run"""
    await save("Price", TELLS_PRICE, agent.id)
    await save("Everybody's", replace(TELLS_PRICE, checks=(Check("language", "en"), Check("action", "move"))))
    run, (failed, passed) = await play(agent.id, repeats=3)
    assert (run.state, run.passed, run.total, run.is_passed) == ("done", 3, 6, False)
    assert passed.is_passed and (failed.name, failures(failed)) == ("Everybody's", ["action"] * 3)
    line = passed.attempts[0].transcript[1]
    assert (line.outcome, line.sources, line.actions) == ("reply", ("Delivery",), ("send_reply",))


async def test_where_the_agent_does_not_work_the_message_is_left_without_an_answer(
    *, world, database, scope, agent, save, play
):
    async with database.session(scope) as session:
        (connection,) = await crm.list_connections(session)
        await mirror.upsert_channels(session, connection.id, [Channel("waba"), Channel("telegram")])
        await agents.update_agent(session, agent.id, {"channels": {"all": False, "chosen": ["waba"]}})
    for channel, outcome in (("waba", "reply"), ("telegram", "refused")):
        checks = (Check("outcome", outcome),)
        await save(channel, Play(messages=(ASKED,), where=Where(channel), checks=checks), agent.id)
    run, _tallies = await play(agent.id)
    assert run.is_passed


async def test_a_model_plays_the_customer_until_the_goal_is_reached_and_the_run_stops_at_its_budget(
    agent, save, play, control, model
):
    """AGT-27, AGT-26"""
    customer = {"system": "You play a customer", "match": "first message", "reply": ASKED, "count": 1}
    over = {"system": "You play a customer", "reply": "CONVERSATION_OVER"}
    answer = {"reply": "Delivery to the city costs 490 roubles [1]."}
    control.post("/script?replace=1", json=[customer, over, answer]).raise_for_status()
    played = Play("played", persona="A man in a hurry", goal="The price of delivery", turns=5,
                  checks=(Check("contains", "490", at=1),))  # fmt: skip
    await save("In a hurry", played, agent.id)
    run, (tally,) = await play(agent.id, model)
    assert run.is_passed and tally.attempts[0].transcript[0].text == ASKED
    assert run.tokens_in > 0 and not run.is_priced
    calls = control.get("/calls").json()["calls"]
    assert len(calls) == 3 and "A man in a hurry" in calls[0]["prompt"][0]["content"]

    control.post("/script?replace=1", json=[{**customer, "count": 99}, over, answer]).raise_for_status()
    run, (tally,) = await play(agent.id, model, repeats=5, budget_micro_usd=1)
    assert (run.state, run.is_passed, run.done) == ("stopped", False, 0)
    run, (tally,) = await play(agent.id, None)
    assert failures(tally) == ["no_model"]
    control.post("/faults", json={"status": 401}).raise_for_status()
    run, (tally,) = await play(agent.id, model)
    assert failures(tally) == ["away"]


async def test_a_killed_worker_is_taken_over_and_a_frozen_one_records_nothing_more(
    database, scope, agent, save
):
    await save("Price", TELLS_PRICE, agent.id)
    async with database.session(scope) as session:
        asked = AskedRun(agent.id, repeats=3)
        run = await runs.request_run(session, asked, now=utcnow())
    async with database.session(scope) as session:
        frozen = await runs.take_run(session, run.id, now=utcnow())
        await runs.keep_attempt(session, frozen, Attempt(0, 2, True, (), ()), now=utcnow())
    steps = []
    assert await jobs_of().advance(JobContext(database, None, scope, 1, 1), run.id, told=steps.append)
    assert [one.done for one in steps] == [2, 3]
    async with database.session(scope) as session:
        assert await runs.keep_attempt(session, frozen, Attempt(0, 1, False, (), ()), now=utcnow()) is None
    run, (tally,) = await found(database, scope, run.id)
    assert (run.state, run.done, run.passed) == ("done", 3, 3)
    assert [one.number for one in tally.attempts] == [1, 2, 3]


async def test_a_cancelled_run_ends_at_once_and_one_that_failed_says_so(
    *, database, scope, agent, save, alice, dora
):
    await save("Price", TELLS_PRICE, agent.id)
    async with database.session(scope) as session:
        run = await runs.request_run(session, AskedRun(agent.id, repeats=2), now=utcnow())
        with pytest.raises(Conflict, match="run_going_on"):
            await runs.request_run(session, AskedRun(agent.id), now=utcnow())
    assert "0%" in words(await alice.open(f"/scenario-runs/{run.id}?part=run"))
    assert (await dora.send(f"/scenario-runs/{run.id}/cancel")).status_code == 403
    await alice.send(f"/scenario-runs/{run.id}/cancel")
    await jobs_of().run(JobContext(database, None, scope, 1, 1), run_id=str(run.id))
    assert (await found(database, scope, run.id))[0].state == "cancelled"
    async with database.session(scope) as session:
        run = await runs.request_run(session, AskedRun(agent.id), now=utcnow())
    await jobs_of().give_up(JobContext(database, None, scope, 1, 1), run_id=str(run.id))
    assert "The run has failed" in words(await alice.open(f"/scenario-runs/{run.id}"))


async def test_a_draft_is_published_only_after_its_scenarios_passed_as_often_as_is_asked(
    *, database, scope, agent, save, play, alice
):
    """AGT-28"""

    async def reason():
        async with database.session(scope) as session:
            draft = await candidate_of(session, agent.id, "draft")
            refusal = await runs.why_not_published(session, agent.id, draft.settings)
        return refusal.reason if refusal else None

    assert await reason() is None
    wrong = await alice.send("/scenarios/condition", {"agent": str(agent.id), "is_on": "on", "repeats": "90"})
    assert wrong.status_code == 422 and "From 1 to 10." in texts(wrong)
    assert 'value="90"' in wrong.text and re.search(r'name="is_on"[^>]* checked', wrong.text)  # still there
    await alice.send("/scenarios/condition", {"agent": str(agent.id), "is_on": "on", "repeats": "2"})
    assert await reason() == "none"
    scenario = await save("Price", TELLS_PRICE, agent.id)
    assert await reason() == "never"
    await play(agent.id)
    assert await reason() == "few"
    await play(agent.id, repeats=2)
    assert await reason() is None
    assert "The draft may be published" in words(await alice.open(f"/scenarios?agent={agent.id}"))
    async with database.session(scope) as session:
        await agents.save_draft(session, agent.id, {"goal": "Another one"})
    assert await reason() == "changed"
    refused = await alice.send(f"/ai-agents/{agent.id}/draft/publish", {"note": "Dearer"})
    assert refused.status_code == 409 and 'value="Dearer"' in refused.text
    assert "changed since the latest run. The tab Scenarios shows what is missing." in texts(refused)
    page = words(await alice.open(f"/scenarios?agent={agent.id}"))
    assert "The draft or its scenarios changed since the latest run." in page
    await play(agent.id, repeats=2, target="published")
    assert await reason() == "changed", "what is published is not the draft"
    await play(agent.id, repeats=2)
    assert await reason() is None
    await alice.send(f"/ai-agents/{agent.id}/draft/publish")
    async with database.session(scope) as session:
        assert (await agents.get_agent(session, agent.id)).settings.goal == "Another one"
    await save("Another", replace(TELLS_PRICE, checks=(Check("contains", "nowhere"),)), agent.id)
    assert await reason() == "changed"
    await play(agent.id, repeats=2, scenarios=(scenario.id,))
    assert await reason() == "changed", "a part of the scenarios is not all of them"
    await play(agent.id, repeats=2)
    assert await reason() == "failed"


async def test_scenarios_go_out_and_come_in_as_a_file(*, database, scope, other_scope, agent, save, alice):
    await save("Price", TELLS_PRICE, agent.id)
    await save("Shared", replace(TELLS_PRICE, messages=("One\nmore", "Two")))
    data = (await alice.open(f"/scenarios/export?agent={agent.id}")).content
    async with database.session(other_scope) as session:
        other = await agents.create_agent(session, "Theirs", locale="en")
        done = await exchange.import_scenarios(session, data, other.id, now=utcnow())
        assert (done.created, done.changed) == (2, 0)
        again = await exchange.import_scenarios(session, data, other.id, now=utcnow())
        assert (again.created, again.changed) == (0, 0)
        shared, price = (await service.list_scenarios(session, other.id))[::-1]
        assert (price.play, price.agent_id, shared.agent_id) == (TELLS_PRICE, other.id, None)
        with pytest.raises(Invalid):
            await exchange.import_scenarios(session, b'{"format": "else"}', other.id, now=utcnow())
    broken = json.loads(data)
    broken["scenarios"][0]["play"]["checks"] = []
    broken["scenarios"][1]["name"] = ""
    file = {"file": ("s.json", json.dumps(broken).encode())}
    page = await alice.send("/scenarios/import", {"agent": str(agent.id)}, files=file)
    assert page.status_code == 422 and "1/checks" in page.text and "2/name" in page.text
    file = {"file": ("s.json", data)}
    taken = await alice.send("/scenarios/import", {"agent": str(agent.id)}, files=file)
    assert "Scenarios saved from the file: 0, changed: 0" in texts(await alice.follow(taken))


async def test_another_workspaces_agents_scenarios_and_runs_are_nobodys(
    database, other_scope, agent, save, play
):
    """TEN-1"""
    scenario = await save("Price", TELLS_PRICE, agent.id)
    run, _tallies = await play(agent.id)
    async with database.session(other_scope) as session:
        for verb in (
            runs.request_run(session, AskedRun(agent.id), now=utcnow()),
            runs.get_run(session, run.id),
            service.get_scenario(session, scenario.id),
            service.set_condition(session, agent.id, Condition(is_on=True)),
            replaying.forecast(session, AskedReplay(agent.id), now=utcnow()),
        ):
            with pytest.raises(NotFound):
                await verb
        with pytest.raises(Invalid):
            await service.create_scenario(session, NewScenario("x", TELLS_PRICE, agent.id), now=utcnow())


async def test_the_command_line_plays_scenarios_for_continuous_integration(home, agent, save):
    """OPS-9: the exit code is the verdict"""

    async def gptagent(*arguments):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gptagent", "scenarios", "run", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "GPTAGENT_HOME": str(home)},
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    await save("Price", TELLS_PRICE, agent.id)
    code, out, err = await gptagent(str(agent.id), "--k", "2", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["passed"] and report["attempts"] == {"total": 2, "done": 2, "passed": 2}
    await save("Wrong", replace(TELLS_PRICE, checks=(Check("contains", "500 roubles"),)), agent.id)
    code, out, _err = await gptagent(str(agent.id))
    assert code == 1
    assert "FAILED     0/1  Wrong" in out and "1: No answer says “500 roubles”." in out
    code, _out, err = await gptagent("nobody of this name")
    assert code == 66 and err.endswith("gptagent: There is no such agent.\n")


@pytest.fixture
async def scene(world):
    """A chat with two answered messages and one that had no answer."""
    scene = await Scene.open(world)
    await scene.write_article("Delivery", PRICE)
    for text in (ASKED, UNKNOWN, "How long does delivery to the city take?"):
        await scene.says(text)
        await scene.calm()
    return scene


async def test_real_turns_are_answered_anew_without_any_effect_and_go_with_their_conversation(
    scene, database, scope, alice, dora
):
    """AGT-29: the talk as it was then, a diff, the verdicts; erasing the customer erases them"""
    async with database.session(scope) as session:
        (agent,) = await agents.list_agents(session)
        await agents.update_agent(session, agent.id, {"not_found_text": "Ask us by telephone."})
        article = (await knowledge.search(session, ASKED, limit=1))[0].source_id
        await knowledge.delete_article(session, article)
        await knowledge.create_article(
            session,
            NewArticle("Repairs", "We repair spaceships. Delivery to the city costs 590 roubles."),
            now=utcnow(),
        )
    before = await scene.sent(), await scene.turns()
    page = words(await alice.open(f"/scenario-runs/replay?agent={agent.id}&days=7&most=50"))
    assert "In this period the agent gave 3 answers." in page
    asked = {"agent": str(agent.id), "days": "7", "most": "50", "budget": "1"}
    assert (await dora.send("/scenario-runs/replay", asked)).status_code == 403
    wrong = await alice.send("/scenario-runs/replay", {**asked, "days": "29", "budget": "x"})
    assert wrong.status_code == 422
    begun = await alice.send("/scenario-runs/replay", asked)
    run_id = UUID(begun.headers["location"].rpartition("/")[2])
    await jobs_of().run(JobContext(database, None, scope, 1, 1), run_id=str(run_id))
    async with database.session(scope) as session:
        replayed = await replaying.list_replayed(session, run_id, None, limit=50)
        counts = await replaying.count_verdicts(session, run_id)
    verdicts = {one.question: one.verdict for one in replayed}
    assert verdicts[ASKED] == "differs" and verdicts[UNKNOWN] == "now_answered"
    assert sum(counts.values()) == 3
    page = await dora.open(f"/scenario-runs/{run_id}?shown=differs")
    assert re.search(r"<del>[^<]*490[^<]*</del>", page.text) and re.search(r"<ins>[^<]*590", page.text)
    assert f"/conversations/{scene.conversation_id}" in page.text and UNKNOWN not in texts(page)
    assert (await scene.sent(), await scene.turns()) == before
    async with database.session(scope) as session:
        week = timedelta(days=7)
        assert not await privacy_store.forget_replays(session, week, 9)
        await session.execute("update app.turn set answer = null where first_seq = 1")
        assert len(await replaying.list_replayed(session, run_id, None, limit=50)) == 2
        assert await privacy_store.forget_replays(session, week, 9) == 1
        await privacy.erase_customer(session, scene.conversation_id)
        assert not await session.fetchval("select count(*) from app.replayed_turn")
    assert "Nothing to show" in words(await alice.open(f"/scenario-runs/{run_id}"))


async def test_a_replay_knows_the_talk_before_a_message_and_nothing_after_it(scene, database, scope):
    """AGT-29; a turn that is gone meanwhile is left out"""
    async with database.session(scope) as session:
        (agent,) = await agents.list_agents(session)
        turns = await session.fetch("select id from app.turn where state = 'ended' order by first_seq")
        second = await replaying.read_turn(session, turns[1]["id"])
        run = await replaying.request_replay(session, AskedReplay(agent.id, most=2), now=utcnow())
        assert run.total == 2
        with pytest.raises(Invalid):
            await replaying.request_replay(session, AskedReplay(agent.id, days=29), now=utcnow())
    assert [one.author for one in second.history] == ["customer", "agent"]
    assert second.history[0].text == ASKED and second.question == UNKNOWN
    async with database.session(scope) as session:
        await privacy.erase_customer(session, scene.conversation_id)
    await jobs_of().run(JobContext(database, None, scope, 1, 1), run_id=str(run.id))
    async with database.session(scope) as session:
        run = await runs.get_run(session, run.id)
        assert (run.state, run.done, run.left_out) == ("done", 0, 2)
        with pytest.raises(Conflict, match="no_turns"):
            await replaying.request_replay(session, AskedReplay(agent.id), now=utcnow())


async def test_what_a_failed_answer_has_used_counts_for_the_run_and_its_budget(scene, database, scope):
    """AGT-29: the model was away for the reply, and was asked for actions all the same"""

    class Half:
        async def complete(self, request):
            if not request.tools:
                raise UpstreamUnavailable("llm_unavailable", "away")
            return ModelReply("", "half", 40, 2, 5, cost_micro_usd=700)

    async with database.session(scope) as session:
        (agent,) = await agents.list_agents(session)
        await agents.update_agent(session, agent.id, {"actions": {"create_task": "suggest"}})
        run = await replaying.request_replay(session, AskedReplay(agent.id, most=2), now=utcnow())
    await jobs_of(Half()).run(JobContext(database, None, scope, 1, 1), run_id=str(run.id))
    async with database.session(scope) as session:
        run = await runs.get_run(session, run.id)
        replayed = await replaying.list_replayed(session, run.id, "failed", limit=9)
    assert [one.cost.micro_usd for one in replayed] == [700, 700]
    assert (run.done, run.cost_micro_usd, run.tokens_in, run.left_out) == (2, 1_400, 80, 0)
