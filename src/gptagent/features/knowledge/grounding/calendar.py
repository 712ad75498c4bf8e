"""Dates and times of day, as a text writes them in Russian and English."""

import re
from collections.abc import Iterator
from datetime import date

from gptagent.features.knowledge.grounding.model import Clock, Day, Fact
from gptagent.features.knowledge.grounding.sheet import Sheet

_MONTHS = (
    r"январ[ьяею]|янв\.?|january|jan\.?",
    r"феврал[ьяею]|февр?\.?|february|feb\.?",
    r"март[аеу]?|мар\.|march|mar\.?",
    r"апрел[ьяею]|апр\.?|april|apr\.?",
    r"ма[йяею]|may",
    r"июн[ьяею]|june|jun\.?",
    r"июл[ьяею]|july|jul\.?",
    r"август[аеу]?|авг\.?|august|aug\.?",
    r"сентябр[ьяею]|сент?\.?|september|sept?\.?",
    r"октябр[ьяею]|окт\.?|october|oct\.?",
    r"ноябр[ьяею]|нояб?\.?|november|nov\.?",
    r"декабр[ьяею]|дек\.?|december|dec\.?",
)
MONTH = "(?P<month>" + "|".join(_MONTHS) + r")(?![^\W_])"
_DAY = r"(?<![\d.,:])(?P<day>\d{1,2})(?:-?(?:го|е|ое|му|st|nd|rd|th))?"
_TO = "(?:-|по|до|и|to|and|through|until)"
_EN_DAYS = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:\s*(?:-|to|and)\s*(?P<last>\d{1,2})(?:st|nd|rd|th)?)?"
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)\d\d)(?!\d))"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!\d)(?P<year>(?:19|20)\d\d)-(?P<number>\d{1,2})-(?P<day>\d{1,2})(?!\d)",
        r"(?<![\d.])(?P<day>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4}|\d\d)(?!\d|\.\d)",
        r"(?<![\d/-])(?P<day>\d{1,2})[/-](?P<number>\d{1,2})[/-](?P<year>\d{4})(?![\d/-])",
        rf"{_DAY}\s*{_TO}\s*(?P<last>\d{{1,2}})(?:-?(?:го|st|nd|rd|th))?\s+(?:of\s+)?{MONTH}{_YEAR}?",
        rf"{_DAY}\s+(?:of\s+)?{MONTH}{_YEAR}?",
        rf"(?<![^\W_])(?=[a-z]){MONTH}\s+(?:the\s+)?{_EN_DAYS}(?![\d:.]\d|\d){_YEAR}?",
        rf"(?<![^\W_]){MONTH}{_YEAR}",
    )
)
_HALF = r"(?P<half>a\.?m\.?|p\.?m\.?|утра|вечера|(?:час[а-я]*\s)?дня|(?:час[а-я]*\s)?ночи)(?![^\W_])"
# "2 дня" are two days.
_SURE_HALF = r"(?P<half>[ap]\.m\.?|[ap]m|утра|вечера|час[а-я]*\s(?:дня|ночи))(?![^\W_])"
_TIMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<![\d:.,])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::\d\d)?(?!\d)(?:\s*{_HALF})?",
        rf"(?<![\d:.,])(?P<hour>\d{{1,2}})(?:[.:](?P<minute>[0-5]\d))?\s*(?:час[а-я]*\s)?{_SURE_HALF}",
    )
)
_SHORT_YEAR = 50  # 49 is 2049, 50 is 1950
NOON = 12 * 60


def take_dates(sheet: Sheet) -> Iterator[Fact]:
    for pattern in _DATES:
        for match in list(pattern.finditer(sheet.text)):
            for text, readings in _days(match):
                yield Fact(text, readings)
                sheet.blank(*match.span())


def take_times(sheet: Sheet) -> Iterator[Fact]:
    for pattern in _TIMES:
        for match in sheet.take(pattern):
            hour, minute = int(match["hour"]), int(match["minute"] or 0)
            half = (match["half"] or "").casefold()
            yield Fact(match[0].strip(), (Clock(_minutes(hour, minute, half)),))


def _minutes(hour: int, minute: int, half: str) -> int:
    is_late = half.startswith("p") or half == "вечера" or half.endswith("дня")
    is_early = half.startswith("a") or half == "утра" or half.endswith("ночи")
    at = hour % 24 * 60 + minute
    if is_late and at < NOON:
        return at + NOON
    return at - NOON if is_early and NOON <= at < NOON + 60 else at


def _days(match: re.Match[str]) -> Iterator[tuple[str, tuple[Day, ...]]]:
    """Yield the date, or both ends of a span; nothing if there is no such date."""
    found = match.groupdict()
    year = _year(found.get("year"))
    text = match[0].strip()
    if "month" not in found:
        day, month = int(found["day"]), int(found["number"])
        orders = {(day, month), (month, day)} if "/" in text else {(day, month)}
        readings = tuple(Day(d, m, year) for d, m in sorted(orders) if is_date(d, m))
        if readings:
            yield text, readings
        return
    month = month_of(found["month"])
    days: list[int | None] = [int(found[name]) for name in ("day", "last") if found.get(name)]
    if all(is_date(day or 1, month) for day in days):
        for one in days or [None]:
            yield text, (Day(one, month, year),)


def month_of(word: str) -> int:
    return next(n for n, names in enumerate(_MONTHS, start=1) if re.fullmatch(names, word, re.IGNORECASE))


def is_date(day: int, month: int) -> bool:
    try:
        date(2024, month, day)
    except ValueError:
        return False
    return True


def _year(text: str | None) -> int | None:
    if text is None:
        return None
    year = int(text)
    if len(text) > 2:
        return year
    return year + (2000 if year < _SHORT_YEAR else 1900)
