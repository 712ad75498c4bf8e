"""A letter (EML) to its subject, its text and what is attached. Addresses are not read."""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from itertools import islice
from typing import BinaryIO

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.model import EML, EXTENSIONS, PICTURES, ZIP, Unread, entry_name, mime_by_name
from gptagent.features.knowledge.parsing import reading
from gptagent.features.knowledge.parsing.headers import Part, held_by, parse_letter
from gptagent.features.knowledge.parsing.limits import (
    ATTACHED_DEPTH_MAX,
    ATTACHED_MAX,
    ATTACHED_NAMED_MAX,
    PAGES_MAX,
    TEXT_MAX_CHARS,
)
from gptagent.features.knowledge.parsing.markup import declared_charset, read_html
from gptagent.features.knowledge.parsing.plain import decode
from gptagent.features.knowledge.parsing.result import ParseFailed, Scan

# Read before any other: what the standard library imports in mid-reading is loaded by then.
SAMPLE = b"""From: a@b.example\r\nSubject: =?utf-8?B?0K8=?=\r\nMIME-Version: 1.0
Content-Type: multipart/mixed; boundary=y\r\n\r\n--y
Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: base64\r\n\r\n0Q==\r\n--x\r\nContent-Type: text/html\r
Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=D0=AF\r\n--x--\r\n
--y\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename*=utf-8''%D0%AF.txt\r
\r\na\r\n--y--\r\n"""
# A scan's number says which attachment it is of, and which page: the child that draws it reads nothing else.
_STEP = PAGES_MAX + 1
_MIMES = frozenset(EXTENSIONS.values())


@dataclass(slots=True)
class Letter:
    """`scans` and `unread` are whole once the sections were taken. `chars` are read so far."""

    sections: Iterator[Section]
    chars: int = 0
    scans: list[Scan] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Attached:
    """What hangs on a letter, or on one that was forwarded with it. `failed` is why it is not looked at."""

    name: str
    mime: str | None
    part: EmailMessage
    failed: str | None = None

    @property
    def data(self) -> bytes:
        raw = self.part.get_payload(decode=True)
        return raw if isinstance(raw, bytes) else b""


def read_letter(file: BinaryIO, *, alone: bool = False) -> Letter:
    """Raises ParseFailed for what is no letter. `alone` leaves out what is attached, and names it as unread.

    An attachment that cannot be read is named as unread; the others and the text are there all the same.
    """
    letter = _open(file)
    read = Letter(iter(()))
    read.sections = _all(letter, read, alone=alone)
    return read


def draw_attached(file: BinaryIO, number: int) -> bytes:
    """Return a scan of an attachment, by its number, as a portable graymap. Raises ParseFailed."""
    index, page = divmod(number, _STEP)
    attached = list(islice(_attached(_open(file)), ATTACHED_MAX))
    if index >= len(attached) or (mime := attached[index].mime) is None:
        raise ParseFailed("damaged")
    return reading.draw(io.BytesIO(attached[index].data), mime, page)


def _open(file: BinaryIO) -> EmailMessage:
    letter = parse_letter(file)
    if not letter.keys():
        raise ParseFailed("type_mismatch")
    return letter


def _all(letter: EmailMessage, read: Letter, *, alone: bool) -> Iterator[Section]:
    subject = _subject(letter)
    yield Section(1, subject, "")
    for section in _text(letter, 1):
        read.chars += len(section.text)
        yield section
    attached = list(islice(_attached(letter), ATTACHED_NAMED_MAX))
    read.unread += [Unread(one.name, one.failed or "too_many_attached") for one in attached[ATTACHED_MAX:]]
    if alone:
        read.unread += [Unread(one.name, one.failed or "too_complex") for one in attached[:ATTACHED_MAX]]
        return
    for index, one in enumerate(attached[:ATTACHED_MAX]):
        try:
            yield from _sections(one, index, subject, read)
        except ParseFailed as failed:
            read.unread.append(Unread(one.name, failed.code))
        except (MemoryError, RecursionError):
            read.unread.append(Unread(one.name, "too_complex"))
        except Exception:  # noqa: BLE001 - as at the child's edge: a broken file breaks its reader anyhow
            read.unread.append(Unread(one.name, "damaged"))


def _sections(one: Attached, index: int, subject: str, read: Letter) -> Iterator[Section]:
    """Yield what is attached under its name, once all of it is read: half a file is not taken."""
    if one.failed:
        raise ParseFailed(one.failed)
    if one.mime == EML:
        found: Sequence[Section] = _bounded(_text(_forwarded(one), 2), read)
        pages: Sequence[int] = ()
        is_paged = False
    elif one.mime is None or one.mime == ZIP:
        raise ParseFailed("type_unsupported" if one.mime is None else "nested_archive")
    else:
        opened = reading.open_file(io.BytesIO(one.data), one.mime)
        found = [_below(section) for section in _bounded(opened.sections, read)]
        pages, is_paged = opened.scans, opened.pages is not None
        if not pages and not any(c.isalnum() for section in found for c in section.heading + section.text):
            raise ParseFailed("empty_text")
    heading = " › ".join(filter(None, (subject, one.name)))
    read.scans += [Scan(index * _STEP + page, heading, page if is_paged else None) for page in pages]
    if found:
        yield Section(2, one.name, "")
        yield from found


def _bounded(sections: Iterator[Section], read: Letter) -> list[Section]:
    """Return all of them if there is room for them beside what is read of the letter."""
    found, chars = [], read.chars
    for section in sections:
        chars += len(section.text)
        if chars > TEXT_MAX_CHARS:
            raise ParseFailed("text_too_long")
        found.append(section)
    read.chars = chars
    return found


def _below(section: Section) -> Section:
    level = min(section.level + 2, 6) if section.level else 0
    return Section(level, section.heading, section.text, section.page)


def _text(letter: EmailMessage, level: int) -> Iterator[Section]:
    """Yield the letter's text; of HTML the headings come below `level`."""
    for kind in ("plain", "html"):
        sections = list(_body(letter, kind, level))
        if any(section.text.strip() for section in sections):
            yield from sections
            return


def _body(letter: EmailMessage, kind: str, level: int) -> Iterator[Section]:
    body = letter.get_body((kind,))
    raw = body.get_payload(decode=True) if body is not None else None
    if body is None or not isinstance(raw, bytes):
        return
    charset = body.get_content_charset()
    if kind == "plain":
        yield Section(0, "", decode(raw, charset))
        return
    for section in read_html(decode(raw, charset or declared_charset(raw))):
        shown = min(section.level + level, 6) if section.level else 0
        yield Section(shown, section.heading, section.text)


def _attached(letter: EmailMessage, depth: int = 0) -> Iterator[Attached]:
    """Yield what is attached, not what the letter itself shows: the logos of a signature."""
    for part in _hanging(letter):
        inner = _inner(part)
        if isinstance(part, Part) and part.unreadable:
            yield Attached(part.unreadable, None, part, "damaged")
        elif inner is not None:
            yield Attached(entry_name(_subject(inner)), EML, part)
            yield from _below_letter(inner, depth)
        elif part.is_multipart():
            yield from _below_letter(part, depth)
        elif not _is_shown(part):
            name = entry_name(part.get_filename() or "")
            one = Attached(name, _mime(part, name), part)
            yield one
            if one.mime == EML:
                with suppress(ParseFailed):  # it is no letter, as is told when it is read
                    yield from _below_letter(_forwarded(one), depth)


def _below_letter(letter: EmailMessage, depth: int) -> Iterator[Attached]:
    """Yield what is attached to a letter within a letter: as far down as is looked, then to be named."""
    return _attached(letter, depth + 1) if depth < ATTACHED_DEPTH_MAX else _too_deep(letter)


def _too_deep(letter: EmailMessage) -> Iterator[Attached]:
    """Yield what would be attached further down, without calling itself: a letter may be of any depth."""
    parts = held_by(letter)[::-1]
    while parts:
        part = parts.pop()
        parts += held_by(part)[::-1]
        inner = _inner(part)
        if part.unreadable:
            yield Attached(part.unreadable, None, part, "damaged")
        elif inner is not None:
            yield Attached(entry_name(_subject(inner)), None, part, "too_deep")
        elif not part.is_multipart() and _is_file(part):
            yield Attached(entry_name(part.get_filename() or ""), None, part, "too_deep")


def _hanging(letter: EmailMessage) -> Iterator[EmailMessage]:
    """Yield what hangs on a letter, then the parts its text stands in: Apple's program puts files in there,
    beside the second of two forms of the text.
    """
    found = [part for part in letter.iter_attachments() if isinstance(part, EmailMessage)]
    yield from found
    known = {id(part) for part in found}
    held = letter.get_payload() if letter.get_content_maintype() == "multipart" else ()
    for part in held if isinstance(held, list) else ():
        if not isinstance(part, EmailMessage) or id(part) in known:
            continue
        if part.get_content_maintype() == "multipart" or (isinstance(part, Part) and part.unreadable):
            yield part


def _forwarded(one: Attached) -> EmailMessage:
    inner = _inner(one.part)
    return inner if inner is not None else _open(io.BytesIO(one.data))


def _inner(part: EmailMessage) -> EmailMessage | None:
    """Return the letter that a part holds, if it holds one."""
    if part.get_content_type() != EML:
        return None
    held = part.get_payload()
    inner = held[0] if isinstance(held, list) and held else None
    return inner if isinstance(inner, EmailMessage) else None


def _mime(part: EmailMessage, name: str) -> str | None:
    said = part.get_content_type()
    return mime_by_name(name) or (said if said in _MIMES and "." not in name else None)


def _is_shown(part: EmailMessage) -> bool:
    """Tell whether it is a picture within the text, by the name it is called by there."""
    is_picture = part.get_content_maintype() == "image" or mime_by_name(part.get_filename() or "") in PICTURES
    return is_picture and "content-id" in part and part.get_content_disposition() != "attachment"


def _is_file(part: EmailMessage) -> bool:
    is_named = part.get_content_disposition() == "attachment" or bool(part.get_filename())
    return is_named and not _is_shown(part)


def _subject(letter: EmailMessage) -> str:
    return " ".join(str(letter.get("Subject", "")).split())
