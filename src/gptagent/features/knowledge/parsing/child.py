"""The child process: `python -I -m gptagent.features.knowledge.parsing.child PATH TYPE [TASK NUMBER]`.

Writes one JSON object to stdout: {"pages", "scans", "fragments": [[heading, page, content], ...]} or
{"failed": code}. With TASK `draw` it writes page NUMBER as a portable graymap instead. With `unpack` it
writes the files of an archive from NUMBER on: for each a line of JSON {"index", "count", "name", "failed"},
then, if it did not fail, its bytes in blocks with their length (4 bytes, big-endian) before them, and a last
one of length 0, or of 0xFFFFFFFF if they are damaged.
"""

import codecs
import io
import json
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from gptagent.features.knowledge.chunking import Fragment, Section, cut
from gptagent.features.knowledge.model import CSV, DOCX, EML, HTML, MARKDOWN, PDF, PICTURES, XLSX, ZIP
from gptagent.features.knowledge.parsing import limits
from gptagent.features.knowledge.parsing.lists import read_list
from gptagent.features.knowledge.parsing.plain import CODECS, decode, read_markdown, read_text
from gptagent.features.knowledge.parsing.result import ParsedDocument, ParseFailed
from gptagent.features.knowledge.parsing.sniff import HEAD_BYTES, OFFICE, is_type

# What readers look up by name while they read: PDFium's wrapper, zipfile, `decode`.
_CODECS = ("utf-8-sig", "utf-16-le", "utf-16-be", "cp437", "latin-1", "ascii", "unicode_escape", *CODECS)


def main(path: str, mime: str, task: str = "read", number: str = "0") -> None:
    limits.restrain()
    try:
        # as nobody a folder of the home could not be entered any more
        file = Path(path).open("rb")  # noqa: SIM115 - read to the process's end
        _load(mime)
        limits.drop_root()
        _TASKS[task](file, mime, int(number))
    except ParseFailed as failed:
        _write({"failed": failed.code})
    except (MemoryError, RecursionError):
        _write({"failed": "too_complex"})
    except Exception as error:  # noqa: BLE001 - the process edge: a broken file breaks its reader anyhow
        place = traceback.extract_tb(error.__traceback__)[-1]
        _write({"failed": "damaged", "error": f"{type(error).__name__} at {place.filename}:{place.lineno}"})


def _read(file: BinaryIO, mime: str, _number: int) -> None:
    parsed = parse(file, mime)
    fragments = [[f.heading, f.page, f.content] for f in parsed.fragments]
    _write({"pages": parsed.pages, "scans": parsed.scans, "fragments": fragments})


def _draw(file: BinaryIO, mime: str, number: int) -> None:
    from gptagent.features.knowledge.parsing import pictures
    from gptagent.features.knowledge.parsing.pdf import open_pdf

    if mime == PDF:
        drawn = pictures.draw_page(open_pdf(file), number)
    else:
        drawn = pictures.draw_picture(pictures.open_picture(file), number)
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


def parse(file: BinaryIO, mime: str) -> ParsedDocument:
    """Raises ParseFailed if the file is not of this type or cannot be read, or has no text."""
    if not is_type(mime, file.read(HEAD_BYTES)):
        raise ParseFailed("type_mismatch")
    file.seek(0)
    if mime == PDF:
        from gptagent.features.knowledge.parsing.pdf import open_pdf, read_pdf

        document = open_pdf(file)
        scans: list[int] = []
        return _kept(read_pdf(document, scans), len(document), scans)
    if mime in PICTURES:
        from gptagent.features.knowledge.parsing.pictures import open_picture

        frames = getattr(open_picture(file), "n_frames", 1)
        return ParsedDocument((), frames if frames > 1 else None, tuple(range(1, frames + 1)))
    return _kept(_sections(file, mime))


def _sections(file: BinaryIO, mime: str) -> Iterator[Section]:
    if mime in OFFICE:
        return _office(file, mime)
    if mime == EML:
        from gptagent.features.knowledge.parsing.letters import read_letter

        return read_letter(file)
    raw = file.read()
    if mime == HTML:
        from gptagent.features.knowledge.parsing.markup import declared_charset, read_html

        return read_html(decode(raw, declared_charset(raw)))
    read = {MARKDOWN: read_markdown, CSV: read_list}.get(mime, read_text)
    return read(decode(raw))


def _office(file: BinaryIO, mime: str) -> Iterator[Section]:
    from gptagent.features.knowledge.parsing import package, sheets, slides, word

    if mime == DOCX:
        return word.read_word(word.open_word(file))
    if mime == XLSX:
        return sheets.read_book(package.open_package(file, sheets.BOOK))
    return slides.read_show(package.open_package(file, slides.SHOW))


def _kept(sections: Iterable[Section], pages: int | None = None, scans: Sequence[int] = ()) -> ParsedDocument:
    fragments = tuple(Fragment(_clean(f.heading), f.page, _clean(f.content)) for f in cut(_bounded(sections)))
    if not scans and not any(c.isalnum() for fragment in fragments for c in fragment.content):
        raise ParseFailed("empty_text")
    return ParsedDocument(fragments, pages, tuple(scans))


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

        list(read_letter(io.BytesIO(SAMPLE)))
        wanted.update(IANA_SUPPORTED)
    for encoding in wanted:
        codecs.lookup(encoding)


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
