"""Articles proposed from what people answered: when, of what, by whom accepted, gone with the customer."""

import asyncio
import json
from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest

from gptagent.adapters.llm.port import OpenAiCompatible, Patience
from gptagent.features.audit import service as audit
from gptagent.features.dialog.proposing import service as proposing
from gptagent.features.dialog.proposing.jobs import ProposingJobs
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.drafts import service
from gptagent.features.knowledge.drafts.model import Decision, DraftText, Material, Talk
from gptagent.features.knowledge.gaps import service as gaps
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.organizations import service as organizations
from gptagent.features.privacy import service as privacy
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.paging import Page
from gptagent.sandbox.spawn import running
from members import add_member, bearer
from readers import reader_of, texts
from scenes import Scene

ENGRAVING = "Делаете ли вы гравировку на кольцах? Мой телефон +7 912 345-67-89"
ANSWER = "Да, Ann, делаем гравировку на кольцах за 700 рублей. Срок - три дня, звоните +7 912 345-67-89."
GIFTS = "Да, подарочные сертификаты от 1000 рублей."
DRAFTS = "/knowledge-drafts"
PROMPT = "You turn a chat into an article"


@pytest.fixture(scope="module")
def llm():
    with running("llm") as url:
        yield url


@pytest.fixture
async def model(llm):
    parts = urlsplit(llm)
    allow = frozenset({(parts.hostname, parts.port)})
    model = OpenAiCompatible(allow, f"{llm}/v1", "key", "sandbox", patience=Patience(first_pause=0.01))
    yield model
    await model.aclose()


def control(llm, path, **options):
    return httpx2.request("POST" if options else "GET", f"{llm}/_sandbox{path}", timeout=30, **options)


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.write_article("Доставка", "Доставка в Казань стоит 350 рублей. Склад открыт по будням.")
    return scene


async def ask(scene, text):
    await scene.says(text)
    await scene.calm()


async def propose(scene, model=None, *, dies=False):
    jobs = ProposingJobs(model)
    ctx = JobContext(scene.world.db, None, scene.world.scope, 1, 1)
    await (jobs.give_up if dies else jobs.propose)(ctx, conversation_id=str(scene.conversation_id))


async def age(scene, hours):
    """Let everything in the conversation have been said so long ago."""
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute(
            "update app.message set sent_at = sent_at - $2::interval where conversation_id = $1",
            scene.conversation_id,
            timedelta(hours=hours),
        )


async def finished(scene, question=ENGRAVING, answer=ANSWER):
    await ask(scene, question)
    await scene.says(answer, author="human")
    async with scene.world.db.session(scene.world.scope) as session:
        await scene.world.inbox.resume(session, scene.conversation_id)


async def drafts_of(world, status="proposed"):
    async with world.db.session(world.scope) as session:
        found = await service.find_drafts(session, status, limit=100)
        assert (await service.count_drafts(session))[status] == len(found)
    return found


async def watched(scene, sql):
    async with scene.world.db.session(scene.world.scope) as session:
        return await session.fetchval(
            f"select {sql} from app.draft_watch where conversation_id = $1",  # noqa: S608 - of this file
            scene.conversation_id,
        )


async def test_a_draft_is_made_of_the_words_once_the_person_is_done_and_once_for_a_hold(scene, world):
    """KB-28: word for word, without names and numbers; nothing is found in it"""
    await ask(scene, ENGRAVING)
    await scene.says(ANSWER, author="human")
    await scene.says("Спасибо!")
    await scene.calm()
    assert await watched(scene, "due_at > clock_timestamp() + interval '1 hour'")
    await propose(scene)
    assert not await drafts_of(world), "the person may have more to say"
    await age(scene, 3)
    await propose(scene)
    assert not await drafts_of(world), "the customer has the last word, the person may answer"
    await age(scene, 24)
    for _ in range(2):
        await propose(scene)
    (draft,) = await drafts_of(world)
    assert draft.title == draft.question == "Делаете ли вы гравировку на кольцах? Мой телефон •••"
    assert draft.content == (
        "Да, •••, делаем гравировку на кольцах за 700 рублей. Срок - три дня, звоните •••."
    )
    assert (draft.made_by, draft.conversation_id) == ("words", scene.conversation_id)
    async with world.db.session(world.scope) as session:
        (gap,), _total = await gaps.find_gaps(session, "open", limit=9)
        assert draft.gap_id == gap.id
        assert not await knowledge.search(session, "гравировка на кольцах"), "a draft is no source"
    await scene.says("Гравировка на часах - от 900 рублей, на браслетах тоже.", author="human")
    await age(scene, 30)
    await propose(scene)
    async with world.db.session(world.scope) as session:
        await world.inbox.resume(session, scene.conversation_id)
    await propose(scene)
    assert len(await drafts_of(world)) == 1, "of one hold one"
    await finished(scene, "Чините ли вы часы с кукушкой?", "Чиним любые часы с кукушкой в мастерской.")
    await propose(scene)
    assert [one.question for one in await drafts_of(world)] == [
        "Чините ли вы часы с кукушкой?",
        draft.question,
    ]


async def test_a_person_who_writes_beside_the_agent_is_waited_for_and_the_command_is_no_answer(scene, world):
    """KB-28"""
    async with world.db.session(world.scope) as session:
        await organizations.update_settings(session, {"stop_on_human": False})
        command = (await organizations.get_stopping(session)).resume_command
    assert command
    await ask(scene, ENGRAVING)
    await scene.says(ANSWER, author="human")
    assert await watched(scene, "due_at > clock_timestamp() + interval '1 hour'")
    await scene.says(command.upper(), author="human")
    assert await watched(scene, "due_at < clock_timestamp() + interval '5 minutes'")
    await propose(scene)
    (draft,) = await drafts_of(world)
    assert draft.content.endswith("звоните •••.")


async def test_a_draft_is_accepted_beside_somebody_who_has_its_gap(scene, world):
    """Who deletes an article has its gaps and waits for passages: nobody has those and waits for a gap."""
    await finished(scene)
    await propose(scene)
    (draft,) = await drafts_of(world)

    async def accept():
        async with world.db.session(world.scope) as session:
            return await service.accept(session, draft.id, Decision(is_active=True), now=utcnow())

    async with world.db.session(world.scope) as session:
        await gaps.dismiss(session, draft.gap_id, now=utcnow())
        accepting = asyncio.create_task(accept())
        while not await session.fetchval("select true from pg_locks where not granted limit 1"):
            assert not accepting.done()
            await asyncio.sleep(0.01)
        await knowledge.create_article(session, NewArticle("Часы", "Чиним часы с кукушкой."), now=utcnow())
    assert (await accepting).status == "accepted"


async def test_a_person_accepts_it_edited_beside_the_talk_and_the_gap_closes(scene, world, web):
    """KB-28: the page, the counters, the right; the article is active only as the person says"""
    await finished(scene)
    await propose(scene)
    (draft,) = await drafts_of(world)
    path = f"/knowledge-drafts/{draft.id}"
    fields = {"title": "Гравировка на кольцах", "content": "Делаем гравировку на кольцах за 700 рублей."}
    async with reader_of(web, world.db, world.scope) as alice:
        assert "Proposed articles 1" in texts(await alice.open("/knowledge-gaps"))
        listed = await alice.open("/knowledge-drafts")
        assert draft.title in texts(listed) and "To decide 1" in texts(listed)
        page = await alice.open(path)
        for text in (draft.question, draft.content, "The customer asked", "Your person answered"):
            assert text in page.text, text
        assert f"/conversations/{scene.conversation_id}" in page.text
        assert f"/knowledge-gaps/{draft.gap_id}" in page.text
        async with reader_of(web, world.db, await add_member(world.db, world.scope, "viewer")) as dora:
            assert "/accept" not in (await dora.open(path)).text
            for action in ("accept", "reject"):
                assert (await dora.send(f"{path}/{action}", fields)).status_code == 403
        empty = await alice.send(f"{path}/accept", {**fields, "content": "-"})
        assert (empty.status_code, fields["title"] in empty.text) == (422, True)
        seen = await alice.send(f"{path}/accept", {**fields, "preview": ""})
        assert seen.status_code == 200 and len(await drafts_of(world)) == 1
        done = await alice.follow(await alice.send(f"{path}/accept", {**fields, "is_active": "on"}))
        assert "The article is saved" in texts(done) and fields["title"] in done.text
        assert (await alice.send(f"{path}/reject")).status_code == 409
        assert "Nothing is proposed" in texts(await alice.open("/knowledge-drafts"))
    (accepted,) = await drafts_of(world, "accepted")
    assert accepted.decided_by == world.scope.actor.id
    async with world.db.session(world.scope) as session:
        article = await knowledge.get_article(session, accepted.article_id)
        assert (article.title, article.content, article.is_active) == (*fields.values(), True)
        gap = await gaps.get_gap(session, draft.gap_id)
        assert (gap.status, gap.article_id) == ("answered", article.id)
        found = await knowledge.search(session, "гравировка на кольцах")
        assert [one.source_id for one in found] == [article.id]
        actions = [one.action for one in await audit.list_entries(session)]
        assert {"draft.accepted", "article.created", "gap.linked"} <= set(actions)
        with pytest.raises(Conflict):
            await service.accept(session, draft.id, Decision(), now=utcnow())


async def test_what_was_rejected_or_waits_is_not_proposed_again(scene, world, web):
    """KB-28: of the same question in another conversation; over the API"""
    await finished(scene)
    await propose(scene)
    (draft,) = await drafts_of(world)
    other = await Scene.open(world)
    await finished(other, "Можно заказать гравировку кольца?")
    await propose(other)
    assert await drafts_of(world) == [draft]
    headers = await bearer(world.db, world.db._vault, world.scope)
    async with httpx2.AsyncClient(base_url=f"{web}/api/v1", headers=headers, timeout=30) as api:
        (listed,) = (await api.get(DRAFTS)).json()["items"]
        assert listed == (await api.get(f"{DRAFTS}/{draft.id}")).json()
        assert listed["talk"] == [{"question": draft.question, "answer": draft.content}]
        said = (await api.post(f"{DRAFTS}/{draft.id}/rejection")).json()
        assert (said["status"], said["article_id"]) == ("rejected", None)
        again = await api.post(f"{DRAFTS}/{draft.id}/acceptance", json={"is_active": True})
        assert (again.status_code, again.json()["code"]) == (409, "draft_decided")
        assert (await api.post(f"{DRAFTS}/{draft.id}/acceptance", json={})).status_code == 422
    third = await Scene.open(world)
    await finished(third, "Делаете гравировку на кольцах?")
    await propose(third)
    assert not await drafts_of(world)


async def test_nothing_is_proposed_of_what_the_base_answers_of_small_talk_or_while_suspended(scene, world):
    """KB-28"""
    await finished(
        scene, "Сколько стоит доставка в Казань?", "Доставка в Казань стоит 350 рублей, как обычно."
    )
    await propose(scene)
    other = await Scene.open(world)
    await finished(other, "Здравствуйте!", "Здравствуйте! Чем могу вам помочь сегодня вечером?")
    await propose(other)
    third = await Scene.open(world)
    await finished(third, ENGRAVING, "Да")
    await propose(third)
    assert not await drafts_of(world)
    suspended = await Scene.open(world)
    await finished(suspended)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.organization set suspended_at = now()")
    await propose(suspended)
    assert not await drafts_of(world)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.organization set suspended_at = null")
    assert await watched(suspended, "due_at is not null"), "it is looked at again"
    async with world.db.session(world.scope) as session:
        await session.execute("update app.draft_watch set due_at = clock_timestamp() - interval '1 year'")
    assert await proposing.queue_due(world.db) >= 1
    async with world.db.installation() as session:
        queued = await session.fetch(
            """select convert_from(payload, 'UTF8') as payload from jobs.pgqueuer
                where entrypoint = 'dialog.propose_article' and headers->>'org' = $1""",
            str(world.scope.org_id),
        )
    assert str(suspended.conversation_id) in {json.loads(row["payload"])["conversation_id"] for row in queued}
    await propose(suspended)
    assert len(await drafts_of(world)) == 1


async def test_a_model_writes_it_and_what_the_person_did_not_say_is_left_out(scene, world, llm, model):
    """KB-28: the prompt names nobody; a broken model's draft is the words themselves"""
    control(llm, "/reset", json={})
    written = {
        "title": "Гравировка",
        "content": "Гравировка колец стоит 700 рублей. Скидка 90 % по субботам.\n\nСрок - три дня.",
    }
    rules = [{"system": PROMPT, "json": written}]
    control(llm, "/script?replace=1", json=rules).raise_for_status()
    await finished(scene)
    await propose(scene, model)
    (draft,) = await drafts_of(world)
    assert (draft.made_by, draft.title) == ("model", "Гравировка")
    assert draft.content == "Гравировка колец стоит 700 рублей.\n\nСрок - три дня."
    (asked,) = [one for one in control(llm, "/calls").json()["calls"] if PROMPT in str(one["prompt"])]
    assert "Ann" not in str(asked["prompt"][1]) and "912" not in str(asked["prompt"][1])
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.llm_usage where turn_id is null") == 1

    other = await Scene.open(world)
    await finished(other, "Чините ли вы часы с кукушкой?", "Чиним любые часы с кукушкой в мастерской.")
    control(llm, "/script?replace=1", json=[{"system": PROMPT, "reply": "no JSON"}]).raise_for_status()
    await propose(other, model)
    (words, _model) = await drafts_of(world)
    assert (words.made_by, words.content) == ("words", "Чиним любые часы с кукушкой в мастерской.")

    async with world.db.session(world.scope) as session:
        add = """insert into app.llm_usage (model, outcome, purpose, calls, tokens_in, tokens_out,
                                            duration_ms) values ('m', 'ok', $1, $2, 1, 1, 1)"""
        await session.execute(add, "reply", 100)
        await session.execute(add, "draft", service.BY_MODEL_A_DAY - 3)
        assert await service.may_ask_model(session), "two calls were made, one of them for nothing"
        await session.execute(add, "draft", 1)
        assert not await service.may_ask_model(session)
        await session.execute("update app.llm_usage set created_at = created_at - interval '25 hours'")
        assert await service.may_ask_model(session)

    third = await Scene.open(world)
    await finished(
        third, "Есть ли у вас подарочные сертификаты?", "Да, подарочные сертификаты от 1000 рублей."
    )
    broken = OpenAiCompatible(
        frozenset({("127.0.0.1", 9)}),
        "http://127.0.0.1:9/v1",
        "key",
        "none",
        patience=Patience(first_pause=0.01),
    )
    with pytest.raises(UpstreamUnavailable):
        await propose(third, broken)
    await broken.aclose()
    assert len(await drafts_of(world)) == 2, "it is tried again"
    await propose(third, broken, dies=True)
    assert (await drafts_of(world))[0].content == "Да, подарочные сертификаты от 1000 рублей."


async def test_a_draft_is_handed_out_and_goes_with_its_customer_the_article_stays(scene, world):
    """PRIV-2; several questions of one talk are one draft; a page continues after a row"""
    await ask(scene, ENGRAVING)
    await scene.says(ANSWER, author="human")
    await scene.says("А чините ли вы часы с кукушкой?")
    await scene.says("Чиним любые часы с кукушкой в мастерской.", author="human")
    await scene.says("И когда?")
    await scene.says("По будням с утра.", author="human")
    await age(scene, 3)
    await propose(scene)
    (draft,) = await drafts_of(world)
    assert [one.question for one in draft.talk] == [draft.question, "А чините ли вы часы с кукушкой?"]
    assert draft.talk[1].answer == "Чиним любые часы с кукушкой в мастерской.\n\nПо будням с утра."
    assert draft.content.startswith(f"## {draft.question}\n\nДа, •••, делаем")
    other = await Scene.open(world)
    await finished(
        other, "Есть ли у вас подарочные сертификаты?", "Да, подарочные сертификаты от 1000 рублей."
    )
    await propose(other)
    order = service.ORDERS["-created_at"]
    async with world.db.session(world.scope) as session:
        (first,), after = await service.page_drafts(session, Page(order, 1), "proposed")
        (second,), end = await service.page_drafts(session, Page.read(order, 1, after), "proposed")
        assert (first.conversation_id, second.id, end) == (other.conversation_id, draft.id, None)
        with pytest.raises(Invalid):
            await service.accept(session, draft.id, Decision(content="-"), now=utcnow())
    async with world.db.session(world.scope) as session:
        accepted = await service.accept(session, draft.id, Decision(), now=utcnow())
        assert not (await knowledge.get_article(session, accepted.article_id)).is_active
    given = b"".join(
        [part async for part in await privacy.export_customer(world.db, world.scope, scene.conversation_id)]
    )
    assert [one["title"] for one in json.loads(given)["article_drafts"]] == [draft.title]
    async with world.db.session(world.scope) as session:
        await privacy.erase_customer(session, scene.conversation_id)
        with pytest.raises(NotFound):
            await service.get_draft(session, draft.id)
        await knowledge.get_article(session, accepted.article_id)


async def test_what_an_agent_of_some_categories_cannot_know_is_proposed_and_put_there(scene, world):
    """KB-28: asked is the agent's part of the base, and the article is put where the agent finds it"""
    async with world.db.session(world.scope) as session:
        shop = await categories.create_category(session, NewCategory("Salon"), now=utcnow())
    await scene.write_article("Гравировка", "Да, делаем гравировку на кольцах. Мой телефон знает каждый.")
    await scene.set_agent(knowledge={"all": False, "categories": [str(shop.id)]})
    await finished(scene)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.gap set status = 'answered'")  # as others' question about the same
    await propose(scene)
    (draft,) = await drafts_of(world)
    async with world.db.session(world.scope) as session:
        accepted = await service.accept(session, draft.id, Decision(is_active=True), now=utcnow())
        article = await knowledge.get_article(session, accepted.article_id)
    assert article.categories == (shop.id,)


async def test_two_proposals_of_the_same_at_once_are_one(scene, world):
    """KB-28"""
    await ask(scene, ENGRAVING)
    material = Material((Talk("Гравировка?", "Да, делаем гравировку на кольцах."),), None)
    text = DraftText("Гравировка", "Да, делаем гравировку на кольцах.", "words")

    async def propose_it():
        async with world.db.session(world.scope) as session:
            done = await service.propose(session, scene.conversation_id, material, text, now=utcnow())
            await asyncio.sleep(0.2)  # the other one looks meanwhile
            return done

    assert sorted(await asyncio.gather(propose_it(), propose_it())) == [False, True]
    assert len(await drafts_of(world)) == 1
