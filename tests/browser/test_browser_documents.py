"""The page of documents in a real browser: every state of a document fits, in both languages and themes."""

from datetime import timedelta
from pathlib import Path

import pytest

from browsers import CHROMIUM, too_wide
from cast import make_scope
from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import FORMATS, PDF, TXT, ZIP, NewDocument, Piece, Unread
from gptagent.kernel.clock import utcnow
from members import cookie_of, number_of
from servers import serving

ABOUT_FOUR_MINUTES = timedelta(minutes=4, seconds=25)  # still, a minute of a busy machine later
LOOKS = [
    (375, "dark", "ru"),
    (375, "light", "en"),
    (768, "light", "ru"),
    (1280, "light", "ru"),
    (1280, "dark", "en"),
]

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


async def claim(session, name, mime, sha256):
    new = NewDocument(name, mime, 1_400_000, sha256, f"key-{sha256}")
    document = (await service.register_document(session, new, now=utcnow())).document
    return await service.claim_document(session, document.id, now=utcnow())


async def fill(session):
    """One document of each kind of outcome."""
    archive = await claim(session, "Всё для клиентов.zip", ZIP, "a")
    lost = [Unread("docs › 2026 › " + "длинное имя " * 6 + "movie.mp4", "type_unsupported")]
    await service.record_entries(
        session, archive, 12, [*lost, Unread("inner.zip", "nested_archive")], now=utcnow()
    )
    scan = await claim(session, "contract.pdf", PDF, "b")
    pages = [Unread("3-5, 9", "no_recognition")]
    async for _ in service.record_pieces(session, scan, [Piece("", 1, "x", "x")], unread=pages, now=utcnow()):
        pass
    picture = await claim(session, "scan.pdf", PDF, "c")
    await service.fail_document(session, picture.id, "no_recognition", now=utcnow())
    slow = await claim(session, "Каталог.pdf", PDF, "d")
    await service.note_progress(session, slow, 30, now=utcnow(), expected_at=utcnow() + ABOUT_FOUR_MINUTES)
    await claim(session, "price.txt", TXT, "e")


@pytest.fixture(scope="module")
def web(home, roles):
    with serving(home, REGISTRATION="open") as web:
        yield web


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_every_state_of_a_document_fits(look, browser, web, database, tmp_path):
    """U136, U137, U206"""
    width, theme, language = look
    scope = await make_scope(database, "Wonderland")
    async with database.session(scope) as session:
        await fill(session)
    context = await browser.new_context(viewport={"width": width, "height": 900})
    values = {"session": await cookie_of(database, scope), "theme": theme, "language": language}
    await context.add_cookies([{"name": n, "value": v, "url": web.url} for n, v in values.items()])
    page, complaints = await context.new_page(), []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await page.goto(f"{web.url}/manage/{await number_of(database, scope)}/knowledge-base")
    told = await page.inner_text("main")
    excess = await too_wide(page)
    await page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert excess == 0 and complaints == []
    assert FORMATS in told
    expected = {
        "ru": ["принято 12 файлов", "Осталось примерно 4 минуты", "Страницы 3-5, 9", "не открывается"],
        "en": ["12 files taken", "About 4 minutes left", "Pages 3-5, 9", "is not opened"],
    }
    assert all(words in told for words in expected[language])
