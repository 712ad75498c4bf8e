"""The table of contents of the interface. The order is the order of the joined style and script files."""

from pathlib import Path

UI = Path(__file__).parent

COMPONENTS = (
    "icon",
    "form",
    "time",
    "autosave",
    "avatar",
    "badge",
    "banner",
    "breadcrumb",
    "button",
    "card",
    "chat",
    "checkbox",
    "chips",
    "composer",
    "copy",
    "dialog",
    "disclosure",
    "empty",
    "file-drop",
    "header",
    "input",
    "keys",
    "live",
    "markdown",
    "pagination",
    "passkey",
    "picker",
    "popover",
    "preferences",
    "progress",
    "refresh",
    "lost",
    "rename",
    "select",
    "sidebar",
    "skeleton",
    "stat",
    "switch",
    "table",
    "tabs",
    "timeline",
    "toast",
    "toolbar",
    "tooltip",
    "unsaved",
)

PAGE_STYLES = (
    "account",
    "admin",
    "agents",
    "connect",
    "dashboard",
    "editor",
    "inbox",
    "knowledge",
    "login",
    "scenarios",
    "styleguide",
)
"""Linked by the pages that need them; `shell` is in every page and part of `app.css`."""

FONTS = ("inter-cyrillic.woff2", "inter-latin.woff2")
VENDORED = ("htmx.min.js",)
VENDORED_FOR_DOCS = ("swagger-ui-bundle.js", "swagger-ui.css")
"""Served with the page of the API's description only."""
