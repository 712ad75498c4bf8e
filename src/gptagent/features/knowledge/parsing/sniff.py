"""What a file is by its first bytes: its name may say anything."""

import re

from gptagent.features.knowledge.model import DOCX, EML, HTML, PDF, PICTURES, PPTX, XLSX, ZIP

HEAD_BYTES = 8_192
_PDF_WITHIN = 1_024  # ISO 32000-1, annex H.3.4.1: readers accept the header in the first 1,024 bytes
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # old Word, and DOCX behind a password
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
OFFICE = (DOCX, XLSX, PPTX)
_HEADER = re.compile(rb"\s*(From \S+[^\n]*\n)?[!-9;-~]+:[ \t\r\n]")  # RFC 5322, 2.2; RFC 4155 above it
_TAG = re.compile(rb"<(!doctype|[a-z][a-z1-6]*[\s/>])", re.IGNORECASE)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
_BINARY = (
    b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"7z\xbc\xaf", b"Rar!",
    b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"ID3", b"OggS", b"{\\rtf",
)  # fmt: skip
_TEXT_CONTROLS = frozenset(b"\t\n\v\f\r\x1a\x1b")


def is_type(mime: str, head: bytes) -> bool:
    """Tell whether a file's first HEAD_BYTES fit its type. What kind an archive is, is seen inside it."""
    if mime == PDF:
        return b"%PDF-" in head[:_PDF_WITHIN]
    if mime in OFFICE:
        return head.startswith((b"PK\x03\x04", OLE))
    if mime == ZIP:
        return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))
    if mime in PICTURES:  # a JPEG that is called PNG is shown by every program
        return head.startswith(_PICTURES) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")
    return looks_like_text(head) and _is_kind_of_text(mime, head)


def _is_kind_of_text(mime: str, head: bytes) -> bool:
    if mime == EML:
        return _HEADER.match(head.removeprefix(b"\xef\xbb\xbf")) is not None
    return mime != HTML or head.startswith(UTF16_MARKS) or _TAG.search(head) is not None


def looks_like_text(head: bytes) -> bool:
    """Tell text in any encoding from a binary file. An empty file counts as text."""
    if head.startswith(UTF16_MARKS):
        return True
    if head.startswith(_BINARY):
        return False
    return not any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
