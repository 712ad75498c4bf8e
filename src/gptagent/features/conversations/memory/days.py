"""The day that a customer names: tomorrow, on Friday, 12 декабря."""

import re
from datetime import date, timedelta

_RUSSIAN = ("янв", "фев", "мар", "апр", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")
_ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for names in (_RUSSIAN, _ENGLISH) for number, name in enumerate(names, start=1)}
_WEEKDAYS = {
    "понедельник": 0, "вторник": 1, "сред": 2, "четверг": 3, "пятниц": 4, "суббот": 5, "воскресен": 6,
    "monday": 0, "tuesday": 1, "wednesday": 2, "thursday": 3, "friday": 4, "saturday": 5, "sunday": 6,
}  # fmt: skip
_AHEAD = (
    (re.compile(r"\b(?:послезавтра|day after tomorrow)\b"), 2),
    (re.compile(r"\b(?:завтра|tomorrow)\b"), 1),
    (re.compile(r"\b(?:сегодня|today|tonight)\b"), 0),
    (re.compile(r"\b(?:через неделю|на следующей неделе|in a week|next week)\b"), 13),
)
_WEEKDAY = re.compile(
    r"\b(понедельник|вторник|сред[уы]|четверг|пятниц[уы]|суббот[уы]|воскресень[ея]"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
)
_DAY_MONTH = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th)?(?: of)? (янв|фев|мар|апр|мая|июн|июл|авг|сен|окт|ноя|дек"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[а-яa-z]*\b"
)
_MONTH_DAY = re.compile(
    r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* (\d{1,2})(?:st|nd|rd|th)?\b"
)
_NUMBERS = re.compile(r"\b(\d{1,2})\.(\d{1,2})(?:\.(\d{4}))?\b")


def day_named(text: str, said_on: date) -> date | None:
    """Return the day that a text names, seen from the day it was said; without a year the next such."""
    words = text.casefold()
    for pattern, ahead in _AHEAD:
        if pattern.search(words):
            return said_on + timedelta(days=ahead)
    if match := _WEEKDAY.search(words):
        return said_on + timedelta(days=(_weekday(match[1]) - said_on.weekday()) % 7)
    return _date(words, said_on)


def _weekday(word: str) -> int:
    return next(number for name, number in _WEEKDAYS.items() if word.startswith(name))


def _date(words: str, said_on: date) -> date | None:
    if match := _DAY_MONTH.search(words):
        return _next(said_on, _MONTHS[match[2]], int(match[1]))
    if match := _MONTH_DAY.search(words):
        return _next(said_on, _MONTHS[match[1]], int(match[2]))
    if match := _NUMBERS.search(words):
        return _next(said_on, int(match[2]), int(match[1]), int(match[3]) if match[3] else None)
    return None


def _next(said_on: date, month: int, day: int, year: int | None = None) -> date | None:
    for candidate in (year,) if year else (said_on.year, said_on.year + 1):
        try:
            named = date(candidate, month, day)
        except ValueError:
            continue
        if year or named >= said_on:
            return named
    return None
