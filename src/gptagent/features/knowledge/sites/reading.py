"""What a crawler needs of a page beside its text: links, canonical address, what its owner allows, a digest.

The text itself is read by the parsing child. Here tags are only looked at, by patterns that take linear time
whatever the page holds.
"""

import hashlib
import html
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gptagent.features.knowledge.parsing.markup import declared_charset
from gptagent.features.knowledge.parsing.plain import CODECS
from gptagent.features.knowledge.sites.addresses import link_on, normal
from gptagent.features.knowledge.sites.robots import AGENT

LINKS_MAX = 1_000  # of one page
ADDRESSES_MAX = 50_000  # of one sitemap, as the protocol says
SITEMAP_MAX_BYTES = 10_000_000
TITLE_MAX_CHARS = 255
_TAG_MAX_CHARS = 4_000

_OPENING = re.compile(
    r"<!--|<(?:(script|style|template|noscript|svg)\b|(a|area|link|meta|base|title)\b([^<>]*)>|[a-z/!?][^<>]*>)",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"</(script|style|template|noscript|svg)\b[^<>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""(?<![\w-])([a-z-]{1,20})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE
)
_LOC = re.compile(r"<(?:(\w{1,20}):)?loc\b[^<>]*>\s*(?:<!\[CDATA\[)?([^<\]]*)", re.IGNORECASE)
_LINK_HEADER = re.compile(r'<([^<>]*)>\s{0,9};[^<>,]*\brel="?canonical\b', re.IGNORECASE)
_MEDIA = frozenset(("image", "video", "news"))


@dataclass(frozen=True, slots=True)
class Seen:
    """`links` are normal addresses of the same site. `digest` is of title and text, not of the markup."""

    title: str
    links: tuple[str, ...]
    canonical: str | None
    is_noindex: bool
    digest: str


def decoded(body: bytes, charset: str | None) -> str:
    """Return a page's markup as text, well enough for its links and title. Never raises."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if body.startswith(mark):
            return body.decode(encoding, errors="replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        said = (charset or declared_charset(body) or "").lower().replace("_", "-")
        return body.decode(said if said in CODECS else "cp1251", errors="replace")


def in_utf8(body: bytes, charset: str | None) -> bytes:
    """Return a text marked as UTF-8 where only the answer's header told its encoding; else as it is."""
    said = (charset or "").lower().replace("_", "-")
    if said in {"", "utf-8", "utf8"} or said not in CODECS or body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return b"\xef\xbb\xbf" + body.decode(said, errors="replace").encode()
    return body


def read_page(markup: str, url: str, start: str, headers: Mapping[str, str]) -> Seen:
    """Look at a page that came from `url`, of the site that begins at `start`."""
    said = headers.get("x-robots-tag", "")
    is_noindex, is_nofollow = _forbids(said) if _concerns_us(said) else (False, False)
    match = _LINK_HEADER.search(headers.get("link", "")[:_TAG_MAX_CHARS])
    base, title, canonical = url, "", match[1] if match else None
    links: dict[str, None] = {}
    text = hashlib.sha256()
    for tag, attributes, words in _parts(markup):
        if tag == "title" and not title:
            title = " ".join(html.unescape(words).split())
        text.update(" ".join(words.split()).encode("utf-8", errors="replace"))
        if tag == "base" and (href := attributes.get("href")):
            base = normal(href, url) or base
        elif tag == "meta" and attributes.get("name", "").lower() in {"robots", AGENT.lower()}:
            noindex, nofollow = _forbids(attributes.get("content", ""))
            is_noindex, is_nofollow = is_noindex or noindex, is_nofollow or nofollow
        elif tag == "link" and "canonical" in attributes.get("rel", "").lower().split():
            canonical = attributes.get("href") or canonical
        elif tag in {"a", "area"} and "nofollow" not in attributes.get("rel", "").lower():
            link = link_on(attributes.get("href", ""), base, start) if attributes.get("href") else None
            if link is not None and len(links) < LINKS_MAX:
                links[link] = None
    return Seen(
        title[:TITLE_MAX_CHARS],
        () if is_nofollow else tuple(links),
        link_on(canonical, base, start) if canonical else None,
        is_noindex,
        text.hexdigest(),
    )


def is_noindex(headers: Mapping[str, str]) -> bool:
    """Whether an answer's header keeps it out of indexes."""
    said = headers.get("x-robots-tag", "")
    return _concerns_us(said) and _forbids(said)[0]


def read_sitemap(body: bytes, start: str) -> tuple[list[str], list[str]]:
    """Return the addresses of further sitemaps, and of pages of the site that begins at `start`.

    Takes XML, XML in gzip, and plain lists. Entities are not resolved: nothing of the file is carried out.
    """
    text = decoded(_unpacked(body), None)
    if "<" not in text[:1_000]:
        return [], _pages(text.split(), start)
    found = [html.unescape(match[2].strip()) for match in _LOC.finditer(text) if match[1] not in _MEDIA]
    found = found[:ADDRESSES_MAX]
    if "<sitemapindex" in text[:2_000].lower():
        return list(dict.fromkeys(filter(None, (_sitemap(one, start) for one in found)))), []
    return [], _pages(found, start)


def _sitemap(address: str, start: str) -> str | None:
    found = normal(address, start)
    if found is not None and start.startswith("https://") and found.startswith("http://"):
        return normal("https" + found[len("http") :])
    return found


def _pages(addresses: list[str], start: str) -> list[str]:
    found = (link_on(one, start, start) for one in addresses[:ADDRESSES_MAX])
    return list(dict.fromkeys(one for one in found if one is not None))


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body, SITEMAP_MAX_BYTES)
    except zlib.error:
        return b""


def _parts(markup: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the tags that matter with their attributes, and the words behind each tag."""
    at, tag, attributes = 0, "", dict[str, str]()
    while True:
        found = _OPENING.search(markup, at)
        yield tag, attributes, markup[at : found.start() if found else len(markup)]
        if found is None:
            return
        end = _end(markup, found)
        if end is None:
            return
        at, tag, attributes = end, (found[2] or "").lower(), _attributes(found[3] or "")


def _end(markup: str, found: re.Match[str]) -> int | None:
    """Return where reading goes on; None if what was begun has no end."""
    if found[0] == "<!--":
        end = markup.find("-->", found.end())
        return end + 3 if end >= 0 else None
    if found[1]:
        ends = (one for one in _CLOSING.finditer(markup, found.end()) if one[1].lower() == found[1].lower())
        closing = next(ends, None)
        return closing.end() if closing else None
    return found.end()


def _attributes(text: str) -> dict[str, str]:
    if len(text) > _TAG_MAX_CHARS:
        return {}
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text):
        found.setdefault(match[1].lower(), html.unescape(match[2] or match[3] or match[4] or ""))
    return found


def _forbids(said: str) -> tuple[bool, bool]:
    """Return whether rules keep a page from being indexed, and its links from being followed."""
    rules = {rule.strip() for part in said.lower().split(",") for rule in part.split(":")}
    return bool(rules & {"noindex", "none"}), bool(rules & {"nofollow", "none"})


def _concerns_us(said: str) -> bool:
    """`X-Robots-Tag: otherbot: noindex` is for that program alone."""
    agent, colon, _ = said.partition(":")
    names_one = bool(colon) and "," not in agent and agent.strip().lower() != "unavailable_after"
    return not names_one or agent.strip().lower() == AGENT.lower()
