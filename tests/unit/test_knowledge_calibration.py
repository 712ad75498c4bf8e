"""From which support on a base answers: chosen of what its questions came to."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from gptagent.features.knowledge.answering import REFUSAL_SUPPORT
from gptagent.features.knowledge.questions.calibration import (
    OWN_BOUNDS,
    SAMPLE_MIN,
    SAVED_BOUNDS,
    Outcome,
    Run,
    choose_threshold,
    compare,
    figures_of,
)


def outcomes(present, removed, count=20):
    return [Outcome(str(n), 1, present, removed) for n in range(count)]


@pytest.mark.parametrize(
    ("present", "removed", "chosen"),
    [
        (0.9, 0.1, REFUSAL_SUPPORT),  # the usual one keeps both promises
        (0.9, 0.45, 0.46),  # raised as far as is needed to answer nothing falsely, and no further
        (0.3, 0.1, 0.3),  # lowered as far as is needed to answer
        (0.9, 0.8, REFUSAL_SUPPORT),  # none within bounds is better than the usual one
    ],
)
def test_saved_questions_move_the_threshold_no_further_than_needed(present, removed, chosen):
    assert choose_threshold(outcomes(present, removed), is_saved=True) == pytest.approx(chosen)


def test_a_bases_own_questions_move_it_by_little():
    mixed = outcomes(0.9, 0.5) + outcomes(0.9, 0.39, 40)
    assert choose_threshold(mixed, is_saved=False) == pytest.approx(0.4)
    for present, removed in ((0.9, 0.5), (0.3, 0.1)):
        assert OWN_BOUNDS[0] <= choose_threshold(outcomes(present, removed), is_saved=False) <= OWN_BOUNDS[1]
    assert SAVED_BOUNDS[0] < OWN_BOUNDS[0] and OWN_BOUNDS[1] < SAVED_BOUNDS[1]


def test_few_questions_tell_nothing():
    assert choose_threshold(outcomes(0.9, 0.45, SAMPLE_MIN - 1), is_saved=True) == REFUSAL_SUPPORT
    assert choose_threshold([], is_saved=False) == REFUSAL_SUPPORT


def test_the_best_trade_off_is_taken_where_both_promises_cannot_be_kept():
    """At 0.46 all the false ones are refused for a quarter of the answers."""
    mixed = outcomes(0.4, 0.45, 5) + outcomes(0.9, 0.45, 15)
    assert choose_threshold(mixed, is_saved=True) == pytest.approx(0.46)


def run(number, *results):
    return Run(
        UUID(int=number), "done", True, len(results), 0.4, figures_of(results, 0.4), results,
        datetime(2026, 1, number, tzinfo=UTC), None,
    )  # fmt: skip


def test_runs_are_compared_question_by_question():
    before = run(1, Outcome("a", 1, 0.9, 0), Outcome("b", 0, 0.9, 0), Outcome("gone", 1, 0.9, 0))
    after = run(2, Outcome("a", 2, 0.3, 0.5), Outcome("b", 2, 0.9, 0), Outcome("new", 0, 0, 0))
    assert compare(before, after).better == ("b",)
    assert compare(before, after).worse == ("a",)
    assert [one.question for one in after.failing] == ["a", "new"]
    assert after.figures.recall_1 == 0 and after.figures.recall_5 == pytest.approx(2 / 3)
    assert after.figures.mrr == pytest.approx(1 / 3)
    assert after.figures.answered == pytest.approx(1 / 3)
    assert after.figures.false_answers == pytest.approx(1 / 3)
    assert figures_of([], 0.4).mrr == 0
