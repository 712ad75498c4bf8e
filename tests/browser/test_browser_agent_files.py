"""An agent's own files on the last tab of its editor: uploaded, watched while they are read, deleted."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, keep_messages, too_wide
from cast import make_scope
from gptagent.features.agents import service as agents
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import PDF, NewDocument
from gptagent.kernel.clock import utcnow
from members import cookie_of, number_of
from servers import serving, working

LOOKS = [(375, "dark", "ru"), (375, "light", "en"), (1280, "light", "ru"), (1280, "dark", "en")]
PRICES = {"name": "partner prices.txt", "mimeType": "text/plain", "buffer": b"A lantern costs 700 roubles."}
EMPTY = {"name": "empty.txt", "mimeType": "text/plain", "buffer": b" "}
SONG = {"name": "song.mp3", "mimeType": "audio/mpeg", "buffer": b"la"}

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles):
    with serving(home, REGISTRATION="open") as server:
        yield server


@pytest.fixture
async def anna(database):
    """An agent, and the workspace it is of."""
    scope = await make_scope(database, "Wonderland")
    async with database.session(scope) as session:
        return scope, await agents.create_agent(session, "Anna", locale="en")


@pytest.fixture
def enter(browser, web, database, anna):
    """Return what opens the agent's last tab; it tells what the browser complains of."""

    async def editor(width, **cookies):
        scope, agent = anna
        context = await browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
        await keep_messages(context)
        values = {"session": await cookie_of(database, scope), "language": "en", **cookies}
        await context.add_cookies([{"name": n, "value": v, "url": web.url} for n, v in values.items()])
        page, complaints = await context.new_page(), []
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        base = f"{web.url}/manage/{await number_of(database, scope)}"
        await page.goto(f"{base}/ai-agents/{agent.id}/advanced-settings")
        return page, complaints

    return editor


async def test_files_are_uploaded_watched_and_deleted(enter, home):
    """U130: several at once; the state of each comes by itself, its reason too, and again after a retry"""
    page, complaints = await enter(375)
    card = page.locator("#files")
    await expect(card).to_contain_text("No files yet")
    async with page.expect_navigation():
        await card.locator("input[type=file]").set_input_files([PRICES, EMPTY])
    await expect(page).to_have_url(re.compile("/advanced-settings#files$"))
    ready, failed = (card.locator("article", has_text=one["name"]) for one in (PRICES, EMPTY))
    await expect(ready).to_contain_text("In the queue")
    with working(home):
        await expect(ready).to_contain_text("Ready", timeout=60_000)
        await expect(failed).to_contain_text("No text was found in the file.", timeout=60_000)
        assert await too_wide(page) == 0
        async with page.expect_navigation():
            await failed.get_by_role("button", name="Try again").click()
        await expect(failed).to_contain_text("Failed", timeout=60_000)
    await ready.get_by_role("button", name=f"Delete “{PRICES['name']}”").click()
    dialog = page.get_by_role("alertdialog", name=f"Delete “{PRICES['name']}”?")
    await expect(dialog).to_contain_text("The agent stops answering from it at once.")
    async with page.expect_navigation():
        await dialog.get_by_role("button", name="Delete the file").click()
    await expect(page.locator("body")).to_contain_text("The file is deleted")
    await expect(ready).to_have_count(0)
    assert complaints == []
    async with page.expect_navigation():
        await page.locator("#files input[type=file]").set_input_files(SONG)
    await expect(page.locator("#files")).to_contain_text("Files of this type are not read.")


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_every_state_of_a_file_fits_the_card(look, enter, database, anna, tmp_path):
    """U130, U206"""
    width, theme, language = look
    scope, agent = anna
    async with database.session(scope) as session:
        for name, digest in (
            ("Прайс для партнёров 2026.pdf", "a"),
            ("длинноеимя" * 9 + ".pdf", "b"),
            ("c.pdf", "c"),
        ):
            new = NewDocument(name, PDF, 1_400_000, digest * 64, f"key-{digest}", agent_id=agent.id)
            document = (await knowledge.register_document(session, new, now=utcnow())).document
            if digest != "a":
                claim = await knowledge.claim_document(session, document.id, now=utcnow())
                await knowledge.note_progress(session, claim, 40, now=utcnow())
            if digest == "b":
                await knowledge.fail_document(session, document.id, "encrypted", now=utcnow())
    page, complaints = await enter(width, theme=theme, language=language)
    await page.screenshot(path=tmp_path / "page.png", full_page=True)
    told = await page.locator("#files").inner_text()
    assert await too_wide(page) == 0 and complaints == []
    expected = {
        "ru": ["В очереди", "Читаем", "Снимите защиту", "обновлён"],
        "en": ["In the queue", "Reading", "Remove the password", "updated"],
    }
    assert [words for words in expected[language] if words not in told] == []
