"""The test chat as people use it: the answer grows while the model speaks, the drawer explains it."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import async_playwright, expect

from browsers import CHROMIUM, too_wide
from cast import make_scope
from gptagent.features.agents import service as agents
from gptagent.features.dialog.trying.model import MESSAGE_MAX_CHARS
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.questions import service as questions
from gptagent.kernel.clock import utcnow
from gptagent.sandbox.spawn import running
from members import cookie_of, number_of
from servers import serving, working

QUESTION = "How much does delivery to the city cost?"
INVENTED = "Delivery to the city costs 590 roubles and takes a very long time indeed [1]."
TRUE = "**Delivery** to the city costs 490 roubles, says the price list [1]."
SAID = "Delivery to the city costs 490 roubles, says the price list."

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


def say(llm, *, token_ms):
    """Have the model take so long for each word."""
    httpx2.post(f"{llm}/_sandbox/knobs", json={"token_ms": token_ms}).raise_for_status()


@pytest.fixture
def llm():
    """A model that speaks slowly enough to be seen speaking."""
    with running("llm") as url, httpx2.Client(base_url=f"{url}/_sandbox") as http:
        say(url, token_ms=2_000)  # until what is being said has been seen
        rules = [{"match": "has no source", "reply": TRUE}, {"reply": INVENTED}]
        http.post("/script?replace=1", json=rules).raise_for_status()
        yield url


@pytest.fixture
async def workspace(database):
    scope = await make_scope(database)
    async with database.session(scope) as session:
        article = NewArticle("Delivery", "Delivery to the city costs 490 roubles. It takes two days.")
        await knowledge.create_article(session, article, now=utcnow())
        agent = await agents.create_agent(session, "Support", locale="en")
        await agents.update_agent(session, agent.id, {"markdown": True})
        await questions.save_question(session, QUESTION, [], now=utcnow())
    return scope


@pytest.fixture
def served(home, roles, llm):
    parts = urlsplit(llm)
    settings = {"LLM_MODEL": "sandbox", "LLM_BASE_URL": f"{llm}/v1", "LLM_API_KEY": "key"}
    settings["EGRESS_ALLOW"] = f"{parts.hostname}:{parts.port}"
    with serving(home, **settings) as server, working(home, **settings):
        yield server


async def write_as_people_do(page, box, send):
    """A line below the first one sends nothing; there is room for so much and no more; blanks are nothing."""
    sent = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "POST" else None)
    await box.fill("   ")
    await expect(send).to_be_disabled()
    await box.press("Enter")
    await box.fill("Hello.")
    await expect(send).to_be_enabled()
    await box.press("Shift+Enter")
    await page.keyboard.insert_text("Are you there?")
    await expect(box).to_have_value("Hello.\nAre you there?")
    await box.fill("")
    await page.keyboard.insert_text("x" * (MESSAGE_MAX_CHARS + 7))
    await expect(box).to_have_value("x" * MESSAGE_MAX_CHARS)
    await expect(page.locator(".msg")).to_have_count(0)
    assert sent == [], "only Enter alone sends"
    await box.fill("")
    await expect(send).to_be_disabled()


async def see_the_draft(page, llm):
    """See the words that have come so far, and hear the rest of them at once."""
    draft = page.locator(".test-draft")
    await expect(draft).to_contain_text("Delivery to the city", timeout=60_000)
    await expect(draft).to_contain_text("draft, not checked yet")
    say(llm, token_ms=20)


async def copy_the_answer(page, box):
    """It says so for two seconds of the page's clock, and the Markdown is what is copied."""
    await page.clock.pause_at(utcnow() + timedelta(minutes=1))
    await page.get_by_role("button", name="Copy", exact=True).click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    await page.clock.resume()
    await box.press("Control+v")
    await expect(box).to_have_value(re.compile(r"^\*\*Delivery\*\* to the city"))
    await box.fill("")


async def test_an_agent_is_tried_on_a_phone(served, database, workspace, llm):
    """MSG-22, MSG-24, U158, U159, U160, U163, U166: words appear while they come; what the fact
    gate takes out does not stay.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 375, "height": 740}, locale="en-GB")
        complaints = []
        page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        cookies = {"session": await cookie_of(database, workspace), "language": "en"}
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.context.add_cookies(
            [{"name": name, "value": value, "url": served.url} for name, value in cookies.items()]
        )
        base = f"{served.url}/manage/{await number_of(database, workspace)}"

        await page.clock.install()
        await page.goto(f"{base}/test-chat")
        await page.get_by_role("button", name="Begin the chat").click()
        await expect(page.get_by_role("button", name="Delivery", exact=True)).to_be_visible()
        assert await too_wide(page) <= 0
        box = page.get_by_label("Your message, as the customer")
        send = page.get_by_role("button", name="Send", exact=True)
        await expect(send).to_be_disabled()
        await page.route("**/messages", lambda route: route.abort())
        await box.fill(QUESTION)
        await box.press("Enter")
        await expect(page.get_by_text("No answer from the server")).to_be_visible()
        await expect(box).to_have_value(QUESTION)
        await page.unroute("**/messages")
        complaints.clear()  # the browser names the request that was broken off
        await box.fill("")
        await expect(send).to_be_disabled()
        await write_as_people_do(page, box, send)
        await page.get_by_role("button", name=QUESTION).click()
        await see_the_draft(page, llm)
        answer = page.locator(".msg--agent .bubble").last
        await expect(page.get_by_role("link", name="How it was made")).to_be_visible(timeout=60_000)
        await expect(answer).to_have_text(SAID)
        await expect(answer.locator("strong")).to_have_text("Delivery")
        await expect(answer).to_be_in_viewport()
        await expect(page.locator("#chats .conv__name")).to_have_text(QUESTION)
        await expect(page.get_by_text(re.compile(r"Tokens: \d+ in, \d+ out"))).to_be_visible()
        await copy_the_answer(page, box)
        await expect(box).to_be_focused()
        await expect(page.locator("body")).not_to_contain_text("590")
        assert await too_wide(page) <= 0

        await page.get_by_role("link", name="How it was made").click()
        drawer = page.locator("#explained")
        await expect(drawer.get_by_role("heading", name="What would be done")).to_be_visible()
        await expect(drawer).to_contain_text("590 roubles")
        await drawer.get_by_text("Rules of the platform").click()
        await expect(drawer).to_contain_text("Use only the numbered passages below")
        assert await too_wide(page) <= 0
        await drawer.get_by_role("button", name="Close").click()

        for number in range(2, 4):  # more than fits: the newest stays in view
            await box.fill(f"{QUESTION} And the day after, no. {number}?")
            await box.press("Enter")
            await expect(page.locator(f"#answer-{number} .explain-link")).to_be_visible(timeout=60_000)
            await expect(page.locator(f"#answer-{number} .bubble")).to_be_in_viewport()
        await expect(page.locator("#answer-1 .bubble")).not_to_be_in_viewport()

        await box.fill("And on Sunday?")
        await page.locator(".thread").evaluate("thread => { thread.dataset.seen = 'before'; }")
        await page.get_by_role("button", name="Answer again").click()
        await expect(page.locator(".thread[data-seen]")).to_have_count(0)  # the answer is being made
        await expect(page.locator("[data-stream]")).to_have_count(0, timeout=60_000)
        await expect(page.locator(".msg--agent .bubble")).to_have_count(3)
        await expect(box).to_have_value("And on Sunday?")

        header = page.locator(".header")
        await expect(header).to_be_hidden()  # a thread has the screen to itself
        await page.get_by_role("link", name="To the list").click()
        await expect(header).to_be_visible()
        assert await too_wide(page) <= 0
        await page.get_by_role("link", name="New chat").click()
        asked = page.locator("dialog#unsaved")
        await asked.get_by_role("button", name="Stay").click()
        await expect(box).to_have_value("And on Sunday?")
        await page.locator("#chats .conv").click()  # this very chat, anew
        async with page.expect_navigation():
            await asked.get_by_role("button", name="Leave without saving").click()
        await expect(box).to_have_value("")
        await expect(header).to_be_hidden()

        await page.get_by_role("link", name="Settings of this chat").click()
        await page.get_by_role("button", name="Clear the chat").click()
        async with page.expect_navigation():
            await page.get_by_role("alertdialog").get_by_role("button", name="Clear").click()
        await expect(page.get_by_text("Say something to the agent")).to_be_visible()
        assert complaints == []
        await browser.close()


async def test_a_lost_answer_is_said_and_comes_once_when_the_connection_is_back(
    browser, served, database, workspace, llm
):
    """U165, U182: cut while it speaks, refused, and lost as the finished thread."""
    httpx2.post(f"{llm}/_sandbox/script?replace=1", json=[{"reply": TRUE}]).raise_for_status()
    context = await browser.new_context(viewport={"width": 375, "height": 740}, locale="en-GB")
    cookies = {"session": await cookie_of(database, workspace), "language": "en"}
    await context.add_cookies([{"name": n, "value": v, "url": served.url} for n, v in cookies.items()])
    page = await context.new_page()
    await page.goto(f"{served.url}/manage/{await number_of(database, workspace)}/test-chat")
    await page.get_by_role("button", name="Begin the chat").click()
    await page.get_by_role("button", name=QUESTION).click()
    lost, answers = page.get_by_text("The connection to the server is lost."), page.locator(".msg--agent")
    draft = page.locator("[data-stream-text]")
    await expect(draft).to_contain_text("Delivery", timeout=60_000)
    await context.set_offline(True)
    await expect(lost).to_be_visible(timeout=60_000)
    await expect(draft).to_contain_text("Delivery")
    say(llm, token_ms=20)
    await context.set_offline(False)
    await expect(answers.locator(".bubble")).to_have_text(SAID, timeout=60_000)
    await expect(lost).to_have_count(0)
    for address in ("**/stream", "**part=thread**"):
        await page.route(address, lambda route: route.fulfill(status=503))
        await page.get_by_role("button", name="Answer again").click()
        await expect(lost).to_be_visible(timeout=60_000)
        await expect(page.get_by_role("link", name="Show the answer")).to_be_visible()
        await page.unroute(address)
        await expect(page.get_by_role("link", name="How it was made")).to_be_visible(timeout=60_000)
        await expect(lost).to_have_count(0)
    await expect(answers.locator(".bubble")).to_have_text(SAID)
    await expect(page.locator(".msg--client")).to_have_count(1)
