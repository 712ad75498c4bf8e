"""Numbers with what they count, and codes of letters and digits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from gptagent.features.knowledge.grounding.calendar import is_date
from gptagent.features.knowledge.grounding.model import COUNT, OPEN, Amount, Clock, Day, Fact, Reading, Word
from gptagent.features.knowledge.grounding.sheet import Sheet, lowered
from gptagent.features.knowledge.grounding.units import (
    CURRENCIES,
    MULTIPLES,
    counts_things,
    currency_before,
    unit_after,
)

_TIMES_SIGN = re.compile(r"(?<=\d)(\s?)[xх×](?=\s?\d)")
_VERSION = re.compile(r"(?<![^\W_])[vв]?\d+(?:\.\d+){2,}")
_CODE = re.compile(r"(?<![^\W_])(?=[^\W_])(?=[\w-]{0,60}\d)(?=[\w-]{0,60}[^\W\d_])[^\W_]+(?:-[^\W_]+)*")
_NUMBER = re.compile(
    r"(?<![^\W_])(?<![^\W\d_]-)(?:"
    r"\d{1,3}(?:[ ']\d{3})+(?!\d)(?:[.,]\d{1,2}(?!\d))?"
    r"|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d{1,2}(?!\d))?|\d{1,3}(?:\.\d{3})+(?!\d)(?:,\d{1,2}(?!\d))?"
    r"|\d+[.,]\d+|\d+)"
)
_ORDINAL = re.compile(
    r"(?<![\d.,])(?P<n>\d+)(?:-м|-?(?:й|ем|ом|я|е|ый|ой|ая|ое|го|ого|му|ому|st|nd|rd|th))(?![^\W_])"
)
_CARDINAL_TAIL = re.compile(r"-?(?:ти|ми|х|мя|и)(?![^\W_])")
_LAST_ORDINAL = 10  # "the 3rd floor" is no fact, "until the 25th" is one
_CHANGE = re.compile(r"\s?(?:и\s|and\s)?(\d{1,2})\s?(?:коп[а-я]*\.?|цент[а-я]*|cents?)")
_SPAN = re.compile(r"\s*(?:-|\.\.\.|до|по|и|или|to|or|and)\s*")
_HOUR_BEFORE = re.compile(
    r"(?:(?<![^\W_])(?:с|со|до|в|к|от|после|около|from|to|at|till|until|by|after|before|and|between)\s|\d\s?-\s?)$"
)
_HOUR_AFTER = re.compile(r"\s?(?:-|до|по|to|till|until)\s?\d{1,2}(?!\d)")
_SHORT = re.compile(r"(\d{1,2})[.](\d\d)")
_GROUPED = re.compile(r"\d{1,3}[.,]\d{3}")
_HOURS = 24
_YEARS = range(1900, 2101)


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number in its place: its values without and with a multiple, and the unit beside it."""

    start: int
    end: int
    values: tuple[Decimal, ...]
    factor: Decimal
    unit: str


def take_numbers(sheet: Sheet) -> Iterator[Fact]:
    """Take everything that is left with a digit in it."""
    sheet.text = _TIMES_SIGN.sub(r"\1;", sheet.text)
    for match in sheet.take(_VERSION):
        yield Fact(match[0], (Word(match[0].casefold()),))
    _skip_ordinals(sheet)
    text = sheet.text
    low = lowered(text)
    figures = list(_figures(text, low))
    skip_to = 0
    for number, figure in enumerate(figures):
        if figure.start < skip_to:  # the kopecks of the price before
            continue
        following = figures[number + 1] if number + 1 < len(figures) else None
        fact, skip_to = _fact(low, figure, following)
        yield Fact(text[figure.start : skip_to].strip(), fact)
        sheet.blank(figure.start, skip_to)
    for match in sheet.take(_CODE):
        yield Fact(match[0], (code(match[0]),))


def code(text: str) -> Word:
    return Word(text.casefold().replace("-", ""))


def _skip_ordinals(sheet: Sheet) -> None:
    for match in list(_ORDINAL.finditer(sheet.text.lower())):
        if int(match["n"]) <= _LAST_ORDINAL:
            sheet.blank(*match.span())
        else:
            sheet.blank(match.end("n"), match.end())


def _figures(shown: str, text: str) -> Iterator[_Figure]:
    end = 0
    for match in _NUMBER.finditer(text):
        figure = _figure(shown, text, match, end)
        if figure is not None:
            yield figure
            end = figure.end


def _figure(shown: str, text: str, match: re.Match[str], floor: int) -> _Figure | None:
    """Return the number, or None if it only begins a code such as 3D. `floor`: the end of the one before."""
    start, end = match.span()
    tail = _CARDINAL_TAIL.match(text, end)
    after = tail.end() if tail else end
    factor = Decimal(1)
    for times, pattern in MULTIPLES:
        found = pattern.match(text, after)
        if found:
            factor, after = times, found.end()
            break
    unit, unit_end = unit_after(text, after)
    if not unit and after == end and text[end : end + 1].isalpha():
        return None
    unit = unit or currency_before(text, start, floor)
    values = _values(match[0])
    is_year = unit in {"year", "g"} and match[0].isdigit() and int(match[0]) in _YEARS
    if is_year or (not unit and factor == 1 and counts_things(shown, after)):
        unit = COUNT
    if unit == "kopeck":
        values, unit = tuple(value / 100 for value in values), "RUB"
    return _Figure(start, max(after, unit_end), values, factor, unit)


def _values(text: str) -> tuple[Decimal, ...]:
    """Return what the digits may mean: 1,500 is fifteen hundred in English, one and a half in Russian."""
    plain = re.sub(r"[ ']", "", text)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", plain) or re.fullmatch(r"\d+\.\d{1,2}", plain):
        grouped = Decimal(plain.replace(",", ""))
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", plain):
        grouped = Decimal(plain.replace(".", "").replace(",", "."))
    else:
        return (Decimal(plain.replace(",", ".")),)
    other = (Decimal(plain.replace(",", ".")),) if _GROUPED.fullmatch(plain) else ()
    return (grouped, *other)


def _fact(text: str, figure: _Figure, following: _Figure | None) -> tuple[tuple[Reading, ...], int]:
    """Return the readings of a number and where its words end."""
    factor, unit, end = figure.factor, figure.unit, figure.end
    values = tuple(value * factor for value in figure.values)
    if unit in CURRENCIES and (change := _CHANGE.match(text, end)):
        values, end = tuple(value + Decimal(change[1]) / 100 for value in values), change.end()
    inherits = following is not None and _continues(text, figure, following)
    if following is not None and inherits:
        unit = following.unit or unit
        if factor == 1 and values[0] < following.values[0]:  # 5 to 10 thousand, but 500 to 1.5 thousand
            values = tuple(value * following.factor for value in values)
    unit = OPEN if unit == COUNT and inherits else unit
    readings: list[Reading] = [Amount(value, unit) for value in values]
    if factor == 1:
        readings += _moments(text, figure, unit)
    return tuple(readings), end


def _continues(text: str, figure: _Figure, following: _Figure) -> bool:
    """Tell whether this is the first end of a span: 5 to 10 days."""
    between = text[figure.end : following.start]
    return figure.unit in {OPEN, COUNT} and _SPAN.fullmatch(between) is not None


def _moments(text: str, figure: _Figure, unit: str) -> Iterator[Reading]:
    """Yield the date and the time that a number without another unit may be: 12.03, from 9 to 18."""
    shown = text[figure.start : figure.end].strip()
    short = _SHORT.match(shown)
    if short and unit in {OPEN, COUNT}:
        first, second = int(short[1]), int(short[2])
        if is_date(first, second):
            yield Day(first, second, None)
        if first <= _HOURS and second < 60:
            yield Clock(first % 24 * 60 + second)
    elif unit in {OPEN, COUNT, "hour"} and _is_hour(text, figure):
        hour = int(figure.values[0])
        yield Clock(hour % 24 * 60)
        if 1 <= hour < 12:
            yield Clock((hour + 12) * 60)


def _is_hour(text: str, figure: _Figure) -> bool:
    value = figure.values[0]
    if value > _HOURS or value != int(value):
        return False
    number_end = re.compile(r"\d+").match(text, figure.start)
    after = number_end.end() if number_end else figure.end
    return bool(_HOUR_BEFORE.search(text[max(0, figure.start - 12) : figure.start])) or bool(
        _HOUR_AFTER.match(text, after)
    )
