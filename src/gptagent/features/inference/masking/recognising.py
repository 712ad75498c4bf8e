"""Where a text names a person by a number or an address: the one recogniser of the platform.

What has a checksum is taken only if it holds: a card by Luhn, an IBAN by its remainder of 97 (ISO 13616), INN
and SNILS by the rules of the Federal Tax Service and of the Pension Fund.
"""

import re
from collections.abc import Callable, Collection, Iterator

from gptagent.features.inference.masking.model import KINDS, Found, Kind

# What people put between digits. A long dash separates numbers, it does not stand in one.
SEP = "[ \u00a0\u2009\u202f.\u2010\u2011-]"
SPACE = "[ \u00a0\u2009\u202f]"

EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
CARD = re.compile(
    rf"(?<![\d.-])(?:[2-6]\d{{3}}(?P<four>{SEP}?)\d{{4}}(?P=four)\d{{4}}(?P=four)\d{{1,4}}(?:(?P=four)\d{{1,3}})?"
    rf"|3\d{{3}}(?P<six>{SEP}?)\d{{6}}(?P=six)\d{{4,5}})(?![\d])"
)
IBAN = re.compile(rf"(?<![A-Z0-9])[A-Z]{{2}}\d{{2}}(?:{SPACE}?[A-Z0-9]){{11,30}}")
SNILS = re.compile(rf"(?<![\d-])\d{{3}}(?P<sep>{SEP}?)\d{{3}}(?P=sep)\d{{3}}{SEP}?\d{{2}}(?![\d-])")
INN = re.compile(r"(?<![\d.,-])(?:\d{12}|\d{10})(?![\d-]|[.,]\d)")
PASSPORTS = (
    # Russian: series and number apart, or both after the word.
    re.compile(
        rf"(?<![\d.,-])\d{{2}}{SPACE}?\d{{2}}{SPACE}{{1,2}}(?:№|N|No\.?)?{SPACE}?\d{{6}}(?![\d-]|[.,]\d)"
    ),
    re.compile(
        r"(?i)(?:(?<=паспорт)|(?<=серия))(?P<word>\D{0,30}?)(?P<number>\d{2}\s?\d{2}\s?(?:№|n)?\s?\d{6}|\d{2}\s?№?\s?\d{7})(?!\d)"
    ),
    # Others: letters and digits after the word, and the two lines that a machine reads.
    re.compile(
        r"(?i)(?:(?<=passport)|(?<=паспорт))(?P<word>[^\n\d]{0,30}?)(?<![A-Z])"
        r"(?P<number>[A-Z]{1,3}\s?\d{5,8}|(?=(?:[A-Z]*\d){4})[A-Z\d]{8,9})(?![A-Z\d])"
    ),
    re.compile(r"P[A-Z<][A-Z]{3}[A-Z<]{39}(?![A-Z<])"),
    re.compile(r"(?<![A-Z\d<])[A-Z\d<]{9}\d[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z\d<]{14}[\d<]\d(?![A-Z\d<])"),
)
PHONES = (
    re.compile(
        rf"(?<![\d+])(?:\+{SPACE}?7|8|7){SEP}{{0,3}}\(?\d{{3}}\)?{SEP}{{0,3}}\d{{3}}{SEP}{{0,3}}\d{{2}}{SEP}{{0,3}}"
        r"\d{2}(?!\d)"
    ),
    re.compile(rf"\+{SPACE}?[1-9](?:{SEP}?[()]?{SEP}?\d){{7,14}}(?!\d)"),
    re.compile(rf"(?<![\d+])(?:\d{{1,3}}{SEP})?\(\d{{2,5}}\){SEP}?\d(?:{SEP}?\d){{4,7}}(?!\d)"),
    re.compile(r"(?<![\d-])\d{3,4}[ -]\d{3}-\d{2}-\d{2}(?![\d-])"),
    re.compile(r"(?<![\d-])(?:\d-)?\d{3}[-.]\d{3}[-.]\d{4}(?![\d-])"),
    re.compile(r"(?<![\d-])9\d{2} \d{3} \d{2} \d{2}(?! ?\d)"),
    re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{2}(?![\d-])"),
    re.compile(r"(?<![\d.,+-])9\d{9}(?![\d-]|[.,]\d)"),
)
# How long an IBAN of a country is, by the registry of ISO 13616.
IBAN_COUNTRIES = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 "
    "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 "
    "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 "
    "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 "
)
IBAN_LENGTHS = {one[:2]: int(one[2:]) for one in IBAN_COUNTRIES.split()}
INN_TEN = (2, 4, 10, 3, 5, 9, 4, 6, 8)
INN_ELEVENTH = (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
INN_TWELFTH = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)


def find(text: str, kinds: Collection[Kind] = KINDS) -> list[Found]:
    """Return what of these kinds stands in the text, in its order; nothing overlaps.

    Of two at one place the kind that is named first in KINDS counts.
    """
    taken: list[Found] = []
    for one in (found for kind in KINDS if kind in kinds for found in _FINDERS[kind](text)):
        if not any(one.overlaps(other) for other in taken):
            taken.append(one)
    return sorted(taken, key=lambda one: one.start)


def replaced(text: str, kinds: Collection[Kind], by: Callable[[Found], str]) -> str:
    """Return the text with something else in the place of each of them."""
    parts, end = [], 0
    for one in find(text, kinds):
        parts += [text[end : one.start], by(one)]
        end = one.end
    return "".join((*parts, text[end:]))


def _emails(text: str) -> Iterator[Found]:
    if "@" not in text:
        return
    for match in EMAIL.finditer(text):
        shown = match[0].rstrip(".-_")
        yield Found("email", match.start(), match.start() + len(shown), shown, shown.casefold())


def _cards(text: str) -> Iterator[Found]:
    for match in CARD.finditer(text):
        for shown in _ever_shorter(match[0]):
            digits = _digits(shown)
            if _has_luhn(digits):
                yield Found("card", match.start(), match.start() + len(shown), shown, digits)
                break


def _ever_shorter(text: str) -> Iterator[str]:
    """Return a card with what stands behind it, such as its month, and without."""
    yield text
    head = re.split(SEP, text)
    if len(head) > 4:
        yield text[: len(text) - len(head[-1]) - 1]


def _ibans(text: str) -> Iterator[Found]:
    for match in IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2], 0)
        shown, seen = "", 0
        for letter in match[0]:
            if seen == length:
                break
            shown += letter
            seen += letter.isalnum()
        whole = "".join(letter for letter in shown if letter.isalnum())
        goes_on = text[match.start() + len(shown) :][:1].isalnum()
        if seen == length and not goes_on and _is_of_97(whole):
            yield Found("iban", match.start(), match.start() + len(shown), shown, whole)


def _snils(text: str) -> Iterator[Found]:
    for match in SNILS.finditer(text):
        digits = _digits(match[0])
        total = sum(int(digit) * weight for digit, weight in zip(digits, range(9, 0, -1), strict=False))
        # A phone begins like this, and of a hundred of them one has the sum by chance.
        is_phone = digits[0] in "78" and not match["sep"]
        if total % 101 % 100 == int(digits[9:]) and not is_phone:
            yield Found("snils", match.start(), match.end(), match[0], digits)


def _inns(text: str) -> Iterator[Found]:
    for match in INN.finditer(text):
        if _has_inn_sums([int(digit) for digit in match[0]]):
            yield Found("inn", match.start(), match.end(), match[0], _digits(match[0]))


def _passports(text: str) -> Iterator[Found]:
    for pattern in PASSPORTS:
        for match in pattern.finditer(text):
            group = "number" if "number" in pattern.groupindex else 0
            shown = match[group]
            yield Found(
                "passport", match.start(group), match.end(group), shown, "".join(shown.split()).upper()
            )


def _phones(text: str) -> Iterator[Found]:
    for pattern in PHONES:
        for match in pattern.finditer(text):
            digits = _digits(match[0])
            is_russian = len(digits) == 11 and digits[0] == "8" and "+" not in match[0]
            yield Found(
                "phone", match.start(), match.end(), match[0], "7" + digits[1:] if is_russian else digits
            )


def _digits(text: str) -> str:
    return "".join(str(int(letter)) for letter in text if letter.isdecimal())


def _is_of_97(iban: str) -> bool:
    """ISO 7064: letters count from 10 on, the first four signs stand at the end."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _has_luhn(digits: str) -> bool:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return len(digits) >= 13 and sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def _has_inn_sums(digits: list[int]) -> bool:
    def sums_to(weights: tuple[int, ...]) -> bool:
        total = sum(digit * weight for digit, weight in zip(digits, weights, strict=False))
        return total % 11 % 10 == digits[len(weights)]

    if not any(digits):
        return False
    return sums_to(INN_TEN) if len(digits) == 10 else sums_to(INN_ELEVENTH) and sums_to(INN_TWELFTH)


_FINDERS: dict[Kind, Callable[[str], Iterator[Found]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "snils": _snils,
    "passport": _passports,
    "inn": _inns,
    "phone": _phones,
}
