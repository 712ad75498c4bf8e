"""Calls to Kommo's REST API v4: the host they may go to, their place in the account's rate, their deadline,
and what their failures mean.
"""

import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from gptagent.adapters.kommo.failures import TookTooLong, no_answer, refusal, retry_seconds, unavailable
from gptagent.adapters.kommo.pages import LARGEST_PAGE, Query, next_query, smaller
from gptagent.adapters.kommo.wire import embedded
from gptagent.features.crm.model import CallPriority, CrmLink, brand_of
from gptagent.features.crm.ports import CallLimiter, TokenSource
from gptagent.kernel.egress import Response, Ways
from gptagent.kernel.errors import (
    AppError,
    Forbidden,
    Invalid,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    TooLarge,
    UpstreamUnavailable,
)
from gptagent.kernel.observe import CRM_CALLS, CRM_SECONDS

__all__ = ["LARGEST_PAGE", "Call", "Deadlines", "KommoClient", "Query", "no_answer", "unavailable"]

# 250 messages of 4,096 characters in four bytes each are half of it.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_PAGES = 20
FILE_SECONDS = 60.0  # for the whole of a file or of one part of it
# Repeated excess turns into a block of the address, shown as a page of the web server in front.
BLOCK_SECONDS = 600.0
_HOST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.(?:kommo\.com|amocrm\.com|amocrm\.ru)")
_SANDBOX_HOST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.(?:kommo|amocrm)\.test")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for one call, after its slot. A write waits longer: giving up on it costs a read-back."""

    read: float = 10.0
    write: float = 15.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `name` labels it in the metrics; without a priority its slot was reserved before.

    `root` stands before the path; `headers` replace those that carry the link's token. `host` is another one
    than the account's, as for its files; it is held against the same list.
    """

    name: str
    path: str
    method: str = "GET"
    query: Query = ()
    json: object | None = field(default=None, repr=False)
    priority: CallPriority | None = CallPriority.READ
    root: str = "/api/v4"
    host: str | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


class KommoClient:
    def __init__(
        self,
        ways: Ways,
        limiter: CallLimiter,
        *,
        sandbox_url: str | None,
        deadlines: Deadlines,
        tokens: TokenSource | None = None,
    ) -> None:
        self._ways = ways
        self._limiter = limiter
        self._sandbox_url = sandbox_url.rstrip("/") if sandbox_url else None
        self._deadlines = deadlines
        self._tokens = tokens

    async def reserve(self, link: CrmLink, priority: CallPriority) -> None:
        await self._limiter.wait(*self._keys(link), priority)

    async def fetch(self, link: CrmLink, call: Call) -> object | None:
        """Make the call and return its decoded body, None for 204. Raises as CrmPort says.

        A refused token is renewed, an account that was renamed is followed, and the call made once more: the
        refusal says that it was not carried out. A call whose slot was reserved is not: it stands right
        behind the turn's fence, and what happened since then must be looked at first.
        """
        try:
            return await self.fetch_once(link, call)
        except (Forbidden, NotFound) as error:
            fresh = await self._recovered(link, error)
            if fresh is None:
                raise
        if call.priority is None:
            raise UpstreamUnavailable("crm_token_renewed", "The access to the CRM was renewed. Try again.")
        return await self.fetch_once(fresh, call)

    async def _recovered(self, link: CrmLink, error: AppError) -> CrmLink | None:
        if self._tokens is None:
            return None
        if error.code == "crm_unauthorized":
            return await self._tokens.renew(link)
        return await self._tokens.follow(link) if error.code == "crm_not_found" else None

    async def fetch_once(self, link: CrmLink, call: Call) -> object | None:
        """Make the call with the token as it is."""
        with _counted(call.name):
            return await self._fetch(link, call)

    async def page(self, link: CrmLink, call: Call, name: str) -> tuple[list[Mapping[str, object]], bool]:
        """Return one page of a list and whether there is another."""
        rows, following = await self._page(link, call, name)
        return rows, following is not None

    async def rows(
        self, link: CrmLink, call: Call, name: str, *, pages: int = MAX_PAGES
    ) -> AsyncIterator[Mapping[str, object]]:
        """Yield a list's rows over all its pages."""
        for _ in range(pages):
            rows, following = await self._page(link, call, name)
            for row in rows:
                yield row
            if following is None or following == call.query:
                return
            call = replace(call, query=following)

    async def _page(
        self, link: CrmLink, call: Call, name: str
    ) -> tuple[list[Mapping[str, object]], Query | None]:
        """Return a page's rows and the query of the next; what takes the CRM too long comes in parts."""
        try:
            body = await self.fetch(link, call)
            return embedded(body, name), next_query(body)
        except TookTooLong:
            parts = smaller(call.query)
            if not parts:
                raise
        found: list[Mapping[str, object]] = []
        following: Query | None = None
        for query in parts:
            rows, following = await self._page(link, replace(call, query=query), name)
            found += rows
            if following is None:
                break
        return found, following

    async def _fetch(self, link: CrmLink, call: Call) -> object | None:
        base, host_header = self._address((call.host or link.host).lower())
        headers = {"accept": "application/json", **(call.headers or _authorization(link))}
        if call.priority is not None:
            await self.reserve(link, call.priority)
        async with self._told(link, call.name):
            return await self._exchange(link, call, f"{base}{call.root}{call.path}", headers, host_header)

    @asynccontextmanager
    async def _told(self, link: CrmLink, name: str) -> AsyncIterator[None]:
        """Measure a call, and tell the account's circuit how it ended."""
        account, _ = self._keys(link)
        started = time.monotonic()
        try:
            yield
        except RateLimited:
            raise  # says nothing of how the account does
        except AppError as error:
            is_sick = isinstance(error, UpstreamUnavailable | OutcomeUnknown)
            await self._limiter.report(account, failed=is_sick)
            raise
        finally:
            CRM_SECONDS.labels(endpoint=name).observe(time.monotonic() - started)
        await self._limiter.report(account, failed=False)

    async def _exchange(
        self, link: CrmLink, call: Call, url: str, headers: Mapping[str, str], host_header: str | None
    ) -> object | None:
        _, egress = self._ways.of(str(link.connection_id))
        try:
            response = await egress.request(
                call.method,
                f"{url}?{urlencode(call.query)}".removesuffix("?"),
                headers=headers,
                json=call.json,
                deadline=self._deadlines.write if call.is_write else self._deadlines.read,
                max_bytes=MAX_ANSWER_BYTES,
                host_header=host_header,
            )
        except UpstreamUnavailable as error:
            raise unavailable() from error
        except (OutcomeUnknown, TooLarge) as error:
            raise no_answer(is_write=call.is_write) from error
        return await self._judge(link, call, response)

    async def ask_elsewhere(
        self,
        link: CrmLink,
        name: str,
        url: str,
        *,
        max_bytes: int,
        priority: CallPriority = CallPriority.READ,
        json: object | None = None,
        content: bytes | None = None,
    ) -> Response:
        """Ask another of the vendor's servers, at an address it handed out; a body takes the token along.

        It takes its slot as any call does. What goes there is seen by nobody before it is named to the CRM
        itself: a call without an answer may be made again, and raises UpstreamUnavailable. Raises
        Invalid("crm_host_refused") for any other address, and what `fetch` raises.
        """
        parts = _split(url)
        if parts is None or parts.scheme != "https" or parts.username or parts.port not in {None, 443}:
            raise _host_refused()
        base, host_header = self._address((parts.hostname or "").lower())
        address = f"{base}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
        has_body = json is not None or content is not None
        headers = _authorization(link) if has_body else {}
        await self.reserve(link, priority)
        _, egress = self._ways.of(str(link.connection_id))
        with _counted(name):
            async with self._told(link, name):
                try:
                    response = await egress.request(
                        "POST" if has_body else "GET",
                        address,
                        headers=headers,
                        json=json,
                        content=content,
                        deadline=FILE_SECONDS,
                        max_bytes=max_bytes,
                        host_header=host_header,
                    )
                except (UpstreamUnavailable, OutcomeUnknown) as error:
                    raise unavailable() from error
                if not 200 <= response.status < 300:
                    raise await self._refused(link, response, is_write=False)
        return response

    async def _judge(self, link: CrmLink, call: Call, response: Response) -> object | None:
        body = _decoded(response)
        if 200 <= response.status < 300:
            # 204 says that there is nothing; a read's 200 that does so, or no JSON, was cut off on its way.
            if body is None and (response.body or not (call.is_write or response.status == 204)):
                raise no_answer(is_write=call.is_write)
            return body
        raise await self._refused(link, response, is_write=call.is_write)

    async def _refused(self, link: CrmLink, response: Response, *, is_write: bool) -> AppError:
        body = _decoded(response)
        if response.status == 429 or (response.status == 403 and not isinstance(body, dict)):
            return await self._blocked(link, response, body)
        return refusal(response.status, body, is_write=is_write)

    async def _blocked(self, link: CrmLink, response: Response, body: object) -> RateLimited:
        is_page = response.status == 403
        seconds = BLOCK_SECONDS if is_page else retry_seconds(response, body)
        account, address = self._keys(link)
        # A 429 may be one account's own doing; the web server's page means that our address is blocked.
        await self._limiter.block(account, address if is_page else account, seconds)
        code = "crm_blocked" if is_page else "crm_rate_limited"
        return RateLimited(code, "The CRM asks us to slow down. Try again later.", retry_after=seconds)

    def knows_host(self, host: str) -> bool:
        """Whether a host is the vendor's, and so may be sent secrets of ours."""
        is_sandbox = self._sandbox_url is not None and _SANDBOX_HOST.fullmatch(host)
        return bool(is_sandbox or _HOST.fullmatch(host))

    @property
    def sandbox_url(self) -> str | None:
        return self._sandbox_url

    def _address(self, host: str) -> tuple[str, str | None]:
        """Return base URL and Host header. The host comes from a person or the wire: only Kommo's pass."""
        if self._sandbox_url is not None and _SANDBOX_HOST.fullmatch(host):
            return self._sandbox_url, host
        if _HOST.fullmatch(host):
            return f"https://{host}", None
        raise _host_refused()

    def _keys(self, link: CrmLink) -> tuple[str, str]:
        """Return the account's key and the egress address's, or the account's twice where only it counts.

        Kommo limits by address, amoCRM by integration. The account is named by its connection, not by its
        host: nobody can use up the calls of an account not theirs.
        """
        account = f"account:{link.connection_id}"
        by_account = brand_of(link.host) == "amocrm"
        return account, account if by_account else f"address:{self._ways.of(str(link.connection_id))[0]}"


@contextmanager
def _counted(name: str) -> Iterator[None]:
    try:
        yield
    except AppError as error:
        CRM_CALLS.labels(endpoint=name, outcome=error.code).inc()
        raise
    CRM_CALLS.labels(endpoint=name, outcome="ok").inc()


def _host_refused() -> Invalid:
    return Invalid("crm_host_refused", "This is no address of a Kommo or amoCRM account.")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return None
    return parts


def _authorization(link: CrmLink) -> Mapping[str, str]:
    """A pasted token with a line break or a foreign letter cannot be right, and cannot be sent."""
    if not link.token or not all("!" <= char <= "~" for char in link.token):
        raise Forbidden("crm_unauthorized", "The CRM does not accept the access token.")
    return {"authorization": f"Bearer {link.token}"}


def _decoded(response: Response) -> object | None:
    try:
        return msgspec.json.decode(response.body) if response.body else None
    except (msgspec.DecodeError, RecursionError):
        return None
