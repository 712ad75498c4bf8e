"""What all operations of the API share: strict queries and bodies, entity tags, answers given once.

A router of the API is made by `api_router`; nothing else is needed for it.
"""

import hashlib
import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response, params
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.datastructures import ImmutableMultiDict

from gptagent.kernel.errors import FieldError, Invalid, PreconditionFailed, UnsupportedType
from gptagent.kernel.idempotency import KEY_HEADER, Answers
from gptagent.kernel.routing import LazyRoute

JSON_TYPE = "application/json"
FORM_TYPE = "multipart/form-data"
TAG_CHARS = 32
_TAGGED_METHODS = frozenset({"GET", "PATCH", "PUT"})

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ApiRoute(LazyRoute):
    """An operation. One that creates something (POST, 201) answers a repeated Idempotency-Key once."""

    @property
    def creates(self) -> bool:
        return self.status_code == 201 and "POST" in (self.methods or ())

    @property
    def takes_form(self) -> bool:
        return self.body_field is not None and isinstance(self.body_field.field_info, params.Form)

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        parts = list(_with_parts(self.dependant))
        known = frozenset(one.alias for part in parts for one in part.query_params)
        fields = frozenset(one.alias for part in parts for one in part.body_params)
        moving = _moving_of(self.response_model)

        async def answer(request: Request) -> Response:
            refuse_unknown(request.query_params, known)
            if self.body_field is not None:
                refuse_other_types(request, FORM_TYPE if self.takes_form else JSON_TYPE)
            if self.takes_form:
                await _check_form(request, fields)
            response = await self._once(request, handle)
            return tagged(request, response, moving)

        return answer

    async def _once(self, request: Request, handle: Handler) -> Response:
        answers: Answers | None = getattr(request.app.state, "answers", None)
        access = getattr(request.state, "access", None)
        if not self.creates or answers is None or access is None or KEY_HEADER not in request.headers:
            return await handle(request)
        return await answers.once(request, access, handle)


def api_router(path: str, *, tags: list[str]) -> APIRouter:
    """Return the router of the operations below /api/v1 + `path`."""
    return APIRouter(prefix=f"/api/v1{path}", tags=list(tags), route_class=ApiRoute)


async def _check_form(request: Request, known: frozenset[str]) -> None:
    form = await request.form()
    try:
        refuse_unknown(form, known)
    except Invalid:
        await form.close()  # nobody after us will
        raise


def _with_parts(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for part in dependant.dependencies:
        yield from _with_parts(part)


def refuse_unknown(given_values: "ImmutableMultiDict[str, Any]", known: frozenset[str]) -> None:
    """Raise Invalid naming each parameter or form field that nobody knows, or that is there twice."""
    given = [name for name, _value in given_values.multi_items()]
    faults = [FieldError(f"/{name}", "There is no such parameter.") for name in given if name not in known]
    faults += [
        FieldError(f"/{name}", "Give this parameter once.") for name in sorted(known) if given.count(name) > 1
    ]
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))


def refuse_other_types(request: Request, wanted: str) -> None:
    """Raise UnsupportedType unless the body, if there is one, is said to be of this type."""
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if (has_body or given) and given != wanted:
        raise UnsupportedType("content_type_unsupported", "Send the body as {type}.", params={"type": wanted})


def etag_of(current: BaseModel) -> str:
    """Return the strong tag of what GET answers for this object."""
    return _tag(current.model_dump_json().encode(), _moving_of(current))


def _tag(body: bytes, moving: frozenset[str]) -> str:
    """With moving fields it is two tags with a dot between: without those fields, and of the whole."""
    whole = _digest(body)
    if not moving:
        return f'"{whole}"'
    rest = {name: value for name, value in json.loads(body).items() if name not in moving}
    return f'"{_digest(json.dumps(rest).encode())}.{whole}"'


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:TAG_CHARS]


def _moving_of(model: object) -> frozenset[str]:
    """Return the fields of an answer that change by themselves: see Wire."""
    found: frozenset[str] = getattr(model, "moving", frozenset())
    return found


def _meant(tag: str) -> str:
    """Return what of a tag a change depends on."""
    return tag.strip().partition(".")[0].rstrip('"')


def tagged(request: Request, response: Response, moving: frozenset[str] = frozenset()) -> Response:
    """Add the tag to what was read or changed; 304 without a body if the client has just that."""
    body = bytes(getattr(response, "body", b""))  # a file that is written while it is read has none yet
    if request.method not in _TAGGED_METHODS or response.status_code != 200 or not body:
        return response
    tag = _tag(body, moving)
    response.headers["etag"] = tag
    response.headers.add_vary_header("Accept-Language")  # sentences in it are in the reader's language
    held = request.headers.get("if-none-match", "")
    if request.method == "GET" and held and (held.strip() == "*" or tag in _tags(held)):
        return Response(status_code=304, headers={"etag": tag})
    return response


def _tags(header: str) -> frozenset[str]:
    return frozenset(part.strip().removeprefix("W/") for part in header.split(","))


@dataclass(frozen=True, slots=True)
class Match:
    """The client's `If-Match`: which state of the object its change is meant for."""

    header: str | None = None

    def __bool__(self) -> bool:
        """Whether the change depends on the state at all; else nobody need read it first."""
        return self.header is not None

    def check(self, current: BaseModel) -> None:
        """Raise PreconditionFailed if the object, as GET would answer now, is not the one meant."""
        if self.header is None or self.header.strip() == "*":
            return
        # A weak tag never matches here (RFC 9110, 13.1.1).
        if _meant(etag_of(current)) not in {_meant(part) for part in self.header.split(",")}:
            raise PreconditionFailed(
                "precondition_failed", "It has been changed since you read it. Read it again."
            )


def _match(
    if_match: Annotated[
        str | None, Header(description="`ETag` of the state the change is meant for: another one is 412.")
    ] = None,
) -> Match:
    return Match(if_match)


CurrentMatch = Annotated[Match, Depends(_match)]
