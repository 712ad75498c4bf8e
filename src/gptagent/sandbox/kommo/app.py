"""Puts the REST gate, the control interface and the human pages on one port."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from gptagent.sandbox.kommo import control, drive, files, page, state_page
from gptagent.sandbox.kommo.amojo import routes as amojo
from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.gate import Gate
from gptagent.sandbox.kommo.oauth import page as consent
from gptagent.sandbox.wire import Refused, answer


class KommoApp:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._rest = Gate(desk)
        self._rest_of_it = Router(
            [
                *control.routes(),
                *consent.ROUTES,
                *drive.ROUTES,
                *files.ROUTES,
                *amojo.ROUTES,
                *state_page.ROUTES,
                *page.ROUTES,
            ],
            redirect_slashes=False,
            default=_nothing_here,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(("/api/", "/oauth2/")):
            await self._rest(scope, receive, send)
            return
        scope["desk"] = self.desk
        try:
            account = files.account_of(self.desk.world, Request(scope))
            if account is None:
                await self._rest_of_it(scope, receive, send)
            else:
                await self._rest.pass_on(account, self._rest_of_it, scope, receive, send)
        except Refused as refused:
            await refused.response(scope, receive, send)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    response: Response = answer({"error": f"nothing at {Request(scope).url.path}"}, 404)
    await response(scope, receive, send)
