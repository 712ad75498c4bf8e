"""What sentences say in numbers, and which of them cannot both be true."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest

from gptagent.features.knowledge.checks.comparing import (
    BLOCK_MAX,
    contradictions,
    differ,
    old_prices,
    past_dates,
)
from gptagent.features.knowledge.checks.extraction import STATEMENTS_MAX, told_in
from gptagent.features.knowledge.checks.model import Hit, Source, Statement

ONE, TWO, FACTS = (
    Source("article", UUID(int=1)),
    Source("document", UUID(int=2)),
    Source("company_facts", None),
)
TODAY = date(2026, 11, 26)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
numbers = count(1)


def says(source, amounts, words, unit="RUB", promises=False):
    return Statement(next(numbers), source, unit, tuple(amounts.split()), tuple(words.split()), promises)


@pytest.mark.parametrize(
    ("sentence", "unit", "amounts", "subject"),
    [
        ("Доставка по Москве стоит 1 500 рублей.", "RUB", ("1500",), "Доставка по Москве стоит"),
        ("Delivery costs $25 a day", "USD", ("25",), "Delivery costs $ a day"),
        ("Гарантия 12 месяцев", "month", ("12",), "Гарантия"),
        ("Скидка 15%", "%", ("15",), "Скидка"),
        ("Акция до 1 марта 2025 года", "date", ("2025-03-01",), "Акция до года"),
        ("Начало 5 мая", "date", ("--05-05",), "Начало"),
        ("Открыты с 10:00", "time", ("10:00",), "Открыты с"),
        ("Диван 2-местный: 45 000 руб.", "RUB", ("45000",), "Диван 2-местный: "),
    ],
)
def test_a_sentence_is_a_subject_a_unit_and_amounts(sentence, unit, amounts, subject):
    (told,) = told_in(sentence, "Above")
    assert (told.unit, told.amounts) == (unit, amounts)
    assert told.subject.split() == subject.split()
    assert told.sentence == sentence


def test_what_counts_nothing_is_no_statement_and_a_bare_number_has_the_heading_as_its_subject():
    assert told_in("Модель 15, в наличии 3 дивана, тел. +7 912 345-67-89.", "Above") == []
    assert [one.subject for one in told_in("350 рублей", "Доставка Казань")] == ["Доставка Казань"]
    assert (
        len(told_in("\n".join(f"Товар номер {n}: {n} рублей" for n in range(1, 200)), "")) == STATEMENTS_MAX
    )
    by_unit = told_in("Доставка идёт 3 дня и стоит от 300 до 500 рублей", "")
    assert [(one.unit, one.amounts) for one in by_unit] == [("RUB", ("300", "500")), ("day", ("3",))]


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ("300", "500", True),
        ("300 500", "300", False),
        ("300 500", "300 700", True),
        ("1500|1.5", "1500", False),
        ("2025-03-01", "--03-01", False),
        ("2025-03-01", "2026-03-01", True),
        ("--03-01", "--03-02", True),
    ],
)
def test_amounts_differ_if_each_side_says_one_that_the_other_does_not(one, other, contradict):
    assert differ(one.split(), other.split()) is contradict


def test_statements_of_different_sources_about_the_same_contradict_each_other():
    moscow = says(ONE, "300", "доставк москв сто")
    pairs = [
        (says(TWO, "500", "доставк москв стоимост"), True),
        (says(FACTS, "500", "доставк москв"), True),
        (says(FACTS, "500", "курьерск доставк москв"), True),
        (says(ONE, "500", "доставк москв"), False),
        (says(TWO, "300", "доставк москв"), False),
        (says(TWO, "500", "доставк казан"), False),
        (says(TWO, "500", "доставк москв", unit="day"), False),
        (says(TWO, "500", "сто"), False),
    ]
    for other, expected in pairs:
        found = contradictions([moscow, other, says(FACTS, "9", "друг предмет")])
        assert bool(found) is expected, other
    (hit,) = contradictions([moscow, pairs[0][0]])
    assert hit == Hit("contradiction", 1.0, moscow.id, pairs[0][0].id)


def test_what_is_never_given_together_is_no_contradiction():
    """KB-17, KB-29: for stages of a deal, and for agents, without one in common; None is all of them"""
    for one, other, expected in (
        ({"a"}, {"b"}, False),
        ({"a"}, {"a", "b"}, True),
        ({"a"}, None, True),
        (set(), None, False),
        (set(), set(), False),
        (None, None, True),
    ):
        sides = [None if side is None else frozenset(side) for side in (one, other)]
        for name in ("stages", "agents"):
            statements = [
                replace(says(source, amount, "доставк москв"), **{name: side})
                for source, amount, side in zip((ONE, TWO), ("300", "500"), sides, strict=True)
            ]
            assert bool(contradictions(statements)) is expected, (name, one, other)


def test_a_large_base_is_compared_in_parts_and_still_finds_what_shares_rare_words():
    """Of 30,000 statements with one common word each, none is held against all others."""
    many = [says(Source("article", UUID(int=n)), str(n), f"товар модел{n}") for n in range(1, 30_000)]
    pair = (says(ONE, "1", "гравировк кольц"), says(TWO, "2", "гравировк кольц"))
    found = contradictions([*many, *pair])
    assert Hit("contradiction", 1.0, pair[0].id, pair[1].id) in found
    same = [says(Source("article", UUID(int=n)), str(n), "один") for n in range(1, 5 * BLOCK_MAX)]
    assert 0 < len(contradictions(same)) < BLOCK_MAX**2


def test_a_promise_is_stale_when_its_last_day_is_over():
    for text, stale in (
        ("Скидка действует до 1 марта 2025 года", True),
        ("Offer valid until March 1, 2025", True),
        ("Акция с 1 по 31 декабря 2026 года", False),
        ("Акция до марта 2025", True),
        ("Акция до 1 марта", False),
        ("Компания основана 1 марта 2005 года", False),
    ):
        (told,) = told_in(text, "")
        one = Statement(1, ONE, told.unit, told.amounts, (), told.promises)
        assert bool(past_dates([one], TODAY)) is stale, text


def test_of_an_old_source_its_first_price_is_told():
    old, new = says(ONE, "300", "а"), says(TWO, "300", "а")
    changed = {ONE: NOW - timedelta(days=400), TWO: NOW - timedelta(days=300)}
    found = old_prices([old, says(ONE, "1", "б"), says(ONE, "5", "в", unit="day"), new], changed, NOW)
    assert [hit.statement for hit in found] == [old.id]
