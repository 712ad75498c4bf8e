"""What all pages of the administration share."""

from starlette.requests import Request

from gptagent.features.admin.model import CONFIRMED_FOR
from gptagent.features.identity.model import WebSession
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Forbidden
from gptagent.kernel.http import SAFE_METHODS


def session_of(request: Request) -> WebSession:
    """Return the browser's log-in: on these pages there always is one."""
    session: WebSession = request.state.visitor.session
    return session


def is_confirmed(request: Request) -> bool:
    """Whether the administrator has lately shown who they are."""
    return utcnow() - session_of(request).confirmed_at <= CONFIRMED_FOR


async def confirmed(request: Request) -> None:
    """Dependency of all pages: a change needs a log-in that was confirmed lately."""
    if request.method not in SAFE_METHODS and not is_confirmed(request):
        raise Forbidden("confirmation_needed", "Confirm first that it is you: give your password or a code.")
