"""What REST and HTML share: who asks, and how errors look on the wire."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gptagent.kernel.errors import AppError, FieldError, Unauthenticated
from gptagent.kernel.i18n import choose_locale, translate
from gptagent.kernel.scope import Scope

PROBLEM_TYPE = "application/problem+json"


class Wire(BaseModel):
    """Base of request and response bodies: unknown fields are refused, attributes are read."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


@dataclass(frozen=True, slots=True)
class Access:
    """The authenticated person of a request and the ticket to their workspace."""

    person_id: UUID
    scope: Scope


def access_of(request: Request) -> Access:
    """Return who asks. The authentication in front of all routes has put it there."""
    access: Access | None = getattr(request.state, "access", None)
    if access is None:
        raise Unauthenticated
    return access


def scope_of(request: Request) -> Scope:
    return access_of(request).scope


CurrentScope = Annotated[Scope, Depends(scope_of)]


def locale_of(request: Request) -> str:
    """Return the language of the reader: their cookie first, then what the browser asks for."""
    return choose_locale(request.cookies.get("language"), request.headers.get("accept-language"))


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


class _Status(AppError):  # noqa: N818 - it stands for any status
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


def install_problems(app: FastAPI) -> None:
    """Answer every error of the app as problem details."""

    async def answer(request: Request, error: Exception) -> Response:
        request_id = getattr(request.state, "request_id", "")
        return problem(as_app_error(error), locale_of(request), request_id)

    for kind in (AppError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)
