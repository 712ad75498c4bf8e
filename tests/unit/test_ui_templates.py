import re
from collections import Counter
from datetime import timedelta

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2 import UndefinedError
from ui_support import (
    NAVIGATION,
    NOW,
    SHELL,
    SOURCE,
    TEMPLATES,
    assets,
    environment,
    fragment,
    styleguide,
    view,
)

from gptagent.ui.templates import reading, render, render_block
from gptagent.ui.view import Flash, NavItem, Preferences, View

# Letters are drawn by mail programs, which know no style sheet and no content policy.
PAGES = [path for path in TEMPLATES if path.parent.name != "letters"]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}
FORBIDDEN = {
    "style attribute": r"\sstyle\s*=",
    "style element": r"<style[\s>]",
    "event attribute": r"<[^>]*\son\w+\s*=",
    "script in the page": r"<script(?![^>]*\ssrc=)",
    "script address": r"javascript:",
    "htmx code": r"hx-(on|confirm|vars)\b",
}


def part_of(path):
    parts = path.relative_to(SOURCE).parts
    return parts[1] if parts[0] == "features" else parts[0]


def test_how_often_a_live_part_is_fetched_is_a_number_of_milliseconds():
    """`1s` was no number to the script: the part was fetched without a pause."""
    pages = [path.read_text() for path in TEMPLATES if "components" not in path.parts]
    given = [one for page in pages for one in re.findall(r"\bthrottle=([^,)]+)", page)]
    assert given
    assert all(re.fullmatch(r"\d+( if .+ else \d+)?", one) for one in given), given


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_component_is_drawn(language):
    page = styleguide(language)
    assert f'<html lang="{language}"' in page
    macros = set(
        re.findall(
            r"\{% macro ([a-z]\w*)\(", "".join(p.read_text() for p in TEMPLATES if "components" in p.parts)
        )
    )
    used = set(re.findall(r"\bui\.(\w+)\(", "".join(p.read_text() for p in TEMPLATES if part_of(p) == "ui")))
    assert macros
    assert macros - used == {"toast_oob"}  # a part of answers, drawn by its own test


def test_the_russian_page_has_no_english_sentence_of_the_catalogue():
    assert "No agents yet" in styleguide("en")
    assert "No agents yet" not in styleguide("ru")
    assert "Агентов пока нет" in styleguide("ru")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{part_of(path)}/{path.name}")
def test_a_template_has_nothing_that_the_content_policy_forbids(path):
    """U031, U210"""
    text = re.sub(r"\{[#%{].*?[#%}]\}", "", path.read_text(), flags=re.DOTALL)
    assert {name for name, pattern in FORBIDDEN.items() if re.search(pattern, text)} == set()


def test_a_drawn_page_has_nothing_that_the_content_policy_forbids():
    page = styleguide()
    assert {name for name, pattern in FORBIDDEN.items() if re.search(pattern, page)} == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{part_of(path)}/{path.name}")
def test_every_icon_of_a_template_is_in_the_sprite(path):
    named = re.findall(r'(?:\bicon\(|\bicon=|"icon": )"([\w-]+)"', path.read_text())
    assert set(named) - assets().icons == set()


def test_an_unknown_icon_is_an_error():
    with pytest.raises(LookupError, match="no icon 'sparkles'"):
        fragment('{{ icon("sparkles") }}')


@pytest.mark.parametrize("part", sorted({part_of(path) for path in TEMPLATES}))
def test_every_text_of_a_part_is_translated(part):
    """U203"""
    translated = set()
    for catalogue in (SOURCE / "locales/ru/LC_MESSAGES").glob("*.po"):
        with catalogue.open("rb") as file:
            translated |= {message.id for message in read_po(file) if message.string and all(message.string)}
    wanted = {message for path in TEMPLATES if part_of(path) == part for message in messages(path)}
    assert wanted - translated == set()


def messages(path):
    if path.name == "styleguide.html":
        return
    with path.open("rb") as file:
        yield from (
            found[1]
            for found in extract("jinja2.ext:babel_extract", file, KEYWORDS, options={"silent": "false"})
        )


def test_the_texts_of_the_python_files_are_translated():
    page = {
        name: fragment(name)
        for name in ("{{ 12|filesize }}", "{{ 2048|filesize }}", "{{ 3984588|filesize }}")
    }
    assert list(page.values()) == ["12 Б", "2 КБ", "3,8 МБ"]


def test_identifiers_are_unique_and_references_lead_somewhere():
    page = styleguide()
    ids = Counter(re.findall(r'\sid="([^"]+)"', page))
    assert [name for name, count in ids.items() if count > 1] == []
    references = re.findall(
        r'\s(?:for|commandfor|popovertarget|aria-labelledby|aria-describedby|form)="([^"]+)"', page
    )
    assert {name for value in references for name in value.split()} - set(ids) == set()


def test_buttons_without_words_and_fields_have_names():
    page = styleguide()
    for button in re.findall(r"<button[^>]*btn--icon[^>]*>.*?</button>", page, re.DOTALL):
        assert "aria-label=" in button or 'class="sr-only"' in button
    labelled = set(re.findall(r'<label[^>]*for="([^"]+)"', page))
    for field in re.findall(r'<(?:input|select|textarea)[^>]*class="(?:input|switch)"[^>]*>', page):
        name = re.search(r'\sid="([^"]+)"', field)
        assert "aria-label=" in field or 'type="search"' in field or (name and name[1] in labelled)


def test_every_form_that_changes_something_carries_the_token():
    page = styleguide()
    forms = re.findall(r'<form method="post".*?</form>', page, re.DOTALL)
    assert len(forms) > 5
    assert all('name="csrf_token" value="token-1"' in form for form in forms)
    assert """hx-headers:inherited='{"X-CSRF-Token": "token-1"}'""" in page


def test_text_of_people_is_escaped():
    assert "Lines &lt;b&gt;" in styleguide()
    assert "Lines <b>" not in styleguide()
    drawn = fragment(
        '{{ ui.message("client", "<i>", "<script>") }}{{ ui.toast("info", _("%(x)s", x="<u>")) }}'
    )
    assert re.findall(r"<(?:i|u|script)>", drawn) == []


def test_an_answer_can_carry_a_message_for_the_corner():
    answer = fragment('{{ ui.toast_oob("danger", _("Not available"), action=_("Repeat"), href="/x") }}')
    assert answer.startswith('<div id="toasts" hx-swap-oob="beforeend">')
    assert 'role="alert" data-toast="stay"' in answer
    assert "Недоступно" in answer


def test_a_missing_variable_is_an_error():
    with pytest.raises(UndefinedError):
        fragment("{{ nobody }}")


def test_the_sidebar_marks_the_page_and_shows_only_what_exists():
    """U008"""
    page = styleguide()
    links = re.findall(r'<a class="nav__link" href="([^"]+)"[^>]*?( aria-current="page")?>', page)
    assert links == [("/manage/1-lines/dashboard", ""), ("/manage/1-lines/ai-agents", ' aria-current="page"')]
    assert not SHELL.is_active(NavItem("Agents", "/ai", "bot", "/ai"))
    assert SHELL.is_active(NAVIGATION[1].items[0])


def test_what_the_browser_remembers_is_drawn_by_the_server():
    page = styleguide(theme="dark", sidebar="mini", nav_closed="2")
    assert 'data-theme="dark"' in page
    assert "sidebar--mini" in page
    assert '<details data-nav-section="2"><summary>' in page
    assert "data-theme=" not in styleguide().split("<head>")[0]


def test_a_strange_cookie_counts_as_not_set():
    assert Preferences.from_cookies({"theme": '"><script>', "sidebar": "x"}) == Preferences()


@pytest.mark.parametrize(
    ("status", "title"), [(403, "Сюда нужен другой доступ"), (404, "Такой страницы нет"), (500, "сломалось")]
)
def test_an_error_page_needs_nothing_but_its_status(status, title):
    page = render(environment(), "ui/layouts/error.html", view(), status=status)
    assert title in page
    assert page.count("<h1") == 1


@pytest.mark.parametrize("status", [403, 404, 413, 429, 500, 503])
def test_an_error_page_has_a_way_out_and_repeats_what_may_pass(status):
    """U033: by its address, so nothing that was a form"""
    known = {"status": status, "href": "/manage/1-x/dashboard"}
    page = render(environment(), "ui/layouts/error.html", view("en"), **known)
    assert re.search(r'<a class="btn[^"]*" href="/manage/1-x/dashboard">', page)
    repeat = r'<a class="btn btn--primary" href="">.*?Repeat'
    assert bool(re.search(repeat, page)) == (status == 429 or status >= 500)
    page = render(environment(), "ui/layouts/error.html", view("en"), repeats=False, **known)
    assert '<a class="btn btn--primary" href="/manage/1-x/dashboard">' in page and not re.search(repeat, page)


def test_breadcrumbs_begin_with_two():
    """U028"""
    assert fragment('{{ ui.breadcrumb([("Dashboard", "")]) }}').strip() == ""
    path = fragment('{{ ui.breadcrumb([("Dashboard", "/d"), ("Agents", "")]) }}')
    assert '<a href="/d">Dashboard</a>' in path and '<li aria-current="page">Agents</li>' in path


def test_a_message_for_the_next_page_is_shown_once_there():
    greeting = View("en", view("en").catalog, NOW, flashes=(Flash("success", "Saved & sound"),))
    page = render(environment(), "ui/layouts/error.html", greeting, status=404)
    assert page.count("Saved &amp; sound") == 1


def test_one_block_of_a_page_can_be_drawn_alone():
    block = render_block(environment(), "ui/layouts/error.html", "title", view("en"), text=("Only this", ""))
    assert block == "Only this"


def plain_spaces(text):
    return text.replace("\xa0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("source", "russian", "english"),
    [
        ("{{ 1234.5|number }}", "1 234,5", "1,234.5"),
        ("{{ 0.065|percent }}", "6,5 %", "6.5%"),
        ("{{ 0.12|percent }}", "12 %", "12%"),
        ("{{ 'anna maria kovaleva'|initials }}", "AM", "AM"),
        ("{{ ngettext('%(num)d pipeline', '%(num)d pipelines', 5) }}", "5 воронок", "5 pipelines"),
    ],
)
def test_numbers_follow_the_language(source, russian, english):
    """U204"""
    assert plain_spaces(fragment(source, "ru")) == russian
    assert fragment(source, "en") == english


@pytest.mark.parametrize(
    ("before", "russian", "english"),
    [
        (timedelta(seconds=10), "сегодня в 14:30, только что", "today at 2:30 PM, just now"),
        (timedelta(hours=5), "сегодня в 09:31, 5 часов назад", "today at 9:31 AM, 5 hours ago"),
        (timedelta(days=1), "вчера в 14:31, 1 день назад", "yesterday at 2:31 PM, 1 day ago"),
        (timedelta(days=30), "21.10.2026, 1 месяц назад", "10/21/2026, 1 month ago"),
    ],
)
def test_moments_follow_the_language_and_the_time_zone(before, russian, english):
    """U204"""
    source = environment().from_string("{{ at|when }}, {{ at|ago }}")
    for language, expected in (("ru", russian), ("en", english)):
        with reading(view(language)):
            assert plain_spaces(source.render(at=NOW - before)) == expected
