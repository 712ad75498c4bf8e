"""People with a browser, as far as the server can tell: cookies, forms and the token in them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import count

import httpx2

from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope
from members import cookie_of, number_of
from trust import TRUST

_numbers = count(1)
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Reader:
    """`base` is the address of the reader's workspace, empty for a stranger."""

    http: httpx2.AsyncClient
    base: str = ""
    _known: tuple[list[tuple[str, str | None]], str] | None = field(default=None, repr=False)

    async def open(self, path: str, **options) -> httpx2.Response:
        return await self.http.get(self.base + path, **options)

    async def token(self) -> str:
        """Return what every form of this reader carries: the same as long as the cookies are the same."""
        if self._known is None or self._known[0] != self._cookies():
            page = await self.http.get(f"{self.base}/dashboard" if self.base else "/login")
            self._known = self._cookies(), _TOKEN.search(page.text)[1]
        return self._known[1]

    def _cookies(self) -> list[tuple[str, str | None]]:
        return sorted((one.name, one.value) for one in self.http.cookies.jar)

    async def send(self, path: str, fields=None, **options) -> httpx2.Response:
        """Send a form without a script."""
        data = {"csrf_token": await self.token(), **(fields or {})}
        return await self.http.post(self.base + path, data=data, **options)

    async def follow(self, response: httpx2.Response) -> httpx2.Response:
        assert response.status_code == 303, response.text
        return await self.http.get(response.headers["location"])


@asynccontextmanager
async def reader_of(url: str, database: Database, scope: Scope) -> AsyncIterator[Reader]:
    """Be a person who logged in before and reads English."""
    async with stranger_at(url) as stranger:
        # With its domain, so that a new cookie of the server takes its place.
        stranger.http.cookies.set("session", await cookie_of(database, scope), domain="127.0.0.1")
        start = await stranger.http.get(f"/manage/{await number_of(database, scope)}")
        stranger.base = start.headers["location"]
        yield stranger


@asynccontextmanager
async def stranger_at(url: str) -> AsyncIterator[Reader]:
    """Be somebody who reads English and has no session."""
    async with httpx2.AsyncClient(base_url=url, cookies={"language": "en"}, timeout=60, verify=TRUST) as http:
        yield Reader(http)


def texts(page: httpx2.Response) -> str:
    """Return what is written on a page, one space between words."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))


class _Form(HTMLParser):
    """The fields of a page's first form with this address and method."""

    def __init__(self, action: str, method: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self._sought, self._is_here, self._is_over = (action, method), False, False
        self._name: str | None = None
        self._text = ""
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        if tag == "form" and not self._is_over:
            self._is_here = (known.get("action"), known.get("method")) == self._sought
        if not self._is_here or "disabled" in known:
            return
        if tag in {"textarea", "select"}:
            self._name, self._text, self._options = known.get("name"), "", []
        elif tag == "option":
            self._options.append((known.get("value", ""), "selected" in known))
        elif tag == "input" and (
            "checked" in known or known.get("type") not in {"checkbox", "radio", "file"}
        ):
            self._put(known.get("name"), known.get("value") or "")

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        if tag == "form" and self._is_here:
            self._is_here, self._is_over = False, True
        elif self._is_here and tag == "textarea":
            self._put(self._name, self._text.removeprefix("\n").replace("\n", "\r\n"))
        elif self._is_here and tag == "select" and self._options:
            chosen = [value for value, is_chosen in self._options if is_chosen]
            self._put(self._name, (chosen or [self._options[0][0]])[0])

    def _put(self, name, value):
        if name:
            self.fields.setdefault(name, []).append(value)


def shown_in(page: httpx2.Response, action: str, method: str = "post") -> dict[str, list[str]]:
    """Return what a browser sends of a form in which nothing was changed and no button has a name."""
    form = _Form(action, method)
    form.feed(page.text)
    assert form.fields, f"there is no form to {action}"
    return form.fields


def elsewhere() -> dict[str, str]:
    """Return the header of a proxy that speaks for a client nobody has seen: tries are limited by address."""
    number = next(_numbers)
    return {"x-forwarded-for": f"203.0.{number // 250}.{number % 250 + 1}"}
