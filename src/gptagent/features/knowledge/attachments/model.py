"""Files of an article: which kinds there are, and what a file is by its first bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

FileKind = Literal["picture", "audio", "video", "document"]

FILE_MAX_BYTES = 25_000_000  # what the channels themselves let through, WhatsApp's documents apart
FILES_MAX = 10  # of an article: a customer gets each of them as a message of its own
HEAD_BYTES = 512
_TEXT_CONTROLS = frozenset(b"\t\n\v\f\r")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK\x03\x04"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class FileType:
    """`fits` tells by a file's first HEAD_BYTES whether it is what its ending says."""

    kind: FileKind
    mime: str
    fits: Callable[[bytes], bool]


def _begins(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(b"RIFF") and head[8:12] == form


def _iso(head: bytes) -> bool:
    """Tell MP4 and its kin (ISO/IEC 14496-12, 4.3: the first box is `ftyp`)."""
    return head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free"}


def _mpeg_audio(head: bytes) -> bool:
    """Tell MP3 and AAC: an ID3 tag, or the eleven set bits that begin a frame."""
    return head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def _pdf(head: bytes) -> bool:
    return b"%PDF-" in head


def _text(head: bytes) -> bool:
    if head.startswith(_UTF16):
        return True
    return not any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)


_JPEG = FileType("picture", "image/jpeg", _begins(b"\xff\xd8\xff"))
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
# By ending. What a browser would run or show as a page (HTML, SVG) is not among them.
TYPES: Mapping[str, FileType] = {
    "png": FileType("picture", "image/png", _begins(b"\x89PNG\r\n\x1a\n")),
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "gif": FileType("picture", "image/gif", _begins(b"GIF87a", b"GIF89a")),
    "webp": FileType("picture", "image/webp", _riff(b"WEBP")),
    "mp3": FileType("audio", "audio/mpeg", _mpeg_audio),
    "aac": FileType("audio", "audio/aac", _mpeg_audio),
    "ogg": FileType("audio", "audio/ogg", _begins(b"OggS")),
    "opus": FileType("audio", "audio/ogg", _begins(b"OggS")),
    "m4a": FileType("audio", "audio/mp4", _iso),
    "wav": FileType("audio", "audio/wav", _riff(b"WAVE")),
    "mp4": FileType("video", "video/mp4", _iso),
    "mov": FileType("video", "video/quicktime", _iso),
    "3gp": FileType("video", "video/3gpp", _iso),
    "webm": FileType("video", "video/webm", _begins(b"\x1a\x45\xdf\xa3")),
    "pdf": FileType("document", "application/pdf", _pdf),
    "doc": FileType("document", "application/msword", _begins(_OLE)),
    "xls": FileType("document", "application/vnd.ms-excel", _begins(_OLE)),
    "ppt": FileType("document", "application/vnd.ms-powerpoint", _begins(_OLE)),
    "docx": FileType("document", _OFFICE + "wordprocessingml.document", _begins(_ZIP)),
    "xlsx": FileType("document", _OFFICE + "spreadsheetml.sheet", _begins(_ZIP)),
    "pptx": FileType("document", _OFFICE + "presentationml.presentation", _begins(_ZIP)),
    "odt": FileType("document", _OPEN + "text", _begins(_ZIP)),
    "ods": FileType("document", _OPEN + "spreadsheet", _begins(_ZIP)),
    "zip": FileType("document", "application/zip", _begins(_ZIP)),
    "rtf": FileType("document", "application/rtf", _begins(b"{\\rtf")),
    "txt": FileType("document", "text/plain", _text),
    "csv": FileType("document", "text/csv", _text),
}
FORMATS = (
    "JPEG, PNG, GIF, WebP, MP3, AAC, OGG, M4A, WAV, MP4, MOV, WebM, PDF, DOC(X), XLS(X), PPT(X), ODT, ODS, "
    "RTF, TXT, CSV, ZIP"  # as people are told them
)
ENDINGS = ",".join(f".{ending}" for ending in TYPES)


def type_of(file_name: str) -> FileType | None:
    """Return what the ending promises; None for what is not taken."""
    return TYPES.get(file_name.rpartition(".")[2].lower()) if "." in file_name else None


@dataclass(frozen=True, slots=True)
class NewFile:
    """An upload whose bytes are already in the file store under `blob_key`. `sha256` in hex."""

    name: str
    type: FileType
    size_bytes: int
    sha256: str
    blob_key: str


@dataclass(frozen=True, slots=True)
class ArticleFile:
    """A file of an article, as it is sent to the customer."""

    id: UUID
    article_id: UUID
    name: str
    kind: FileKind
    mime: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of an upload: `is_new` False if the article has these bytes already."""

    file: ArticleFile
    is_new: bool
