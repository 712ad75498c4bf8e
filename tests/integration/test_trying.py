"""Test chats: the real answer, and no effect on anybody."""

import asyncio
import html
import re
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.rehearsing.model import Place
from gptagent.features.dialog.trying import service
from gptagent.features.dialog.trying.jobs import RehearsalJobs
from gptagent.features.dialog.trying.model import MESSAGE_MAX_CHARS, NewChat
from gptagent.features.inference.model import Price, PriceList
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.service import Understanding
from gptagent.features.privacy import service as privacy
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.jobs import JobContext
from integration.conftest import serving_here
from integration.trying_desk import QUESTION, SAID, TRUE, Person, open_scene, prompt, rehearsing, script
from members import add_member
from readers import reader_of


@pytest.fixture
async def scene(world, model):
    return await open_scene(world, model)


@pytest.fixture
def jobs(model):
    return rehearsing(model)


@pytest.fixture
async def agent(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        (agent,) = await agents.list_agents(session)
    return agent


@pytest.fixture
async def tester(scene, jobs, agent):
    tester = Person(scene.world, jobs)
    await tester.begin(NewChat(agent.id))
    return tester


async def test_a_test_chat_answers_with_the_real_pipeline_and_remembers_the_talk(tester, control, agent):
    """MSG-22, U160, U161, U167: sources, tokens, plans; the second message knows the first."""
    script(control, {"reply": TRUE})
    first = await tester.say(QUESTION)
    result = first.result
    assert (first.state, result.text, result.outcome) == ("done", SAID, "reply")
    assert [source.title for source in result.sources] == ["Delivery"]
    used = control.get("/calls").json()["calls"][-1]["usage"]
    assert (result.tokens_in, result.tokens_out) == (used["prompt_tokens"], used["completion_tokens"])
    script(control, {"reply": "NO_ANSWER"})
    second = await tester.say("And to the moon?")
    assert [one["content"] for one in prompt(control)[1:]] == [QUESTION, SAID, "And to the moon?"]
    assert second.result.outcome == "not_found"
    async with tester.world.db.session(tester.world.scope) as session:
        for table in ("conversation", "message", "turn", "crm_task", "asked_question", "memory"):
            assert await session.fetchval(f"select count(*) from app.{table}") == 0, table  # noqa: S608 - words above


async def test_a_chat_tells_as_many_earlier_messages_as_is_set(tester, control, agent):
    """MSG-7"""
    script(control, {"reply": TRUE})
    await tester.do(
        service.change_chat, tester.chat_id, NewChat(agent.id, overrides={"history_messages": 12})
    )
    for _ in range(7):
        await tester.say(QUESTION)
    await tester.say(QUESTION)
    assert len(prompt(control)) == 1 + 12 + 1  # the rules, what was said, the question


async def test_what_a_chat_overrides_counts_in_it_alone(tester, control, agent):
    """U164"""
    script(control, {"reply": TRUE})
    overrides = {"instructions": "Sing everything.", "not_found_text": "La la."}
    await tester.do(service.change_chat, tester.chat_id, NewChat(agent.id, overrides=overrides))
    await tester.say(QUESTION)
    assert prompt(control)[0]["content"].startswith("Sing everything.")
    script(control, {"reply": "NO_ANSWER"})
    played = await tester.do(service.regenerate, tester.chat_id)
    await tester.work(played.id)
    again = await tester.found(played.id)
    assert (again.seq, again.question, again.result.text) == (1, QUESTION, "La la.")
    async with tester.world.db.session(tester.world.scope) as session:
        assert (await agents.get_agent(session, agent.id)).settings == agent.settings
    with pytest.raises(Invalid) as caught:
        wrong = NewChat(agent.id, overrides={"creativity": "wild", "colour": "red"})
        await tester.do(service.change_chat, tester.chat_id, wrong)
    pointers = {field.pointer for field in caught.value.fields}
    assert pointers == {"overrides.creativity", "overrides.colour"}


async def test_a_chat_tries_the_draft_and_shows_its_settings_not_the_published_ones(
    tester, control, agent, home, kommo
):
    """MSG-22: what the fields show is what answers; leaving them as they are overrides nothing."""
    world = tester.world
    async with world.db.session(world.scope) as session:
        await agents.save_draft(session, agent.id, {"instructions": "Draft every word of it."})
    script(control, {"reply": TRUE})
    await tester.say(QUESTION)
    assert prompt(control)[0]["content"].startswith("Draft every word of it.")
    async with (
        serving_here(home, kommo_sandbox_url=kommo, llm_model="gpt-test") as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        at = f"/test-chat/{tester.chat_id}"
        shown = html.unescape((await alice.open(at)).text)
        assert "Draft every word of it.</textarea>" in shown and "as its draft has it" in shown
        typed = {"agent_id": str(agent.id), "instructions": "Draft every word of it.", "model": ""}
        typed |= {"creativity": agent.settings.creativity, "reply_max_chars": ""}
        assert (await alice.send(f"{at}/settings", typed)).status_code == 303
        assert not (await tester.do(service.get_chat, tester.chat_id)).overrides
        await alice.send(f"{at}/settings", {**typed, "instructions": agent.settings.instructions})
    kept = await tester.do(service.get_chat, tester.chat_id)
    assert kept.overrides == {"instructions": agent.settings.instructions}


async def test_a_chat_is_as_a_deal_of_the_mirror_and_names_nothing_else(tester, scene, control, agent):
    await scene.says("Hello")
    await scene.calm()
    connection_id = (await scene.conversation())["connection_id"]
    place = Place("waba", connection_id, lead_id=scene.chat["lead_id"])
    await tester.do(service.change_chat, tester.chat_id, NewChat(agent.id, place=place))
    script(control, {"reply": TRUE})
    await tester.say(QUESTION)
    assert "<deal>" in prompt(control)[0]["content"]
    wrong = replace(place, lead_id=987654321)
    with pytest.raises(Invalid):
        await tester.do(service.change_chat, tester.chat_id, NewChat(agent.id, place=wrong))
    async with scene.world.db.session(scene.world.scope) as session:
        await privacy.erase_customer(session, scene.conversation_id)
    with pytest.raises(NotFound):  # what was said as the customer goes with the customer
        await tester.do(service.get_chat, tester.chat_id)


async def test_what_was_said_as_a_customer_goes_once_the_chat_is_as_nobody(tester, scene, control, agent):
    """It holds what the CRM knows of them, and their erasure would not find it any more."""
    await scene.says("Hello")
    await scene.calm()
    connection_id = (await scene.conversation())["connection_id"]
    place = Place("waba", connection_id, lead_id=scene.chat["lead_id"])
    await tester.do(service.change_chat, tester.chat_id, NewChat(agent.id, place=place))
    script(control, {"reply": TRUE})
    await tester.say(QUESTION)
    same = NewChat(agent.id, title="Prices", place=replace(place, channel=""))
    await tester.do(service.change_chat, tester.chat_id, same)
    assert len(await tester.do(_played, tester.chat_id)) == 1
    await tester.do(service.change_chat, tester.chat_id, NewChat(agent.id))
    async with scene.world.db.session(scene.world.scope) as session:
        await privacy.erase_customer(session, scene.conversation_id)
        assert await session.fetchval("select count(*) from app.rehearsal") == 0
    await tester.say(QUESTION)
    await tester.do(service.change_chat, tester.chat_id, NewChat(agent.id, title="Delivery"))
    assert len(await tester.do(_played, tester.chat_id)) == 1  # said as nobody: it stays


async def test_what_may_be_said_first_is_of_the_base_the_agent_answers_from(tester, agent, home, kommo):
    """MSG-22, U163: saved questions, then headings; nothing is made up, none is left once one is sent."""
    world = tester.world
    async with world.db.session(world.scope) as session:
        shop = await categories.create_category(session, NewCategory("Shop"), now=utcnow())
        article = NewArticle("Returns of lamps", "Lamps are taken back for 14 days.", categories=(shop.id,))
        returns = await knowledge.create_article(session, article, now=utcnow())
        await questions.save_question(session, "May I bring it back?", [returns.id], now=utcnow())
        await questions.save_question(session, "Who is the owner?", [], now=utcnow())
        chat = await service.get_chat(session, tester.me, tester.chat_id)
        all_of_it = await service.suggest_words(session, chat)
        changes = {"knowledge": {"all": False, "categories": [str(shop.id)]}}
        await agents.update_agent(session, agent.id, changes)
        assert await service.suggest_words(session, chat) == ["May I bring it back?", "Returns of lamps"]
        bare = await categories.create_category(session, NewCategory("Bare"), now=utcnow())
        changes = {"knowledge": {"all": False, "categories": [str(bare.id)]}}
        await agents.update_agent(session, agent.id, changes)
        assert await service.suggest_words(session, chat) == []
        await agents.update_agent(session, agent.id, {"knowledge": {"all": True, "categories": []}})
    first, second, *headings = all_of_it
    assert (first, second) == ("Who is the owner?", "May I bring it back?")
    assert set(headings) == {"Returns of lamps", "Delivery"}
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        at = f"/test-chat/{tester.chat_id}"
        button = 'name="text" value="Returns of lamps"'
        assert button in (await alice.open(at)).text
        assert (await alice.send(f"{at}/messages", {"text": "Returns of lamps"})).status_code == 303
        assert button not in (await alice.open(at)).text


async def test_another_agent_goes_on_with_what_was_said_and_each_answer_names_its_own(
    tester, control, agent, home, kommo
):
    """MSG-22"""
    world = tester.world
    async with world.db.session(world.scope) as session:
        other = await agents.create_agent(session, "Consultant Rita", locale="en")
    script(control, {"reply": TRUE})
    await tester.say(QUESTION)
    await tester.do(service.change_chat, tester.chat_id, NewChat(other.id))
    await tester.say("And how long does delivery to the city take?")
    assert [one["content"] for one in prompt(control)[1:3]] == [QUESTION, SAID]
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        shown = (await alice.open(f"/test-chat/{tester.chat_id}?part=thread")).text
    answers = re.findall(r'id="answer-\d+">.*?<b>(.*?)</b>', shown, re.DOTALL)
    assert answers == [agent.name, "Consultant Rita"]


async def test_an_answer_in_markdown_is_drawn_as_such_and_no_markup_of_its_own_lives(
    tester, scene, control, home, kommo
):
    """MSG-22, U162: as articles are; an agent that writes plain text is shown as it writes."""
    world = scene.world
    text = "**Delivery** to the city costs 490 roubles [1]:\n\n- by car\n- `on foot`\n\n<b>quickly</b>"
    script(control, {"reply": text})
    await scene.set_agent(markdown=True)
    await tester.say(QUESTION)
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        at = f"/test-chat/{tester.chat_id}?part=thread"
        shown = (await alice.open(at)).text
        bubble = shown.partition('id="answer-1"')[2].partition("msg__foot")[0]
        for mark in ("<strong>Delivery</strong>", "<li>by car</li>", "<code>on foot</code>"):
            assert mark in bubble
        assert "<b>quickly" not in bubble and "&lt;b&gt;quickly" in bubble
        await scene.set_agent(markdown=False)
        played = await tester.do(service.regenerate, tester.chat_id)
        await tester.work(played.id)
        plain = (await alice.open(at)).text.partition('id="answer-1"')[2].partition("msg__foot")[0]
        assert "<strong>" not in plain and "Delivery to the city" in plain


async def test_an_answer_shows_what_it_has_read_written_cost_and_taken(scene, control, agent, home, kommo):
    """MSG-22, U160: tokens are those of the provider's usage, the cost is that of the price list."""
    dear = replace(
        scene.runner.responder.model, prices=PriceList({"sandbox": Price(Decimal(2), Decimal(10))})
    )
    answering = Generation(ModelResponder(dear), ExtractiveResponder(), Understanding(None))
    tester = Person(scene.world, RehearsalJobs(answering))
    await tester.begin(NewChat(agent.id))
    script(control, {"reply": TRUE})
    result = (await tester.say(QUESTION)).result
    await dear.aclose()
    used = [one["usage"] for one in control.get("/calls").json()["calls"]]
    read, written = (sum(one[f"{kind}_tokens"] for one in used) for kind in ("prompt", "completion"))
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, scene.world.db, scene.world.scope) as alice,
    ):
        at = f"/test-chat/{tester.chat_id}?part=thread"
        english = html.unescape((await alice.open(at)).text).partition('id="answer-1"')[2]
        alice.http.cookies.set("language", "ru")
        russian = html.unescape((await alice.open(at)).text).partition('id="answer-1"')[2]
    cost = (Decimal(2 * read + 10 * written) / 1_000_000).normalize()
    took = f"{round(result.millis / 1000, 1):g}"
    assert read > written > 0
    assert f"Tokens: {read:,} in, {written:,} out · ${cost:f} · {took} s" in english
    shown = re.sub(r"\s", " ", russian)
    assert f"Токены: {read:,}".replace(",", " ") in shown


async def test_links_and_code_of_an_answer_are_drawn_and_nothing_in_it_runs(
    tester, scene, control, home, kommo
):
    """U162: an unsafe address is no link, markup of its own is text, code is code."""
    text = (
        "Delivery to the city costs 490 roubles, see [our prices](https://shop.example/prices) or "
        "[this](javascript:alert()).\n\n```\nlet price = '<b>490</b>';\n```\n\n"
        "<script>alert()</script>\n\n<a href='data:text/html,x' onclick='alert()'>here</a>"
    )
    script(control, {"reply": TRUE})
    await scene.set_agent(markdown=True)
    await tester.say(QUESTION)
    async with scene.world.db.session(scene.world.scope) as session:  # as if the gate had let it pass
        put = "update app.rehearsal set result = jsonb_set(result, '{text}', to_jsonb($1::text))"
        await session.execute(put, text)
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, scene.world.db, scene.world.scope) as alice,
    ):
        shown = (await alice.open(f"/test-chat/{tester.chat_id}?part=thread")).text
    bubble = shown.partition('id="answer-1"')[2].partition("msg__foot")[0]
    prose = bubble.partition('<div class="prose">')[2].partition("</div>")[0]
    assert re.findall(r"<a [^>]*>", prose) == [
        '<a href="https://shop.example/prices" rel="noopener noreferrer nofollow">'
    ]
    assert "<pre><code>let price = '&lt;b&gt;490&lt;/b&gt;';" in prose
    assert "<script" not in prose and "&lt;script&gt;alert()" in prose
    assert "<a href='data:text/html,x' onclick='alert()'>here</a>" in html.unescape(prose)
    assert set(re.findall(r"<(\w+)", prose)) == {"p", "a", "pre", "code"}


async def test_an_answer_that_failed_is_asked_for_again_where_it_says_so(tester, control, home, kommo):
    """MSG-22, U165: and a script gets the thread alone, with the list that has a name for the chat now."""
    world = tester.world
    script(control, {"reply": TRUE})
    played = await tester.do(service.say, tester.chat_id, QUESTION)
    await tester.jobs.give_up(JobContext(world.db, None, world.scope, 1, 1), rehearsal_id=str(played.id))
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        at = f"/test-chat/{tester.chat_id}"
        failed = html.unescape((await alice.open(at)).text).partition('id="answer-1"')[2]
        assert "The agent could not answer." in failed and "Try again" in failed.partition("</article>")[0]
        assert "Answer again" not in failed
        by_script = {"headers": {"HX-Request": "true"}}
        again = await alice.send(f"{at}/regeneration", **by_script)
        assert again.status_code == 200 and "<html" not in again.text
        assert 'id="chats"' in again.text and QUESTION in again.text.partition('id="chats"')[2]
        early = await alice.send(f"{at}/messages", {"text": "Too early"}, **by_script)
        assert early.status_code == 409 and "<html" not in early.text
        assert "still answering" in early.text


async def test_limits_hold(tester, control):
    """U158"""
    script(control, {"reply": TRUE})
    for text in ("", "   ", "x" * (MESSAGE_MAX_CHARS + 1)):
        with pytest.raises(Invalid):
            await tester.do(service.say, tester.chat_id, text)
    await tester.do(service.say, tester.chat_id, "x" * MESSAGE_MAX_CHARS)
    with pytest.raises(Conflict):
        await tester.do(service.say, tester.chat_id, "too early")
    with pytest.raises(Conflict):
        await tester.do(service.regenerate, tester.chat_id)
    bob = await add_member(tester.world.db, tester.world.scope, "member")
    async with tester.world.db.session(bob) as session:
        with pytest.raises(NotFound):
            await service.get_chat(session, bob.actor.id, tester.chat_id)


async def test_an_answer_that_cannot_come_is_told(tester, control, agent):
    """The agent is gone, or the job was given up; whoever comes second changes nothing."""
    script(control, {"reply": TRUE})
    played = await tester.do(service.say, tester.chat_id, QUESTION)
    ctx = JobContext(tester.world.db, None, tester.world.scope, 1, 1)
    await tester.jobs.give_up(ctx, rehearsal_id=str(played.id))
    await tester.work(played.id)
    found = await tester.found(played.id)
    assert (found.state, found.error_code, found.result) == ("failed", "failed", None)
    assert control.get("/calls").json()["calls"] == []


async def events(reader, path):
    """Follow a stream, coming again as a browser does, until it is over; return all drafts."""
    drafts = []
    while True:
        async with reader.http.stream("GET", reader.base + path) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            body = "".join([piece async for piece in answer.aiter_text()])
        drafts += re.findall(r'event: draft\ndata: \{"text":"(.*?)"\}', body)
        if "event: over" in body:
            return drafts


async def test_words_are_shown_as_a_draft_while_they_come_and_only_checked_ones_stay(
    tester, control, home, kommo
):
    """MSG-24, U159: what the fact gate takes out was never an answer."""
    control.post("/knobs", json={"token_ms": 300}).raise_for_status()
    script(control, {"match": "has no source", "reply": TRUE}, {"reply": "Delivery costs 590 roubles [1]."})
    world = tester.world
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        played = await tester.do(service.say, tester.chat_id, QUESTION)
        at = f"/test-chat/{tester.chat_id}"
        waiting = html.unescape((await alice.open(at)).text)
        assert "draft, not checked yet" in waiting and f"messages/{played.id}/stream" in waiting
        work = asyncio.create_task(tester.work(played.id))
        drafts = await events(alice, f"{at}/messages/{played.id}/stream")
        await work
        assert [one for one in drafts if one and "Delivery costs 590".startswith(one)]
        assert not [one for one in drafts if "[1" in one]
        shown = html.unescape((await alice.open(at)).text)
        assert SAID in shown and "590 roubles" not in shown
        assert (await alice.open(f"{at}?part=thread")).text.count(SAID) >= 1


async def test_the_page_works_with_forms_alone(  # noqa: PLR0917 - all that a page stands on
    scene, jobs, control, agent, home, kommo
):
    """MSG-22, U132, U158, U161, U164, U166, U208: new chat, message, simulated actions, debug view, settings,
    clear, delete.
    """
    world = scene.world
    await scene.set_agent(not_found_task=True)
    script(control, {"reply": "NO_ANSWER"})
    tester = Person(world, jobs)
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
        reader_of(url, world.db, await add_member(world.db, world.scope, "viewer")) as dora,
    ):
        assert (await dora.open("/test-chat")).status_code == 403
        assert "/test-chat?agent=" in (await alice.open(f"/ai-agents/{agent.id}/edit")).text
        assert (
            "Begin the chat" in (await alice.open(f"/test-chat?agent={agent.id}", follow_redirects=True)).text
        )
        made = await alice.send("/test-chat", {"agent_id": str(agent.id), "title": "Prices"})
        at = made.headers["location"].removeprefix(alice.base)
        tester.chat_id = UUID(at.rpartition("/")[2])
        long = await alice.send(f"{at}/messages", {"text": "x" * 5001})
        assert long.status_code == 422 and "x" * 5001 in long.text
        assert (await alice.send(f"{at}/messages", {"text": QUESTION})).status_code == 303
        (played,) = await tester.do(_played, tester.chat_id)
        await tester.work(played.id)
        shown = html.unescape((await alice.open(at)).text)
        assert "Not in the knowledge base" in shown and "A task would be created on the deal" in shown
        assert "simulated" in shown and "Prices" in shown
        debug = html.unescape((await alice.open(f"{at}/messages/{played.id}")).text)
        assert "What would be done" in debug and "Rules of the platform" in debug
        settings = {"agent_id": str(agent.id), "title": "Prices", "instructions": "Sing, please, every word."}
        assert (await alice.send(f"{at}/settings", settings)).status_code == 303
        chat = await tester.do(service.get_chat, tester.chat_id)
        assert chat.overrides == {"instructions": "Sing, please, every word."}
        wrong = await alice.send(f"{at}/settings", {**settings, "reply_max_chars": "-5"})
        assert wrong.status_code == 422
        alice.http.cookies.set("language", "ru")
        assert "В сделке появилась бы задача" in html.unescape((await alice.open(at)).text)
        assert (await alice.send(f"{at}/clear")).status_code == 303
        assert not await tester.do(_played, tester.chat_id)
        assert (await alice.send(f"{at}/delete")).status_code == 303
        assert (await alice.open(at)).status_code == 404


async def _played(session, person_id, chat_id):
    return await service.list_played(session, await service.get_chat(session, person_id, chat_id))


async def test_eleven_messages_in_a_minute_are_one_too_many(tester, control, home, kommo):
    """U165"""
    world = tester.world
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        for _ in range(10):
            await alice.send(f"/test-chat/{tester.chat_id}/messages", {"text": ""})
        refused = await alice.send(f"/test-chat/{tester.chat_id}/messages", {"text": "Hello"})
        assert refused.status_code == 429 and "Hello" in refused.text
        assert "Ten messages a minute" in html.unescape(refused.text)
