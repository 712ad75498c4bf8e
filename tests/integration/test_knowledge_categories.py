"""The tree of categories: what it refuses, what a deletion leaves, two who change it at once."""

import asyncio

import pytest

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.articles.model import ArticleFilter
from gptagent.features.knowledge.categories import service
from gptagent.features.knowledge.categories.model import DEPTH_MAX, NewCategory
from gptagent.features.knowledge.model import NewArticle
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound

TEXT = "Long enough a text."


async def make(session, title, parent=None):
    new = NewCategory(title, parent_id=parent.id if parent else None)
    return await service.create_category(session, new, now=utcnow())


async def put(session, category, to):
    changes = {"parent_id": to.id if to else None}
    return await service.update_category(session, category.id, changes, now=utcnow())


async def write(session, *categories, title="T"):
    new = NewArticle(title, TEXT, categories=tuple(one.id for one in categories))
    return await knowledge.create_article(session, new, now=utcnow())


async def delete(session, category, *, cascade=False):
    await service.delete_category(session, category.id, cascade=cascade, now=utcnow())


def pointer(refused):
    return [fault.pointer for fault in refused.value.fields]


async def test_a_title_is_unique_within_its_parent(database, scope):
    """KB-3, U139"""
    async with database.session(scope) as session:
        goods = await make(session, "Goods")
        inner = await make(session, "Prices", goods)
        await make(session, "Prices")
        for parent in (goods, None):
            with pytest.raises(Invalid) as refused:
                await make(session, "  pRICES ", parent)
            assert pointer(refused) == ["title"]
        with pytest.raises(Invalid) as refused:
            await put(session, inner, None)
        assert pointer(refused) == ["title"]


async def test_a_category_is_not_put_into_itself_nor_below(database, scope):
    """KB-1, U140"""
    async with database.session(scope) as session:
        top = await make(session, "Top")
        middle = await make(session, "Middle", top)
        leaf = await make(session, "Leaf", middle)
        for to in (top, middle, leaf):
            with pytest.raises(Invalid) as refused:
                await put(session, top, to)
            assert pointer(refused) == ["parent_id"]
        moved = await put(session, leaf, None)
    assert moved.parent_id is None and moved.version == 2


async def test_a_tree_is_five_levels_deep_also_after_a_move(database, scope):
    """KB-1, U140"""
    async with database.session(scope) as session:
        chain = [await make(session, "1")]
        for level in range(2, DEPTH_MAX + 1):
            chain.append(await make(session, str(level), chain[-1]))
        with pytest.raises(Invalid):
            await make(session, "6", chain[-1])
        pair = await make(session, "Pair")
        await make(session, "Half", pair)
        with pytest.raises(Invalid):
            await put(session, pair, chain[3])
        assert (await put(session, pair, chain[2])).parent_id == chain[2].id


async def test_two_moves_at_once_make_no_circle(database, scope):
    """KB-1"""
    for _round in range(5):
        async with database.session(scope) as session:
            one, other = await make(session, f"One {_round}"), await make(session, f"Other {_round}")

        async def move(category, to):
            async with database.session(scope) as session:
                await put(session, category, to)

        ends = await asyncio.gather(move(one, other), move(other, one), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["Invalid", "NoneType"]
        async with database.session(scope) as session:
            tree = await service.read_tree(session)
            assert len(list(tree.walk())) == len(tree.by_id)


async def test_a_full_category_is_deleted_with_cascade_only_and_articles_stay(database, scope):
    """KB-2, U141"""
    async with database.session(scope) as session:
        top, elsewhere = await make(session, "Top"), await make(session, "Elsewhere")
        below = await make(session, "Below", top)
        alone, twice = await write(session, below), await write(session, top, elsewhere)
        for full in (top, below):
            with pytest.raises(Conflict) as refused:
                await delete(session, full)
            assert refused.value.code == "category_not_empty"
        await delete(session, top, cascade=True)
        default = (await service.read_tree(session)).default()
        assert (await knowledge.get_article(session, alone.id)).categories == (default.id,)
        assert (await knowledge.get_article(session, twice.id)).categories == (elsewhere.id,)
        with pytest.raises(NotFound):
            await service.get_category(session, below.id)


async def test_the_default_category_stays(database, scope):
    async with database.session(scope) as session:
        article = await write(session)
        (default_id,) = article.categories
        default = await service.get_category(session, default_id)
        assert default.is_default and default.articles == 1
        top = await make(session, "Top")
        await put(session, default, top)
        for one in (default, top):
            with pytest.raises(Conflict) as refused:
                await delete(session, one, cascade=True)
            assert refused.value.code == "category_is_default"


async def test_an_article_put_into_a_category_while_it_is_deleted_is_never_without_one(database, scope):
    """KB-2"""
    for _round in range(5):
        async with database.session(scope) as session:
            category = await make(session, f"Here {_round}")

        async def remove(category=category):
            async with database.session(scope) as session:
                await delete(session, category)

        async def add(category=category):
            async with database.session(scope) as session:
                await write(session, category)

        ends = await asyncio.gather(remove(), add(), return_exceptions=True)
        assert {type(end).__name__ for end in ends} in ({"NoneType", "Invalid"}, {"Conflict", "NoneType"})
    async with database.session(scope) as session:
        found, _total = await knowledge.find_articles(session, ArticleFilter())
        assert all(article.categories for article in found)


async def test_the_order_is_changed_one_place_at_a_time(database, scope):
    async with database.session(scope) as session:
        top = await make(session, "Top")
        made = [await make(session, title, top) for title in ("a", "b", "c")]
        for category, direction, order in (
            (made[2], "up", "acb"),
            (made[0], "down", "cab"),
            (made[2], "up", "cab"),
            (made[1], "down", "cab"),
        ):
            await service.move_category(session, category.id, direction, now=utcnow())
            tree = await service.read_tree(session)
            assert "".join(one.title for one in tree.children(top.id)) == order


async def test_articles_are_filtered_by_a_category_with_those_below_it(database, scope):
    async with database.session(scope) as session:
        top = await make(session, "Top")
        below = await make(session, "Below", top)
        articles = [await write(session, top), await write(session, below), await write(session)]
        for category, expected in ((top, articles[:2]), (below, articles[1:2])):
            found, total = await knowledge.find_articles(session, ArticleFilter(category_id=category.id))
            assert {one.id for one in found} == {one.id for one in expected} and total == len(expected)
        counted = await service.get_category(session, top.id)
    assert (counted.articles, counted.subcategories) == (1, 1)


async def test_another_workspace_has_no_such_category(database, scope, other_scope):
    """KB-27"""
    async with database.session(scope) as session:
        category = await make(session, "Ours")
    async with database.session(other_scope) as session:
        theirs = await make(session, "Ours")
        for attempt in (
            make(session, "In", category),
            put(session, theirs, category),
            write(session, category),
        ):
            with pytest.raises(Invalid):
                await attempt
        for attempt in (delete(session, category, cascade=True), put(session, category, theirs)):
            with pytest.raises(NotFound):
                await attempt
