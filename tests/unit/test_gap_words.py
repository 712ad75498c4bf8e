"""What of a customer's words is kept, and when two questions are about the same."""

from datetime import date
from uuid import UUID

import pytest

from gptagent.features.knowledge.gaps.masking import masked
from gptagent.features.knowledge.gaps.model import Share, kind_of, nearest, overlap, sums

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Перезвоните на +7 (912) 345-67-89, гравировка есть?", "Перезвоните на •••, гравировка есть?"),
        ("Пишите на anna.petrova@example.test про гравировку", "Пишите на ••• про гравировку"),
        ("Меня зовут Пётр Иванов, делаете гравировку?", "Меня зовут •••, делаете гравировку?"),
        ("My name is John Smith. Do you engrave?", "My name is •••. Do you engrave?"),
        ("Для Анны можно гравировку?", "Для ••• можно гравировку?"),
        ("Карта 4276 1234 5678 9012 не прошла", "Карта ••• не прошла"),
        ("Привезёте на улица Ленина, дом 5?", "Привезёте на •••?"),
        (
            "Сколько стоит диван за 15 000 рублей, 2-местный?",
            "Сколько стоит диван за 15 000 рублей, 2-местный?",
        ),
        ("карта 4276-1234-5678-9012 не прошла", "карта ••• не прошла"),
        ("меня зовут анна, вы где?", "меня зовут •••, вы где?"),
        ("Меня зовут: Пётр Иванов", "Меня зовут •••"),
        ("это анна, вы где?", "это •••, вы где?"),
        ("анализы когда?\n\nи где", "анализы когда? и где"),
    ],
)
def test_whatever_names_a_person_is_left_out_and_the_matter_stays(said, kept):
    assert masked(said, names=("Анна П.",)) == kept


def test_questions_are_about_the_same_if_they_share_the_words_that_tell():
    weights = {"гравировк": 9.0, "гравирова": 9.0, "заказа": 3.0, "кольц": 8.0, "доставк": 3.0, "ремонт": 9.0}
    same = overlap(weights, ["гравировк", "заказа"], ["гравирова", "кольц"])
    assert 0.2 < same < overlap(weights, ["гравировк", "заказа"], ["гравировк", "кольц"]) < 1
    assert overlap(weights, ["ремонт"], ["доставк"]) == 0
    assert overlap({}, [], []) == 0
    gaps = {TWO: ["гравировк", "заказа"], ONE: ["гравировк", "заказа"]}
    assert nearest(weights, ["гравировк"], gaps) == ONE, "the older of equals"
    assert nearest(weights, ["ремонт", "заказа"], gaps) is None


def test_an_answer_is_weak_near_the_refusal_and_found_above_it():
    for support, kind in ((0.5, "weak"), (0.64, "weak"), (0.66, "found")):
        assert kind_of(is_answered=True, support=support, refusal=0.5) == kind
    assert kind_of(is_answered=False, support=0.9, refusal=0.5) == "not_found"


def test_days_are_summed_from_the_first_to_the_last():
    days = [Share(date(2026, 1, day), 1, 2, 3) for day in (1, 2, 3)]
    assert sums(days, date(2026, 1, 2), date(2026, 1, 3)) == Share(date(2026, 1, 2), 2, 4, 6)
    assert sums(days, date(2026, 1, 1), date(2026, 1, 3)).total == 18
