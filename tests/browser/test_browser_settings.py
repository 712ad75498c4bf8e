"""Every page of account and workspace settings in a real browser: it fits, and nothing is complained of."""

import re
from pathlib import Path

import pytest

from browsers import CHROMIUM, too_wide
from cast import make_scope
from gptagent.entrypoints.pages import TABS
from members import cookie_of, number_of
from servers import serving

NO_TABS_OWN = {"/account-settings/confirm", "/account-settings/second-step"}
PAGES = sorted({item.href for tabs in TABS for item in tabs.items} | NO_TABS_OWN)
LOOKS = [
    (375, "dark", "ru"),
    (375, "light", "en"),
    (768, "light", "ru"),
    (1280, "light", "ru"),
    (1280, "dark", "en"),
]

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles):
    with serving(home, REGISTRATION="open") as server:
        yield server


def test_there_are_pages_to_look_at():
    assert len(PAGES) > 10


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_every_page_of_settings_fits_and_says_all_in_one_language(look, browser, web, database):
    """U005, U206"""
    width, theme, language = look
    scope = await make_scope(database, "Wonderland")
    context = await browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
    values = {"session": await cookie_of(database, scope), "theme": theme, "language": language}
    await context.add_cookies(
        [{"name": name, "value": value, "url": web.url} for name, value in values.items()]
    )
    page, complaints, wrong = await context.new_page(), [], []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in PAGES:
        answer = await page.goto(f"{web.url}/manage/{await number_of(database, scope)}{path}")
        excess = await too_wide(page)
        headings = await page.get_by_role("heading", level=1).count()
        if (answer.status, excess, headings) != (200, 0, 1):
            wrong.append((path, answer.status, excess, headings))
        told = (await page.inner_text("main")).replace("Русский", "")  # a language's own name
        is_russian = bool(re.search("[а-яё]", told, re.IGNORECASE))
        if is_russian != (language == "ru"):
            wrong.append((path, "another language"))
    assert wrong == []
    assert complaints == []
