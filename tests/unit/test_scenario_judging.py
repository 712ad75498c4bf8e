"""What a scenario's checks come to, and what became of an answer given anew."""

import pytest

from gptagent.features.dialog.replaying.model import pieces_of, verdict_of
from gptagent.features.dialog.scenario_runs.model import Rehearsed
from gptagent.features.dialog.scenarios import forms
from gptagent.features.dialog.scenarios.checking import checked
from gptagent.features.dialog.scenarios.judging import judge
from gptagent.features.dialog.scenarios.languages import speaks
from gptagent.features.dialog.scenarios.model import (
    OUTCOMES,
    SENTENCES,
    SUBJECTS,
    Check,
    NewScenario,
    Play,
    Reply,
    Where,
)
from gptagent.features.dialog.scenarios.saying import failure_said
from gptagent.kernel.errors import Invalid

DELIVERY = Reply(
    "Ещё сегодня: доставка стоит 300 рублей.",
    "reply",
    ("create_task",),
    (("lead.budget", "300"),),
    ("Доставка по Москве",),
)
UNKNOWN = Reply("I will check and come back to you.", "not_found")


def codes(*checks, replies=(DELIVERY, UNKNOWN)):
    return [(one.code, one.at) for one in judge(checks, replies)]


@pytest.mark.parametrize(
    ("subject", "present", "absent"),
    [
        ("contains", "доставка  СТОИТ", "бесплатно"),
        ("contains", "еще сегодня", "завтра"),
        ("words", "рублей доставк*", "рубль"),
        ("words", "300", "30"),
        ("action", "Create_Task", "move_lead"),
        ("field", "lead.budget", "lead.name"),
        ("field", "lead.budget = 300", "lead.budget = 400"),
        ("outcome", "not_found", "handed_off"),
        ("source", "москве", "Казань"),
    ],
)
def test_what_must_be_is_looked_for_in_every_answer_and_what_must_not_in_none(subject, present, absent):
    name = absent if subject == "outcome" else subject
    assert codes(Check(subject, present)) == []
    assert codes(Check(subject, absent)) == [(name, 0)]
    assert codes(Check(subject, absent, must=False)) == []
    at = 2 if subject == "outcome" else 1
    name = present if subject == "outcome" else subject
    assert codes(Check(subject, present, must=False)) == [(f"{name}_not", at)]
    assert codes(Check(subject, present, at=3 - at)) == [(f"{name}_at", 3 - at)]
    assert codes(Check(subject, present, at=3)) == [("too_short", 3)]


def test_words_of_a_person_are_never_a_pattern():
    """A text that would keep a regular expression busy for ever is a text like any other"""
    assert codes(Check("contains", "(a+)+$"), replies=[Reply("a" * 5_000 + "!", "reply")]) == [
        ("contains", 0)
    ]
    assert codes(Check("words", "(a+)+$"), replies=[Reply("a" * 5_000, "reply")]) == [("words", 0)]


@pytest.mark.parametrize(
    ("text", "language", "is_spoken"),
    [
        ("Доставка стоит 300 рублей, и это для вас.", "ru", True),
        ("Delivery costs 300 roubles, and it is for you.", "ru", False),
        ("Delivery costs 300 roubles, and it is for you.", "en", True),
        ("Die Lieferung ist für Sie und kostet nicht mehr.", "en", False),
        ("Die Lieferung ist für Sie und kostet nicht mehr.", "de", True),
        ("Ми працюємо щодня, або за домовленістю.", "uk", True),
        ("Ми працюємо щодня, або за домовленістю.", "ru", False),
        ("Մենք բաց ենք", "hy", True),
        ("OK", "en", None),
        ("300", "ru", None),
        ("", "ru", None),
    ],
)
def test_a_language_is_told_where_it_can_be_told(text, language, is_spoken):
    assert speaks(text, language) is is_spoken


def test_a_language_that_must_be_is_that_of_every_answer():
    assert codes(Check("language", "ru")) == [("language_at", 2)]
    assert codes(Check("language", "ru", at=1)) == []
    assert codes(Check("language", "en", must=False)) == [("language_not", 2)]


def test_every_failure_has_its_sentence_in_both_languages():
    made = [
        Check(one, value, must, at)
        for must in (True, False)
        for at in (0, 1, 9)
        for one in SUBJECTS
        for value in (OUTCOMES if one == "outcome" else ("ru", "no such"))
    ]
    other = Reply("no such", "reply", ("no such",), (("no such", ""),), ("no such",))
    failures = judge(made, [DELIVERY, UNKNOWN]) + judge(made, [other])
    failures += judge(
        [Check("outcome", one, must=False) for one in OUTCOMES], [Reply("", one) for one in OUTCOMES]
    )
    failures += judge([Check("outcome", "reply"), Check("outcome", "reply", at=1)], [UNKNOWN])
    assert {one.code for one in failures} | {"no_model", "silent", "away", "gone"} == set(SENTENCES)
    for failure in failures:
        english, russian = failure_said("en", failure), failure_said("ru", failure)
        assert english != russian
        assert "{" not in english + russian


def test_every_fault_of_a_scenario_is_told_with_its_place():
    wrong = Play(
        messages=("x" * 2_001,),
        checks=(Check("language", "xx"), Check("outcome", "maybe"), Check("contains", " ", at=5)),
    )
    with pytest.raises(Invalid) as told:
        checked(NewScenario(" ", wrong))
    places = {one.pointer for one in told.value.fields}
    assert places == {"name", "messages", "checks/0/value", "checks/1/value", "checks/2/value", "checks/2/at"}
    with pytest.raises(Invalid) as told:
        checked(NewScenario("Part", Play("played", turns=11)))
    assert {one.pointer for one in told.value.fields} == {"persona", "goal", "turns", "checks"}


def test_a_form_gives_back_what_was_saved():
    for messages in (("One", "Two"), ("One\nmore", "Two"), ("One\nmore",)):
        assert forms.split(forms.joined(messages)) == messages
    where = Where("waba", None, None, None)
    values = forms.values_of(
        "Name", None, Play(messages=("One",), where=where, checks=(Check("outcome", "reply"),))
    )
    assert values["rows"][0].look == "outcome:reply"
    assert len(values["rows"]) == 1 + forms.BLANK_ROWS


def test_what_became_of_an_answer():
    def verdict(outcome, text, now_outcome, now_text):
        return verdict_of(outcome, text, Rehearsed(now_text, now_outcome))

    long = "Доставка по Москве стоит триста рублей и занимает два дня"
    assert verdict("reply", long, "reply", f"{long}!") == "same"
    assert verdict("reply", f"{long} 300", "reply", f"{long} 500") == "differs"
    assert verdict("reply", long, "reply", "Мы открыты по будням") == "differs"
    assert verdict("not_found", "x", "reply", long) == "now_answered"
    assert verdict("reply", long, "not_found", "x") == "now_not_found"


def test_two_answers_are_shown_as_one_with_what_is_gone_and_what_is_new():
    pieces = pieces_of("We open at 9 daily", "We open at 10 daily")
    assert [(one.kind, one.text) for one in pieces] == [
        ("both", "We open at"), ("gone", " 9"), ("new", " 10"), ("both", " daily"),
    ]  # fmt: skip
    assert "".join(one.text for one in pieces_of("a b", "c d") if one.kind != "gone") == "c d"
    assert len(pieces_of("word " * 700, "other")) == 2
