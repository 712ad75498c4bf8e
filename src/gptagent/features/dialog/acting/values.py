"""What a customer said, as a field's type takes it. Pure; `crm.actions` says whether it fits."""

import re

from gptagent.features.dialog.acting.model import Declined

VALUE_MAX_CHARS = 1_000
_SPACES = re.compile(r"[\s\u00a0\u202f']+")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_PLAIN = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)
_YES, _NO = {"yes", "true", "1", "да"}, {"no", "false", "0", "нет"}
_SEPARATORS = re.compile(r"\s*[;,]\s*")
_EMAIL = re.compile(r"[^\s@,;]{1,64}@[^\s@,;]+\.[^\s@,;]{2,}")
_PHONE_SIGNS = re.compile(r"[+\d][\d\s().\-]*")
_PHONE_DIGITS = range(7, 16)  # E.164


def said_value(kind: str, code: str | None, choices: tuple[str, ...], said: str) -> object:
    """Return the value for a field of this type. Raises Declined if the words are no such value."""
    text = said.replace("\0", "").strip()
    if not 1 <= len(text) <= VALUE_MAX_CHARS:
        raise _unfit()
    if kind in {"numeric", "price", "monetary"}:
        return _number(text)
    if kind == "checkbox":
        return _flag(text)
    if kind == "multiselect":
        return _several(text, choices)
    if kind == "multitext":
        return _reach(text, code)
    return text


def whole_number(text: str) -> int:
    """Return a sum of money as deals have it. Raises Declined unless it is a whole number."""
    number = _number(text.strip())
    whole, _, rest = number.partition(".")
    if rest.strip("0"):
        raise _unfit()
    return int(whole)


def _number(text: str) -> str:
    bare = _SPACES.sub("", text)
    if _THOUSANDS.fullmatch(bare):
        return bare.replace(",", "")
    if not _PLAIN.fullmatch(bare) or len(bare) > 18:
        raise _unfit()
    return bare.replace(",", ".")


def _flag(text: str) -> bool:
    word = text.casefold()
    if word not in _YES | _NO:
        raise _unfit()
    return word in _YES


def _several(text: str, choices: tuple[str, ...]) -> list[str]:
    """Split a list of choices; one whose own name has a comma is meant as a whole."""
    if text.casefold() in {one.casefold() for one in choices}:
        return [text]
    return [one for one in _SEPARATORS.split(text) if one]


def _reach(text: str, code: str | None) -> str:
    if code == "EMAIL" and not _EMAIL.fullmatch(text):
        raise _unfit()
    if code == "PHONE" and (
        not _PHONE_SIGNS.fullmatch(text) or sum(one.isdigit() for one in text) not in _PHONE_DIGITS
    ):
        raise _unfit()
    return text


def _unfit() -> Declined:
    return Declined("value_unfit")
