"""What a fact is: some characters of a text and the ways in which they may be read."""

from dataclasses import dataclass
from decimal import Decimal

OPEN = ""  # a number with nothing beside it that tells what it counts, as in a cell of a table
COUNT = "*"  # a number of things that have no unit here: "5 showrooms"
PART = "/"  # a number that is a part of a date, a time or an address


@dataclass(frozen=True, slots=True)
class Amount:
    """`unit` is a currency's code, `%`, a unit of measure, OPEN, COUNT or PART."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Day:
    """A date; None stands for what the text leaves out."""

    day: int | None
    month: int
    year: int | None


@dataclass(frozen=True, slots=True)
class Clock:
    """Minutes since midnight."""

    minutes: int


@dataclass(frozen=True, slots=True)
class Phone:
    """Digits only, also those of any other number that is written in groups; a leading 8 of Russia is a 7."""

    digits: str


@dataclass(frozen=True, slots=True)
class Link:
    """Host without www; path with what of the query is no tracking, without a slash at its end."""

    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Word:
    """An e-mail address, a @name or a code such as SALE20: the same letters or not."""

    text: str


@dataclass(frozen=True, slots=True)
class House:
    """A house in a street: the street's names in Latin letters, and the number."""

    street: tuple[str, ...]
    number: str


Reading = Amount | Day | Clock | Phone | Link | Word | House


@dataclass(frozen=True, slots=True)
class Fact:
    """The words of the text, and what they may mean: one of these must have a source."""

    text: str
    readings: tuple[Reading, ...]
