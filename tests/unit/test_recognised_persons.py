"""Numbers and addresses that name a person: what is recognised, what is not, and marks in their place."""

import random
import string
from itertools import pairwise

import pytest

from gptagent.features.inference.masking.covering import SAID, Cover, marks_left
from gptagent.features.inference.masking.model import KINDS
from gptagent.features.inference.masking.service import find, hidden
from gptagent.features.inference.model import ChatTurn, ModelRequest

PERSONAL = [
    ("phone", "8 (912) 345-67-89"),
    ("phone", "+7 912 345 67 89"),
    ("phone", "+7\u00a0912\u00a0345\u201167\u201189"),
    ("phone", "89123456789"),
    ("phone", "9123456789"),
    ("phone", "+49 (0) 30 123456"),
    ("phone", "(495) 123-45-67"),
    ("phone", "+1 415-555-2671"),
    ("email", "ivan.petrov+1@mail.example.ru"),
    ("card", "4111 1111 1111 1111"),
    ("card", "4111-1111-1111-1111"),
    ("card", "2200770212345674"),
    ("card", "3782 822463 10005"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB82WEST12345698765432"),
    ("inn", "7707083893"),
    ("inn", "500100732259"),
    ("snils", "112-233-445 95"),
    ("snils", "11223344595"),
    ("passport", "4509 123456"),
    ("passport", "45 09 № 123456"),
    ("passport", "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"),
    ("passport", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"),
]
# One digit is wrong, or it is something else.
IMPERSONAL = [
    "4111 1111 1111 1112",
    "DE89 3704 0044 0532 0130 01 X",
    "7707083894",
    "500100732258",
    "112-233-445 96",
    "1 250 000 roubles",
    "27.11.2026 10:00-18:00",
    "2026-11-27",
    "12.5 x 30.25",
    "order 12345678",
    "articles 100200 and 300400",
    "a@b",
]


@pytest.mark.parametrize(("kind", "written"), PERSONAL)
def test_what_names_a_person_is_recognised_whole_and_as_what_it_is(kind, written):
    text = f"Вот: {written}, спасибо."
    (found,) = find(text)
    assert (found.kind, found.text) == (kind, written)
    assert text[found.start : found.end] == written
    assert not find(text, set(KINDS) - {kind}) or kind in {"card", "snils", "inn", "iban"}


@pytest.mark.parametrize("written", IMPERSONAL)
def test_a_number_without_its_checksum_or_form_is_nobodys(written):
    assert [one.kind for one in find(f"Вот: {written}, спасибо.") if one.kind != "card"] == []


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("паспорт серия 4509 номер", None),
        ("Мой паспорт: 4509123456", "4509123456"),
        ("загранпаспорт 75 1234567", "75 1234567"),
        ("passport no. C01X00T47", "C01X00T47"),
        ("my passport is AB1234567", "AB1234567"),
        ("заказ AB1234567", None),
    ],
)
def test_a_bare_number_is_a_passport_only_after_the_word(said, number):
    assert [one.text for one in find(said, ["passport"])] == ([number] if number else [])


def test_a_card_is_told_from_the_month_behind_it_and_all_ways_to_write_a_phone_are_one():
    (card,) = find("4111 1111 1111 1111 12/26")
    assert card.text == "4111 1111 1111 1111"
    keys = {one.key for one in find("8 (912) 345-67-89, +7 912 345 67 89, 89123456789")}
    assert keys == {"79123456789"}


def test_marks_stand_for_values_and_give_them_back():
    cover = Cover(KINDS)
    text = "Карта 4111 1111 1111 1111, тел. 8 (912) 345-67-89, почта a.b@c.de, снова 4111111111111111"
    assert cover.cover(text) == "Карта [CARD_1], тел. [PHONE_1], почта [EMAIL_1], снова [CARD_1]"
    answers = {
        "Позвоним на [PHONE_1].": "Позвоним на 8 (912) 345-67-89.",
        r"Позвоним на \[PHONE\_1\].": "Позвоним на 8 (912) 345-67-89.",
        "phone_1, EMAIL_1": "8 (912) 345-67-89, a.b@c.de",
        "[PHONE_2]": "[PHONE_2]",
    }
    assert [cover.uncover(answer) for answer in answers] == list(answers.values())
    assert marks_left("Звоните: [PHONE_2], [PHONE_2].") == ["[PHONE_2]"]


def test_what_a_customer_writes_like_a_mark_is_none():
    """Somebody who writes [PHONE_1] gets it back, not the phone of the deal."""
    cover = Cover(KINDS)
    covered = cover.cover("Позвоните [PHONE_1]. Телефон сделки: +7 912 345-67-89.")
    assert covered == "Позвоните [TEXT_1]. Телефон сделки: [PHONE_1]."
    assert cover.uncover("[TEXT_1]") == "[PHONE_1]"
    assert cover.uncover(covered) == "Позвоните [PHONE_1]. Телефон сделки: +7 912 345-67-89."


def test_a_request_is_covered_in_every_part_and_a_model_is_told_of_marks_only_if_there_are_any():
    request = ModelRequest("Deal: a@b.cd", (ChatTurn("user", "Me: +7 912 345-67-89"),), 0.2, 10)
    covered = Cover(KINDS).request(request)
    assert covered.system == f"Deal: [EMAIL_1]\n\n{SAID}"
    assert covered.turns == (ChatTurn("user", "Me: [PHONE_1]"),)
    plain = ModelRequest("Hello", (ChatTurn("user", "4 chairs"),), 0.2, 10)
    assert Cover(KINDS).request(plain) == plain
    assert Cover(()).request(request) == request


def test_texts_of_any_letters_come_back_as_they_were():
    rng = random.Random(7)
    letters = string.digits * 3 + "+-() @.<[]_" + "PHONE"
    for _ in range(300):
        text = "".join(rng.choice(letters) for _ in range(60))
        cover, found = Cover(KINDS), find(text)
        assert all(one.end <= other.start for one, other in pairwise(found))
        if len({one.key for one in found}) == len(found):
            assert cover.uncover(cover.cover(text)) == text


def test_for_what_needs_nothing_back_the_kind_is_enough():
    assert hidden(["Тел. 8 912 345-67-89", "no"], ["phone"]) == ["Тел. [PHONE]", "no"]
