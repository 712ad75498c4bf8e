"""Words, their kin and sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptagent.features.knowledge.citing import supporting_sentences
from gptagent.features.knowledge.lexical import (
    covered_share,
    informative,
    kin_range,
    kinship,
    normalise,
    normalise_question,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("1 500 руб. и 12\u00a0000\u00a0000", "1500 руб. и 12000000"),
        ("AB-1234/56", "AB 1234 56"),
        ("Росси́я, ёлка, йод", "Россия, елка, йод"),
        ("ﬁrst ½", "first 1⁄2"),
        ("a\0b", "a b"),
        ("в 2014 году 500 человек", "в 2014 году 500 человек"),
    ],
)
def test_words_are_counted_alike(text, counted):
    assert normalise(text) == counted


def test_a_greeting_is_no_part_of_a_question():
    assert normalise_question("Добрый день! Какой день доставки?").split() == [
        "!",
        "Какой",
        "день",
        "доставки?",
    ]
    assert normalise_question("Good morning, opening hours?").split() == [",", "opening", "hours?"]


def test_words_that_only_ask_are_dropped_unless_there_are_no_others():
    assert informative(["скольк", "доставк"]) == ["доставк"]
    assert informative(["как", "эт"]) == ["как", "эт"]


def test_forms_with_a_common_beginning_are_kin():
    assert kinship("возврат", "возврат") == 1
    assert 0 < kinship("возврат", "возвраща") < 0.8
    assert kinship("возврат", "воздух") == 0
    assert kinship("1500", "15000") == 0
    assert kinship("дом", "дома") == 0


@given(st.text("абвгд", min_size=1, max_size=12), st.text("абвгд", max_size=12))
def test_all_kin_lie_in_the_range(lexeme, form):
    low, high = kin_range(lexeme)
    if kinship(lexeme, form) > 0:
        assert low <= form < high


def test_coverage_is_the_weighted_share_of_words_held():
    weights = {"доставк": 3.0, "казан": 1.0}
    assert covered_share(weights, ["доставк", "москв"]) == 0.75
    assert covered_share(weights, []) == 0
    assert covered_share({}, ["доставк"]) == 0


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Да. Нет! Как?", ["Да.", "Нет!", "Как?"]),
        ("Ждём на ул. Ленина, д. 5. Вход со двора.", ["Ждём на ул. Ленина, д. 5.", "Вход со двора."]),
        ("Цена 300 руб. Скидок нет.", ["Цена 300 руб. Скидок нет."]),
        ("Это писал А. С. Пушкин. Да.", ["Это писал А. С. Пушкин.", "Да."]),
        ("Ask Dr. Smith. He knows.", ["Ask Dr. Smith.", "He knows."]),
        ("Стоит 1.5 тыс. в день", ["Стоит 1.5 тыс. в день"]),
        ("«Привет.» — сказал он", ["«Привет.»", "— сказал он"]),
        ("Строка\nдругая\n\n***\n", ["Строка", "другая"]),
        ("", []),
    ],
)
def test_sentences_are_told_apart(text, sentences):
    assert split_sentences(text) == sentences


RETURNS = (
    "Возврат возможен в течение 30 дней. Чек не обязателен.\n"
    "Деньги приходят на карту за 3 дня. Доставка обратно бесплатна."
)


@pytest.mark.parametrize(
    ("statement", "quoted"),
    [
        ("Вы можете вернуть товар: возврат возможен 30 дней", "Возврат возможен в течение 30 дней."),
        (
            "Доставку обратно мы не берём в счёт, а возвраты идут 30 дней",
            "Возврат возможен в течение 30 дней. Доставка обратно бесплатна.",
        ),
        ("Refunds are possible", RETURNS),
        ("", RETURNS),
    ],
)
def test_a_statement_is_traced_to_the_sentences_it_was_taken_from(statement, quoted):
    assert supporting_sentences(statement, RETURNS) == quoted
