"""The browser that the tests of screens drive: Debian's, whatever Playwright would bring along."""

CHROMIUM = "/usr/bin/chromium"
