"""What a customer's file is, by its first bytes: in Kommo its name may say anything (M4A in .ogg); pure."""

from dataclasses import dataclass

from gptagent.features.conversations.model import Medium
from gptagent.features.knowledge.model import PDF, PICTURES, ZIP, mime_by_name

HEAD_BYTES = 64
WORDS_MAX_CHARS = {"voice": 4_000, "picture": 2_000, "document": 4_000}
VOICE_MAX_BYTES = 25_000_000  # of OpenAI's endpoint, and of what is fetched at all
PICTURE_MAX_BYTES = 8_000_000  # a third more on the wire

_BOXES = b"ftyp"  # ISO base media: sound or film, told apart by the brand or by what the CRM calls it
_SOUND_BRANDS = (b"M4A ", b"M4B ")
_SPOKEN = frozenset({"voice", "audio"})
_VOICES: tuple[tuple[bytes, str, str], ...] = (
    (b"OggS", "audio/ogg", "ogg"),
    (b"ID3", "audio/mpeg", "mp3"),
    (b"\xff\xfb", "audio/mpeg", "mp3"),
    (b"\xff\xf3", "audio/mpeg", "mp3"),
    (b"\xff\xf2", "audio/mpeg", "mp3"),
    (b"fLaC", "audio/flac", "flac"),
    (b"#!AMR", "audio/amr", "amr"),
)
_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """`ending` is the one of the type, whatever the file was called."""

    medium: Medium
    mime: str
    ending: str = ""


def kind_of(head: bytes, name: str, called: str) -> Kind | None:
    """Return what a file is; None for one that nothing here understands, like a film.

    `called`: what the CRM calls it, which decides only where the bytes leave it open.
    """
    for magic, mime in _PICTURES:
        if head.startswith(magic):
            return Kind("picture", mime)
    if head.startswith(b"RIFF"):
        return _riff(head[8:12])
    for magic, mime, ending in _VOICES:
        if head.startswith(magic):
            return Kind("voice", mime, ending)
    if head[4:8] == _BOXES and (head[8:12] in _SOUND_BRANDS or called in _SPOKEN):
        return Kind("voice", "audio/mp4", "m4a")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Kind("voice", "audio/webm", "webm") if called in _SPOKEN else None
    return _document(head, name)


def _riff(form: bytes) -> Kind | None:
    if form == b"WEBP":
        return Kind("picture", "image/webp")
    return Kind("voice", "audio/wav", "wav") if form == b"WAVE" else None


def _document(head: bytes, name: str) -> Kind | None:
    """What it is called decides about the rest; whoever reads it looks at the bytes again."""
    if head.startswith(b"%PDF-"):
        return Kind("document", PDF)
    mime = mime_by_name(name)
    return None if mime is None or mime in PICTURES or mime == ZIP else Kind("document", mime)


def tidy(text: str, medium: Medium) -> str:
    """Return a machine's words without what cannot be seen, no longer than is kept."""
    lines = ("".join(char if char.isprintable() else " " for char in line) for line in text.splitlines())
    plain = "\n".join(filter(None, (" ".join(line.split()) for line in lines)))
    limit = WORDS_MAX_CHARS[medium]
    return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"
