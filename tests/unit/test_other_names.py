"""What a question's words may be called instead, and when that is worth it."""

from gptagent.features.knowledge.answering import Judge
from gptagent.features.knowledge.naming.benefit import Trial, judge
from gptagent.features.knowledge.naming.model import Naming, longest, other_names, other_words


def naming(name, other):
    words = (frozenset(text.lower().split()) for text in (name, other))
    return Naming(name, next(words), other, next(words))


CHAIR = naming("Red Chair", "Model 5")
RED = naming("Red", "Crimson")


def test_a_name_within_a_longer_one_does_not_count():
    assert longest([CHAIR, RED]) == [CHAIR]
    assert longest([RED, naming("Chair", "Seat")]) == [RED, naming("Chair", "Seat")]


def test_the_words_of_a_name_stand_for_it_together_only():
    assert other_words([CHAIR], ["red", "chair", "price"]) == {
        "red": {"5": 0.4, "model": 0.4},
        "chair": {"5": 0.4, "model": 0.4},
    }
    assert other_words([RED], ["red"]) == {"red": {"crimson": 0.8}}
    assert other_words([RED], ["price"]) == {}, "a word that says nothing of what is asked"


def test_words_that_both_names_have_stand_for_themselves():
    assert other_words([naming("Red Chair", "Red Seat")], ["red", "chair"]) == {"chair": {"seat": 0.8}}
    assert other_words([naming("Acme", "Acme Corp")], ["acme"]) == {}


def test_names_are_told_with_all_their_others():
    assert other_names([RED, naming("Red", "Ruby"), CHAIR]) == {
        "Red": ["Crimson", "Ruby"],
        "Red Chair": ["Model 5"],
    }


def test_a_text_with_another_name_holds_the_word_as_far_as_it_holds_that_name():
    by = Judge({"chair": 2.0, "price": 2.0}, 2, {"chair": {"model": 0.4, "5": 0.4}, "gone": {"x": 1.0}})
    assert by._held(["model", "5"])["chair"] == 0.8
    assert by._held(["model", "model"])["chair"] == 0.4
    assert by._held(["chair", "5"])["chair"] == 1.0


def test_names_are_used_only_where_more_is_found_and_nothing_is_lost():
    def used(*ranks):
        return judge([Trial(without != both, without, both) for without, both in ranks]).is_used

    same = [(1, 1)] * 10
    assert used(*same, (0, 1))
    assert used(*same, (3, 2), (4, 1))
    assert not used(*same), "nothing is gained"
    assert not used(*same[:8], (0, 1)), "too few questions"
    assert not used(*same, (0, 4), (0, 4), (1, 0)), "recall would allow it, but the first places are lost"
    assert not used(*same, (2, 1), (1, 6)), "one is lost"
    told = judge([Trial(True, 0, 1), Trial(False, 1, 1)])
    assert (told.sample_size, told.named, told.recall_without, told.recall_with) == (2, 1, 0.5, 1.0)
