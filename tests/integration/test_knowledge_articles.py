"""Articles and what is found of them."""

import pytest

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles.model import ArticleFilter
from gptagent.features.knowledge.model import ArticleChange, NewArticle
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id

DELIVERY = NewArticle(
    "Доставка", "# Сроки\nКурьер приезжает в Казань за три дня.\n\n# Цена\nДоставка стоит 350 рублей."
)


async def create(session, new=DELIVERY):
    return await service.create_article(session, new, now=utcnow())


async def change(session, article_id, **fields):
    return await service.update_article(session, ArticleChange(article_id, **fields), now=utcnow())


async def chunk_ids(session):
    return [row["id"] for row in await session.fetch("select id from app.chunk order by id")]


async def test_an_article_is_found_by_its_text_headings_and_title(database, scope):
    """KB-4"""
    async with database.session(scope) as session:
        article = await create(session)
        (by_text, *_) = await service.search(session, "когда приедет курьер в Казань?")
        (by_heading, *_) = await service.search(session, "какие сроки?")
        by_title = await service.search(session, "доставки")
    assert by_text.source_id == by_heading.source_id == article.id
    assert by_text.heading == by_heading.heading == "Сроки"
    assert by_text.source_title == "Доставка" and by_text.source_kind == "article"
    assert len(by_title) == 2


async def test_an_inactive_article_is_never_found(database, scope):
    """KB-5, U148"""
    async with database.session(scope) as session:
        article = await create(session)
        hidden = await create(session, NewArticle("Курьер", "Тайный курьер в Казань.", is_active=False))
        await change(session, article.id, is_active=False)
        assert await service.search(session, "курьер в Казань") == []
        await change(session, hidden.id, is_active=True)
        assert [p.source_id for p in await service.search(session, "курьер в Казань")] == [hidden.id]


async def test_an_article_is_indexed_again_only_when_it_changes(database, scope):
    """KB-7"""
    async with database.session(scope) as session:
        article = await create(session)
        before = await chunk_ids(session)
        same = await change(session, article.id, title=DELIVERY.title, content=DELIVERY.content)
        assert same == article and await chunk_ids(session) == before
        changed = await change(session, article.id, content="Теперь только самовывоз со склада.")
        assert changed.version == 2 and not set(before) & set(await chunk_ids(session))
        assert await service.search(session, "курьер Казань") == []


async def test_a_renamed_article_is_found_by_its_new_title(database, scope):
    async with database.session(scope) as session:
        article = await create(session)
        await change(session, article.id, title="Логистика")
        assert {p.source_title for p in await service.search(session, "логистика")} == {"Логистика"}


async def test_a_change_of_an_older_version_is_refused(database, scope):
    async with database.session(scope) as session:
        article = await create(session)
        await change(session, article.id, title="Первая правка", version=1)
        with pytest.raises(Conflict):
            await change(session, article.id, title="Вторая правка", version=1)
        with pytest.raises(Invalid):
            await change(session, article.id, content="коротко")


async def test_a_deleted_article_leaves_nothing(database, scope):
    """KB-20"""
    async with database.session(scope) as session:
        article = await create(session)
        await service.delete_article(session, article.id)
        assert await service.search(session, "курьер в Казань") == []
        assert await session.fetchval("select count(*) from app.posting") == 0
        with pytest.raises(NotFound):
            await service.get_article(session, article.id)
        with pytest.raises(NotFound):
            await service.delete_article(session, article.id)


async def test_articles_are_listed_newest_first_by_page_and_search(database, scope):
    async with database.session(scope) as session:
        made = [
            await create(session, NewArticle(f"Статья {n}", f"Текст номер {n} о разном.")) for n in range(5)
        ]
        first, total = await service.find_articles(session, ArticleFilter(), limit=2)
        rest, _total = await service.find_articles(session, ArticleFilter(), offset=2)
        found, _total = await service.find_articles(session, ArticleFilter("  НОМЕР 3 "))
    assert [a.id for a in (*first, *rest)] == sorted((a.id for a in made), reverse=True)
    assert total == 5
    assert [a.title for a in found] == ["Статья 3"]


async def test_another_workspace_sees_no_article(database, scope, other_scope):
    """KB-27"""
    async with database.session(scope) as session:
        article = await create(session)
    async with database.session(other_scope) as session:
        assert await service.search(session, "курьер в Казань") == []
        assert await service.find_articles(session, ArticleFilter()) == ([], 0)
        for attempt in (
            service.get_article(session, article.id),
            service.delete_article(session, article.id),
            change(session, article.id, title="Чужая"),
            service.get_article(session, new_id()),
        ):
            with pytest.raises(NotFound):
                await attempt
    async with database.session(scope) as session:
        assert await service.get_article(session, article.id) == article
