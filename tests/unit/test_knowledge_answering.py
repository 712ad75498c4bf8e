"""How far passages answer a question: worked out by hand for small ones."""

from dataclasses import replace
from uuid import UUID

import pytest

from gptagent.features.knowledge.answering import REFUSAL_SUPPORT, Judge, Spoken, best_of, sentences_of
from gptagent.features.knowledge.model import Passage

WEIGHTS = {"доставк": 3.0, "казан": 1.0}


def spoken(*lexemes, coverage=1.0, title=(), heading=()):
    text = " ".join(f"Sentence {n}." for n, _ in enumerate(lexemes))
    passage = Passage(1, "article", UUID(int=1), "Title", "", None, text, 1.0, coverage, 1)
    return Spoken(passage, sentences_of(passage), lexemes, title, heading)


@pytest.mark.parametrize(
    ("one", "words", "support"),
    [
        (spoken(["доставк", "казан"]), 2, 1.0 * 2 / 3),
        (spoken(["доставк", "казан"]), 1, 1.0 / 2),  # of few words more may be unsaid
        (spoken(["доставк"], ["казан"]), 2, (1.0 + 0.75) / 2 * 2 / 3),  # in one sentence counts for more
        (spoken(["доставк"], heading=["казан"]), 2, 1.0 * 2 / 3),  # what a heading says need not be repeated
        (spoken(["доставк"], title=["казан"]), 2, 1.0 * 2 / 3),
        (spoken(["москв"], coverage=0.0), 2, 0.0),
        (spoken(coverage=0.5), 1, 0.125),
    ],
)
def test_support_is_what_passage_and_one_sentence_of_it_hold(one, words, support):
    assert Judge(WEIGHTS, words).judge(one).support == pytest.approx(support)


def test_a_single_word_that_is_there_is_enough():
    """A customer writes `доставка`: an article that is called so answers."""
    assert Judge({"доставк": 2.0}, 1).judge(spoken(["ден"], title=["доставк"])).support >= REFUSAL_SUPPORT


def test_no_known_word_gives_no_support():
    assert Judge({}, 1).judge(spoken(["доставк"], coverage=0.0)).support == 0


def test_a_sentence_is_helped_by_its_neighbours_and_heading():
    judge = Judge(WEIGHTS, 2)
    one = judge.judge(spoken(["доставк"], ["ден"], ["казан"], heading=["казан"]))
    first, second, third = judge.quotes(spoken(["доставк"], ["ден"], ["казан"], heading=["казан"]))
    assert (first.score, second.score, third.score) == (0, 0, 0), "a passage without support quotes nothing"
    said = Spoken(one, ("a", "b", "c"), (["доставк"], ["ден"], ["казан"]), (), ["казан"])
    first, second, third = judge.quotes(said)
    assert first.score / one.support == pytest.approx(0.75 + 0.5 * 0.25)
    assert second.score / one.support == pytest.approx(0.5 * 0.25 + 0.3 * 0.75 + 0.15 * 0.25)
    assert third.score / one.support == pytest.approx(0.25)
    near = replace(second, score=first.score * 0.5)
    assert [quote.text for quote in best_of([third, near, first, first], 3)] == ["a", "b"]
    assert best_of([], 3) == []
