"""The newcomer's whole path in a real browser, against `gptagent up` and an emulated Kommo."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect

from browsers import CHROMIUM
from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.settings import child_environment
from gptagent.sandbox.spawn import running
from knowledge_files import pdf
from servers import STOP_SECONDS, Server

PASSWORD = "correct horse battery"
PATIENT = {"webhook_timeout_ms": 60_000}  # what a busy machine has not taken by then comes minutes later
RULES = ("Delivery", "Delivery within Moscow costs 300 roubles and takes two working days.")

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@contextmanager
def up(**settings: str) -> Iterator[Server]:
    """Start the whole platform on a new home, as `make start` does."""
    home, port = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp")), free_port()
    home.chmod(0o755)
    environment = {**child_environment(), "GPTAGENT_HOME": str(home), "PORT": str(port), **settings}
    log_file = home / "up.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gptagent", "up"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    server = Server(process, log_file, f"http://localhost:{port}")
    try:
        server.until("the setup link is printed", lambda: "/setup/" in server.log)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def page(browser):
    page = await browser.new_page(locale="en-GB")
    yield page
    await page.context.close()


async def register(page: Page, link: str) -> None:
    await page.goto(link)
    await page.get_by_label("First name").fill("Alice")
    await page.get_by_label("Last name").fill("Liddell")
    await page.get_by_label("Company").fill("Wonderland")
    await page.get_by_label("E-mail").fill("alice@wonderland.test")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create the account").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Alice")


async def upload(page: Page, folder: Path) -> None:
    """The button chooses a file, choosing sends it; the page shows by itself when it has been read."""
    (folder / "rules.pdf").write_bytes(pdf([RULES]))
    async with page.expect_navigation():
        await page.get_by_role("link", name="Upload").click()
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Upload").click()
    await (await chooser.value).set_files(folder / "rules.pdf")
    await expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=60_000)


async def write_article(page: Page) -> None:
    """Buttons mark what is selected; the preview follows."""
    async with page.expect_navigation():
        await page.get_by_role("link", name="Articles").first.click()
    async with page.expect_navigation():
        await page.get_by_role("link", name="Write an article").first.click()
    await page.get_by_label("Title").fill("Can a purchase be returned?")
    text = page.get_by_role("textbox", name="Text")
    await text.fill("A purchase can be returned within 14 days.")
    await text.select_text()
    await page.get_by_role("button", name="Bold").click()
    await expect(text).to_have_value("**A purchase can be returned within 14 days.**")
    await page.get_by_role("button", name="Quotation").click()
    await expect(text).to_have_value("> **A purchase can be returned within 14 days.**")
    await expect(page.locator("#content-preview blockquote strong")).to_be_visible()
    async with page.expect_navigation():
        await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Can a purchase be returned?").first).to_be_visible()


async def create_agent(page: Page) -> None:
    async with page.expect_navigation():
        await page.get_by_role("link", name="Dashboard").first.click()
    async with page.expect_navigation():
        await page.get_by_role("link", name="Create").click()
    await page.get_by_label("Name").fill("Support")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Create an agent").click()
    async with page.expect_navigation():
        await page.get_by_role("link", name="Advanced").click()
    await page.get_by_label("Answer delay, seconds").fill("0")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Publish").click()
    await page.get_by_role("switch", name="Support: answer customers").click()
    await expect(page.get_by_text("Answers customers", exact=True)).to_be_visible()


async def connect(page: Page, account: dict[str, str]) -> None:
    await page.get_by_role("link", name="Kommo").click()
    await page.get_by_text("Or with a long-lived token").click()
    await page.get_by_label("Address of the account").fill(account["host"])
    await page.get_by_label("Long-lived token").fill(account["token"])
    await page.get_by_role("button", name="Test and connect").click()
    await expect(page.get_by_text("Connected", exact=True)).to_be_visible()


@pytest.mark.timeout(600)  # the whole platform is started
async def test_a_newcomer_sees_an_agent_answer_and_takes_the_chat_over(page, tmp_path):
    """U053, U054, U137: From the setup link to a live reply with its source, then takeover and back."""
    with running("kommo") as kommo, up(KOMMO_SANDBOX_URL=kommo, EGRESS_ALLOW="") as server:
        async with httpx2.AsyncClient(base_url=f"{kommo}/_sandbox", timeout=20) as crm:
            await register(page, re.search(r"http://localhost:\d+/setup/\S+", server.log)[0])
            await upload(page, tmp_path)
            await write_article(page)
            await create_agent(page)
            await crm.post("/knobs", json=PATIENT)
            await connect(page, (await crm.post("/accounts", json={"subdomain": "wonderland"})).json())
            chats = "/accounts/wonderland/chats"

            # Nothing below reloads a page: what happens in the CRM appears by itself.
            async with page.expect_navigation():
                await page.get_by_role("link", name="Conversations").first.click()
            asked = {"name": "White Rabbit", "text": "How much is delivery within Moscow?"}
            chat = (await crm.post(chats, json=asked)).json()["chat_id"]
            await page.locator("a.conv", has_text="White Rabbit").click(timeout=60_000)
            reply = page.locator(".msg--agent").last
            await expect(reply).to_contain_text("costs 300 roubles", timeout=60_000)
            await expect(reply).to_contain_text("Support")
            await reply.locator("summary").click()
            await expect(reply.locator("blockquote")).to_contain_text("takes two working days")

            async with page.expect_navigation():
                await page.get_by_role("button", name="Take over").click()
            await expect(page.get_by_text("Stopped: Alice Liddell holds the conversation")).to_be_visible()
            await crm.post(f"{chats}/{chat}/customer", json={"text": "Within how many days can I return it?"})
            held = page.get_by_text("Not answered: a person holds this conversation.")
            await expect(held).to_be_visible(timeout=60_000)
            await expect(page.locator(".msg--agent")).to_have_count(1)

            async with page.expect_navigation():
                await page.get_by_role("button", name="Give back to the agent").click()
            await expect(page.get_by_role("button", name="Take over")).to_be_visible()
            await crm.post(f"{chats}/{chat}/customer", json={"text": "Can a purchase be returned?"})
            await expect(page.locator(".msg--agent").nth(1)).to_contain_text("14 days", timeout=60_000)

            async with page.expect_navigation():
                await page.get_by_role("link", name="Dashboard").first.click()
            await expect(page.get_by_text("to the first answer")).to_have_count(0)
