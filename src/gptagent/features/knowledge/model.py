"""Articles, documents and what is found in them; the limits every entry point shows."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.knowledge.articles.model import (  # noqa: F401 - part of the public model
    Article,
    ArticleChange,
    ArticleSummary,
    NewArticle,
)
from gptagent.features.knowledge.attachments.model import ArticleFile as ArticleFile  # noqa: PLC0414 - exported
from gptagent.features.knowledge.categories.model import CATEGORIES_MAX as CATEGORIES_MAX  # noqa: PLC0414 - exported
from gptagent.features.knowledge.drafts.model import DraftText as DraftText  # noqa: PLC0414 - exported
from gptagent.features.knowledge.drafts.model import Exchange as Exchange  # noqa: PLC0414 - exported
from gptagent.features.knowledge.drafts.model import Material as Material  # noqa: PLC0414 - exported
from gptagent.features.knowledge.scripts.model import Given as Given  # noqa: PLC0414 - exported
from gptagent.features.knowledge.staging.model import At as At  # noqa: PLC0414 - exported
from gptagent.features.knowledge.staging.model import StageKey as StageKey  # noqa: PLC0414 - exported

FILE_MAX_BYTES = 50_000_000
FILE_NAME_MAX_CHARS = 255

DocumentStatus = Literal["pending", "processing", "completed", "failed"]
SourceKind = Literal["article", "document"]
Place = Literal["page", "sheet", "slide"]

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
HTML = "text/html"
TXT = "text/plain"
MARKDOWN = "text/markdown"
CSV = "text/csv"
EML = "message/rfc822"
PNG = "image/png"
JPEG = "image/jpeg"
WEBP = "image/webp"
TIFF = "image/tiff"
PICTURES = frozenset((PNG, JPEG, WEBP, TIFF))
ZIP = "application/zip"
PLACES: Mapping[str, Place] = {XLSX: "sheet", PPTX: "slide"}
EXTENSIONS: Mapping[str, str] = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".xlsx": XLSX,
    ".pptx": PPTX,
    ".html": HTML,
    ".htm": HTML,
    ".txt": TXT,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".csv": CSV,
    ".eml": EML,
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".webp": WEBP,
    ".tif": TIFF,
    ".tiff": TIFF,
    ".zip": ZIP,
}
FORMATS = (
    "PDF, DOCX, XLSX, PPTX, HTML, TXT, MD, CSV, EML, PNG, JPEG, WebP, TIFF, ZIP"  # as people are told them
)

# What a failed document says: its error code -> an English template, translated where it is shown.
FAILURES: Mapping[str, str] = {
    "empty_text": "No text was found in the file.",
    "encrypted": "The file is protected by a password. Remove the password and upload it again.",
    "damaged": "The file is damaged or incomplete and cannot be read.",
    "type_mismatch": "The content of the file is not what its name says. Save it again in that format.",
    "too_complex": "Reading the file takes too much memory or time. Split it into smaller files.",
    "text_too_long": "The file holds too much text. Split it into smaller files.",
    "file_missing": "The uploaded file is no longer stored. Delete it here and upload it again.",
    "no_recognition": "This is a picture of a text, and text recognition is not installed here. "
    "Ask whoever runs the platform to install it, or upload the text itself.",
    "too_many_scans": "The file has more than 300 scanned pages. Split it into smaller files.",
    "too_many_files": "The archive holds more than 1,000 files. Split it into smaller ones.",
    "too_many_attached": "Only the first 50 files of a letter are read. Upload this one by itself.",
    "too_deep": "Letters within letters are read five deep. Upload this one by itself.",
    "empty_archive": "There is no file in the archive.",
    "nothing_read": "No file of the archive could be taken.",
    "type_unsupported": "Files of this type are not read.",
    "nested_archive": "An archive inside an archive is not opened. Upload it by itself.",
    "entry_too_large": "The file is larger than 50 MB.",
    "storage_full": "The plan's storage is full. Delete what is not needed, or ask for a larger plan.",
    "internal": "The file could not be processed. Try again.",
}


@dataclass(frozen=True, slots=True)
class NewDocument:
    """An upload whose bytes are already in the file store under `blob_key`. `sha256` in hex.

    `categories`, if there are any, are those it is in from now on, also if the document is here already, and
    so are `stages` those it is for. With `agent_id` it is this agent's own, and in none.
    """

    file_name: str
    mime: str
    size_bytes: int
    sha256: str
    blob_key: str
    categories: tuple[UUID, ...] = ()
    stages: tuple[StageKey, ...] = ()
    agent_id: UUID | None = None

    @property
    def digest(self) -> str:
        """By which the same bytes are known: each agent has its own, as the workspace has."""
        if self.agent_id is None:
            return self.sha256
        return hashlib.sha256(self.agent_id.bytes + bytes.fromhex(self.sha256)).hexdigest()


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of a file that was not read: pages (`3-5, 9`), or a file of an archive or letter by its name."""

    name: str
    error_code: str

    @property
    def failure(self) -> str:
        """The English template of the reason, for the reader's language."""
        return FAILURES.get(self.error_code, FAILURES["internal"])


@dataclass(frozen=True, slots=True)
class Document:
    """`progress` in per cent; `error_code` is a key of FAILURES while the status is failed, else None.

    `expected_at` is when the attempt under way is likely to end. An archive has `entry_count` documents made
    of its files and no passages of its own; `unread` names what could not be read. `url` is a site's page's,
    which is in the categories of its site. With `agent_id` it is this agent's own, found by no other one;
    `sha256` is a NewDocument's `digest`.

    Not `is_everywhere` and without `stages` it is found nowhere: their account is disconnected.
    """

    id: UUID
    title: str
    file_name: str
    mime: str
    size_bytes: int
    sha256: str
    blob_key: str
    status: DocumentStatus
    progress: int
    error_code: str | None
    attempts: int
    chunk_count: int
    expected_at: datetime | None
    entry_count: int
    unread: tuple[Unread, ...]
    created_at: datetime
    updated_at: datetime
    url: str | None = None
    agent_id: UUID | None = None
    categories: tuple[UUID, ...] = ()
    stages: tuple[StageKey, ...] = ()
    is_everywhere: bool = True

    @property
    def failure(self) -> str | None:
        """The English template of the reason, for the reader's language."""
        return FAILURES.get(self.error_code, FAILURES["internal"]) if self.error_code else None

    def minutes_left(self, now: datetime) -> int | None:
        """Return how long its reading is likely to go on; None if that is not known, or over."""
        if self.expected_at is None or self.expected_at < now:
            return None
        return round((self.expected_at - now).total_seconds() / 60)


@dataclass(frozen=True, slots=True)
class Done:
    """What an attempt came to: passages, or documents made of an archive's files, and what was left out."""

    chunks: int
    entries: int = 0
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Registration:
    """`is_new` is False when the same bytes were here already: the caller drops its own copy.

    `replaced_key` names the bytes of the file of the same name whose place these took, to be deleted.
    """

    document: Document
    is_new: bool
    replaced_key: str | None = None


@dataclass(frozen=True, slots=True)
class KnowledgeCounts:
    active_articles: int
    completed_documents: int
    site_pages: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage to be indexed. `words` is the normalised text whose lexemes count, the heading included."""

    heading: str
    page: int | None
    content: str
    words: str


@dataclass(frozen=True, slots=True)
class Form:
    """One lexeme of the base that answers to word number `term` of the question, with its weight.

    `chunks` passages hold it.
    """

    term: int
    lexeme: str
    weight: float
    chunks: int


def place_of(mime: str | None) -> Place:
    """Return what the numbers of a file's parts count."""
    return PLACES.get(mime or "", "page")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a source. `coverage` is the share (0-1) of the question's informative words it holds.

    `version` is the source's when the piece was made; `page` the number of the page, sheet or slide it is on,
    as `place` says.
    `support` (0-1) is how far it answers the question: a base answers from where this is high enough.
    `url` is where everybody can read it, if it is a page of a site. `by_words` and `by_meaning` are its
    places, from 1, in the two searches that found it. `similarity` is that of its meaning (cosine), `fused`
    its share in the two searches joined, `relevance` what a reranking model holds of it; None if it has none.
    """

    chunk_id: int
    source_kind: SourceKind
    source_id: UUID
    source_title: str
    heading: str
    page: int | None
    content: str
    score: float
    coverage: float
    version: int
    place: Place = "page"
    support: float = 0.0
    url: str | None = None
    by_words: int | None = None
    by_meaning: int | None = None
    similarity: float | None = None
    fused: float | None = None
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence as it stands in its passage. `score` is the share of the question it answers to."""

    text: str
    passage: Passage
    score: float


def clean_file_name(name: str) -> str:
    """Return the last part of the name without control characters, at most 255 long, ending kept."""
    base = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    base = "".join(c for c in base if unicodedata.category(c)[0] != "C").strip(" .")
    stem, dot, ending = base.rpartition(".")
    if dot and len(base) > FILE_NAME_MAX_CHARS:
        ending = ending[:16]
        base = f"{stem[: FILE_NAME_MAX_CHARS - len(ending) - 1]}.{ending}"
    return base[:FILE_NAME_MAX_CHARS] or "file"


def entry_name(path: str) -> str:
    """Return what an archive's file is called: its folders and name as a label that leads nowhere."""
    parts = [clean_file_name(part) for part in re.split(r"[\\/]", path) if part.strip(" .")]
    joined = " › ".join(parts[-8:])
    return (joined if len(joined) <= FILE_NAME_MAX_CHARS else parts[-1]) or "file"


def title_of(file_name: str) -> str:
    """Return what a reader calls the file: its name without the ending, words apart."""
    stem = file_name.rpartition(".")[0] or file_name
    return re.sub(r"[_\s]+", " ", stem).strip() or file_name


def mime_by_name(file_name: str) -> str | None:
    """Return the type the ending promises; None if we do not read such files."""
    return EXTENSIONS.get(f".{file_name.rpartition('.')[2].lower()}") if "." in file_name else None
