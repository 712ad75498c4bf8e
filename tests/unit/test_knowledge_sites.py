"""Addresses in one spelling, robots.txt, and what is looked at in a page."""

import gzip

import pytest

from gptagent.features.knowledge.sites import robots
from gptagent.features.knowledge.sites.addresses import is_same_site, link_on, normal, typed
from gptagent.features.knowledge.sites.reading import decoded, in_utf8, read_page, read_sitemap
from gptagent.features.knowledge.sites.robots import DELAY_MAX_SECONDS, Robots

START = "https://shop.example/"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("HTTPS://Shop.Example:443", "https://shop.example/"),
        ("https://shop.example/a/../b/./c/", "https://shop.example/b/c/"),
        ("https://shop.example/?utm_source=x&id=1&yclid=2#top", "https://shop.example/?id=1"),
        ("https://shop.example/%7euser/a%2fb", "https://shop.example/~user/a%2Fb"),
        ("https://магазин.рф/цены", "https://xn--80aaaf3bi3b5a.xn--p1ai/%D1%86%D0%B5%D0%BD%D1%8B"),
        ("https://shop.example./a b?q=100%", "https://shop.example/a%20b?q=100%25"),
        ("http://shop.example:8080/x", "http://shop.example:8080/x"),
        ("https://[::1]/x", "https://[::1]/x"),
    ],
)
def test_a_page_has_one_address(written, kept):
    if "магазин" in written:  # its spelling in ASCII is the standard library's affair
        kept = kept.replace("xn--80aaaf3bi3b5a", "магазин".encode("idna").decode())
    found = normal(written.replace(" ", "%20"))
    assert found == kept and normal(found) == found


@pytest.mark.parametrize(
    "text",
    ["", "  ", "javascript:alert(1)", "ftp://shop.example/", "file:///etc/passwd", "https://",
     "https://a b.example", "https://user:secret@shop.example/", "//shop.example", "https://shop.example:99999/",
     "https://-.example/", "https://[::1", "data:text/html,x", "gopher://shop.example/",
     "https://shop.example/" + "x" * 3000,
     "https://shop.example:0/", "http://a@127.0.0.1/", "mailto:a@shop.example"],
)  # fmt: skip
def test_what_is_no_address_of_a_page_is_none(text):
    """KB-19"""
    assert typed(text) is None


def test_an_address_is_https_unless_it_says_otherwise():
    assert typed(" shop.example/price ") == "https://shop.example/price"
    assert typed("http://shop.example") == "http://shop.example/"


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("price", "https://shop.example/dir/price"),
        ("http://www.shop.example/x", "https://www.shop.example/x"),
        ("https://shop.example.evil.example/", None),
        ("https://evil.example/", None),
        ("//127.0.0.1/", None),
        ("https://shop.example:8443/", None),
        ("mailto:a@shop.example", None),
        ("/photo.JPG", None),
        ("/list.pdf", "https://shop.example/list.pdf"),
    ],
)
def test_links_stay_on_the_site(link, leads_to):
    assert link_on(link, "https://shop.example/dir/page", START) == leads_to


def test_a_site_is_its_host_with_and_without_www():
    assert is_same_site("http://www.shop.example/a", "https://shop.example/b")
    assert not is_same_site("https://blog.shop.example/", START)


ROBOTS = """\ufeff# A comment
User-agent: otherbot
Disallow: /

User-agent: *
Disallow: /private
Allow: /private/open
Disallow: /*.pdf$
Disallow: /search?*q=
Crawl-delay: 500
Sitemap: https://shop.example/one.xml

User-agent: *
Disallow: /also
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", True), ("private", False), ("private/x", False), ("private/open/x", True), ("a/b.pdf", False),
        ("a/b.pdf?x", True), ("search?a=1&q=2", False), ("search", True), ("also", False),
        ("%70rivate", False),
    ],
)  # fmt: skip
def test_the_longest_rule_decides(path, allowed):
    robots = Robots.parse(ROBOTS)
    assert robots.allows(normal(START + path) or "") is allowed


def test_rules_that_name_us_are_the_ones_that_count():
    robots = Robots.parse(
        "User-agent: *\nDisallow: /\n\nUser-agent: a\nUser-agent: GPTAgentBot/1.0\nDisallow: /x\n"
    )
    assert robots.allows(START) and not robots.allows(START + "x")
    empty = Robots.parse("User-agent: gptagentbot\nDisallow:\n\nUser-agent: *\nDisallow: /")
    assert empty.allows(START)


def test_a_pause_is_bounded_and_sitemaps_are_named():
    robots = Robots.parse(ROBOTS)
    assert robots.delay == DELAY_MAX_SECONDS and robots.sitemaps == ("https://shop.example/one.xml",)
    delays = [Robots.parse(f"User-agent: *\nCrawl-delay: {said}").delay for said in ("nan", "-1", "x", "2")]
    assert delays == [0, 0, 0, 2]


def test_a_rule_made_to_be_slow_is_not():
    robots = Robots.parse("User-agent: *\nDisallow: /" + "*a" * 500 + "$\n")
    assert robots.allows(START + "a" * 400 + "b")


PAGE = """<!doctype html><html><head><title>Prices &amp; terms</title>
<base href="/shop/"><link rel="canonical" href="https://shop.example/prices"></head>
<!-- <a href="/hidden">x</a> --><script>document.write('<a href="/script">x</a>')</script>
<body><h1>Prices</h1><a href='one?utm_medium=mail'>One</a> <a rel=nofollow href=/login>In</a>
<A HREF="https://other.example/">Away</A> <a href="#top">Up</a><a href="two">Two</a></body></html>"""


def test_a_page_is_looked_at():
    seen = read_page(PAGE, "https://shop.example/shop/x", START, {})
    assert seen.title == "Prices & terms" and seen.canonical == "https://shop.example/prices"
    assert seen.links[:1] == ("https://shop.example/shop/one",)
    assert not {link for link in seen.links if "hidden" in link or "script" in link or "login" in link}
    assert not seen.is_noindex


def test_markup_may_change_without_a_change_of_what_is_said():
    plain = read_page("<p>The price is 5.</p>", START, START, {})
    dressed = read_page("<p class=x>The price is 5.</p><script nonce=1>now()</script>", START, START, {})
    other = read_page("<p>The price is 6.</p>", START, START, {})
    assert plain.digest == dressed.digest != other.digest


@pytest.mark.parametrize(
    ("meta", "headers", "noindex", "links"),
    [
        ('<meta name="robots" content="noindex, follow">', {}, True, 1),
        ('<META CONTENT="none" NAME="ROBOTS">', {}, True, 0),
        ('<meta name="gptagentbot" content="nofollow">', {}, False, 0),
        ('<meta name="otherbot" content="noindex">', {}, False, 1),
        ("", {"x-robots-tag": "noindex"}, True, 1),
        ("", {"x-robots-tag": "otherbot: noindex"}, False, 1),
    ],
)
def test_an_owner_keeps_pages_out(meta, headers, noindex, links):
    seen = read_page(f'{meta}<a href="/a">A</a>', START, START, headers)
    assert (seen.is_noindex, len(seen.links)) == (noindex, links)


@pytest.mark.parametrize(
    "part",
    [
        "<",
        "<!--",
        "<a ",
        '<a href="',
        "<a href='",
        "<script>",
        "<title>",
        "<a a=",
        "&#",
        "<loc>",
        "<a" + " x" * 9,
    ],
)
def test_a_page_made_to_be_slow_or_endless_is_looked_at(part):
    """Ends at once: were the time to grow with the square, these would take hours."""
    assert len(read_page(part * 200_000, START, START, {"link": part * 1_000}).links) <= 1
    read_sitemap(part.encode() * 200_000, START)


def test_encodings_are_told_by_the_answer_or_the_page():
    text = "<title>Цены</title>"
    assert decoded(text.encode("cp1251"), "windows-1251") == text
    assert decoded(("<meta charset=koi8-r>" + text).encode("koi8-r"), None).endswith(text)
    assert in_utf8(text.encode("koi8-r"), "KOI8-R").decode("utf-8-sig") == text
    assert in_utf8(text.encode(), "koi8-r") == text.encode()


MAP = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>
<urlset xmlns:image="i"><url><loc> https://shop.example/a?x=1&amp;y=2 </loc><image:image>
<image:loc>https://shop.example/pic</image:loc></image:image></url><url><loc><![CDATA[https://shop.example/b]]></loc>
</url><url><loc>https://evil.example/c</loc></url><url><loc>&e;</loc></url></urlset>"""


def test_a_sitemap_names_pages_of_its_site_only():
    maps, pages = read_sitemap(MAP.encode(), START)
    assert maps == [] and pages[:2] == ["https://shop.example/a?x=1&y=2", "https://shop.example/b"]
    assert not [page for page in pages if "evil" in page or "passwd" in page or "pic" in page]
    assert read_sitemap(gzip.compress(MAP.encode()), START)[1] == pages
    assert read_sitemap(b"https://shop.example/t\nhttps://evil.example/\n", START)[1] == [
        "https://shop.example/t"
    ]


def test_an_index_names_sitemaps():
    index = b"<sitemapindex><sitemap><loc>http://shop.example/1.xml</loc></sitemap></sitemapindex>"
    assert read_sitemap(index, START) == (["https://shop.example/1.xml"], [])


def test_a_bomb_in_a_sitemap_ends_at_the_cap():
    bomb = gzip.compress(b"<urlset>" + b" " * 50_000_000)
    assert read_sitemap(bomb, START) == ([], [])


def test_names_and_lines_of_a_hostile_robots_txt_are_looked_at_once_each(monkeypatch):
    """KB-19: not every line against every name above it."""
    looked = []
    real = robots._is_ours
    monkeypatch.setattr(robots, "_is_ours", lambda name: looked.append(name) or real(name))
    names = [f"User-agent: bot{number}" for number in range(300)]
    lines = [f"Disallow: /{number}" for number in range(robots.RULES_MAX + 100)]
    found = Robots.parse("\n".join([*names, "User-agent: *", *lines, "User-agent: last", "Disallow: /"]))
    assert len(looked) == 302 and len(found.rules) == robots.RULES_MAX
    assert not found.allows(START + "7") and found.allows(START)


def test_an_address_of_steps_up_is_walked_once():
    """KB-19: taken step by step from a copy of the rest, this one would take hours."""
    steps = 400_000
    assert normal(START + "a/" * steps + "%2e%2e/" * steps) == START
