"""What a customer's file is, and what is kept of a machine's words."""

import pytest

from gptagent.features.dialog.hearing.media import WORDS_MAX_CHARS, kind_of, tidy

M4A, FILM = b"\0\0\0\x20ftypM4A \0\0", b"\0\0\0\x20ftypisom\0\0"


@pytest.mark.parametrize(
    ("head", "name", "called", "medium", "ending"),
    [
        (b"OggS\0words", "file.ogg", "voice", "voice", "ogg"),
        (M4A, "file.ogg", "voice", "voice", "m4a"),
        (M4A, "song.txt", "file", "voice", "m4a"),
        (FILM, "file.mp4", "audio", "voice", "m4a"),
        (b"\xff\xfb\x90words", "x.pdf", "file", "voice", "mp3"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a.wav", "audio", "voice", "wav"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "file.jpeg", "picture", "picture", ""),
        (b"\xff\xd8\xff\xe0", "invoice.pdf", "file", "picture", ""),
        (b"%PDF-1.7", "file.jpeg", "picture", "document", ""),
        (b"PK\x03\x04", "plan.docx", "file", "document", ""),
        (b"Dear all", "letter.txt", "file", "document", ""),
    ],
)
def test_the_bytes_say_what_a_file_is_and_its_name_only_where_they_do_not(head, name, called, medium, ending):
    """MSG-21, MSG-25: kommo.md, an .ogg may hold M4A."""
    kind = kind_of(head, name, called)
    assert kind is not None
    assert (kind.medium, kind.ending) == (medium, ending)


@pytest.mark.parametrize(
    ("head", "name", "called"),
    [
        (FILM, "film.mp4", "video"),
        (b"\x1a\x45\xdf\xa3", "film.webm", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "film.avi", "video"),
        (b"PK\x03\x04", "all.zip", "file"),
        (b"<svg onload=x>", "file.svg", "picture"),
        (b"MZ", "file.exe", "file"),
        (b"nothing", "noname", "file"),
        (b"not a picture", "file.jpeg", "picture"),
    ],
)
def test_what_is_not_understood_is_nothing(head, name, called):
    assert kind_of(head, name, called) is None


def test_words_are_kept_without_what_cannot_be_seen_and_no_longer_than_they_may_be():
    assert tidy(" one\u200b  two\0\n\n three\r\n", "voice") == "one two\nthree"
    cut = tidy("x" * 9_000, "picture")
    assert len(cut) == WORDS_MAX_CHARS["picture"]
    assert cut.endswith("x…")
