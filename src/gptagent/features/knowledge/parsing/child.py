"""The child process: `python -I -m gptagent.features.knowledge.parsing.child PATH TYPE [TASK NUMBER]`.

Writes one JSON object to stdout: {"pages", "scans": [[number, heading, page], ...],
"fragments": [[heading, page, content], ...], "unread": [[name, code], ...]} or {"failed": code}; with NUMBER
1 a letter without what is attached to it. With TASK `draw` it writes page NUMBER as a portable graymap
instead. With `unpack` it writes the files of an archive from NUMBER on: for each a line of JSON {"index",
"count", "name", "failed"}, then, if it did not fail, its bytes in blocks with their length (4 bytes,
big-endian) before them, and a last one of length 0, or of 0xFFFFFFFF if they are damaged.
"""

import codecs
import io
import json
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gptagent.features.knowledge.chunking import Fragment, Section, cut
from gptagent.features.knowledge.model import DOCX, EML, PDF, PICTURES, ZIP
from gptagent.features.knowledge.parsing import limits, reading
from gptagent.features.knowledge.parsing.plain import CODECS
from gptagent.features.knowledge.parsing.result import ParsedDocument, ParseFailed, Scan
from gptagent.features.knowledge.parsing.sniff import HEAD_BYTES, OFFICE, is_type

# What readers look up by name while they read: PDFium's wrapper, zipfile, `decode`.
_CODECS = ("utf-8-sig", "utf-16-le", "utf-16-be", "cp437", "latin-1", "ascii", "unicode_escape", *CODECS)


def main(path: str, mime: str, task: str = "read", number: str = "0") -> None:
    limits.restrain()
    try:
        # as nobody a folder of the home could not be entered any more
        file = Path(path).open("rb")  # noqa: SIM115 - read to the process's end
        _load_all(mime, file)
        limits.drop_root()
        _TASKS[task](file, mime, int(number))
    except ParseFailed as failed:
        _write({"failed": failed.code})
    except (MemoryError, RecursionError):
        _write({"failed": "too_complex"})
    except Exception as error:  # noqa: BLE001 - the process edge: a broken file breaks its reader anyhow
        place = traceback.extract_tb(error.__traceback__)[-1]
        _write({"failed": "damaged", "error": f"{type(error).__name__} at {place.filename}:{place.lineno}"})


def _read(file: BinaryIO, mime: str, number: int) -> None:
    parsed = parse(file, mime, alone=number == limits.ALONE)
    fragments = [[f.heading, f.page, f.content] for f in parsed.fragments]
    scans = [[one.number, one.heading, one.page] for one in parsed.scans]
    unread = [[one.name, one.error_code] for one in parsed.unread]
    _write({"pages": parsed.pages, "scans": scans, "fragments": fragments, "unread": unread})


def _draw(file: BinaryIO, mime: str, number: int) -> None:
    if mime == EML:
        from gptagent.features.knowledge.parsing.letters import draw_attached

        drawn = draw_attached(file, number)
    else:
        drawn = reading.draw(file, mime, number)
    sys.stdout.buffer.write(drawn)
    sys.stdout.flush()


def _unpack(file: BinaryIO, mime: str, number: int) -> None:
    from gptagent.features.knowledge.parsing.archive import open_archive, unpack

    if not is_type(mime, file.read(HEAD_BYTES)):
        raise ParseFailed("type_mismatch")
    archive, entries = open_archive(file)
    out = sys.stdout.buffer
    for index, entry in enumerate(entries[number:], start=number):
        told = {"index": index, "count": len(entries), "name": entry.name, "failed": entry.failed}
        out.write(json.dumps(told).encode() + b"\n")
        if entry.failed:
            continue
        try:
            for chunk in unpack(archive, entry):
                out.write(len(chunk).to_bytes(4, "big") + chunk)
            out.write(bytes(4))
        except ParseFailed:
            out.write(b"\xff" * 4)
        out.flush()
    out.flush()


_TASKS = {"read": _read, "draw": _draw, "unpack": _unpack}


def parse(file: BinaryIO, mime: str, *, alone: bool = False) -> ParsedDocument:
    """Raises ParseFailed if the file is not of this type or cannot be read, or has no text.

    A letter is read `alone`, or with what is attached to it.
    """
    if mime == EML:
        from gptagent.features.knowledge.parsing.letters import read_letter

        reading.check_type(file, mime)
        letter = read_letter(file, alone=alone)
        fragments = _fragments(letter.sections)
        return _kept(ParsedDocument(fragments, None, tuple(letter.scans), tuple(letter.unread)))
    opened = reading.open_file(file, mime)
    fragments = _fragments(opened.sections)
    pages = opened.pages
    scans = tuple(Scan(number, "", number if pages else None) for number in opened.scans)
    return _kept(ParsedDocument(fragments, pages, scans))


def _kept(parsed: ParsedDocument) -> ParsedDocument:
    if not parsed.scans and not any(c.isalnum() for one in parsed.fragments for c in one.content):
        raise ParseFailed("empty_text")
    return parsed


def _fragments(sections: Iterable[Section]) -> tuple[Fragment, ...]:
    return tuple(Fragment(_clean(f.heading), f.page, _clean(f.content)) for f in cut(_bounded(sections)))


def _bounded(sections: Iterable[Section]) -> Iterator[Section]:
    total = 0
    for section in sections:
        total += len(section.text)
        if total > limits.TEXT_MAX_CHARS:
            raise ParseFailed("text_too_long")
        yield section


def _clean(text: str) -> str:
    """Drop what PostgreSQL cannot store: NUL and halves of surrogate pairs."""
    return text.replace("\0", " ").encode("utf-8", errors="replace").decode()


def _load_all(mime: str, file: BinaryIO) -> None:
    """Load the readers of a type, and of what may be attached to it. Ends the process if they are not there:
    a library may be exchanged just now.
    """
    try:
        _load(mime)
        if mime == EML and _has_attached(file):
            for each in (PDF, DOCX):
                _load(each)
    except ImportError:
        sys.exit(limits.UNREADY)


def _load(mime: str) -> None:
    """Import what a type needs now and in mid-reading: as nobody, Python's own folder may be out of reach."""
    wanted = set(_CODECS)
    if mime == PDF:
        import gptagent.features.knowledge.parsing.pdf

        _load_pictures()
    elif mime in PICTURES:
        _load_pictures()
    elif mime == ZIP:
        import gptagent.features.knowledge.parsing.archive  # noqa: F401 - imported for its effect
    elif mime in OFFICE:
        import docx

        from gptagent.features.knowledge.parsing import sheets, slides  # noqa: F401 - for their effect
        from gptagent.features.knowledge.parsing.word import read_word

        list(read_word(docx.Document()))
    else:
        from charset_normalizer.constant import IANA_SUPPORTED

        from gptagent.features.knowledge.parsing.letters import SAMPLE, read_letter

        list(read_letter(io.BytesIO(SAMPLE)).sections)
        wanted.update(IANA_SUPPORTED)
    for encoding in wanted:
        codecs.lookup(encoding)


def _has_attached(file: BinaryIO) -> bool:
    """Tell whether a letter may have files, whose readers take a while to load."""
    found = any(b"name" in line.lower() or b"rfc822" in line.lower() for line in file)
    file.seek(0)
    return found


def _load_pictures() -> None:
    from PIL import Image

    from gptagent.features.knowledge.parsing.pictures import draw_picture, open_picture

    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        sample = io.BytesIO()
        Image.new("RGB", (2, 2)).save(sample, kind)
        draw_picture(open_picture(sample), 1)


def _write(answer: dict[str, object]) -> None:
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    json.dump(answer, out, ensure_ascii=False)
    out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
