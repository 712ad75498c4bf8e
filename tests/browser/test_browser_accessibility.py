"""Every page in one browser, on the phone and the desk, light and dark: axe has nothing to complain of."""

import shutil
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest

from accessibility import axe_script, violations
from administrators import make_administrator
from browsers import CHROMIUM
from gptagent.features.identity import service as identity
from gptagent.features.identity import store as identity_store
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.http import MACHINE_PATHS
from gptagent.kernel.settings import Settings
from homes import new_home, own_database
from isolation.estate import furnish
from isolation.routes import CASES, Foreign, fill, place
from members import add_member, cookie_of
from servers import serving

# So high that no bar that sticks to the edge lies over something a reader would scroll to.
DESK, PHONE = (1280, 2400), (375, 2400)
CANARY = "canary7q2x"
REPLAYS = "conversations/{conversation_id}/turns/{turn_id}/replays"
SECOND_STEP = "/manage/{workspace}/account-settings/second-step"
# Routes that answer no page of their own.
NO_PAGE = {
    "/": "leads to the log-in",
    "/favicon.ico": "a picture",
    "/assets/*": "files",
    "/.well-known/security.txt": "a text",
    "/metrics": "for programs",
    "/admin": "leads to its dashboard",
    "/admin/audit/export": "a file",
    "/manage/{workspace}/knowledge-items/export": "a file",
    "/manage/{workspace}/ai-agents/{agent_id}/export": "a file",
    "/manage/{workspace}/knowledge-bench/runs": "part of a page",
    "/manage/{workspace}/knowledge-bench/export": "a file",
    "/manage/{workspace}/knowledge-items/{article_id}/files/{file_id}": "a file",
    "/manage/{workspace}/scenarios/export": "a file",
    "/manage/{workspace}/test-chat": "leads to the chat used last",
    "/manage/{workspace}/test-chat/{chat_id}/messages/{played_id}/stream": "a stream",
    f"/manage/{{workspace}}/{REPLAYS}/{{played_id}}/stream": "a stream",
    "/manage": "leads to the workspace",
    "/sign-in/{provider_id}": "leads to a provider",
    "/sign-in/callback": "leads on from there",
    "/oauth/kommo": "leads on from the CRM; what it refuses is visited by itself",
    "/oauth/kommo/disconnect": "for the CRM",
    "/manage/{workspace}/integrations/banner": "part of a page",
    "/manage/{workspace}/conversations/{conversation_id}/attachments/{attachment_id}": "a file",
    "/manage/{workspace}": "leads to the dashboard",
    "/manage/{workspace}/live": "a stream",
    "/manage/{workspace}/settings/audit/export": "a file",
    "/manage/{workspace}/settings/privacy/customers/{conversation_id}": "a file",
    "/manage/{workspace}/account-settings/privacy/export": "a file",
    "/manage/{workspace}/account-settings/avatar": "a picture",
    SECOND_STEP: "a page for who has no second factor: visited by one",
}
# What a stranger sees; everything else is asked for by a person who is logged in.
STRANGERS = ("/login", "/register", "/invitation", "/reset-password", "/verify-email", "/change-email")
LINKS = {"reset-password": "reset_password", "verify-email": "verify_email", "change-email": "change_email"}

pytestmark = [
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here"),
]


@pytest.fixture(scope="module")
def home():
    with new_home() as home:
        yield home


@pytest.fixture(scope="module")
def roles(home):
    with own_database(home) as roles:
        yield roles


@pytest.fixture(scope="module")
async def database(home, roles):
    database = await Database.connect(roles.app_dsn, load_vault(Settings(gptagent_home=home)))
    yield database
    await database.close()


@pytest.fixture(scope="module")
def axe():
    with axe_script() as script:
        yield script


@pytest.fixture
async def visitor(browser, home, roles, axe):
    with serving(home, REGISTRATION="open", RATE_FACTOR="1000") as server:
        context = await browser.new_context(base_url=server.url, locale="en-GB")
        yield Visitor(await context.new_page(), axe)
        await context.close()


class Visitor:
    """Goes from page to page and collects what axe says of them."""

    def __init__(self, page, axe):
        self.page, self._axe = page, axe
        self.opened, self.wrong = set(), []

    async def visit(self, path, status=200):
        await self._look_as(DESK, "light")
        answer = await self.page.goto(path)
        assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
        assert answer.request.redirected_from is None, path
        await self.page.evaluate(self._axe)
        for size in (DESK, PHONE):
            for theme, rules in (("light", None), ("dark", ["color-contrast"])):
                await self._look_as(size, theme)
                found = await violations(self.page, rules=rules)
                self.wrong += [(path, *size, theme, *one) for one in found]
        await self._open_dialogs(path)

    async def _open_dialogs(self, path):
        """They are shut when a page is looked at, and so is the menu, which is the same everywhere."""
        for dialog in await self.page.locator("dialog, #user-menu").all():
            name = await dialog.get_attribute("id")
            if name in self.opened:
                continue
            self.opened.add(name)
            await dialog.evaluate("one => one.showModal ? one.showModal() : one.showPopover()")
            for theme, rules in (("dark", ["color-contrast"]), ("light", None)):
                await self._look_as(PHONE, theme)
                found = await violations(self.page, f"#{name}", rules)
                self.wrong += [(path, name, theme, *one) for one in found]
            await dialog.evaluate("one => one.close ? one.close() : one.hidePopover()")

    async def keep(self, **cookies):
        """Have cookies as if the server had set them."""
        url = urljoin(self.page.url, "/")
        await self.page.context.add_cookies([{"name": n, "value": v, "url": url} for n, v in cookies.items()])

    async def _look_as(self, size, theme):
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})
        await self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")


async def make_links(database, estate):
    """Have a link of each kind lie in a letter, and a log-in wait for its code; return its token."""
    bob = await add_member(database, estate.scope, "member")
    async with database.session(bob) as session:
        for path, kind in LINKS.items():
            await identity_store.offer_token(
                session,
                identity.hash_token(path),
                kind,
                bob.actor.id,
                payload=b"",
                life=timedelta(hours=1),
            )
        return await identity.begin_second_step(session, bob.actor.id, remember=False, target="")


def pages(estate):
    """Yield the address of every page there is, with the estate's own objects in it."""
    for name, case in CASES.items():
        path = name.removeprefix("GET ")
        if path == name or path in NO_PAGE or path.startswith((*MACHINE_PATHS, "/setup")):
            continue
        if isinstance(case, Foreign):
            path = fill(path, case, estate)
        token = f"invitation-{CANARY}" if path.startswith("/invitation") else path.split("/")[1]
        yield (
            place(path, estate)
            .replace("{token}", token)
            .replace("{number}", str(estate.number))
            .replace("{person_id}", str(estate.person_id))
        )


@pytest.mark.timeout(900)  # some hundred pages, each looked at five times
async def test_axe_has_nothing_to_complain_of(visitor, database, home, roles):
    """U005, U205"""
    async with database.installation() as session:
        setup = await identity.offer_setup(session)
    await visitor.visit(f"/setup/{setup}")
    estate = await furnish(database, load_vault(Settings(gptagent_home=home)), CANARY)
    await make_administrator(roles, estate.scope)
    await visitor.keep(language="en", pending=await make_links(database, estate))
    found = list(pages(estate))
    assert len(found) > 40
    for path in found:
        if path.startswith(STRANGERS):
            await visitor.visit(path)
    newcomer = await add_member(database, estate.scope, "viewer")  # has no second factor yet
    await visitor.keep(session=await cookie_of(database, newcomer))
    await visitor.visit(place(SECOND_STEP, estate).replace("{number}", str(estate.number)))
    await visitor.keep(session=await cookie_of(database, estate.scope, is_strong=True))
    await visitor.visit("/oauth/kommo", status=403)  # not from a consent that was begun here
    for path in found:
        if not path.startswith(STRANGERS):
            await visitor.visit(path)
    await visitor.visit("/nowhere", status=404)
    assert len(visitor.opened) > 5
    assert visitor.wrong == []
