"""Questions that the base does not answer: collected with their turn, gathered, answered, erased."""

import asyncio
import json

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.answering import REFUSAL_SUPPORT
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.gaps import jobs, service
from gptagent.features.knowledge.model import ArticleChange, NewArticle
from gptagent.features.privacy import service as privacy
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import NotFound
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.paging import Page
from members import add_member
from readers import reader_of, texts
from scenes import Scene

ENGRAVING = "Делаете ли вы гравировку на кольцах? Мой телефон +7 912 345-67-89"
AGAIN = "Можно заказать гравировку кольца?"
DELIVERY = "Сколько стоит доставка в Казань?"
REPAIR = "Do you repair wrist watches?"


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.write_article("Доставка", "Доставка в Казань стоит 350 рублей. Склад открыт по будням.")
    return scene


async def ask(scene, *questions):
    for text in questions:
        await scene.says(text)
        await scene.calm()


async def look_again(world, article_id):
    """Run the job of an article that has changed; twice changes nothing."""
    ctx = JobContext(world.db, None, world.scope, 1, 1)
    async with world.db.installation() as session:
        taken = await session.fetchval(
            """with taken as (delete from jobs.pgqueuer
                              where entrypoint = $1 and headers->>'org' = $2 returning 1)
               select count(*) from taken""",
            service.CHECK_JOB,
            str(world.scope.org_id),
        )
    assert taken == 1, "whoever saves an article waits for no search"
    for _ in range(2):
        await jobs.check_gaps(ctx, str(article_id))


async def gaps_of(world, view="open"):
    async with world.db.session(world.scope) as session:
        found, total = await service.find_gaps(session, view, limit=100)
    assert len(found) == total
    return found


async def test_what_is_not_found_is_gathered_by_subject_once_for_a_turn(scene, world):
    """KB-28: in the transaction that ends the turn; phones are left out, greetings are no questions"""
    await ask(scene, "Здравствуйте!", ENGRAVING, DELIVERY, AGAIN, REPAIR)
    other = await Scene.open(world)
    await ask(other, "do you repair watches")
    engraving, repair = sorted(await gaps_of(world), key=lambda gap: gap.created_at)
    assert engraving.title == "Делаете ли вы гравировку на кольцах? Мой телефон •••"
    assert (engraving.questions, engraving.not_found, engraving.customers) == (2, 2, 1)
    assert (repair.title, repair.questions, repair.customers) == (REPAIR, 2, 2)
    async with world.db.session(world.scope) as session:
        asked = await service.list_questions(session, engraving.id)
        (today,) = await service.read_shares(session, 7, now=utcnow())
        rows = await session.fetch("select kind, text, turn_id from app.asked_question order by asked_at")
    assert [one.text for one in asked] == [AGAIN, engraving.title]
    assert (today.found, today.weak, today.not_found) == (1, 0, 4)
    found = [row for row in rows if row["kind"] == "found"]
    assert [row["text"] for row in found] == [""], "the words of what was found are not kept"
    turns = {turn["id"] for turn in await scene.turns() + await other.turns()}
    assert len(rows) == 5 and {row["turn_id"] for row in rows} < turns


async def test_a_weak_answer_is_a_gap_and_a_turn_that_ends_twice_counts_once(scene, world):
    """KB-28"""
    await ask(scene, "Доставка в Казань вечером?")
    (turn,) = await scene.turns()
    assert turn["outcome"] == "reply" and REFUSAL_SUPPORT <= turn["answer"]["support"] < 0.5
    (gap,) = await gaps_of(world, "weak")
    assert (gap.weak, gap.not_found) == (1, 0) and not await gaps_of(world, "not_found")
    async with world.db.session(world.scope) as session:
        (question,) = await service.list_questions(session, gap.id)
        asked = knowledge.Asked(turn["id"], turn["conversation_id"], turn["id"], AGAIN, False, 0.1, utcnow())
        await knowledge.note_question(session, asked)
        assert await service.list_questions(session, gap.id) == [question]
    assert len(await gaps_of(world)) == 1


async def test_an_article_written_for_a_gap_closes_it_once_the_search_finds_it(scene, world, web):
    """KB-28, KB-31, U154: one click, prefilled; asked again in vain it is open again"""
    await ask(scene, ENGRAVING, AGAIN)
    (gap,) = await gaps_of(world)
    async with reader_of(web, world.db, world.scope) as alice:
        page = await alice.open("/knowledge-gaps")
        assert gap.title in texts(page) and f"/knowledge-items/create?gap={gap.id}" in page.text
        form = await alice.open(f"/knowledge-items/create?gap={gap.id}")
        assert f'value="{gap.title}"' in form.text
        draft = {
            "title": "Гравировка на кольцах",
            "content": "Да, делаем гравировку на кольцах, заказать можно в салоне.",
        }
        answer = await alice.send("/knowledge-items/create", {**draft, "gap": str(gap.id)})
        assert answer.headers["location"].endswith(f"/knowledge-gaps/{gap.id}")
        assert "Not answered yet" in texts(await alice.follow(answer)), "the article is switched off"
        (gap,) = await gaps_of(world)
        assert gap.article_title == draft["title"]
        await alice.send(f"/knowledge-items/{gap.article_id}/active", {"is_active": "on"})
        await look_again(world, gap.article_id)
        (gap,) = await gaps_of(world, "done")
        page = await alice.open("/knowledge-gaps?view=done")
        assert "Answered" in texts(page) and draft["title"] in texts(page)
    async with world.db.session(world.scope) as session:
        change = ArticleChange(gap.article_id, content="Об этом спросите коллег.", title="Коллеги")
        await knowledge.update_article(session, change, now=utcnow())
    await look_again(world, gap.article_id)
    assert [one.status for one in await gaps_of(world)] == ["open"], "it is found no more"
    async with world.db.session(world.scope) as session:
        change = ArticleChange(gap.article_id, content=draft["content"], title=draft["title"])
        await knowledge.update_article(session, change, now=utcnow())
    await look_again(world, gap.article_id)
    await ask(scene, AGAIN)
    assert len(await gaps_of(world, "done")) == 1
    async with world.db.session(world.scope) as session:
        await session.execute("update app.article set is_active = false where id = $1", gap.article_id)
        await session.execute("delete from app.chunk where article_id = $1", gap.article_id)
    await ask(scene, "Так делаете гравировку на кольцах?")
    (gap,) = await gaps_of(world)
    assert (gap.status, gap.questions) == ("open", 3)
    async with world.db.session(world.scope) as session:
        await knowledge.delete_article(session, gap.article_id)
    (gap,) = await gaps_of(world)
    assert gap.article_id is None
    async with world.db.session(world.scope) as session:
        actions = [one.action for one in await audit.list_entries(session)]
    assert actions.count("gap.linked") == 1


async def test_a_gap_is_dismissed_restored_and_looked_up_again_by_those_who_may(scene, world, web):
    """KB-28"""
    await ask(scene, REPAIR)
    (gap,) = await gaps_of(world)
    path = f"/knowledge-gaps/{gap.id}"
    async with reader_of(web, world.db, world.scope) as alice:
        async with reader_of(web, world.db, await add_member(world.db, world.scope, "viewer")) as dora:
            assert "Write an article" not in texts(await dora.open(path))
            for action in ("check", "dismiss", "restore"):
                assert (await dora.send(f"{path}/{action}")).status_code == 403
        assert "Not answered yet" in texts(await alice.follow(await alice.send(f"{path}/check")))
        await alice.send(f"{path}/dismiss")
        assert [one.id for one in await gaps_of(world, "dismissed")] == [gap.id]
        await ask(scene, "Do you repair watches, wrist ones?")
        assert not await gaps_of(world), "it stays dismissed and is counted"
        await alice.send(f"{path}/restore")
        await scene.write_article("Repair", "We repair wrist watches within a week.")
        page = await alice.follow(await alice.send(f"{path}/check"))
        assert "The question is answered now" in texts(page) and "Repair" in texts(page)
    (done,) = await gaps_of(world, "done")
    assert (done.questions, done.article_title) == (2, "Repair")


async def test_what_a_customer_asked_is_handed_out_and_goes_with_the_customer(scene, world):
    """PRIV-2: another's question keeps the gap, by its own words"""
    await ask(scene, ENGRAVING)
    other = await Scene.open(world)
    await ask(other, AGAIN)
    (gap,) = await gaps_of(world)
    assert (gap.questions, gap.customers) == (2, 2)
    given = b"".join(
        [part async for part in await privacy.export_customer(world.db, world.scope, scene.conversation_id)]
    )
    assert [one["text"] for one in json.loads(given)["questions"]] == [gap.title]
    async with world.db.session(world.scope) as session:
        await privacy.erase_customer(session, scene.conversation_id)
    (left,) = await gaps_of(world)
    assert (left.title, left.questions) == (AGAIN, 1)
    async with world.db.session(world.scope) as session:
        words = await session.fetch("select lexeme from app.gap_word order by 1")
    assert [row["lexeme"] for row in words] == ["гравировк", "заказа", "кольц"]
    third = await Scene.open(world)
    await ask(third, "Можно ли заказать гравировку на кольце?")
    assert [(one.id, one.questions) for one in await gaps_of(world)] == [(gap.id, 2)]
    for one in (other, third):
        async with world.db.session(world.scope) as session:
            await privacy.erase_customer(session, one.conversation_id)
    async with world.db.session(world.scope) as session:
        for table in ("gap", "gap_word", "asked_question"):
            assert not await session.fetchval(f"select count(*) from app.{table}"), table  # noqa: S608 - a name above
        with pytest.raises(NotFound):
            await service.get_gap(session, gap.id)


async def test_programs_list_gaps_in_pages_and_link_what_they_wrote(scene, world):
    """API-9"""
    await ask(scene, ENGRAVING, AGAIN, REPAIR)
    async with world.db.session(world.scope) as session:
        page = Page(service.ORDERS["-questions"], 1)
        (first,), after = await service.page_gaps(session, page, "open")
        (second,), end = await service.page_gaps(
            session, Page.read(service.ORDERS["-questions"], 1, after), "open"
        )
        assert (first.questions, second.questions, end) == (2, 1, None)
        assert await service.page_gaps(session, page, "open", search="WRIST") == ([second], None)
        article = await knowledge.create_article(
            session, NewArticle("Repair", "We repair wrist watches."), now=utcnow()
        )
        linked = await service.link_article(session, second.id, article.id, now=utcnow())
        assert (linked.status, linked.article_id) == ("answered", article.id)


async def test_a_gap_that_is_erased_while_a_turn_ends_is_begun_anew(scene, world):
    """KB-28, PRIV-2: the turn waits for the erasure and loses nothing."""
    await ask(scene, ENGRAVING)
    (old,) = await gaps_of(world)
    other = await Scene.open(world)
    await ask(other, "Здравствуйте!")
    async with world.db.session(world.scope) as session:
        await session.execute("delete from app.gap where id = $1", old.id)
        ending = asyncio.create_task(ask(other, AGAIN))
        while not await session.fetchval("select true from pg_locks where not granted limit 1"):
            assert not ending.done()
            await asyncio.sleep(0)
    await ending
    (gap,) = await gaps_of(world)
    assert gap.id != old.id and (gap.title, gap.questions) == (AGAIN, 1)


async def test_a_weakly_answered_gap_closes_only_when_the_base_answers_it_fully(scene, world):
    """KB-28: looked up again with nothing changed it stays open"""
    await ask(scene, "Доставка в Казань вечером?")
    (gap,) = await gaps_of(world, "weak")
    async with world.db.session(world.scope) as session:
        assert (await service.check_gap(session, gap.id, now=utcnow())).status == "open"
    await scene.write_article("Вечером", "Доставка в Казань вечером бывает по средам.")
    async with world.db.session(world.scope) as session:
        assert (await service.check_gap(session, gap.id, now=utcnow())).status == "answered"


async def test_the_questions_of_a_gap_come_in_pages(scene, world):
    """API-9"""
    await ask(scene, ENGRAVING, AGAIN)
    (gap,) = await gaps_of(world)
    order = service.QUESTION_ORDERS["-asked_at"]
    async with world.db.session(world.scope) as session:
        (first,), after = await service.page_questions(session, Page(order, 1), gap.id)
        (second,), end = await service.page_questions(session, Page.read(order, 1, after), gap.id)
    assert (first.text, second.text, end) == (AGAIN, gap.title, None)


async def test_what_an_agent_of_some_categories_is_asked_is_looked_up_in_these(scene, world, web):
    """KB-28: what others know answers it not; what is written for it is put where the agent finds it"""
    async with world.db.session(world.scope) as session:
        shop = await categories.create_category(session, NewCategory("Salon"), now=utcnow())
    await scene.write_article("Гравировка", "Да, делаем гравировку на кольцах: это знает другой отдел.")
    await scene.set_agent(knowledge={"all": False, "categories": [str(shop.id)]})
    await ask(scene, AGAIN)
    (gap,) = await gaps_of(world)
    async with world.db.session(world.scope) as session:
        (asked,) = await service.list_questions(session, gap.id)
        assert asked.categories == (shop.id,)
        assert (await service.check_gap(session, gap.id, now=utcnow())).status == "open"
    async with reader_of(web, world.db, world.scope) as alice:
        form = await alice.open(f"/knowledge-items/create?gap={gap.id}")
        ticked = [part for part in form.text.split("<input")[1:] if " checked" in part.partition(">")[0]]
        assert [one for one in ticked if 'name="categories"' in one and str(shop.id) in one]
        written = {"title": "Кольца", "content": "Заказать гравировку кольца можно у нас.", "is_active": "on"}
        fields = {**written, "gap": str(gap.id), "categories": str(shop.id)}
        done = await alice.follow(await alice.send("/knowledge-items/create", fields))
        assert "The question is answered now" in texts(done)


async def test_every_gap_of_an_article_is_looked_up_again_however_many(scene, world):
    """KB-28"""
    works = (
        "Полировка ножей",
        "Заточка коньков",
        "Окраска заборов",
        "Мойка окон",
        "Пошив штор",
        "Чистка ковров",
    )
    await ask(scene, *(f"{work}?" for work in works))
    gaps = await gaps_of(world)
    assert len(gaps) > service.CHECKED_GAPS, "each is about another thing"
    text = " ".join(f"{work} у нас." for work in works)
    async with world.db.session(world.scope) as session:
        new = NewArticle("Работы", text, is_active=False)
        article = await knowledge.create_article(session, new, now=utcnow())
        for gap in gaps:
            await service.link_article(session, gap.id, article.id, now=utcnow())
        change = ArticleChange(article.id, is_active=True)
        await knowledge.update_article(session, change, now=utcnow())
    await look_again(world, article.id)
    assert await gaps_of(world) == []
