"""Numbers in words beside a unit."""

import re
from collections.abc import Iterator
from decimal import Decimal

from gptagent.features.knowledge.grounding.model import COUNT, Amount, Fact
from gptagent.features.knowledge.grounding.sheet import Sheet, lowered
from gptagent.features.knowledge.grounding.units import CURRENCIES, PERCENT, unit_after

_UNITS = (
    r"один|одна|одно|одного|одной|one",
    r"два|две|двух|двум|two",
    r"три|тр[её]х|тр[её]м|three",
    r"четыре|четыр[её]х|four",
    r"пять|пяти|five",
    r"шесть|шести|six",
    r"семь|семи|seven",
    r"восемь|восьми|eight",
    r"девять|девяти|nine",
    r"десять|десяти|ten",
    r"одиннадцат[ьи]|eleven",
    r"двенадцат[ьи]|twelve",
    r"тринадцат[ьи]|thirteen",
    r"четырнадцат[ьи]|fourteen",
    r"пятнадцат[ьи]|fifteen",
    r"шестнадцат[ьи]|sixteen",
    r"семнадцат[ьи]|seventeen",
    r"восемнадцат[ьи]|eighteen",
    r"девятнадцат[ьи]|nineteen",
)
_TENS = (
    r"двадцат[ьи]|twenty",
    r"тридцат[ьи]|thirty",
    r"сорока?|forty",
    r"пят(?:ьдесят|идесяти)|fifty",
    r"шест(?:ьдесят|идесяти)|sixty",
    r"сем(?:ьдесят|идесяти)|seventy",
    r"восемьдесят|восьмидесяти|eighty",
    r"девяност[оа]|ninety",
)
_HUNDREDS = (
    r"сто|ста",
    r"двести|двухсот",
    r"триста|тр[её]хсот",
    r"четыреста|четыр[её]хсот",
    r"пятьсот|пятисот",
    r"шестьсот|шестисот",
    r"семьсот|семисот",
    r"восемьсот|восьмисот",
    r"девятьсот|девятисот",
)
_VALUES: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (value, re.compile(pattern))
    for value, pattern in (
        *enumerate(_UNITS, start=1),
        *((ten * 10, pattern) for ten, pattern in enumerate(_TENS, start=2)),
        *((hundred * 100, pattern) for hundred, pattern in enumerate(_HUNDREDS, start=1)),
    )
)
_SCALES = ((100, re.compile("hundred")), (1000, re.compile("тысяч[а-я]{0,3}|thousand")))
_SCALES_MORE = ((10**6, re.compile("миллион[а-я]{0,3}|million")),)
_ANY = "|".join(pattern.pattern for _value, pattern in (*_VALUES, *_SCALES, *_SCALES_MORE))
_SPELLED = re.compile(rf"(?<![^\W_])(?:{_ANY})(?:(?:\s+|-|\s+and\s+)(?:{_ANY}))*(?![^\W_])")
_FEW = 10


def take_words(sheet: Sheet, *, small: bool) -> Iterator[Fact]:
    """Take numbers in words. `small`: also those up to ten and those that stand beside no unit.

    In a reply "two days" is a way of speaking, "five hundred roubles" a price.
    """
    low = lowered(sheet.text)
    for match in list(_SPELLED.finditer(low)):
        unit, end = unit_after(low, match.end())
        value = spelled(match[0])
        is_price = unit in CURRENCIES or unit == PERCENT
        if small or is_price or (unit and value > _FEW):
            yield Fact(sheet.text[match.start() : end].strip(), (Amount(Decimal(value), unit or COUNT),))
            sheet.blank(match.start(), end)


def spelled(words: str) -> int:
    """Return the value of a number in words: two thousand five hundred."""
    total, group = 0, 0
    for word in re.split(r"[\s-]+", words):
        scale = next((n for n, pattern in (*_SCALES, *_SCALES_MORE) if pattern.fullmatch(word)), None)
        if scale == 100:
            group = max(group, 1) * scale
        elif scale is not None:
            total, group = total + max(group, 1) * scale, 0
        else:
            group += next((n for n, pattern in _VALUES if pattern.fullmatch(word)), 0)
    return total + group
