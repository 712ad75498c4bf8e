"""What a reranking model is worth, and passages in its order."""

import pytest

from gptagent.features.knowledge.reranking.model import SAMPLE_MIN, judge, reordered


@pytest.mark.parametrize(
    ("before", "after", "helps"),
    [
        ([3] * 10, [1] * 10, True),
        ([3] * 9, [1] * 9, False),  # too few to tell
        ([1] * 10, [1] * 10, False),
        ([1] * 10, [2] * 10, False),
        ([5] * 10 + [4], [1] * 10 + [6], False),  # one right passage is among the first five no longer
        ([2, 2, 9] + [1] * 8, [3, 3, 1] + [1] * 8, False),  # better on the whole, worse for more questions
        ([0] * 10 + [2], [0] * 10 + [1], True),
    ],
)
def test_an_order_is_used_only_if_nothing_got_worse_and_more_got_better(before, after, helps):
    worth = judge(before, after)
    assert (worth.sample_size, worth.helps) == (len(before), helps)
    assert SAMPLE_MIN == 10


def test_no_question_proves_nothing():
    assert not judge([], []).helps


def test_passages_the_model_has_not_seen_follow_as_they_were():
    assert reordered([1, 2, 3, 4], [3, 1, 9]) == [3, 1, 2, 4]
    assert reordered([1, 2], []) == [1, 2]
