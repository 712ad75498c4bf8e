"""The administration in a real browser: each page on the phone and the desk, and a visit with other eyes."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from administrators import make_administrator
from browsers import CHROMIUM, keep_messages, too_wide
from cast import make_scope
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from members import add_member, cookie_of, number_of
from servers import serving

WIDTHS = (375, 768, 1280)
# Never reached: with a Redis configured a second web process is allowed beside the session's own.
NO_REDIS = "redis://:secret@127.0.0.1:1/0"
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture
async def ada(database, roles):
    scope = await make_scope(database, "Ada's")
    await make_administrator(roles, scope)
    return scope


@pytest.fixture
async def bob(database, scope):
    name = "Wonderland Furniture and Interiors, a company with a long name"
    email = "bob.with.a.rather.long.address@wonderland-furniture-and-interiors.example.test"
    async with database.session(scope) as session:
        await session.execute("update app.organization set name = $1", name)
        await audit.record(session, Entry("workspace.renamed", "workspace", "7", {"name": ("Alice's", name)}))
    return await add_member(database, scope, "member", email=email)


@pytest.fixture
def server(home, roles):
    with serving(home, REDIS_URL=NO_REDIS) as server:
        yield server


@pytest.fixture
async def page(browser, server, database, ada):
    context = await browser.new_context(base_url=server.url)
    await keep_messages(context)
    cookies = {"session": await cookie_of(database, ada), "language": "en"}
    await context.add_cookies([{"name": n, "value": v, "url": server.url} for n, v in cookies.items()])
    yield await context.new_page()
    await context.close()


async def test_every_page_fits_and_a_visit_with_other_eyes_comes_back(page, database, bob):
    number = await number_of(database, bob)
    paths = ("dashboard", "organizations", f"organizations/{number}", "people", "audit", "keys")
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        for path in (*paths, f"people/{bob.actor.id}"):
            await page.goto(f"/admin/{path}")
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert await too_wide(page) <= 0, f"{path} at {width} px"
        await page.get_by_role("button", name="Show a link to hand over").click()
        await expect(page.get_by_label("Link", exact=True)).to_have_value(re.compile("/reset-password/"))
        assert await too_wide(page) <= 0, f"a link at {width} px"
    await page.locator("#impersonate-reason").fill("Bob asked for help with a document.")
    await page.get_by_role("button", name="Begin").click()
    await expect(page.get_by_text("You see what Bob Member sees.")).to_be_visible()
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Bob Member")
    await expect(page.get_by_text("You see with your own eyes again.")).to_be_visible()
