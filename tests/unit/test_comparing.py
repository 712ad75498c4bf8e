"""Two replies side by side."""

from gptagent.features.dialog.trying.comparing import compared


def test_both_texts_stay_whole_and_what_differs_is_marked():
    before, after = "Delivery to the city costs 490 roubles.", "Delivery\ncosts 490 roubles, tralala. "
    old, new = compared(before, after)
    assert ("".join(one.text for one in old), "".join(one.text for one in new)) == (before, after)
    assert [one.text for one in old if one.is_other] == [" to the city"]
    assert [one.text for one in new if one.is_other] == [", tralala", " "]


def test_spaces_alone_are_nothing_that_two_texts_share():
    old, new = compared("one two three four", "five six seven")
    assert all(one.is_other for one in (*old, *new))
