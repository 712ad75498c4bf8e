"""Which words may be misspelt, and of which they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptagent.features.knowledge.spelling.model import count_edits, may_be_misspelt, nearest

words = st.text("абвгд", max_size=8)


@pytest.mark.parametrize("word", ["цен", "цвет", "usb", "2024", "15000", "ab12", "x1234", "кг", ""])
def test_short_words_and_numbers_are_never_misspelt(word):
    assert not may_be_misspelt(word)


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("доставк", "доставк", 0),
        ("дотавк", "доставк", 1),  # left out
        ("досставк", "доставк", 1),  # put in
        ("дастовк", "доставк", 2),  # taken for another, twice
        ("дсотавк", "доставк", 1),  # swapped
        ("warranty", "waranyt", 2),
        ("доставк", "возврат", 3),  # no more are counted than are asked for
        ("до", "доставк", 3),
    ],
)
def test_letters_that_differ_are_counted(one, other, edits):
    assert count_edits(one, other, 2) == edits


@given(words, words)
def test_edits_are_the_same_both_ways_and_none_only_for_the_same_word(one, other):
    assert count_edits(one, other, 9) == count_edits(other, one, 9) <= max(len(one), len(other))
    assert (count_edits(one, other, 9) == 0) is (one == other)
    assert count_edits(one, other, 1) == min(count_edits(one, other, 9), 2)


def test_the_nearest_words_are_taken_and_the_nearer_count_for_more():
    assert nearest("доствк", ["доставк", "доступк", "завод"]).keys() == {"доставк"}
    (near,), (far,) = (
        nearest("катшук", ["катушк"]).values(),
        nearest("оборудвоние", ["оборудование"]).values(),
    )
    assert 0 < far < near < 1


def test_words_as_near_share_what_one_would_count_for():
    (alone,) = nearest("катшук", ["катушк"]).values()
    assert nearest("катшук", ["шкатулк", "катушк", "катшу"]) == dict.fromkeys(("катушк", "катшу"), alone / 2)


def test_two_letters_differ_in_long_words_only():
    assert nearest("кортина", ["картино"]) == {}
    assert nearest("кортинка", ["картинко"]).keys() == {"картинко"}


def test_a_word_is_never_taken_for_a_number():
    assert nearest("abcd", ["abc1", "ab1cd"]) == {}
