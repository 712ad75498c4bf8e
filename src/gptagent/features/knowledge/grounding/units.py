"""The words beside a number that say what it counts: currencies, multiples, units of measure."""

import re
from decimal import Decimal

PERCENT = "%"
_END = r"(?![^\W_])"

# Longer spellings first: "белорусских рублей" before "рублей".
CURRENCIES: dict[str, str] = {
    "BYN": rf"бел[а-я.]*\s+руб[а-я]*\.?|byn{_END}|br{_END}",
    "RUB": rf"(?:российск[а-я]+\s+)?руб[а-я]*\.?|р\.|р{_END}|₽|ru[br]{_END}|ro?ubles?{_END}",
    "USD": rf"доллар[а-я]*(?:\s+сша)?|долл?\.?{_END}|бакс[а-я]*|us\$|\$|usd{_END}|(?:us\s+)?dollars?{_END}"
    rf"|bucks{_END}",
    "EUR": rf"евро{_END}|€|euros?{_END}|eur{_END}",
    "GBP": rf"£|gbp{_END}|фунт[а-я]*\s+стерл[а-я]*|pounds?\s+sterling",
    "KZT": rf"тенге{_END}|тг\.?{_END}|₸|kzt{_END}|tenge{_END}",
    "UAH": rf"гривн[а-я]*|гривен{_END}|грн\.?{_END}|₴|uah{_END}|hryvnias?{_END}",
    "UZS": rf"сум(?:ов|а|ы)?{_END}|uzs{_END}",
    "KGS": rf"сом(?:ов|а|ы)?{_END}|kgs{_END}",
    "AMD": rf"драм[а-я]*|֏|amd{_END}",
    "GEL": rf"лари{_END}|₾|gel{_END}",
    "TRY": rf"(?:турецк[а-я]+\s+)?лир[а-я]{{0,2}}{_END}|₺",
    "INR": rf"рупи[а-я]+|₹|inr{_END}|rupees?{_END}",
    "CNY": rf"юан[а-я]+|¥|cny{_END}|rmb{_END}|yuan{_END}",
    "AED": rf"дирхам[а-я]*|aed{_END}|dirhams?{_END}",
    "BRL": rf"r\$|brl{_END}|reais{_END}",
    "PLN": rf"злот[а-я]+|zł|pln{_END}",
    "CHF": rf"chf{_END}|франк[а-я]*",
}
_MEASURES: dict[str, str] = {
    PERCENT: rf"%|процент[а-я]*|per\s?cents?{_END}",
    "permille": r"‰|промилле",
    "degree": r"°\s?[cсf]?|градус[а-я]*|degrees?",
    "month": rf"месяц[а-я]*|месячн[а-я]+|мес\.?{_END}|months?{_END}",
    "minute": rf"минут[а-я]*|мин\.?{_END}|minutes?{_END}|mins?{_END}",
    "day": rf"дн[а-я]{{1,6}}{_END}|день|сут[а-я]{{1,3}}{_END}|сут\.|days?{_END}",
    "hour": rf"час[а-я]*|ч\.?{_END}|hours?{_END}|hrs?{_END}|h{_END}",
    "second": rf"секунд[а-я]*|сек\.?{_END}|seconds?{_END}",
    "week": rf"недел[а-я]*|weeks?{_END}",
    "year": rf"лет{_END}|летн[а-я]+|год[а-я]{{0,4}}{_END}|г\.?\s?г\.|years?{_END}",
    "kg": rf"кг{_END}|килограмм[а-я]*|kg{_END}|kilograms?{_END}",
    "g": rf"гр?\.?{_END}|грамм[а-я]*|g{_END}|grams?{_END}",
    "ton": rf"тонн[а-я]*|т{_END}|tons?{_END}|tonnes?{_END}",
    "m2": rf"square\s+met[a-z]+|кв\.?\s?м[а-я]*\.?|квадратн[а-я]+\s+метр[а-я]*|[mм]2|sq\.?\s?m{_END}",
    "m3": r"куб\.?\s?м[а-я]*\.?|кубическ[а-я]+\s+метр[а-я]*|[mм]3|cubic\s+met[a-z]+",
    "km": rf"км{_END}|километр[а-я]*|km{_END}|kilomet(?:er|re)s?{_END}",
    "cm": rf"см{_END}|сантиметр[а-я]*|cm{_END}|centimet(?:er|re)s?{_END}",
    "mm": rf"мм{_END}|миллиметр[а-я]*|mm{_END}|millimet(?:er|re)s?{_END}",
    "m": rf"м\.?{_END}|метр[а-я]*|m{_END}|met(?:er|re)s?{_END}",
    "ml": rf"мл{_END}|миллилитр[а-я]*|ml{_END}",
    "l": rf"л\.?{_END}|литр[а-я]*|l{_END}|lit(?:er|re)s?{_END}",
    "piece": rf"шт[а-я]*\.?{_END}|pcs\.?{_END}|pieces?{_END}",
    "cent": rf"цент[а-я]*|¢|cents?{_END}",
    "kopeck": rf"коп[а-я]*\.?|kope[ck]+s?{_END}",
}
MULTIPLES: tuple[tuple[Decimal, re.Pattern[str]], ...] = tuple(
    (Decimal(factor), re.compile(pattern))
    for factor, pattern in (
        (10**9, rf"\s?(?:миллиард[а-я]*|млрд\.?|billions?{_END}|bn{_END})"),
        (10**6, rf"\s?(?:миллион[а-я]*|млн\.?|millions?{_END}|mln\.?{_END})"),
        (10**3, rf"\s?(?:тысяч[а-я]*|тыс\.?{_END}|thousands?{_END})|[kк]{_END}"),
    )
)
_ADJECTIVE = (
    r"(?:[а-яё]+(?:ых|их|ые|ие|ый|ого|ому|ой|ая|ую)|business|working|calendar|full|whole|bank|american|us)\s+"
)
_WORDS_AFTER = {
    unit: rf"(?:\s{{0,2}}|-)(?:{_ADJECTIVE})?(?:{words})" for unit, words in (CURRENCIES | _MEASURES).items()
}
_WORDS_BEFORE = {unit: rf"(?:{words})\s?$" for unit, words in CURRENCIES.items()}
_AFTER = tuple((unit, re.compile(pattern)) for unit, pattern in _WORDS_AFTER.items())
_BEFORE = tuple((unit, re.compile(pattern)) for unit, pattern in _WORDS_BEFORE.items())
_BARE = (
    r"за|для|при|или|без|под|над|это|если|по|на|от|до|из|во|не|но|как|что|чтобы|плюс|включая|вместо|независимо"
    r"|and|or|for|the|per|with|from|plus|to|in|on|at|is|if|each|only|including|by|of|off|instead"
)
_NOUN = re.compile(rf"[ -](?!(?:{_BARE}){_END})[a-zа-яё][^\W\d_]+")


def unit_after(text: str, at: int) -> tuple[str, int]:
    """Return the unit that begins at this place and where it ends; an empty one if there is none."""
    for unit, pattern in _AFTER:
        match = pattern.match(text, at)
        if match:
            return unit, match.end()
    return "", at


def currency_before(text: str, at: int, floor: int) -> str:
    """Return the currency that stands right before this place and not before `floor`, or nothing."""
    head = text[max(floor, at - 12) : at]
    for unit, pattern in _BEFORE:
        match = pattern.search(head)
        if match and not (match[0][0].isalpha() and head[: match.start()][-1:].isalnum()):
            return unit
    return ""


def counts_things(text: str, at: int) -> bool:
    """Tell whether a word follows that the number seems to count."""
    return _NOUN.match(text, at) is not None
