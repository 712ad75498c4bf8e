"""Two lists of passages joined, and the verdict whether the second one helps."""

import random

from gptagent.features.knowledge.vectors.model import SAMPLE_MIN, WEIGHTS, Trial, fuse, judge

FILLER = tuple((n, 0.9 - n / 1000) for n in range(100, 140))


def trial(by_words, by_meaning):
    """A question whose right passage is 1."""
    return Trial(tuple(by_words), tuple(by_meaning), frozenset({1}))


def test_ranks_are_joined_by_their_reciprocals_and_a_tie_goes_to_the_words():
    assert fuse([1, 2, 3], [], 1.0) == [1, 2, 3]
    assert fuse([], [4, 5], 0.25) == [4, 5]
    assert fuse([1, 2], [3, 4], 1.0) == [1, 3, 2, 4]
    assert fuse([1, 2, 3], [3, 2], 1.0)[0] in {2, 3}
    assert fuse([1, 2], [2, 1], 0.5) == [1, 2]


def test_what_finds_more_is_used_and_says_how_much():
    found = judge([trial([5, 6], [(1, 0.8)])] * 6 + [trial([1, 5], [(1, 0.7)])] * 6)
    assert found.helps and found.weight in WEIGHTS
    assert (found.recall_words, found.recall_both, found.sample_size) == (0.5, 1.0, 12)
    assert found.mrr_both > found.mrr_words
    assert 0.5 < found.lowest < 0.7


def test_what_finds_the_same_is_not_used():
    found = judge([trial([1, 2], [(1, 0.8)])] * 20)
    assert not found.helps
    assert (found.recall_words, found.recall_both) == (1.0, 1.0)


def test_what_loses_as_many_questions_as_it_wins_is_not_used():
    noise = [trial([5, 1], FILLER[:3])] * 10
    wins = [trial([5, 1], [(1, 0.9), (5, 0.1)])] * 10
    losses = [trial([1, 5], [(5, 0.9), (6, 0.8)])] * 10
    assert judge(wins + noise).helps
    assert not judge(wins + losses).helps


def test_of_few_questions_nothing_is_concluded():
    won = trial([5, 6], [(1, 0.8)])
    assert not judge([won] * (SAMPLE_MIN - 1)).helps
    assert judge([won] * SAMPLE_MIN).helps
    assert not judge([]).helps


def test_whatever_is_found_the_verdict_never_makes_the_sample_worse():
    rng = random.Random(7)
    used = 0
    for _ in range(200):
        trials = [
            trial(
                rng.sample(range(12), rng.randint(0, 8)),
                [(chunk_id, rng.random()) for chunk_id in rng.sample(range(12), rng.randint(0, 8))],
            )
            for _ in range(rng.randint(0, 40))
        ]
        found = judge(trials)
        if found.helps:
            used += 1
            assert found.recall_both >= found.recall_words and found.mrr_both > found.mrr_words
    assert 0 < used < 200
