"""Answers in the vendor's forms: HAL on success, problem+json on refusal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar, cast
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.state import ENTITY_KINDS, Account, EntityKind, Token
from gptagent.sandbox.wire import Json, Refused, answer

T = TypeVar("T")

HAL, PROBLEM = "application/hal+json", "application/problem+json"
DEFAULT_LIMIT, LARGEST_LIMIT = 50, 250
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
BLOCK_PAGE = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>"
    "\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request to one account."""

    request: Request
    desk: Desk
    account: Account
    token: Token

    @classmethod
    def of(cls, request: Request) -> "Call":
        scope = request.scope
        return cls(request, cast("Desk", scope["desk"]), cast("Account", scope["account"]), scope["token"])

    @property
    def base(self) -> str:
        """The address as the caller knows it: links are built from the Host header."""
        host = self.request.headers.get("host", f"{self.account.subdomain}.kommo.test")
        return f"https://{host}/api/v4"

    @property
    def kind(self) -> EntityKind:
        """The collection the path starts with, for routes that several kinds of records share."""
        first = self.request.scope["path"].removeprefix("/api/v4/").split("/")[0]
        return cast("EntityKind", first) if first in ENTITY_KINDS else "leads"

    @property
    def is_amocrm(self) -> bool:
        """Whether the account was asked by its Russian name: that brand lacks some of the interface."""
        return ".amocrm." in self.request.headers.get("host", "")

    def path_id(self, name: str = "id") -> int:
        return int(self.request.path_params[name])

    def numbers(self, name: str) -> list[int]:
        """Return the integers of a `filter[x]` or `filter[x][]` parameter. Raises Refused with 400."""
        query = self.request.query_params
        given = [*query.getlist(f"filter[{name}]"), *query.getlist(f"filter[{name}][]")]
        given += [value for key, value in query.multi_items() if _is_indexed(key, name)]
        try:
            return [int(value) for value in given]
        except ValueError as error:
            raise problem(400, f"filter[{name}] must be an integer") from error

    def span(self, name: str) -> tuple[int, int]:
        """Return the bounds of `filter[x][from|to]`, open where they are not given."""
        query = self.request.query_params
        try:
            return int(query.get(f"filter[{name}][from]", 0)), int(query.get(f"filter[{name}][to]", 2**62))
        except ValueError as error:
            raise problem(400, f"filter[{name}] must hold unix seconds") from error

    def with_(self) -> set[str]:
        return set(self.request.query_params.get("with", "").split(","))

    async def body(self) -> object:
        """Return the JSON body. Raises Refused with 400 where it is empty or no JSON."""
        raw = await self.request.body()
        try:
            body: object = msgspec.json.decode(raw)
        except msgspec.DecodeError as error:
            raise problem(400, "Request data can not be empty" if not raw else "Invalid JSON") from error
        if not body:
            raise problem(400, "Request data can not be empty")
        return body

    async def object(self) -> Json:
        body = await self.body()
        if not isinstance(body, dict):
            raise invalid("", "This value should be of type object.", code="InvalidType")
        return body

    async def array(self) -> list[Json]:
        """Return the batch of a collection write. Raises Refused with 400, or 422 above the limit."""
        body = await self.body()
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise invalid("", "This value should be of type array.", code="InvalidType")
        if len(body) > LARGEST_LIMIT:
            raise problem(422, f"Limit {LARGEST_LIMIT} per request")
        return body


def _is_indexed(key: str, name: str) -> bool:
    prefix = f"filter[{name}]["
    return key.startswith(prefix) and key[len(prefix) : -1].isdigit()


def problem(status: int, detail: str, **extra: object) -> Refused:
    body = {
        "title": TITLES.get(status, "Error"),
        "type": f"https://httpstatus.es/{status}",
        "status": status,
        "detail": detail,
    }
    return Refused(answer({**extra, **body}, status, PROBLEM))


def invalid(path: str, detail: str, *, code: str = "NotSupportedChoice", request_id: str = "0") -> Refused:
    errors = [{"request_id": request_id, "errors": [{"code": code, "path": path, "detail": detail}]}]
    return problem(400, "Request validation failed", **{"validation-errors": errors})


def block_page() -> Response:
    return Response(BLOCK_PAGE, 403, media_type="text/html")


def hal(body: object, status: int = 200) -> Response:
    return answer(body, status, HAL)


def nothing() -> Response:
    return Response(status_code=204)


def found(body: Json | None) -> Response:
    return nothing() if body is None else hal(body)


def self_link(call: Call, *path: object) -> Json:
    return {"self": {"href": "/".join((call.base, *map(str, path)))}}


def window(call: Call, largest: int = LARGEST_LIMIT) -> tuple[int, int]:
    """Return page and limit. Raises Refused: 422 above the limit, 400 if they are no numbers."""
    query = call.request.query_params
    try:
        page, limit = int(query.get("page", 1)), int(query.get("limit", DEFAULT_LIMIT))
    except ValueError as error:
        raise problem(400, "page and limit must be integers") from error
    if limit > largest:
        raise problem(422, f"Limit {largest} per page")
    return max(page, 1), max(limit, 1)


def cut(
    call: Call,
    name: str,
    rows: Iterable[T],
    shape: Callable[[Call, T], Json],
    *,
    largest: int = LARGEST_LIMIT,
) -> Response:
    """Answer the page asked for of a list that does not tell its length."""
    page, limit = window(call, largest)
    start = (page - 1) * limit
    shown = list(islice(rows, start, start + limit + 1))
    return page_of(call, name, [shape(call, row) for row in shown[:limit]], more=len(shown) > limit)


def counted(
    call: Call, name: str, rows: Sequence[T], shape: Callable[[Call, T], Json], *, at_most: int | None = None
) -> Response:
    """Answer the page asked for of a list that tells its length; some show fewer rows than asked for."""
    page, limit = window(call)
    limit = min(limit, at_most or limit)
    start = (page - 1) * limit
    shown = [shape(call, row) for row in rows[start : start + limit]]
    pages = -(-len(rows) // limit)
    return page_of(call, name, shown, more=page < pages, total=len(rows), pages=pages)


def page_of(
    call: Call,
    name: str,
    rows: Sequence[object],
    *,
    more: bool,
    total: int | None = None,
    pages: int | None = None,
) -> Response:
    """Answer one page of a list, or 204 where it is empty."""
    if not rows:
        return nothing()
    page, _ = window(call)
    links = {"self": {"href": _page_href(call, page)}}
    if more:
        links["next"] = {"href": _page_href(call, page + 1)}
    if page > 1:
        links["first"] = {"href": _page_href(call, 1)}
        links["prev"] = {"href": _page_href(call, page - 1)}
    if pages is not None:
        links["last"] = {"href": _page_href(call, pages)}
    total_items = {} if total is None else {"_total_items": total}
    page_count = {} if pages is None else {"_page_count": pages}
    return hal({**total_items, "_page": page, **page_count, "_links": links, "_embedded": {name: rows}})


def _page_href(call: Call, page: int) -> str:
    kept = [(key, value) for key, value in call.request.query_params.multi_items() if key != "page"]
    path = call.request.url.path.removeprefix("/api/v4")
    return f"{call.base}{path}?{urlencode([*kept, ('page', page)])}"


def written(call: Call, name: str, path: str, rows: Sequence[Json]) -> Response:
    """Answer a collection write: thin rows, each with its own link."""
    linked = [{**row, "_links": self_link(call, path, row["id"])} for row in rows]
    return hal({"_links": self_link(call, path), "_embedded": {name: linked}})


def request_id(item: Json, index: int) -> str:
    return str(item.get("request_id", index))
