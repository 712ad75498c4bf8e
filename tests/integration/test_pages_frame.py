"""The frame of every page: where the bare address leads, titles, and the way past the menu."""

import re

import pytest

from readers import texts

PAGES = ("/dashboard", "/conversations", "/ai-agents", "/ai-agents/create", "/knowledge-base", "/settings")


async def test_the_address_of_a_workspace_leads_to_its_dashboard(alice):
    """U001"""
    answer = await alice.http.get(alice.base)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{alice.base}/dashboard")


@pytest.mark.parametrize(("language", "brand"), [("ru", "GPT Агент"), ("en", "GPT Agent")])
async def test_each_page_is_titled_by_its_own_name_and_the_brand(language, brand, alice, stranger):
    """U004"""
    for reader in (alice, stranger):
        reader.http.cookies.set("language", language)
    pages = [await alice.open(path) for path in PAGES] + [await stranger.open("/login")]
    titles = [re.search(r"<title>([^<]+) - ([^<]+)</title>", page.text).groups() for page in pages]
    assert {whose for _, whose in titles} == {brand}
    assert len({name for name, _ in titles}) == len(pages)


async def test_the_first_link_of_a_page_leads_past_the_menu(alice, stranger):
    """U006"""
    for page in [await alice.open(path) for path in PAGES] + [await stranger.open("/login")]:
        body = page.text.partition("<body")[2]
        assert re.search(r"<a [^>]*>", body)[0] == '<a class="skip-link" href="#main">', page.url
        assert len(re.findall(r'<main[^>]* id="main" tabindex="-1"', body)) == 1, page.url
        assert "Skip to the content" in texts(page)
