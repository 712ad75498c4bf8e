"""The comparison: every fact of a reply against what its sources say."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from gptagent.features.knowledge.grounding import contacts, units
from gptagent.features.knowledge.grounding.calendar import take_dates, take_times
from gptagent.features.knowledge.grounding.model import (
    COUNT,
    OPEN,
    PART,
    Amount,
    Clock,
    Day,
    Fact,
    House,
    Link,
    Phone,
    Reading,
    Word,
)
from gptagent.features.knowledge.grounding.numbers import take_numbers
from gptagent.features.knowledge.grounding.sheet import Sheet, normalized
from gptagent.features.knowledge.grounding.words import take_words

_STRICT = frozenset(units.CURRENCIES) | {units.PERCENT}
_LOCAL_DIGITS = 10  # of a number without the country
_SHORT_DIGITS = 5  # of a number within a town
_COUNTRIES = frozenset({"7", "1"})
_TOKENS = re.compile(r"\d+[a-z]?(?:[/-]\d+)?(?![^\W_])|[^\W_]+")
_NEAR = 5  # words between a street's name and its house


def unsourced(reply: str, sources: Iterable[str], remembered: Iterable[str] = ()) -> list[str]:
    """Return the facts of a reply, as it words them, that occur in no source, each once.

    `remembered` is what the customer said long ago: a source, but of no price and no per cent.
    """
    facts = list(facts_of(reply))
    evidence = Evidence()
    for source in sources if facts else ():
        evidence.add(source)
    for source in remembered if facts else ():
        evidence.add(source, of_prices=False)
    missing = (fact.text for fact in facts if not any(map(evidence.holds, fact.readings)))
    return list(dict.fromkeys(missing))


def facts_of(text: str, *, small_words: bool = False) -> Iterator[Fact]:
    """Yield the facts of a text. `small_words`: numbers in words that are no fact by themselves as well."""
    sheet = Sheet(normalized(text))
    yield from contacts.take_links(sheet)
    yield from take_dates(sheet)
    yield from contacts.take_phones(sheet)
    yield from contacts.take_houses(sheet)
    yield from take_times(sheet)
    yield from take_numbers(sheet)
    yield from take_words(sheet, small=small_words)


@dataclass(slots=True)
class Evidence:
    """What all sources of one reply say."""

    amounts: dict[Decimal, set[str]] = field(default_factory=lambda: defaultdict(set))
    others: set[Reading | None] = field(default_factory=set)
    tokens: list[list[str]] = field(default_factory=list)

    def add(self, text: str, *, of_prices: bool = True) -> None:
        self.tokens.append(_TOKENS.findall(contacts.in_latin(normalized(text))))
        for fact in facts_of(text, small_words=True):
            for reading in fact.readings:
                if of_prices or not _may_be_price(reading):
                    self._note(reading)

    def _note(self, reading: Reading) -> None:
        if isinstance(reading, Amount):
            self.amounts[reading.value].add(reading.unit)
            return
        self.others.add(reading)
        for value in _parts(reading):
            self.amounts[Decimal(value)].add(PART)
        if isinstance(reading, Link):
            self.others.add(Link(reading.host, ""))
            if name := contacts.name_of(reading):
                self.others.add(name)

    def holds(self, reading: Reading) -> bool:
        """Tell whether the sources say this."""
        if reading in self.others:
            return True
        found = False
        match reading:
            case Amount():
                found = any(_may_mean(reading.unit, unit) for unit in self.amounts.get(reading.value, ()))
            case Day():
                found = self._has_day(reading)
            case Phone():
                found = self._has_phone(reading.digits)
            case House():
                found = any(_has_house(tokens, reading) for tokens in self.tokens)
            case Link():
                found = contacts.name_of(reading) in self.others
            case Clock() | Word():
                pass
        return found

    def _has_day(self, asked: Day) -> bool:
        days = [day for day in self.others if isinstance(day, Day)]
        if asked.day is None:
            return any((day.month, day.year) == (asked.month, asked.year) for day in days)
        same = [day for day in days if (day.day, day.month) == (asked.day, asked.month)]
        if asked.year is None:
            return bool(same)
        is_year_told = Decimal(asked.year) in self.amounts
        return any(day.year is None for day in same) and is_year_told

    def _has_phone(self, digits: str) -> bool:
        known = [phone.digits for phone in self.others if isinstance(phone, Phone)]
        if len(digits) < _SHORT_DIGITS:
            return False
        return any(one.endswith(digits) or _adds_country(digits, one) for one in known)


def _adds_country(digits: str, known: str) -> bool:
    return len(known) == _LOCAL_DIGITS and digits.endswith(known) and digits[:-_LOCAL_DIGITS] in _COUNTRIES


def _may_mean(asked: str, told: str) -> bool:
    """Tell whether a number with the one unit is said by a number with the other.

    A price and a per cent must be one in the source, or a number with nothing beside it, as in a table.
    """
    if asked in {told, OPEN, COUNT} or told == OPEN:
        return True
    if told == PART:
        return asked == "hour"
    return told == COUNT and asked not in _STRICT


def _may_be_price(reading: Reading) -> bool:
    return isinstance(reading, Amount) and (reading.unit in _STRICT or reading.unit == OPEN)


def _parts(reading: Reading) -> Iterator[int]:
    """Yield the numbers that a reply may take out of a source's date, time or address."""
    match reading:
        case Day():
            yield from (value for value in (reading.day, reading.month, reading.year) if value is not None)
        case Clock() if reading.minutes % 60 == 0:
            yield from {reading.minutes // 60, reading.minutes // 60 % 12 or 12}
        case House() if number := re.match(r"\d+", reading.number):
            yield int(number[0])


def _has_house(tokens: list[str], house: House) -> bool:
    for at, token in enumerate(tokens):
        if token == house.number:
            near = tokens[max(0, at - _NEAR) : at + _NEAR]
            if all(any(_same_name(name, word) for word in near) for name in house.street):
                return True
    return False


def _same_name(one: str, other: str) -> bool:
    """Tell whether two words are cases of one name: Nevskiy, Nevskogo."""
    length = max(4, min(len(one), len(other)) - 2)
    return one == other or (len(other) >= 4 and one[:length] == other[:length])
