"""The browser that the tests of screens drive: Debian's, whatever Playwright would bring along."""

from playwright.async_api import Page

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


async def too_wide(page: Page) -> int:
    """Return by how many CSS pixels the page scrolls sideways. Waits for a page that is on its way."""
    return await page.locator("html").evaluate("root => root.scrollWidth - root.clientWidth")
