"""The browser that the tests of screens drive: Debian's, whatever Playwright would bring along."""

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
