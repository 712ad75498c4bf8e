"""Sums as the reader of the page writes them."""

import pytest

from gptagent.ui.formats import money_in


@pytest.mark.parametrize(
    ("language", "currency", "shown"),
    [
        ("ru", "RUB", "9\u00a0000\u00a0₽"),
        ("ru", "KZT", "9\u00a0000\u00a0KZT"),
        ("en", "USD", "$9,000"),
        ("en", "RUB", "RUB\u00a09,000"),
        ("en", None, "9,000"),
        ("ru", "XXA", "9\u00a0000\u00a0XXA"),
    ],
)
def test_a_sum_is_written_with_its_currency(language, currency, shown):
    assert money_in(language, 9000, currency) == shown


def test_what_is_no_whole_sum_keeps_its_digits():
    assert money_in("en", 12.5, "USD") == "$12.5"
