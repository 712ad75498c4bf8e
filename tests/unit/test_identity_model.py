"""E-mail addresses and passwords."""

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from gptagent.features.identity.guessable import CONTEXT_WORDS
from gptagent.features.identity.model import is_weak_password, normalise_email
from gptagent.features.identity.service import NewPerson, check_person
from gptagent.features.organizations.registration import Register

COMMON = ["password1234", "QWERTY123456", "1q2w3e4r5t6y", "ghbdtnrfrltkf"]


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("anna@example.com", "anna@example.com"),
        ("  Anna.K+tag@Mail.Example.COM\n", "anna.k+tag@mail.example.com"),
        ("иван@почта.рф", "иван@почта.рф"),
        ("", None),
        ("anna", None),
        ("anna@", None),
        ("@example.com", None),
        ("anna@example", None),
        ("anna@example.c", None),
        ("anna@exa mple.com", None),
        ("anna@@example.com", None),
        ("anna@example.com,boris@example.com", None),
        ("<anna@example.com>", None),
        ("a" * 65 + "@example.com", None),
        ("a@" + "b" * 250 + ".com", None),
    ],
)
def test_an_address_is_trimmed_and_small_or_none(text, email):
    """AUTH-5"""
    assert normalise_email(text) == email


@pytest.mark.parametrize(
    "password",
    ["", "short", "elevenchars", "aaaaaaaaaaaaaa", "abababababab", "ABABababABAB", "x" * 201,
     "ab1!" * 60, *COMMON],
)  # fmt: skip
def test_short_uniform_and_common_passwords_are_weak(password):
    """AUTH-3"""
    assert is_weak_password(password)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "twelve-chars", "пароль из слов", "1234 5 6 78 xyz"]
)
def test_length_is_all_that_is_asked(password):
    """AUTH-3"""
    assert not is_weak_password(password)


COMMONEST = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= 4 and any(map(str.isalpha, word))][
    :3_000
]


def test_nothing_that_people_add_makes_a_common_password_a_good_one():
    """AUTH-3: 3,000 words, each made long enough in five ways."""
    long_enough = []
    for word in COMMONEST:
        long_enough += [word + "123456789", f"2026{word}!!!!!", word.title() + "!@#$%^&*", f"  {word}  12345"]
        long_enough.append(word * 2 if len(word) > 5 else f"{word}12{word}12")
    assert len(COMMONEST) == 3_000
    assert [password for password in long_enough if not is_weak_password(password)] == []


@pytest.mark.parametrize("word", sorted(CONTEXT_WORDS))
def test_words_that_name_this_product_make_no_password(word):
    for password in (f"{word}123456789", word.upper() + "!!2026!!", f"{word}-12345678"):
        assert is_weak_password(password)


def test_every_wrong_field_is_named_at_once():
    faults = check_person(NewPerson("nowhere", " ", "short"))
    assert [fault.pointer for fault in faults] == ["email", "given_name", "password"]
    assert check_person(NewPerson("a@example.com", "A", "correct horse battery")) == []


def test_commands_printed_show_no_personal_data():
    for command in (
        NewPerson("anna@example.com", "Anna", "correct horse battery"),
        Register("anna@example.com", "Anna", "correct horse battery", "Acme", setup_token="setup-word"),
    ):
        text = repr(command)
        assert (
            "anna" not in text.lower() and "horse" not in text and "word" not in text.replace("password", "")
        )
