"""Addresses of pages in one spelling, so that a page is one document however it is linked to."""

import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from gptagent.features.knowledge.model import CSV, DOCX, HTML, MARKDOWN, PDF, PPTX, TXT, XLSX, mime_by_name

URL_MAX_CHARS = 1_500  # as kept; more does not fit into an entry of an index
TYPED_MAX_CHARS = 2_000

# What tells where a visitor came from, not what they see.
_TRACKING = frozenset(
    (
        "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "yclid", "ysclid", "_openstat", "msclkid",
        "mc_cid", "mc_eid", "igshid", "roistat", "_ga", "_gl", "phpsessid", "jsessionid",
    )
)  # fmt: skip
_TRACKING_BEGINS = ("utm_",)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_INVISIBLE = re.compile(r"[\x00-\x20\x7f]+")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_SAFE = "/%:@!$&'()*+,;=~-._"
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Of what is linked to: pages, and files whose text is worth having. Pictures are no pages.
READ_TYPES = frozenset((HTML, TXT, PDF, DOCX, XLSX, PPTX, CSV, MARKDOWN))
_NO_PAGES = frozenset(
    (
        "7z", "apk", "avi", "avif", "bmp", "bz2", "css", "dmg", "doc", "eml", "eot", "exe", "gif", "gz",
        "ico", "ics", "iso", "jpeg", "jpg", "js", "json", "map", "mov", "mp3", "mp4", "mpeg", "msi", "ogg",
        "otf", "png", "ppt", "rar", "rss", "svg", "tar", "tif", "tiff", "ttf", "vcf", "wav", "webm",
        "webmanifest", "webp", "wmv", "woff", "woff2", "xls", "xml", "zip",
    )
)  # fmt: skip


def typed(text: str) -> str | None:
    """Return the address a person means; without a scheme it is https. None if it is none of a page."""
    trimmed = text.strip()
    if not trimmed or len(trimmed) > TYPED_MAX_CHARS or any(char.isspace() for char in trimmed):
        return None
    return normal(trimmed if "://" in trimmed else f"https://{trimmed}")


def normal(address: str, base: str = "") -> str | None:
    """Return an http or https address in its one spelling; None for anything else.

    Without fragment, user, default port, dot segments and parameters that only track; escapes as RFC 3986
    writes them. `base` is the page it stands on.
    """
    try:
        parts = urlsplit(urljoin(base, _INVISIBLE.sub("", address)))
        host, port = _host(parts.hostname or ""), parts.port
    except (ValueError, UnicodeError):
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or port == 0:
        return None
    place = host if port in {None, _DEFAULT_PORTS[scheme]} else f"{host}:{port}"
    query = "&".join(_kept(parts.query))
    found = f"{scheme}://{place}{_path(parts.path)}" + (f"?{query}" if query else "")
    return found if len(found) <= URL_MAX_CHARS else None


def escaped(text: str) -> str:
    """Return a path or query with every character escaped that must be, and none that need not."""
    quoted = quote(text, safe=_SAFE + "?", errors="replace")

    def one(match: re.Match[str]) -> str:
        if match[1] is None:  # a per cent sign that escapes nothing
            return "%25"
        char = chr(int(match[1], 16))
        return char if char in _UNRESERVED else f"%{match[1].upper()}"

    return _ESCAPE.sub(one, quoted)


def path_of(url: str) -> str:
    """Return path and query of a normal address, as rules of robots.txt see them."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_same_site(one: str, other: str) -> bool:
    """Whether two normal addresses are of one host, with or without www, http or https."""
    return _site(one) == _site(other)


def link_on(address: str, base: str, start: str) -> str | None:
    """Return the page of `start`'s site that a link leads to, as https where that is; else None."""
    found = normal(address, base)
    if found is None or not is_same_site(found, start) or not may_be_page(found):
        return None
    if start.startswith("https://") and found.startswith("http://"):
        found = normal("https" + found[len("http") :])
    return found


def may_be_page(url: str) -> bool:
    """Whether an address may lead to something with text in it, as far as its ending tells."""
    name = urlsplit(url).path.rpartition("/")[2]
    return "." not in name or name.rpartition(".")[2].lower() not in _NO_PAGES


def type_by_address(url: str) -> str | None:
    """Return the type that the ending of an address promises, if it is one that is read."""
    mime = mime_by_name(urlsplit(url).path.rpartition("/")[2])
    return mime if mime in READ_TYPES else None


def _host(name: str) -> str:
    if ":" in name:
        return f"[{IPv6Address(name)}]"
    host = name.rstrip(".").encode("idna").decode("ascii").lower() if name else ""
    return host if _HOST.fullmatch(host) else ""


def _path(path: str) -> str:
    kept: list[str] = []
    parts = escaped(path).split("/")
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts[-1] in {".", ".."}:
        kept.append("")
    joined = "/".join(kept)
    return joined if joined.startswith("/") else f"/{joined}"


def _kept(query: str) -> Iterator[str]:
    for part in query.split("&"):
        name = part.partition("=")[0].lower()
        if part and name not in _TRACKING and not name.startswith(_TRACKING_BEGINS):
            yield escaped(part)


def _site(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    port = parts.port or 443
    return (parts.hostname or "").removeprefix("www."), 443 if port == 80 else port
