"""The pages of the knowledge base as people use them, on the phone and at the desk."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from browsers import CHROMIUM, too_wide
from cast import make_scope
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.gaps import service as gaps
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.sites.jobs import SiteJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope
from members import cookie_of, number_of
from servers import serving
from websites import website

LONG_WORD = "Electroencephalographicoophthalmodynamometrically"
PRICES = "Acme Ltd answers at sales@acme.example.\n\n- Chair — $30, until 2026-12-31\n- Desk — $90"

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@dataclass
class Desk:
    """One person's browser. `complaints` are the console's errors, `too_wide` pages that scroll sideways."""

    page: Page
    database: Database
    scope: Scope
    base: str
    complaints: list[str]
    too_wide: list[str]

    async def open(self, path):
        answer = await self.page.goto(f"{self.base}{path}")
        assert answer.status == 200, path
        await self.fits()

    async def fits(self):
        if await too_wide(self.page) > 0:
            self.too_wide.append(self.page.url)

    async def press(self, name):
        await self.follow(self.page.get_by_role("button", name=name, exact=True).first)

    async def follow(self, target):
        """Click what leads to another page, and look at that."""
        async with self.page.expect_navigation():
            await target.click()
        await self.fits()

    async def says(self, text):
        await expect(self.page.locator("body")).to_contain_text(text)

    async def write(self, title, content):
        async with self.database.session(self.scope) as session:
            return await knowledge.create_article(session, NewArticle(title, content), now=utcnow())

    def context(self, folder):
        return JobContext(self.database, LocalFiles(folder), self.scope, 1, 1)


@pytest.fixture
async def web_site():
    async with website() as found:
        yield found


@pytest.fixture
async def visit(browser, home, roles, database, web_site):
    """Return what opens a browser of this width in a workspace of its own."""
    host, port = web_site.host_port
    with serving(home, REGISTRATION="open", RATE_FACTOR="1000", EGRESS_ALLOW=f"{host}:{port}") as web:

        async def enter(width):
            scope = await make_scope(database, f"Wonderland {width}")
            context = await browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
            values = {"session": await cookie_of(database, scope), "language": "en"}
            await context.add_cookies([{"name": n, "value": v, "url": web.url} for n, v in values.items()])
            page, complaints = await context.new_page(), []
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            base = f"{web.url}/manage/{await number_of(database, scope)}"
            return Desk(page, database, scope, base, complaints, [])

        yield enter
        for context in list(browser.contexts):
            await context.close()


async def test_long_words_stay_in_their_place_on_the_phone(visit):
    """U005, U206"""
    desk = await visit(375)
    article = await desk.write(LONG_WORD, f"# {LONG_WORD}\n\nEnough is said of it.")
    parent = None
    async with desk.database.session(desk.scope) as session:
        for depth in range(3):
            new = NewCategory(f"Physiotherapy and {LONG_WORD} at depth {depth}", parent_id=parent)
            parent = (await categories.create_category(session, new, now=utcnow())).id
    await desk.open("/knowledge-base")
    file = {"name": f"{LONG_WORD}.txt", "mimeType": "text/plain", "buffer": b"Chairs cost $30."}
    async with desk.page.expect_navigation():  # choosing sends
        await desk.page.set_input_files("input[type=file]", file)
    await desk.fits()
    await desk.says(f"{LONG_WORD}.txt")
    for path in (
        "/knowledge-base",
        "/knowledge-items",
        "/knowledge-categories",
        f"/knowledge-categories/{parent}/edit",
    ):
        await desk.open(path)
    await desk.open(f"/knowledge-items/{article.id}/edit")
    assert await desk.page.locator("h1").count() == 1  # what the preview shows stands below it
    items = await desk.page.locator(".check-list__item").all()
    rows = [(await item.bounding_box(), await item.locator("span").last.bounding_box()) for item in items]
    assert len(rows) > 3
    for (_, words), (below, _) in pairwise(rows):
        assert words["y"] + words["height"] <= below["y"], "a name lies over the next one"
    assert desk.too_wide == []


@pytest.mark.timeout(300)
async def test_the_knowledge_base_is_kept_by_hand_on_the_phone_and_at_the_desk(visit, web_site, tmp_path):
    """KB-1, KB-19, KB-20, KB-21, KB-23, KB-28, U149, U150, U154"""
    for width in (375, 1280):
        desk = await visit(width)
        await articles(desk)
        await bench(desk)
        await gap(desk)
        await graph(desk, tmp_path)
        await script(desk)
        await site(desk, web_site, tmp_path)
        assert desk.too_wide == [] and desk.complaints == [], width
        await desk.page.context.close()


async def articles(desk):
    """An article by the toolbar, with its preview; then a filter and a change of several."""
    page = desk.page
    await desk.open("/knowledge-items/create")
    await page.get_by_label("Title").fill("Delivery to Kazan")
    field = page.locator("#content")
    await field.fill("Delivery costs 490 roubles.")
    await field.evaluate("field => field.setSelectionRange(15, 26)")
    await page.get_by_role("toolbar", name="Formatting").get_by_role("button", name="Bold").click()
    await expect(field).to_have_value("Delivery costs **490 roubles**.")
    await expect(page.locator("#content-preview strong")).to_have_text("490 roubles")
    await desk.fits()
    await desk.press("Save")
    await desk.says("Delivery to Kazan")
    await desk.write("Opening hours", "The shop is open until nine.")
    await desk.open("/knowledge-items")
    await page.get_by_role("searchbox").fill("delivery")
    await page.wait_for_url("**q=delivery**")
    await expect(page.locator(".kb-articles tbody tr")).to_have_count(1)
    await page.get_by_label("Choose “Delivery to Kazan”").check()
    await desk.press("Switch off")
    await expect(page.get_by_role("switch", name="Delivery to Kazan")).not_to_be_checked()
    await page.get_by_label("Choose “Delivery to Kazan”").check()
    await desk.press("Switch on")
    await expect(page.get_by_role("switch", name="Delivery to Kazan")).to_be_checked()
    await desk.open("/knowledge-items")
    await expect(page.get_by_role("switch", name="Opening hours")).to_be_checked()


async def bench(desk):
    """A question, what the base finds for it, and the question kept."""
    page = desk.page
    await desk.open("/knowledge-bench")
    await page.get_by_label("Question", exact=True).fill("What does delivery to Kazan cost?")
    await desk.press("Ask")
    await desk.says("Would be answered")
    await desk.says("Quoted without a model")
    await page.get_by_text("Delivery to Kazan", exact=True).last.click()
    await desk.press("Save the question")
    await expect(page.locator("article.doc")).to_contain_text("What does delivery to Kazan cost?")


async def gap(desk):
    """What was asked in vain becomes an article, and counts as answered."""
    page = desk.page
    question = "Do you engrave rings?"
    async with desk.database.session(desk.scope) as session:
        conversation_id = await talk(session)
        asked = knowledge.Asked(new_id(), conversation_id, conversation_id, question, False, 0.0, utcnow())
        await gaps.note_question(session, asked)
    await desk.open("/knowledge-gaps")
    await desk.follow(page.get_by_role("link", name="Write an article"))
    await expect(page.get_by_label("Title")).to_have_value(question)
    await page.locator("#content").fill("Yes, we engrave rings within a day.")
    await page.get_by_label("Active").check()
    await desk.press("Save")
    await desk.says("Answered")


async def talk(session) -> UUID:
    """Make a conversation; return its id."""
    connection_id, conversation_id = new_id(), new_id()
    await session.execute(
        """insert into app.crm_connection (id, provider, host, account_id, name, token_sealed, hook_hash,
                                           hook_sealed)
           values ($1, 'kommo', 'x.kommo.test', $2, 'X', '', $3, '')""",
        connection_id,
        connection_id.int % 2**31,
        connection_id.bytes,
    )
    await session.execute(
        """insert into app.conversation (id, connection_id, chat_id, customer_name, channel)
           values ($1, $2, $3, 'Ann', 'waba')""",
        conversation_id,
        connection_id,
        conversation_id.hex,
    )
    return conversation_id


async def graph(desk, folder):
    """A fact is corrected on its entity's page."""
    page = desk.page
    article = await desk.write("Prices", PRICES)
    await GraphJobs(None).extract(desk.context(folder), str(article.id))
    await desk.open("/knowledge-graph?q=chair")
    await desk.follow(page.get_by_role("link", name="Chair", exact=True))
    fact = page.locator(".graph-fact").filter(has_text="30").first
    await fact.get_by_text("Correct it").click()
    await desk.fits()
    await fact.get_by_label("Value").fill("$35")
    await desk.follow(fact.get_by_role("button", name="Save"))
    await desk.says("$35")
    await desk.says("Corrected by hand")
    await desk.fits()


async def script(desk):
    """A script, and what is said of its variables."""
    page = desk.page
    await desk.open("/knowledge-scripts/create")
    await page.get_by_label("Title").fill("Greeting")
    await page.get_by_label("What the agent says").fill("Hello {{customer_name}}, {{moon_phase}}!")
    await desk.press("Save")
    await desk.says("Nothing is known by this name")


async def site(desk, web_site, folder):
    """A site is added; its page shows how far it is while it is read."""
    page = desk.page
    web_site.page("/", "Tea house", "/tea")
    web_site.page("/tea", "Tea costs 300 roubles")
    await desk.open("/knowledge-sites/create")
    await page.get_by_label("Address").fill(web_site.url())
    await desk.press("Add")
    await page.wait_for_url("**/knowledge-sites/0*")
    await desk.says("Latest reading")
    egress = Egress(frozenset({web_site.host_port}), plain=True)
    site_id = page.url.rpartition("/")[2].partition("?")[0]
    reading = asyncio.create_task(SiteJobs(egress, pause=0.2).crawl(desk.context(folder), site_id))
    await expect(page.locator("article.doc").filter(has_text="Tea costs 300 roubles")).to_be_visible()
    await reading
    await egress.aclose()
    await expect(page.get_by_role("button", name="Read again")).to_be_visible()
    await desk.fits()
