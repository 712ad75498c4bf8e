"""Numbers, dates and names as the reader of the page writes them: each function is a template filter."""

import datetime as dt
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import pass_context
from jinja2.runtime import Context

from gptagent.ui.view import current_view

DATE_PATTERNS = {"ru": "dd.MM.yyyy", "en": "MM/dd/yyyy"}
JUST_NOW = timedelta(seconds=45)
KILOBYTE = 1024
MAX_INITIALS = 2
_LETTER_BEFORE_DIGIT = re.compile(r"([A-Za-z])(?=\d)")


@lru_cache(maxsize=16)
def _locale(language: str) -> Locale:
    return Locale.parse(language)


def _local(value: datetime) -> datetime:
    return value.astimezone(current_view.get().timezone)


def number(value: float) -> str:
    return number_in(current_view.get().language, value)


def number_in(language: str, value: float) -> str:
    """Write a number for a reader of this language, also before there is a page."""
    return format_decimal(value, locale=_locale(language))


def money(value: float, currency: str | None) -> str:
    return money_in(current_view.get().language, value, currency)


def money_in(language: str, value: float, currency: str | None) -> str:
    """Write whole units of a currency (ISO 4217); a bare number where it is not known."""
    if currency is None:
        return number_in(language, value)
    locale = _locale(language)
    pattern = locale.currency_formats["standard"].pattern.replace("0.00", "0.##")
    told = format_currency(value, currency, pattern, locale=locale, currency_digits=False)
    return _LETTER_BEFORE_DIGIT.sub("\\1\u00a0", told)  # CLDR: a symbol of letters stands apart


def dollars(micro: int) -> str:
    """Show millionths of a US dollar, with as many digits as there are: $0.000123."""
    locale = _locale(current_view.get().language)
    pattern = locale.currency_formats["standard"].pattern.replace("0.00", "0.00####")
    return format_currency(Decimal(micro) / 1_000_000, "USD", pattern, locale=locale, currency_digits=False)


def percent(fraction: float) -> str:
    """0.065 is shown as 6.5 %; a tenth is shown only below 10 %."""
    pattern_digits = 1 if abs(fraction) < 0.1 else 0
    rounded = round(fraction, 2 + pattern_digits)
    locale = _locale(current_view.get().language)
    return format_percent(rounded, locale=locale, decimal_quantization=False)


def date(value: datetime | dt.date) -> str:
    """A day without a time is the same in every time zone."""
    return date_in(current_view.get().language, _local(value) if isinstance(value, datetime) else value)


def date_in(language: str, day: dt.date) -> str:
    """Write a day for a reader of this language, also before there is a page."""
    return format_date(day, DATE_PATTERNS.get(language, "short"), locale=_locale(language))


def clock(value: datetime) -> str:
    return format_time(_local(value), "short", locale=_locale(current_view.get().language))


def moment(value: datetime) -> str:
    return f"{date(value)} {clock(value)}"


def when(value: datetime) -> str:
    """Today and yesterday by name with the time, older moments as a date."""
    view = current_view.get()
    days = (_local(view.now).date() - _local(value).date()).days
    if days == 0:
        return view.catalog.gettext("today at %(time)s") % {"time": clock(value)}
    if days == 1:
        return view.catalog.gettext("yesterday at %(time)s") % {"time": clock(value)}
    return date(value)


def ago(value: datetime) -> str:
    view = current_view.get()
    distance = value - view.now
    if abs(distance) < JUST_NOW:
        return view.catalog.gettext("just now")
    return format_timedelta(distance, add_direction=True, locale=_locale(view.language))


def filesize(count: int) -> str:
    """Bytes in the largest unit that leaves at least one; a tenth only below ten."""
    gettext = current_view.get().catalog.gettext
    if count < KILOBYTE:
        return gettext("%(size)s B") % {"size": number(count)}
    size, unit = count / KILOBYTE, gettext("%(size)s KB")
    for larger in (gettext("%(size)s MB"), gettext("%(size)s GB")):
        if size < KILOBYTE:
            break
        size, unit = size / KILOBYTE, larger
    return unit % {"size": number(round(size, 1 if size < 10 else 0))}


def initials(name: str) -> str:
    words = [word for word in name.split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:MAX_INITIALS]).upper()


def _for_reader(formatter: Callable[..., str]) -> Callable[..., str]:
    # Taking the context keeps Jinja from computing `{{ 4812|number }}` once, in the first reader's language.
    @pass_context
    def formatted(_context: Context, *values: object) -> str:
        return formatter(*values)

    return formatted


FILTERS = {
    formatter.__name__: _for_reader(formatter)
    for formatter in (number, money, dollars, percent, date, clock, moment, when, ago, filesize, initials)
}
