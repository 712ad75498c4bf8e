"""Fetching a page: one request, never a redirect followed, and what the answer means."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gptagent.features.knowledge.model import HTML, MARKDOWN, PDF, TXT, clean_file_name, title_of
from gptagent.features.knowledge.sites import reading
from gptagent.features.knowledge.sites.addresses import (
    READ_TYPES,
    is_same_site,
    link_on,
    origin_of,
    type_by_address,
    typed,
)
from gptagent.features.knowledge.sites.model import REASONS, Claimed, Content, Site, Visit
from gptagent.features.knowledge.sites.robots import AGENT, ROBOTS_MAX_BYTES, Robots
from gptagent.kernel.egress import Egress, Response
from gptagent.kernel.errors import AppError, Forbidden, Invalid, OutcomeUnknown, TooLarge, UpstreamUnavailable

PAGE_MAX_BYTES = 10_000_000
FETCH_SECONDS = 20.0
BUSY_SECONDS = 10.0  # until a site that is busy is asked again, if it does not say
BUSY_MAX_SECONDS = 60.0
REDIRECTS_MAX = 5  # of robots.txt and sitemaps; of pages none: where they lead is noted as a page
_VALIDATOR_MAX_CHARS = 200
_USER_AGENT = f"Mozilla/5.0 (compatible; {AGENT}/1.0)"
_TEXTS = frozenset((TXT, MARKDOWN, "text/csv"))
_ALIASES = {
    "application/xhtml+xml": HTML,
    "text/x-markdown": MARKDOWN,
    "application/x-pdf": PDF,
}
_UNSAID = frozenset(("", "application/octet-stream", "binary/octet-stream"))


@dataclass(frozen=True, slots=True)
class Fetched:
    """`body` is what is to be kept of a page whose visit has a content."""

    visit: Visit
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Gets what a site shows to everybody, by the platform's guarded way out."""

    egress: Egress

    async def read_robots(self, site: Site) -> tuple[str | None, str]:
        """Return the text of robots.txt, empty if there is none; or None and why it could not be read."""
        try:
            answer = await self._get(f"{origin_of(site.url)}/robots.txt", redirects=REDIRECTS_MAX)
        except AppError as error:
            return None, _reason(error)
        if answer.status == 429 or answer.status >= 500:
            return None, "robots_unreachable"
        text = (
            answer.body[:ROBOTS_MAX_BYTES].decode("utf-8", errors="replace") if answer.status == 200 else ""
        )
        return text.replace("\0", ""), ""

    async def fetch(self, site: Site, robots: Robots, page: Claimed) -> Fetched:
        """Fetch what is next. Whatever the site does, the answer is a visit."""
        if page.kind == "page" and not robots.allows(page.url):
            return Fetched(Visit("refused", "robots"))
        try:
            if page.kind == "sitemap":
                return Fetched(await self._read_sitemap(site, page))
            # A 304 has no links: only a page whose links are not followed may answer so.
            answer = await self._get(page.url, _conditions(page) if page.depth >= site.depth else None)
        except AppError as error:
            return Fetched(Visit("failed", _reason(error)))
        if answer.status == 200:
            return await asyncio.to_thread(_read, site, page, answer)
        return Fetched(_refused(site, page, answer))

    async def _read_sitemap(self, site: Site, page: Claimed) -> Visit:
        answer = await self._get(page.url, redirects=REDIRECTS_MAX)
        if answer.status in {404, 410}:
            return Visit("gone", "vanished", answer.status)
        if answer.status != 200:
            return Visit("failed", "sitemap_unreadable", answer.status)
        sitemaps, pages = await asyncio.to_thread(reading.read_sitemap, answer.body, site.url)
        own = tuple(one for one in sitemaps if is_same_site(one, site.url))
        head = answer.body[:2_000].lower()
        if not own and not pages and b"urlset" not in head and b"sitemapindex" not in head:
            is_page = b"<html" in head or b"<!doctype html" in head  # such as "not found", said with a 200
            return Visit("skipped" if is_page else "failed", "sitemap_unreadable", 200)
        return Visit("taken", None, 200, tuple(pages[: site.found_max]), own)

    async def _get(
        self, url: str, conditions: Mapping[str, str] | None = None, *, redirects: int = 0
    ) -> Response:
        headers = {"user-agent": _USER_AGENT, "accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        return await self.egress.request(
            "GET",
            url,
            headers={**headers, **(conditions or {})},
            deadline=FETCH_SECONDS,
            max_bytes=PAGE_MAX_BYTES,
            redirects=redirects,
        )


async def judged(egress: Egress, text: str) -> str:
    """Return the address a person typed, in its one spelling. Raises Invalid if it may not be read."""
    url = typed(text)
    if url is None:
        raise Invalid.field("url", "Enter the address of a page, like https://example.com.")
    try:
        await egress.judge(url)
    except Forbidden as error:
        raise Invalid.field("url", REASONS["address_refused"]) from error
    except UpstreamUnavailable as error:
        raise Invalid.field("url", "There is no site of this name. Check the address.") from error
    return url


def _conditions(page: Claimed) -> dict[str, str]:
    found = {}
    if page.etag:
        found["if-none-match"] = page.etag
    if page.modified:
        found["if-modified-since"] = page.modified
    return found


def _reason(error: AppError) -> str:
    if isinstance(error, Forbidden):
        return "address_refused"
    if isinstance(error, TooLarge):
        return "too_large"
    return "no_answer" if isinstance(error, OutcomeUnknown) else "unreachable"


def _refused(site: Site, page: Claimed, answer: Response) -> Visit:
    """Return what an answer without a page means."""
    status = answer.status
    if status == 304 and page.digest:
        return Visit("unchanged", None, status)
    if status in {404, 410}:
        return Visit("gone", "vanished", status)
    if status in {301, 302, 303, 307, 308}:
        target = link_on(answer.headers.get("location", ""), page.url, site.url)
        if target is None:
            return Visit("skipped", "other_site", status)
        if target != page.url:
            return Visit("skipped", "redirected", status, instead=target)
    if status in {429, 503}:
        return Visit("waiting", "busy", status, pause=_wait(answer.headers.get("retry-after", "")))
    return Visit("failed", "http_denied" if status in {401, 403} else "http_error", status)


def _wait(said: str) -> float:
    seconds = float(said) if said.isascii() and said.isdecimal() and len(said) < 6 else BUSY_SECONDS
    return min(max(seconds, 1.0), BUSY_MAX_SECONDS)


def _read(site: Site, page: Claimed, answer: Response) -> Fetched:
    """Look at a page that came. Its text is read later, by a child."""
    said = answer.headers.get("content-type", "")
    mime = _mime(said, page.url)
    if mime is None:
        return Fetched(Visit("skipped", "type", 200))
    charset = _charset(said)
    body = reading.in_utf8(answer.body, charset) if mime == HTML or mime in _TEXTS else answer.body
    if not body.strip():
        return Fetched(Visit("failed", "empty_text", 200))
    if mime == HTML:
        seen = reading.read_page(reading.decoded(body, charset), page.url, site.url, answer.headers)
    else:
        digest = hashlib.sha256(body).hexdigest()
        seen = reading.Seen("", (), None, reading.is_noindex(answer.headers), digest)
    if seen.is_noindex:
        return Fetched(Visit("skipped", "noindex", 200, seen.links))
    instead = seen.canonical if seen.canonical != page.url else None
    is_same = bool(page.digest) and seen.digest == page.digest
    content = _content(page, mime, body, seen, answer.headers)
    state = Visit("unchanged" if is_same else "taken", None, 200, seen.links, (), instead, content)
    return Fetched(state, b"" if is_same else body)


def _content(
    page: Claimed, mime: str, body: bytes, seen: reading.Seen, headers: Mapping[str, str]
) -> Content:
    parts = urlsplit(page.url)
    name = clean_file_name(unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.hostname or "page")
    return Content(
        title=_plain(seen.title) or title_of(name),
        file_name=name,
        mime=mime,
        size_bytes=len(body),
        # Of the page and its bytes: a file with the same bytes that is uploaded is another document.
        sha256=hashlib.sha256(page.id.bytes + body).hexdigest(),
        blob_key="",
        digest=seen.digest,
        etag=_validator(headers.get("etag", "")),
        modified=_validator(headers.get("last-modified", "")),
    )


def _plain(title: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in title).split())


def _validator(said: str) -> str:
    """Return what may be sent back as it came; nothing that a header could not hold."""
    return said if len(said) <= _VALIDATOR_MAX_CHARS and said.isascii() and said.isprintable() else ""


def _mime(said: str, url: str) -> str | None:
    kind = said.partition(";")[0].strip().lower()
    kind = _ALIASES.get(kind, kind)
    if kind in _UNSAID or (kind == TXT and type_by_address(url) is not None):
        return type_by_address(url)
    return kind if kind in READ_TYPES else None


def _charset(said: str) -> str | None:
    for part in said.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or None
    return None
