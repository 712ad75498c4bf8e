"""What the pages of one connection share: its row of tabs."""

from typing import Any

from starlette.requests import Request

from gptagent.features.crm.model import Connection
from gptagent.kernel.http import locale_of
from gptagent.kernel.i18n import translate
from gptagent.ui.web import base_of

# Label (msgid) and the address below the connection's own, in the order shown.
TABS = (
    ("Overview", ""),
    ("Replies", "/replies"),
    ("Sync", "/sync"),
    ("Webhooks", "/webhooks"),
    ("Changes", "/changes"),
)


def frame_of(request: Request, connection: Connection) -> dict[str, Any]:
    """Return what `crm/frame.html` needs. Every page of a connection adds a line to TABS."""
    home = f"{base_of(request)}/integrations/{connection.id}"
    tabs = [
        (translate(locale_of(request), label), f"{home}{path}", _is_at(request.url.path, home, path))
        for label, path in TABS
    ]
    return {"connection": connection, "tabs": tabs, "home": home}


def _is_at(here: str, home: str, path: str) -> bool:
    """Whether a page is the tab's own, or one below it."""
    return here == f"{home}{path}" or bool(path and here.startswith(f"{home}{path}/"))
