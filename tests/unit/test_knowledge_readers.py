"""The readers of each kind by themselves, without the child's limits around them."""

import io

import pytest

import knowledge_files as made
from gptagent.features.knowledge.model import DOCX, MARKDOWN, PDF, TXT
from gptagent.features.knowledge.parsing import ParseFailed
from gptagent.features.knowledge.parsing.child import parse
from gptagent.features.knowledge.parsing.limits import TEXT_MAX_CHARS


def read(data, mime):
    parsed = parse(io.BytesIO(data), mime)
    return [fragment.content for fragment in parsed.fragments]


@pytest.mark.parametrize(
    ("data", "mime", "texts"),
    [
        (made.pdf([["Первая страница."], [], ["Третья."]]), PDF, ["Первая страница.", "Третья."]),
        (made.word(), DOCX, ["Доставка по Москве занимает один день.", "Город: Казань; Цена: 350 рублей"]),
        ("Größe und Übermaß für Müller, schöne Grüße".encode("cp1252"), TXT, None),
        ("строка  \nдругая\nтретья".encode(), MARKDOWN, ["строка\nдругая третья"]),
        (b"a\x1bb", TXT, ["a\x1bb"]),
    ],
)
def test_a_file_gives_its_text(data, mime, texts):
    """KB-9"""
    assert texts is None or read(data, mime) == texts
    assert read(data, mime)


@pytest.mark.parametrize(
    ("data", "mime", "code"),
    [
        (made.english_pdf("x", password="y"), PDF, "encrypted"),
        (made.pdf([["x"]])[:150], PDF, "damaged"),
        (made.pdf([]), PDF, "damaged"),
        (made.empty_pdf(), PDF, "empty_text"),
        (b"GIF89a", PDF, "type_mismatch"),
        (made.word()[:2_000], DOCX, "damaged"),
        (made.other_archive(), DOCX, "type_mismatch"),
        (made.word_bomb(400, honest=True), DOCX, "too_complex"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old Word", DOCX, "type_mismatch"),
        (b"x " * (TEXT_MAX_CHARS // 2 + 1), TXT, "text_too_long"),
        (b"\x00\x01\x02", TXT, "type_mismatch"),
    ],
)
def test_an_unusable_file_is_told_apart(data, mime, code):
    """KB-12"""
    with pytest.raises(ParseFailed) as failed:
        read(data, mime)
    assert failed.value.code == code
