"""The pages of categories and articles without a script: what is in the address, forms, errors."""

import re

import pytest

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles.model import ArticleFilter
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import NewArticle
from gptagent.kernel.clock import utcnow
from readers import shown_in, texts

TEXT = "Long enough a text."


@pytest.fixture
async def made(database, scope):
    """Two categories, one in the other, and three articles in them."""
    async with database.session(scope) as session:
        top = await categories.create_category(session, NewCategory("Goods"), now=utcnow())
        below = await categories.create_category(
            session, NewCategory("Prices", parent_id=top.id), now=utcnow()
        )
        articles = [
            await service.create_article(session, new, now=utcnow())
            for new in (
                NewArticle("Apples", TEXT, categories=(top.id,), tags=("fruit",)),
                NewArticle("Beets", TEXT, is_active=False, categories=(below.id,)),
                NewArticle("Carrots", TEXT),
            )
        ]
    return top, below, articles


def rows(page):
    return re.findall(r'class="table__main" href="[^"]+">([^<]+)<', page.text)


async def test_categories_are_listed_as_a_tree_and_filtered_sorted_and_paged_by_the_address(alice, made):
    """U139, U142"""
    top, _below, _articles = made
    for query, expected in (
        ("", ["General", "Goods", "Prices"]),
        (f"?parent={top.id}", ["Prices"]),
        ("?sort=-title", ["Prices", "Goods", "General"]),
        ("?q=pric", ["Prices"]),
        ("?size=10&page=2", []),
        ("?parent=nonsense&size=7&page=x&sort=drop", ["General", "Goods", "Prices"]),
    ):
        page = await alice.open(f"/knowledge-categories{query}")
        assert page.status_code == 200
        assert rows(page) == expected, query


async def test_a_category_is_created_with_another_after_it_and_wrong_fields_are_kept(alice, made):
    """U139"""
    top, _below, _articles = made
    form = {"title": "Fruit", "description": "All of them", "parent_id": str(top.id), "another": "on"}
    answer = await alice.send("/knowledge-categories/create", form)
    assert answer.headers["location"].endswith(f"/create?parent={top.id}")
    page = await alice.follow(answer)
    assert f'<option value="{top.id}" selected>' in page.text
    again = await alice.send("/knowledge-categories/create", form)
    assert again.status_code == 422
    assert "There is a category with this title here already." in texts(again)
    assert "All of them" in again.text


async def test_a_full_category_is_deleted_only_with_its_box_ticked(alice, made):
    """U141"""
    top, _below, _articles = made
    path = f"/knowledge-categories/{top.id}/delete"
    refused = await alice.follow(await alice.send(path, {}))
    assert "A category that is not empty cannot be deleted like this." in texts(refused)
    gone = await alice.follow(await alice.send(path, {"cascade": "on"}))
    assert rows(gone) == ["General"]


async def test_the_list_of_categories_counts_what_is_in_each_and_leads_there(alice, made):
    """U143"""
    top, below, _articles = made
    page = await alice.open("/knowledge-categories?sort=title")
    cells = re.findall(
        r'data-label="(?:Subcategories|Articles)"[^>]*>(?:<a href="([^"]+)">)?(\d+)', page.text
    )
    items, places = f"{alice.base}/knowledge-items?category=", f"{alice.base}/knowledge-categories?"
    assert [number for _link, number in cells] == ["0", "1", "1", "1", "0", "1"]
    links = [link.replace("&amp;", "&") for link, _number in cells if link]
    assert links[1].startswith(places) and f"parent={top.id}" in links[1]
    assert links[2:] == [f"{items}{top.id}", f"{items}{below.id}"]


async def test_a_category_is_moved_on_the_list(alice, made):
    top, _below, _articles = made
    answer = await alice.send(f"/knowledge-categories/{top.id}/move", {"direction": "up", "size": "10"})
    assert answer.headers["location"].endswith("/knowledge-categories?size=10")
    assert rows(await alice.follow(answer)) == ["Goods", "Prices", "General"]


async def test_articles_are_filtered_and_sorted_by_the_address_and_each_filter_is_taken_off(alice, made):
    """U149"""
    top, below, _articles = made
    for query, expected in (
        ("", ["Carrots", "Beets", "Apples"]),
        ("?sort=title", ["Apples", "Beets", "Carrots"]),
        (f"?category={top.id}", ["Beets", "Apples"]),
        (f"?category={below.id}&status=active", []),
        ("?tag=fruit", ["Apples"]),
        ("?q=carr", ["Carrots"]),
        ("?status=inactive", ["Beets"]),
    ):
        page = await alice.open(f"/knowledge-items{query}")
        assert rows(page) == expected, query
    page = await alice.open(f"/knowledge-items?q=e&category={top.id}&status=inactive&sort=title&size=50")
    without = {
        link.replace("&amp;", "&").partition("?")[2]
        for link in re.findall(r'class="chip__remove" href="([^"]+)"', page.text)
    }
    assert without == {
        f"category={top.id}&status=inactive&sort=title&size=50",
        "q=e&status=inactive&sort=title&size=50",
        f"q=e&category={top.id}&sort=title&size=50",
    }


async def test_chosen_articles_are_changed_and_the_same_list_is_shown_again(alice, made, database, scope):
    """U150"""
    _top, below, articles = made
    ids = [str(one.id) for one in articles]
    form = {"ids": ids, "action": "move", "to": str(below.id), "status": "active", "sort": "title"}
    answer = await alice.send("/knowledge-items/bulk", form)
    assert answer.headers["location"].endswith("/knowledge-items?status=active&sort=title")
    async with database.session(scope) as session:
        _found, total = await service.find_articles(session, ArticleFilter(category_id=below.id))
    assert total == 3
    for wrong, said in (
        ({"action": "delete"}, "Choose articles first."),
        ({"ids": ids, "action": "move"}, "Choose a category."),
    ):
        page = await alice.follow(await alice.send("/knowledge-items/bulk", wrong))
        assert said in texts(page)
    await alice.send("/knowledge-items/bulk", {"ids": ids[:2], "action": "delete"})
    assert rows(await alice.open("/knowledge-items")) == ["Carrots"]


async def test_an_article_is_written_with_categories_tags_and_relatives(alice, made, database, scope):
    """U144, U146"""
    top, below, (apples, beets, _carrots) = made
    form = {
        "title": "Peas",
        "content": TEXT,
        "is_active": "on",
        "categories": [str(top.id), str(below.id)],
        "tags": "green, round",
        "related": [str(apples.id)],
        "related_q": "bee",
        "find": "",
    }
    searched = await alice.send("/knowledge-items/create", form)
    offered = re.findall(r'name="related" value="([^"]+)"( checked)?', searched.text)
    assert offered == [(str(apples.id), " checked"), (str(beets.id), "")]
    assert 'value="green, round"' in searched.text
    del form["find"]
    editor = await alice.follow(await alice.send("/knowledge-items/create", form))
    assert len(re.findall(r'name="categories" value="[^"]+" checked', editor.text)) == 2
    async with database.session(scope) as session:
        (peas,), _total = await service.find_articles(session, ArticleFilter("Peas"))
        peas = await service.get_article(session, peas.id)
    assert peas.tags == ("green", "round") and peas.related == (apples.id,)


async def test_an_article_names_what_is_missing_is_followed_by_another_and_is_deleted(
    alice, made, database, scope
):
    """U144, U145"""
    top, _below, _articles = made
    path = "/knowledge-items/create"
    refused = await alice.send(path, {"title": " ", "content": "Too short", "tags": "green"})
    assert refused.status_code == 422 and refused.text.count('aria-invalid="true"') == 2
    assert "Too short" in refused.text and 'value="green"' in refused.text
    assert "Write at least 10 characters." in texts(refused)
    typed = {"title": "Peas", "content": TEXT, "is_active": "on", "categories": str(top.id), "another": "on"}
    answer = await alice.send(path, typed)
    assert answer.headers["location"].endswith(path)
    empty = shown_in(await alice.follow(answer), f"{alice.base}{path}")
    assert (empty["title"], empty["content"]) == ([""], [""])
    async with database.session(scope) as session:
        (peas,), _total = await service.find_articles(session, ArticleFilter("Peas"))
    page = await alice.follow(await alice.send(f"/knowledge-items/{peas.id}/delete"))
    assert "The article is deleted" in texts(page) and "Peas" not in rows(page)


async def test_files_are_added_to_an_article_listed_handed_out_and_removed(alice, dora, made):
    """U147: the others of an upload are named with their reason"""
    _top, _below, (apples, *_rest) = made
    path = f"/knowledge-items/{apples.id}"
    assert "Choose a file first." in texts(await alice.send(f"{path}/files", files=[("files", ("", b""))]))
    sent = [("files", ("plan.pdf", b"%PDF-1.7 plan")), ("files", ("tool.exe", b"MZ"))]
    refused = await alice.send(f"{path}/files", files=sent)
    assert refused.status_code == 422
    assert "tool.exe Files of this type cannot be sent." in texts(refused)
    page = await alice.open(f"{path}/edit")
    assert "plan.pdf" in texts(page) and "tool.exe" not in texts(page) and "data-drop" in page.text
    (place,) = re.findall(rf'href="{alice.base}({path}/files/[^"]+)">plan.pdf<', page.text)
    handed = await dora.open(place)
    assert handed.content == b"%PDF-1.7 plan" and "attachment" in handed.headers["content-disposition"]
    assert (await dora.send(f"{place}/delete")).status_code == 403
    page = await alice.follow(await alice.send(f"{place}/delete"))
    assert "The file is removed" in texts(page) and "plan.pdf" not in texts(page)


async def test_a_version_is_looked_at_and_restored(alice, dora, made, database, scope):
    _top, _below, (apples, *_rest) = made
    path = f"/knowledge-items/{apples.id}"
    changed = {"title": "Pears", "content": "Pears are sold now.", "is_active": "on"}
    await alice.send(f"{path}/edit", changed)
    listed = await alice.open(f"{path}/versions")
    assert "Version 2" in listed.text and "Version 1" in listed.text
    assert "Apples" in texts(await dora.open(f"{path}/versions/1"))
    assert (await dora.send(f"{path}/versions/1/restore", {})).status_code == 403
    editor = await alice.follow(await alice.send(f"{path}/versions/1/restore", {}))
    assert 'value="Apples"' in editor.text
    assert (await alice.open(f"{path}/versions/99")).status_code == 404


async def test_who_may_only_look_has_no_form_of_categories(dora, made):
    top, _below, (apples, *_rest) = made
    for path in ("/knowledge-categories", f"/knowledge-categories/{top.id}/edit", "/knowledge-items"):
        page = await dora.open(path)
        assert page.status_code == 200
        assert 'method="post" action="/manage' not in page.text
    for path in (
        "/knowledge-categories/create",
        f"/knowledge-categories/{top.id}/edit",
        f"/knowledge-categories/{top.id}/move",
        f"/knowledge-categories/{top.id}/delete",
        "/knowledge-items/bulk",
        "/knowledge-items/related",
    ):
        assert (await dora.send(path, {"title": "Stolen"})).status_code == 403
    assert "Apples" in texts(await dora.open(f"/knowledge-items/{apples.id}/edit"))
