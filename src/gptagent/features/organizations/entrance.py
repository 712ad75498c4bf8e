"""Letting somebody in with a browser: the cookies of a log-in, and where it leads."""

import re
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import (
    REMEMBERED_SESSION_LIFE,
    SECOND_STEP_LIFE,
    SESSION_LIFE,
    STRONG_METHODS,
)
from gptagent.features.organizations.api import device_of, origin_of
from gptagent.features.organizations.model import Visitor
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import choice_of, csrf_of_session, host_cookie, session_cookie
from gptagent.ui.web import YEAR_SECONDS, Pages

HOME = "/manage"
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where every way of logging in with a browser ends."""

    db: Database
    pages: Pages

    async def after_password(
        self, request: Request, person_id: UUID, target: str, *, remember: bool
    ) -> Response:
        """Let in whose password was right, or ask for the second step: nobody is logged in until that."""
        async with self.db.installation(person_id) as session:
            if await identity.has_second_factor(session, person_id):
                token = await identity.begin_second_step(session, person_id, remember=remember, target=target)
                return self._second_step(token)
        return await self.let_in(request, person_id, target, method="password", remember=remember)

    async def after_provider(
        self, request: Request, person_id: UUID, target: str, *, workspace_id: UUID | None
    ) -> Response:
        """Let in whom a sign-in provider vouches for; with `workspace_id` into that workspace only.

        The installation's provider stands for the password: the second step is asked for all the same.
        """
        if workspace_id is None:
            async with self.db.installation(person_id) as session:
                if await identity.has_second_factor(session, person_id):
                    token = await identity.begin_second_step(
                        session, person_id, remember=False, target=target
                    )
                    return self._second_step(token)
        return await self.let_in(
            request, person_id, target, method="provider", remember=False, workspace_id=workspace_id
        )

    async def let_in(
        self,
        request: Request,
        person_id: UUID,
        target: str,
        *,
        method: str,
        remember: bool,
        workspace_id: UUID | None = None,
    ) -> Response:
        """Log the person in with a new session; one the browser had before ends."""
        visitor = visitor_of(request)
        if visitor is not None:
            async with self.db.installation(visitor.session.person_id) as session:
                await identity.end_session(session, visitor.session.id)
        async with self.db.installation(person_id) as session:
            person = await identity.get_person(session, person_id)
            token, _ends = await identity.open_session(
                session,
                person_id,
                remember=remember,
                now=utcnow(),
                device=device_of(request),
                workspace_id=workspace_id,
                is_strong=method in STRONG_METHODS,
            )
            await identity.record_log_in(session, person_id, method, origin=origin_of(request, person_id))
        response = self.pages.redirect(target)
        keep_session(response, token, remember=remember, secure=self.pages.secure)
        if pending_of(request, secure=self.pages.secure):
            forget_pending(response, secure=self.pages.secure)
        if not choice_of(request.cookies, "language"):
            keep_language(response, person.locale, secure=self.pages.secure)
        return response

    def _second_step(self, token: str) -> Response:
        response = self.pages.redirect("/login/code")
        response.set_cookie(
            _pending_cookie(secure=self.pages.secure),
            token,
            max_age=int(SECOND_STEP_LIFE.total_seconds()),
            secure=self.pages.secure,
            httponly=True,
            samesite="lax",
        )
        return response


def visitor_of(request: Request) -> Visitor | None:
    return getattr(request.state, "visitor", None)


def local_path(address: str) -> str:
    """Return the address if it is a path of ours, else the start page: log-in never leads elsewhere."""
    return address if _LOCAL.fullmatch(address) else HOME


def keep_session(response: Response, token: str, *, remember: bool, secure: bool) -> None:
    """Let the browser keep a log-in's token, out of reach of scripts and other sites."""
    response.set_cookie(
        session_cookie(secure=secure),
        token,
        max_age=int((REMEMBERED_SESSION_LIFE if remember else SESSION_LIFE).total_seconds()),
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def use_new_token(request: Request, token: str) -> None:
    """Let the forms of the page about to be shown carry what goes with the session's new token."""
    request.state.csrf = csrf_of_session(token)


def keep_language(response: Response, language: str, *, secure: bool) -> None:
    """Let the browser remember the reader's language for a year."""
    name = host_cookie("language", secure=secure)
    response.set_cookie(name, language, YEAR_SECONDS, secure=secure, httponly=True, samesite="lax")


def pending_of(request: Request, *, secure: bool) -> str:
    """Return the token of a log-in that waits for its second step, empty if none does."""
    return request.cookies.get(_pending_cookie(secure=secure), "")


def forget_pending(response: Response, *, secure: bool) -> None:
    name = _pending_cookie(secure=secure)
    response.delete_cookie(name, secure=secure, httponly=True, samesite="lax")


def _pending_cookie(*, secure: bool) -> str:
    return "__Host-pending" if secure else "pending"
