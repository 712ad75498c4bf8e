"""Sites, their pages, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.knowledge.model import FAILURES

SiteKind = Literal["page", "site"]
SiteState = Literal["queued", "running", "completed", "failed"]
Every = Literal["none", "daily", "weekly"]
PageState = Literal["waiting", "taken", "unchanged", "failed", "refused", "skipped", "gone"]

SITES_MAX = 50  # of a workspace
DEPTH_MAX = 10  # links from the address a site begins at
DEPTH = 3
PAGES_MAX = 2_000  # of a site
PAGES = 200
EVERY: tuple[Every, ...] = ("none", "daily", "weekly")
INTERVALS: Mapping[Every, timedelta] = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}
# Of a run: addresses noted for each page that may be taken; a site that makes up links ends there.
FOUND_PER_PAGE = 5
FOUND_LEAST = 50
SITEMAPS_PER_RUN = 50

# Why a page was not taken, or a whole run failed: code -> an English template, translated where it is shown.
REASONS: Mapping[str, str] = {
    "address_refused": "The address is private or reserved and may not be read.",
    "unreachable": "The site could not be reached.",
    "no_answer": "The site did not answer properly in time.",
    "too_large": "The page is larger than 10 MB.",
    "http_error": "The site answered with an error.",
    "http_denied": "The site does not show this page without a log-in.",
    "busy": "The site was busy and asked to come back later.",
    "vanished": "The page is no longer there.",
    "robots": "The site asks programs not to read this page (robots.txt).",
    "robots_unreachable": "The site's robots.txt could not be read, so nothing was taken.",
    "noindex": "The page asks not to be indexed (noindex).",
    "redirected": "The address leads to another page of the site, which is taken instead.",
    "other_site": "The address leads to another site. Add that one by itself.",
    "canonical": "The page names another address as its own, which is taken instead.",
    "duplicate": "Another page of the site says the same.",
    "type": "Files of this type are not read.",
    "storage_full": "The plan's storage is full. Delete what is not needed, or ask for a larger plan.",
    "page_limit": "The limit of pages was reached before this one.",
    "sitemap_unreadable": "The sitemap could not be read.",
    "nothing_taken": "No page could be taken.",
    "interrupted": "The reading was interrupted. Start it again.",
    "internal": "The page could not be processed. Try again.",
}


@dataclass(frozen=True, slots=True)
class NewSite:
    """`url` is a normal address. `categories` are those of all its pages."""

    kind: SiteKind
    url: str
    depth: int = DEPTH
    page_limit: int = PAGES
    every: Every = "none"
    categories: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """Pages of the latest run. `failed` are also those whose text could not be read; `indexed` answer now."""

    found: int = 0
    waiting: int = 0
    taken: int = 0
    unchanged: int = 0
    failed: int = 0
    refused: int = 0
    skipped: int = 0
    gone: int = 0
    reading: int = 0
    indexed: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """One address (`page`) or what can be reached from it on its host (`site`).

    `run` numbers the readings, `claim` those who read. `error_code` is a key of REASONS once a run failed.
    `categories` are those of all its pages.
    """

    id: UUID
    kind: SiteKind
    url: str
    depth: int
    page_limit: int
    every: Every
    state: SiteState
    error_code: str | None
    run: int
    claim: int
    version: int
    next_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    updated_at: datetime
    categories: tuple[UUID, ...] = ()
    counts: Counts = Counts()

    @property
    def is_busy(self) -> bool:
        return self.state in {"queued", "running"}

    @property
    def failure(self) -> str | None:
        """The English template of the reason, for the reader's language."""
        return reason_of(self.error_code) if self.error_code else None

    @property
    def found_max(self) -> int:
        """How many addresses a run notes."""
        return max(self.page_limit * FOUND_PER_PAGE, FOUND_LEAST)


@dataclass(frozen=True, slots=True)
class SitePage:
    """`reason` is a key of REASONS, or of the failures of documents once its text could not be read.

    `chunks` are its passages that answer now, which may be of an earlier reading.
    """

    id: UUID
    kind: Literal["page", "sitemap"]
    url: str
    title: str
    depth: int
    state: PageState
    reason: str | None
    http_status: int | None
    document_id: UUID | None
    reading: bool
    chunks: int
    checked_at: datetime | None

    @property
    def failure(self) -> str | None:
        return reason_of(self.reason) if self.reason else None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A page to be fetched now. Without a document that was read well it has nothing to compare with."""

    id: UUID
    kind: Literal["page", "sitemap"]
    url: str
    depth: int
    attempts: int
    etag: str
    modified: str
    digest: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a page's document is made of. The bytes lie in the file store; `digest` is of what it says."""

    title: str
    file_name: str
    mime: str
    size_bytes: int
    sha256: str
    blob_key: str
    digest: str
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What fetching a page came to. `links` are further pages, `instead` is the one to be taken for it.

    `pause` (s) is set when the site wants to be left alone for a while: the page keeps waiting.
    """

    state: PageState
    reason: str | None = None
    http_status: int | None = None
    links: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()
    instead: str | None = None
    content: Content | None = None
    pause: float | None = None


def reason_of(code: str) -> str:
    """Return the English template of a reason."""
    return REASONS.get(code) or FAILURES.get(code) or REASONS["internal"]
