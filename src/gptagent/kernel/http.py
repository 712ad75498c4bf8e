"""What REST and HTML share: who asks, and how errors look on the wire."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, SecretStr, field_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope as ASGIScope

from gptagent.kernel.errors import AppError, FieldError, Forbidden, Unauthenticated
from gptagent.kernel.i18n import choose_locale, translate
from gptagent.kernel.scope import Scope

PROBLEM_TYPE = "application/problem+json"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"
ALONE_HEADER = "x-by-itself"  # of what an open page asks for without anybody there
# Addresses of programs: their errors are problem details, those of all others are pages.
MACHINE_PATHS = ("/api/", "/hooks/", "/health/", "/metrics")

# A time with its zone that the database can hold in UTC.
Moment = Annotated[
    AwareDatetime, Query(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9999, 1, 1, tzinfo=UTC))
]


class Wire(BaseModel):
    """Base of request and response bodies: unknown fields are refused, attributes are read.

    `moving` names the fields of an object that change though nobody has changed it: `If-Match` means none of
    them, or who reads a script that is in use could never change it.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True)
    moving: ClassVar[frozenset[str]] = frozenset()


def _storable(value: object) -> object:
    """PostgreSQL stores NUL in no text; the reader learns which field holds it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and "\0" in text:
        raise PydanticCustomError("not_storable", "The text holds a character that cannot be stored.")
    return value


class Body(Wire):
    """Base of request bodies: texts hold nothing that cannot be stored."""

    _check_texts = field_validator("*")(_storable)


def example(values: JsonDict) -> ConfigDict:
    """Return the configuration of a body whose description shows these values."""
    return ConfigDict(json_schema_extra={"examples": [values]})


# A text in the query of an address.
QueryText = Annotated[str, AfterValidator(_storable)]


class PatternRoute(Route):
    """A plain route that tells its pattern to the access log, as FastAPI's own routes do."""

    def matches(self, scope: ASGIScope) -> tuple[Match, ASGIScope]:
        match, child = super().matches(scope)
        return match, {**child, "route": self} if match is not Match.NONE else child


@dataclass(frozen=True, slots=True)
class Access:
    """The ticket of a request, and the person behind it; a program with a key is nobody.

    `grant_id` is the log-in over the API the request came by. `is_held`: the log-in has not shown the second
    factor that is asked for here, so nothing is open but the ways to show or make one.
    """

    scope: Scope
    person_id: UUID | None = None
    grant_id: UUID | None = None
    is_held: bool = False


def access_of(request: Request) -> Access:
    """Return who asks. The authentication in front of all routes has put it there."""
    access: Access | None = getattr(request.state, "access", None)
    if access is None:
        raise Unauthenticated
    return access


def person_of(request: Request) -> UUID:
    """Return the person who asks. Raises Forbidden for a program with a key."""
    person_id = access_of(request).person_id
    if person_id is None:
        raise Forbidden("person_needed", "This takes a person: log in instead of sending a key.")
    return person_id


def client_address(request: Request) -> str:
    """Return the peer's address. uvicorn has replaced it by the proxy's word only if the proxy is trusted."""
    return request.client.host if request.client else "unknown"


def scope_of(request: Request) -> Scope:
    return access_of(request).scope


CurrentScope = Annotated[Scope, Depends(scope_of)]


def as_download(name: str, path: Path) -> Response:
    """Hand a file out so that no browser shows or runs it: its type is nobody's word here."""
    headers = {
        "cache-control": "private, no-store",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
    }
    return FileResponse(path, media_type="application/octet-stream", filename=name, headers=headers)


def host_cookie(name: str, *, secure: bool) -> str:
    """Return a cookie's name as browsers keep it; the prefix binds it to this very host, over https only."""
    return f"__Host-{name}" if secure else name


def choice_of(cookies: Mapping[str, str], name: str, default: str = "") -> str:
    """Return what the reader's browser keeps under a name, with the prefix or, on plain http, without."""
    return cookies.get(host_cookie(name, secure=True), cookies.get(name, default))


def session_cookie(*, secure: bool) -> str:
    """Return the name of the log-in's cookie; the prefix binds it to this very host, over https only."""
    return "__Host-session" if secure else "session"


def return_cookie(*, secure: bool) -> str:
    """Return the name of the cookie with an administrator's own log-in while they impersonate."""
    return "__Host-return" if secure else "return"


def csrf_cookie(*, secure: bool) -> str:
    """Return the name of the cookie that guards forms before anybody has logged in."""
    return "__Host-csrf" if secure else "csrf"


@dataclass(frozen=True, slots=True)
class Csrf:
    """What the forms of this request carry. `is_new`: the browser has no cookie with it yet."""

    token: str
    is_new: bool = False


def csrf_of_session(token: str) -> Csrf:
    """Return what goes with a session's token; it is derived, so that it says nothing about that."""
    return Csrf(hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest())


async def csrf_checked(request: Request) -> AsyncIterator[None]:
    """Dependency of all pages: raise Forbidden unless an unsafe request carries its browser's token."""
    try:
        if request.method not in SAFE_METHODS:
            given = request.headers.get(CSRF_HEADER) or (await request.form()).get(CSRF_FIELD)
            expected: Csrf | None = getattr(request.state, "csrf", None)
            if expected is None or expected.is_new or not _same(expected.token, given):
                raise Forbidden("csrf", "The page has expired. Reload it and try again.")
        yield
    finally:  # also when the page refuses: files of its form are closed
        await request.close()


def _same(expected: str, given: object) -> bool:
    return isinstance(given, str) and hmac.compare_digest(expected.encode(), given.encode())


def locale_of(request: Request) -> str:
    """Return the language of the reader: their cookie first, then what the browser asks for."""
    return choose_locale(choice_of(request.cookies, "language"), request.headers.get("accept-language"))


def problem(error: AppError, locale: str, request_id: str) -> JSONResponse:
    """Return an error as RFC 9457 problem details in the reader's language."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": translate(locale, error.message, **error.params),
        "status": error.status,
        "code": error.code,
        "request_id": request_id,
    }
    if error.fields:
        body["errors"] = [_field(fault, locale) for fault in error.fields]
    headers = {"Retry-After": str(max(1, round(error.retry_after)))} if error.retry_after else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, error.status, headers, media_type=PROBLEM_TYPE)


def _field(fault: FieldError, locale: str) -> dict[str, str]:
    pointer = fault.pointer if fault.pointer.startswith("/") else f"/{fault.pointer.replace('.', '/')}"
    return {"pointer": pointer, "detail": translate(locale, fault.message, **(fault.params or {}))}


class _Status(AppError):
    """An HTTP status that the framework itself answered with."""

    def __init__(self, status: int, code: str, message: str, fields: tuple[FieldError, ...] = ()) -> None:
        super().__init__(code, message, fields=fields)
        self.status = status  # type: ignore[misc]  # the class variable of one instance


_FRAMEWORK = {
    400: ("malformed", "The request cannot be read."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This address does not take that method."),
    413: ("too_large", "The request is too large."),
}


def as_app_error(error: Exception) -> AppError:
    """Translate what the framework raises; anything unexpected becomes an error without internals."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, RequestValidationError):
        faults = error.errors()
        if any(fault["type"] == "json_invalid" for fault in faults):
            return _Status(400, *_FRAMEWORK[400])
        fields = tuple(
            FieldError("/" + "/".join(str(part) for part in fault["loc"][1:]), str(fault["msg"]))
            for fault in faults
        )
        return _Status(422, "invalid", "Please correct the marked fields.", fields)
    if isinstance(error, HTTPException):
        code, message = _FRAMEWORK.get(error.status_code, ("error", "The request was refused."))
        return _Status(error.status_code, code, message)
    return _Status(500, "internal", "Something went wrong on our side. Nothing of yours is lost. Try again.")


ErrorPage = Callable[[Request, AppError], Response]


def error_response(request: Request, error: Exception) -> Response:
    """Answer an error: problem details for programs, the app's error page for people."""
    known = as_app_error(error)
    page: ErrorPage | None = getattr(request.app.state, "error_page", None)
    if page is not None and not request.url.path.startswith(MACHINE_PATHS):
        response = page(request, known)
    else:
        response = problem(known, locale_of(request), getattr(request.state, "request_id", ""))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)  # such as Allow
    return response


def install_problems(app: FastAPI) -> None:
    """Answer every error of the app; pages get theirs from `app.state.error_page`, if that is set."""

    async def answer(request: Request, error: Exception) -> Response:
        return error_response(request, error)

    for kind in (AppError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)
