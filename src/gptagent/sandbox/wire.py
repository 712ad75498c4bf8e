"""JSON in and out of the emulators' control interfaces."""

import math
from collections.abc import Callable, Reversible
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

Json = dict[str, object]
T = TypeVar("T")
ROWS_PER_PAGE = 1000


class Refused(Exception):  # noqa: N818 - it states what happened
    """An answer other than success, thrown from wherever it is found out."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def answer(body: object, status: int = 200, content_type: str = "application/json") -> Response:
    return Response(msgspec.json.encode(body), status, media_type=content_type)


def refusal(status: int, detail: str) -> Refused:
    return Refused(answer({"error": detail}, status))


async def read_as(request: Request, shape: type[T]) -> T:
    """Return the body as `shape`; an empty body means no fields. Raises Refused with 422."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=shape)
    except msgspec.DecodeError as error:
        raise refusal(422, str(error)) from error


async def read_list(request: Request, shape: type[T]) -> list[T]:
    """Return the body as a list of `shape`; one object alone is a list of one. Raises Refused with 422."""
    raw = (await request.body()).strip()
    try:
        return msgspec.json.decode(raw if raw.startswith(b"[") else b"[%b]" % raw, type=list[shape])  # type: ignore[valid-type]  # a shape given at run time
    except msgspec.DecodeError as error:
        raise refusal(422, str(error)) from error


def merge(current: T, changes: bytes) -> T:
    """Return `current` (a Struct) with the given JSON fields replaced. Raises Refused with 422."""
    try:
        fields = msgspec.json.decode(changes or b"{}", type=dict[str, object])
        return msgspec.convert({**msgspec.to_builtins(current), **fields}, type(current))
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise refusal(422, str(error)) from error


def number(request: Request, name: str, default: float = 0) -> float:
    """Return a finite number of the query string, or the default where it is missing or no number."""
    try:
        value = float(request.query_params.get(name, default))
    except ValueError:
        return default
    return value if math.isfinite(value) else default


def newer(request: Request, rows: Reversible[T], number_of: Callable[[T], int]) -> list[T]:
    """Return at most `limit` rows above the cursor `after`, oldest first; only the new ones cost."""
    after, limit = int(number(request, "after")), int(number(request, "limit", ROWS_PER_PAGE))
    found: list[T] = []
    for row in reversed(rows):
        if number_of(row) <= after:
            break
        found.append(row)
    return found[::-1][:limit]
