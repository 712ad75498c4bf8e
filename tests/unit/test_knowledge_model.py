"""Articles' limits and documents' names."""

import pytest

from gptagent.features.knowledge.articles.model import CONTENT_MAX_CHARS, NewArticle
from gptagent.features.knowledge.model import DOCX, MARKDOWN, clean_file_name, mime_by_name, title_of
from gptagent.kernel.errors import Invalid

TEXT = "Ten chars."


@pytest.mark.parametrize("title", ["x", "x" * 255, "  x  "])
def test_a_title_of_1_to_255_characters_is_taken(title):
    """KB-4, U145"""
    assert NewArticle(title, TEXT).title == title.strip()


@pytest.mark.parametrize(
    ("title", "content", "pointers"),
    [
        ("", TEXT, ["title"]),
        ("   ", TEXT, ["title"]),
        ("x" * 256, TEXT, ["title"]),
        ("x", "Nine char", ["content"]),
        ("x", "x" + " " * 20, ["content"]),
        ("x", "x" * (CONTENT_MAX_CHARS + 1), ["content"]),
        ("", "", ["title", "content"]),
    ],
)
def test_wrong_fields_are_named(title, content, pointers):
    """KB-4, U145"""
    with pytest.raises(Invalid) as refused:
        NewArticle(title, content)
    assert [field.pointer for field in refused.value.fields] == pointers


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\docs\\Прайс лист.PDF", "Прайс лист.PDF"),
        ("a\x00b\u202ec.md", "abc.md"),
        ("  .. ", "file"),
        ("x" * 400 + ".docx", "x" * 250 + ".docx"),
        ("noending" * 50, ("noending" * 50)[:255]),
    ],
)
def test_a_file_name_is_made_harmless(given, kept):
    assert clean_file_name(given) == kept


def test_the_ending_promises_the_type():
    """KB-10, U134"""
    assert mime_by_name("Прайс.DOCX") == DOCX
    assert mime_by_name("readme.markdown") == MARKDOWN
    assert mime_by_name("archive.rar") is None
    assert mime_by_name("docx") is None


def test_a_document_is_titled_by_its_name():
    assert title_of("Прайс_лист_2026.pdf") == "Прайс лист 2026"
    assert title_of("README") == "README"
