"""The browser that the tests of screens drive: Debian's, whatever Playwright would bring along."""

from playwright.async_api import Browser, BrowserContext, Page, expect

from members import cookie_of, number_of
from servers import Server
from worlds import World

CHROMIUM = "/usr/bin/chromium"
# Nothing is drawn by an emulated graphics card, and nothing is asked of its maker.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
TELL = "topic => document.dispatchEvent(new CustomEvent('live:told', { detail: topic }))"
# A message goes after four seconds, before a busy machine may have looked: it stays, and lies over nothing.
STAY = """{
  const stay = () => document.querySelectorAll("[data-toast]").forEach((one) => (one.dataset.toast = "stay"));
  new MutationObserver(stay).observe(document, { childList: true, subtree: true });
  const free = new CSSStyleSheet();
  free.replaceSync(".toasts { pointer-events: none }");
  document.adoptedStyleSheets.push(free);
}"""

expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


async def too_wide(page: Page) -> int:
    """Return by how many CSS pixels the page scrolls sideways. Waits for a page that is on its way."""
    return await page.locator("html").evaluate("root => root.scrollWidth - root.clientWidth")


async def keep_messages(context: BrowserContext) -> None:
    """Have each message of the pages to come stay until its page is left."""
    await context.add_init_script(STAY)


async def open_live(page: Page, url: str) -> None:
    """Open a page and wait until it hears of changes: as that begins, it asks anew for what is lost."""
    async with page.expect_response("**/live?**"):
        await page.goto(url)


async def enter(
    browser: Browser,
    web: Server,
    world: World,
    *,
    width: int = 1280,
    theme: str = "light",
    language: str = "en",
    keeps_messages: bool = True,
) -> tuple[Page, str]:
    """Open a page as the owner; return it and the address of the workspace."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
    if keeps_messages:
        await keep_messages(context)
    values = {"session": await cookie_of(world.db, world.scope), "theme": theme, "language": language}
    await context.add_cookies([{"name": n, "value": v, "url": web.url} for n, v in values.items()])
    page = await context.new_page()
    page.complaints = []
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page, f"{web.url}/manage/{await number_of(world.db, world.scope)}"


async def press(page: Page, key: str) -> None:
    """Press a key where nobody types, and Enter on the button it leads to. Waits for the page that comes."""
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press(key)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
