"""Who may change an account: its person, by a log-in of their own, asked lately who they are."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import CurrentLogIn, WebSession, is_confirmed
from gptagent.features.organizations.entrance import visitor_of
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Forbidden
from gptagent.kernel.http import SAFE_METHODS, Access, access_of
from gptagent.ui.web import Pages, base_of

ACCOUNT = "/account-settings"
SECURITY = f"{ACCOUNT}/security"


async def own_log_in(request: Request) -> None:
    """Dependency of the whole account: whatever changes it needs a log-in of the person's own."""
    if request.method not in SAFE_METHODS:
        refuse_borrowed(request)


def refuse_borrowed(request: Request) -> None:
    """Raise Forbidden for a log-in somebody else has a hand in.

    An administrator who looks through a person's eyes changes nothing of theirs. Nor does a sign-in that one
    workspace's own provider vouched for: whoever runs that would come into the person's other workspaces.
    """
    access: Access | None = getattr(request.state, "access", None)
    if access is not None and access.scope.actor.impersonator is not None:
        raise Forbidden(
            "impersonated", "You are looking through somebody else's eyes: change nothing of theirs."
        )
    session = session_of(request)
    if session is not None and session.workspace_id is not None:
        raise Forbidden(
            "sign_in_limited",
            "You signed in through your company. Log in here yourself to change your account.",
        )


def session_of(request: Request) -> WebSession | None:
    """Return the browser's session; the API has none."""
    visitor = visitor_of(request)
    return visitor.session if visitor else None


def current_log_in(request: Request) -> CurrentLogIn:
    """Return the log-in the request came by."""
    session = session_of(request)
    return CurrentLogIn(session.id if session else None, access_of(request).grant_id)


def ask_to_confirm(request: Request, pages: Pages, back: str = "") -> Response | None:
    """Return the way to the page that asks who the person is, unless they were asked lately.

    `back` is the page they come back to, by default the one asked for: an address to GET. Every page that
    changes something sensitive begins with this.
    """
    href = confirm_href(request, back)
    return pages.redirect(href) if href else None


def confirm_href(request: Request, back: str = "") -> str:
    """Return the page that asks who the person is and leads `back`; empty if they were asked lately."""
    session = session_of(request)
    if session is not None and is_confirmed(session.confirmed_at, utcnow()):
        return ""
    return f"{base_of(request)}{ACCOUNT}/confirm?next={quote(back or request.url.path, safe='/')}"


def require_confirmed_page(request: Request) -> None:
    """Raise Forbidden where a redirect would not do: a script asks."""
    session = session_of(request)
    if session is None or not is_confirmed(session.confirmed_at, utcnow()):
        raise identity.confirmation_needed()


async def require_confirmed(request: Request, session: Session) -> None:
    """Raise Forbidden unless the person behind an access token was asked lately who they are.

    Every sensitive operation of the API begins with this, in a transaction of that person.
    """
    grant_id = access_of(request).grant_id
    if grant_id is None:
        raise identity.confirmation_needed()
    await identity.require_confirmed_grant(session, grant_id, now=utcnow())
