"""What all pages and operations of the administration share: a change needs a log-in confirmed lately."""

from urllib.parse import quote

from starlette.requests import Request

from gptagent.features.identity import model, service
from gptagent.features.identity.model import WebSession
from gptagent.features.organizations.model import Visitor
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import SAFE_METHODS, access_of
from gptagent.kernel.scope import PLATFORM_ID


def session_of(request: Request) -> WebSession:
    """Return the browser's log-in: on these pages there always is one."""
    visitor: Visitor = request.state.visitor
    return visitor.session


def is_confirmed(request: Request) -> bool:
    """Whether the administrator has lately shown who they are."""
    return model.is_confirmed(session_of(request).confirmed_at, utcnow())


def confirm_href(request: Request) -> str:
    """Return the page that asks who they are and leads back; empty where none is needed or there is none."""
    visitor: Visitor = request.state.visitor
    if is_confirmed(request) or not visitor.workspaces:
        return ""
    way = f"{visitor.workspaces[0].path}/account-settings/confirm"
    return f"{way}?next={quote(request.url.path, safe='/')}"


async def confirmed(request: Request) -> None:
    """Dependency of all pages. Raises Forbidden."""
    if request.method not in SAFE_METHODS and not is_confirmed(request):
        raise service.confirmation_needed()


async def check_grant(request: Request, db: Database) -> None:
    """Raise Forbidden for a change by a log-in not confirmed lately. A key has nobody to be asked."""
    access = access_of(request)
    if request.method in SAFE_METHODS:
        return
    if access.scope.org_id != PLATFORM_ID or access.person_id is None:
        return
    if access.grant_id is None:
        raise service.confirmation_needed()
    async with db.installation(access.person_id) as session:
        await service.require_confirmed_grant(session, access.grant_id, now=utcnow())
