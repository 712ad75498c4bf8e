"""What belongs to an article: tags, relatives, several changed at once, what it said before."""

import asyncio

import pytest

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles.model import ArticleFilter
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import ArticleChange, NewArticle
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

QUESTION = "Сколько стоит доставка в Казань?"
PAGE = Page(service.VERSION_ORDERS["-version"])


async def write(session, title="Доставка", content="Доставка в Казань стоит 350 рублей.", **fields):
    return await service.create_article(session, NewArticle(title, content, **fields), now=utcnow())


async def change(session, article, **fields):
    return await service.update_article(session, ArticleChange(article.id, **fields), now=utcnow())


async def gather(session):
    found = await service.search(session, QUESTION)
    return [one.source_title for one in await service.add_related(session, QUESTION, found)]


async def test_related_articles_are_given_together_with_the_one_that_is_found(database, scope):
    """KB-6"""
    async with database.session(scope) as session:
        text = "Самовывоз из офиса.\n\n# Куда\n" + "Много слов. " * 150 + "\n\n# Склад\nДоставка не нужна."
        pickup = await write(session, "Самовывоз", text)
        hours = await write(session, "Часы", "Открыто с девяти до шести.", is_active=False)
        delivery = await write(session, related=(hours.id, pickup.id))
        titles = await gather(session)
        assert titles[0] == "Доставка" and titles[-1] == "Самовывоз"
        assert titles.count("Самовывоз") == 1 and "Часы" not in titles
        await change(session, hours, is_active=True)
        assert "Часы" in await gather(session)
        await change(session, delivery, related=())
        assert "Часы" not in await gather(session)


async def test_what_holds_little_of_the_question_brings_no_relatives(database, scope):
    """KB-6"""
    async with database.session(scope) as session:
        hours = await write(session, "Часы", "Открыто с девяти до шести.")
        await write(session, "Казань", "Наш филиал на улице Баумана.", related=(hours.id,))
        assert await gather(session) == ["Казань"]


async def test_an_article_is_related_to_others_that_are_there(database, scope, other_scope):
    async with database.session(other_scope) as session:
        theirs = await write(session)
    async with database.session(scope) as session:
        article = await write(session)
        for related in ((theirs.id,), (new_id(),), (article.id,)):
            with pytest.raises(Invalid) as refused:
                await change(session, article, related=related)
            assert [fault.pointer for fault in refused.value.fields] == ["related"]
        other = await write(session, "Другая", related=(article.id,))
        await service.delete_article(session, article.id)
        assert (await service.get_article(session, other.id)).related == ()


async def test_tags_are_kept_once_and_found(database, scope):
    """KB-4"""
    async with database.session(scope) as session:
        article = await write(session, tags=(" цены ", "Цены", "срок  доставки"), description="Для всех")
        assert article.tags == ("цены", "срок доставки")
        await write(session)
        for wanted in (ArticleFilter(tag="цены"), ArticleFilter("ДЛЯ ВСЕХ")):
            found, total = await service.find_articles(session, wanted)
            assert [one.id for one in found] == [article.id] and total == 1
    for tags in (("x" * 51,), ("",), tuple(map(str, range(21)))):
        with pytest.raises(Invalid):
            NewArticle("T", "Long enough a text.", tags=tags)


async def test_several_articles_are_changed_together_or_none(database, scope):
    """U150"""
    async with database.session(scope) as session:
        made = [await write(session, f"T{n}") for n in range(3)]
        ids = [one.id for one in made]
        to = await categories.create_category(session, NewCategory("To"), now=utcnow())
        assert await service.change_articles(session, ids, "deactivate", now=utcnow()) == 3
        assert await service.search(session, QUESTION) == []
        await service.change_articles(session, ids[:2], "move", categories=(to.id,), now=utcnow())
        found, _total = await service.find_articles(session, ArticleFilter(category_id=to.id))
        assert {one.id for one in found} == set(ids[:2])
        with pytest.raises(Invalid):
            await service.change_articles(session, ids, "move", now=utcnow())
    with pytest.raises(NotFound):
        async with database.session(scope) as session:
            await service.change_articles(session, [*ids, new_id()], "delete", now=utcnow())
    async with database.session(scope) as session:
        assert (await service.find_articles(session, ArticleFilter()))[1] == 3
        await service.change_articles(session, ids, "delete", now=utcnow())
        assert (await service.find_articles(session, ArticleFilter()))[1] == 0


async def test_several_articles_are_changed_beside_one_that_changes_a_later_one(database, scope):
    async with database.session(scope) as session:
        first, second = sorted([(await write(session, f"T{n}")).id for n in range(2)])

    async def switch_off():
        async with database.session(scope) as session:
            return await service.change_articles(session, [first, second], "deactivate", now=utcnow())

    async with database.session(scope) as session:
        await service.get_article(session, second, lock=True)
        switching = asyncio.create_task(switch_off())
        while not await session.fetchval("select true from pg_locks where not granted limit 1"):
            assert not switching.done()
            await asyncio.sleep(0.01)
        await service.update_article(session, ArticleChange(second, title="Other"), now=utcnow())
    assert await switching == 2


async def test_every_version_is_kept_with_who_made_it_and_can_be_restored(database, scope):
    async with database.session(scope) as session:
        article = await write(session, tags=("a",))
        await change(session, article, title="Логистика", content="Теперь только самовывоз.", tags=("b",))
        await change(session, article, is_active=False)
        await change(session, article, is_active=False)
        found, _after = await service.page_versions(session, PAGE, article.id)
        assert [(one.version, one.title, one.is_active) for one in found] == [
            (3, "Логистика", False),
            (2, "Логистика", True),
            (1, "Доставка", True),
        ]
        assert {(one.actor_kind, one.actor_id) for one in found} == {(scope.actor.kind, scope.actor.id)}
        restored = await service.restore_version(session, article.id, 1, now=utcnow())
        assert (restored.version, restored.title, restored.tags) == (4, "Доставка", ("a",))
        assert restored.content == article.content and not restored.is_active
        with pytest.raises(NotFound):
            await service.restore_version(session, article.id, 9, now=utcnow())


async def test_another_workspace_sees_no_version(database, scope, other_scope):
    """KB-27"""
    async with database.session(scope) as session:
        article = await write(session)
    async with database.session(other_scope) as session:
        for attempt in (
            service.get_version(session, article.id, 1),
            service.page_versions(session, PAGE, article.id),
            service.restore_version(session, article.id, 1, now=utcnow()),
        ):
            with pytest.raises(NotFound):
                await attempt
