"""ZIP: what of it is read, and its bytes entry by entry. Nothing is written where an entry's name says."""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gptagent.features.knowledge.model import FILE_MAX_BYTES, ZIP, entry_name, mime_by_name
from gptagent.features.knowledge.parsing.limits import ARCHIVE_FILES_MAX, UNPACKED_MAX_BYTES
from gptagent.features.knowledge.parsing.package import BROKEN
from gptagent.features.knowledge.parsing.result import ParseFailed

CHUNK_BYTES = 1 << 18
_UTF8_NAME = 0x800  # APPNOTE 4.4.4, bit 11
_LOCKED = 0x1
_NOISE = ("__macosx/", "thumbs.db", "desktop.ini")  # what systems leave in folders


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive. `failed` says, by a key of FAILURES, why it is not unpacked at all."""

    info: zipfile.ZipInfo
    name: str
    failed: str | None


def open_archive(file: BinaryIO) -> tuple[zipfile.ZipFile, list[Entry]]:
    """Raises ParseFailed for a damaged archive, an Office file, a bomb, or one of too many files."""
    try:
        archive = zipfile.ZipFile(file)
    except BROKEN as error:
        raise ParseFailed("damaged") from error
    entries = list(_entries(archive))
    if "[Content_Types].xml" in archive.namelist():
        raise ParseFailed("type_mismatch")
    if len(entries) > ARCHIVE_FILES_MAX:
        raise ParseFailed("too_many_files")
    if sum(entry.info.file_size for entry in entries if not entry.failed) > UNPACKED_MAX_BYTES:
        raise ParseFailed("too_complex")
    if not entries:
        raise ParseFailed("empty_archive")
    return archive, entries


def unpack(archive: zipfile.ZipFile, entry: Entry) -> Iterator[bytes]:
    """Yield an entry's bytes. Raises ParseFailed if they are damaged or other than the directory says."""
    try:
        with archive.open(entry.info) as source:
            while chunk := source.read(CHUNK_BYTES):
                yield chunk
    except (OSError, RuntimeError, zlib.error, *BROKEN) as error:
        raise ParseFailed("damaged") from error


def _entries(archive: zipfile.ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        path = _name(info)
        last = path.rstrip("/").rpartition("/")[2].lower()
        if not info.is_dir() and not path.lower().startswith(_NOISE[0]) and last not in _NOISE:
            if last.startswith("."):
                continue
            yield Entry(info, entry_name(path), _refusal(info, path))


def _refusal(info: zipfile.ZipInfo, path: str) -> str | None:
    mime = mime_by_name(path)
    if mime is None:
        return "type_unsupported"
    if mime == ZIP:
        return "nested_archive"
    if info.flag_bits & _LOCKED:
        return "encrypted"
    return "entry_too_large" if info.file_size > FILE_MAX_BYTES else None


def _name(info: zipfile.ZipInfo) -> str:
    """Return an entry's name; Windows writes it in cp866 in Russia, others in UTF-8 without saying so."""
    if info.flag_bits & _UTF8_NAME or info.filename.isascii():
        return info.filename
    try:
        raw = info.filename.encode("cp437")
    except UnicodeEncodeError:
        return info.filename
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp866")
