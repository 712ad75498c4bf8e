"""Pages over HTTP: who reads, a page or a part of it, a redirect with a message, a form sent again."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from jinja2 import Environment
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.http import choice_of, csrf_cookie, host_cookie, locale_of
from gptagent.kernel.i18n import translate, translations
from gptagent.ui.templates import render
from gptagent.ui.view import Flash, Preferences, Shell, Tone, View

FLASH_COOKIE = "flash"
FLASH_SECONDS = 60
WORKSPACE_COOKIE = "workspace"
YEAR_SECONDS = 31_536_000
TIMEZONE_COOKIE = "timezone"
DEFAULT_TIMEZONE = "Europe/Moscow"  # until the first page's script has told the browser's own


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for the next page: English templates with `{placeholders}`, translated when it is shown."""

    tone: Tone
    title: str
    text: str = ""
    params: Mapping[str, str] | None = None

    def flash(self, language: str) -> Flash:
        params = dict(self.params or {})
        return Flash(
            self.tone, translate(language, self.title, **params), translate(language, self.text, **params)
        )


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders for the reader of a request. `load_shell` reads the frame within the page's transaction."""

    environment: Environment
    load_shell: Callable[[Request, Session], Awaitable[Shell]]
    secure: bool

    async def shell(self, request: Request, session: Session) -> Shell:
        return await self.load_shell(request, session)

    def show(
        self,
        request: Request,
        name: str,
        shell: Shell | None = None,
        notice: Notice | None = None,
        /,
        *,
        status: int = 200,
        **context: object,
    ) -> Response:
        """Return a whole page. A waiting message is shown in it, once, and so is `notice`."""
        waiting = _read_flash(request)
        flashes = (*waiting, notice.flash(locale_of(request))) if notice else waiting
        html = render(
            self.environment,
            name,
            self._view(request, flashes),
            shell=shell,
            base=base_of(request),
            status=status,
            **context,
        )
        response = HTMLResponse(html, status, {"cache-control": "no-store"})
        if waiting:
            name = host_cookie(FLASH_COOKIE, secure=self.secure)
            response.delete_cookie(name, secure=self.secure, httponly=True, samesite="lax")
        self._keep_csrf(request, response)
        if shell is not None:
            self._keep_place(request, response)
        return response

    def part(self, request: Request, name: str, /, **context: object) -> Response:
        """Return a part of a page, for a script that swaps it in."""
        html = render(self.environment, name, self._view(request, ()), base=base_of(request), **context)
        return HTMLResponse(html, headers={"cache-control": "no-store"})

    def redirect(self, address: str, notice: Notice | None = None) -> Response:
        """Send the browser on after a change; `notice` waits in a cookie for the page it comes to."""
        response = RedirectResponse(address, 303)
        if notice is not None:
            packed = base64.urlsafe_b64encode(msgspec.json.encode(notice)).decode()
            self._keep(response, FLASH_COOKIE, packed, FLASH_SECONDS)
        return response

    def remember(self, response: Response, cookie: str, value: str) -> None:
        """Keep a choice of the reader's in their browser, for a year."""
        self._keep(response, cookie, value, YEAR_SECONDS)

    def _view(self, request: Request, flashes: tuple[Flash, ...]) -> View:
        language = locale_of(request)
        csrf = getattr(request.state, "csrf", None)
        return View(
            language=language,
            catalog=translations(language),
            now=utcnow(),
            timezone=timezone_of(request),
            csrf_token=csrf.token if csrf else "",
            preferences=Preferences.from_cookies(request.cookies),
            flashes=flashes,
            impersonates=is_impersonation(request),
        )

    def _keep_place(self, request: Request, response: Response) -> None:
        """Remember the number of the workspace: the next visit begins there."""
        number = base_of(request).rpartition("/")[2].partition("-")[0]
        if not number:
            return
        if choice_of(request.cookies, WORKSPACE_COOKIE) != number:
            self._keep(response, WORKSPACE_COOKIE, number, YEAR_SECONDS)

    def _keep(self, response: Response, cookie: str, value: str, seconds: int) -> None:
        name = host_cookie(cookie, secure=self.secure)
        response.set_cookie(name, value, seconds, secure=self.secure, httponly=True, samesite="lax")

    def _keep_csrf(self, request: Request, response: Response) -> None:
        csrf = getattr(request.state, "csrf", None)
        if csrf is not None and csrf.is_new:
            name = csrf_cookie(secure=self.secure)
            response.set_cookie(name, csrf.token, secure=self.secure, httponly=True, samesite="lax")


def is_impersonation(request: Request) -> bool:
    """Whether an administrator of the platform looks through somebody else's eyes."""
    visitor = getattr(request.state, "visitor", None)
    return visitor is not None and visitor.session.impersonator_id is not None


def base_of(request: Request) -> str:
    """Return the address of the request's workspace, empty outside of one."""
    return getattr(request.state, "base", "")


def timezone_of(request: Request) -> ZoneInfo:
    """Return the browser's time zone as its script has told it in a cookie."""
    return _timezone(unquote(choice_of(request.cookies, TIMEZONE_COOKIE, DEFAULT_TIMEZONE))[:64])


@lru_cache(maxsize=512)
def _timezone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def words(form: FormData, name: str) -> str:
    """Return what was typed into a field: line ends of one kind, no NUL, which PostgreSQL cannot store."""
    value = form.get(name)
    return value.replace("\r\n", "\n").replace("\x00", "") if isinstance(value, str) else ""


def field_errors(request: Request, error: AppError) -> dict[str, str]:
    """Return the translated message of each wrong field by its name."""
    language = locale_of(request)
    return {
        fault.pointer.strip("/"): translate(language, fault.message, **(fault.params or {}))
        for fault in error.fields
    }


def message_of(request: Request, error: AppError) -> str:
    """Return the error's own sentence in the reader's language."""
    return translate(locale_of(request), error.message, **error.params)


_notices = msgspec.json.Decoder(Notice)


def _read_flash(request: Request) -> tuple[Flash, ...]:
    """Read the waiting message; a cookie that is not ours counts as none."""
    packed = choice_of(request.cookies, FLASH_COOKIE)
    try:
        notice = _notices.decode(base64.urlsafe_b64decode(packed)) if packed else None
        if notice is None or notice.tone not in get_args(Tone):
            return ()
        return (notice.flash(locale_of(request)),)
    except (binascii.Error, msgspec.MsgspecError, ValueError, LookupError, AttributeError):
        return ()
