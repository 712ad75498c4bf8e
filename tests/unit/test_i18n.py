"""Languages."""

import pytest

from gptagent.kernel.i18n import choose_locale, translate, translations


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ((), "ru"),
        ((None, None), "ru"),
        ((None, "en-US,en;q=0.9"), "en"),
        ((None, "de-DE,fr;q=0.8,en;q=0.5"), "en"),
        ((None, "de, *;q=0.1"), "ru"),
        (("en", "ru-RU"), "en"),
        (("xx", "RU-ru"), "ru"),
        (("", " en "), "en"),
        (("\0\x1f;;;,,", "en"), "en"),
    ],
)
def test_the_readers_language_is_the_first_we_know(wanted, chosen):
    assert choose_locale(*wanted) == chosen


def test_a_message_is_translated_and_its_places_filled():
    assert translate("ru", "Cancel") == "Отменить"
    assert translate("en", "At least {limit} characters", limit=12) == "At least 12 characters"


def test_an_unknown_message_stays_english_and_an_empty_one_empty():
    assert translate("ru", "Nobody translated this.") == "Nobody translated this."
    assert translate("ru", "") == ""


def test_text_with_braces_that_is_no_template_stays_as_it_is():
    assert translate("en", "write {name} as you like") == "write {name} as you like"


def test_russian_counts_in_its_three_forms():
    """U204"""
    catalogue = translations("ru")
    assert [catalogue.plural(n) for n in (1, 2, 5, 11, 21, 104)] == [0, 1, 2, 2, 0, 1]
    assert catalogue.ngettext("Choose a file", "Choose files", 1) == "Выберите файл"
