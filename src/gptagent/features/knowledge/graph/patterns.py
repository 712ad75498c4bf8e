"""What a passage tells without a model: contacts, organizations, products with prices, dates. Pure."""

import re
from collections.abc import Iterator
from datetime import date

from gptagent.features.knowledge.graph.model import (
    NAME_MAX_CHARS,
    Excerpt,
    Findings,
    FoundEntity,
    FoundFact,
    FoundRelation,
    deduplicated,
)
from gptagent.features.knowledge.lexical import split_sentences

FACTS_OF_A_KIND = 10  # of a passage: a longer list is a table of its own
SURE, LIKELY, GUESSED = 0.95, 0.8, 0.6
PRODUCT_MAX_CHARS = 80
SENTENCE_MAX_CHARS = 300

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}(?!\w)")
_PHONE = re.compile(r"(?<![\w.,+-])(?:\+\d{1,3}|8)[ \u00a0-]?\(?\d{2,5}\)?(?:[ \u00a0-]?\d){5,8}(?![\w-])")
_STREET_RU = re.compile(
    r"(?:г\.\s?[А-ЯЁ][а-яё-]{1,30},?\s{0,2})?"
    r"(?:ул\.|улица|пр-т|просп\.|проспект|пер\.|переулок|наб\.|набережная|ш\.|шоссе|пл\.|площадь|бульвар|б-р)"
    r"\s{1,2}[А-ЯЁ][\w -]{1,40},?\s{1,2}(?:д\.\s?|дом\s)?\d{1,4}[а-яА-Я]?(?:[/к]\d{1,3})?"
    r"(?:,\s?(?:офис|оф\.|кв\.|стр\.|корп\.)\s?\d{1,5})?"
)
_STREET_EN = re.compile(
    r"(?<!\w)\d{1,5}\s(?:[A-Z][a-z]{1,20}\s){1,3}"
    r"(?:Street|St\.|Avenue|Ave\.|Road|Rd\.|Lane|Square|Boulevard|Drive)(?!\w)"
)
_FORM_FIRST = re.compile(
    r"(?<!\w)(?:ООО|ОАО|ЗАО|ПАО|НАО|АО|ТОО)\s{1,2}(?:[«\"“][^»\"”\n]{2,80}[»\"”]|[А-ЯЁA-Z][\w-]{2,40})"
    r"|(?<!\w)ИП\s{1,2}[А-ЯЁ][а-яё-]{1,30}(?:\s[А-ЯЁ][а-яё]{1,30}){0,2}(?:\s[А-ЯЁ]\.\s?[А-ЯЁ]\.)?"
)
_FORM_LAST = re.compile(
    r"(?<!\w)(?:[A-Z][\w&-]{1,30}\s){1,4}(?:LLC|Ltd|Inc|GmbH|Corp|PLC)\b|(?<!\w)[A-Z][\w&-]{1,30},\s(?:LLC|Inc)\b"
)
_CURRENCY = (
    r"(?:₽|руб(?:\.|лей|ля|ль)?|р\.|[$€£₸₴]|долл?\.|доллар[а-я]{0,3}|евро|тенге|гривен"
    r"|ro?ubles?|RUB|USD|EUR|dollars?|euros?)"
)
_MONEY = (
    rf"(?:от\s|from\s)?(?:[$€£]\s?\d{{1,3}}(?:[ \u00a0,.]?\d{{1,3}}){{0,4}}"
    rf"|\d{{1,3}}(?:[ \u00a0.,]?\d{{1,3}}){{0,4}}\s?{_CURRENCY})"
)
_PRICED = re.compile(
    rf"^\W{{0,4}}(?P<name>[^\n:|;]{{2,80}}?)\s{{0,3}}(?::|\||—|–|\s-|\bстоит|\bcosts?\b|\bза\b)\s{{0,3}}(?P<price>{_MONEY})"
)
_PRICE_COLUMN = re.compile(r"(?i)^(?:цена|стоимость|прайс|price|cost)\b[^:]{0,40}$")
_CELLS = re.compile(r"\s{0,3};\s{1,3}")
_NO_PRODUCT = re.compile(
    r"(?i)^(?:цена|стоимость|итого|всего|price|cost|total|доставка от|от|до|from|up to)$"
)

_MONTHS = (
    r"январ|jan",
    r"феврал|feb",
    r"март|mar",
    r"апрел|apr",
    r"ма[яй]|may",
    r"июн|jun",
    r"июл|jul",
    r"август|aug",
    r"сентябр|sep",
    r"октябр|oct",
    r"ноябр|nov",
    r"декабр|dec",
)
_MONTH = "|".join(f"(?:{names})" for names in _MONTHS)
_DATES = (
    re.compile(r"(?<![\d.])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>(?:19|20)\d\d)(?![\d.]*\d)"),
    re.compile(r"(?<![\d-])(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)(?![\d-])"),
    re.compile(
        rf"(?i)(?<!\d)(?P<day>\d{{1,2}})\s(?P<month>(?:{_MONTH})[a-zа-я]{{0,6}})\s(?P<year>(?:19|20)\d\d)(?!\d)"
    ),
    re.compile(
        rf"(?i)(?<!\w)(?P<month>(?:{_MONTH})[a-z]{{0,6}})\s(?P<day>\d{{1,2}}),?\s(?P<year>(?:19|20)\d\d)(?!\d)"
    ),
)
_FROM = re.compile(r"(?i)(?:^|\W)(?:с|со|начиная с|from|since|starting)\s{1,2}$")
_UNTIL = re.compile(r"(?i)(?:^|\W)(?:до|по|until|till|through|to)\s{1,2}$")


def read_passage(excerpt: Excerpt) -> Findings:
    """Return the source itself, as a document, with what its passage holds; nothing if it holds nothing.

    Contacts and dates are said of the passage's organization if it names exactly one, else of the document.
    """
    firms = deduplicated([FoundEntity("organization", name, SURE) for name in _firms(excerpt.content)])
    products = deduplicated(list(_products(excerpt.content)))
    facts = tuple(_contacts(excerpt.content)) + tuple(_dates(excerpt.content))
    if not (firms or products or facts):
        return Findings()
    document = FoundEntity("document", excerpt.title[:NAME_MAX_CHARS], SURE)
    if len(firms) == 1:
        firms = (FoundEntity("organization", firms[0].name, SURE, facts=facts),)
    else:
        document = FoundEntity("document", document.name, SURE, facts=facts)
    parts = (*firms, *products)
    relations = tuple(FoundRelation(document.identity, "contains", one.identity, LIKELY) for one in parts)
    return Findings((document, *parts), relations)


def validity(text: str) -> tuple[date | None, date | None]:
    """Return from and until when a sentence says that it holds."""
    since = until = None
    for at, found in _days(text):
        head = text[max(0, at - 12) : at]
        if _FROM.search(head):
            since = since or found
        elif _UNTIL.search(head):
            until = until or found
    return since, until


def _firms(text: str) -> Iterator[str]:
    for pattern in (_FORM_FIRST, _FORM_LAST):
        for match in pattern.finditer(text):
            yield " ".join(match[0].split())


def _contacts(text: str) -> Iterator[FoundFact]:
    kinds = (
        ("email", (_EMAIL,), SURE),
        ("phone", (_PHONE,), SURE),
        ("address", (_STREET_RU, _STREET_EN), LIKELY),
    )
    for attribute, patterns, confidence in kinds:
        found = [" ".join(match[0].split()) for pattern in patterns for match in pattern.finditer(text)]
        for value in list(dict.fromkeys(found))[:FACTS_OF_A_KIND]:
            yield FoundFact(attribute, value, confidence=confidence)


def _products(text: str) -> Iterator[FoundEntity]:
    for line in text.splitlines():
        row = _row(line)
        priced = [(line, row)] if row else [(one, _sentence(one)) for one in split_sentences(line)]
        for words, found in priced:
            if found is not None:
                name, price = found
                fact = FoundFact("price", price, *validity(words), confidence=LIKELY)
                yield FoundEntity("product", name, LIKELY, facts=(fact,))


def _row(line: str) -> tuple[str, str] | None:
    """Return name and price of a table's row, `Name: Desk; Price: 1 200`: the name is the first cell."""
    cells = [cell.partition(": ") for cell in _CELLS.split(line)]
    prices = [value for head, _, value in cells if _PRICE_COLUMN.match(head) and re.search(r"\d", value)]
    if len(cells) < 2 or not prices:
        return None
    name = (cells[0][2] or cells[0][0]).strip()
    return (name, prices[0].strip()[:PRODUCT_MAX_CHARS]) if _is_product(name) else None


def _sentence(line: str) -> tuple[str, str] | None:
    match = _PRICED.match(line)
    if match is None:
        return None
    name = match["name"].strip(" *#•-–—\t")
    return (name, " ".join(match["price"].split())) if _is_product(name) else None


def _is_product(name: str) -> bool:
    return (
        2 <= len(name) <= PRODUCT_MAX_CHARS
        and any(letter.isalpha() for letter in name)
        and not _NO_PRODUCT.match(name)
    )


def _dates(text: str) -> Iterator[FoundFact]:
    """Yield sentences that name a date: a date by itself says nothing."""
    told = 0
    for sentence in dict.fromkeys(split_sentences(text)):
        if told < FACTS_OF_A_KIND and len(sentence) <= SENTENCE_MAX_CHARS and next(_days(sentence), None):
            told += 1
            yield FoundFact("date", sentence.strip(), *validity(sentence), confidence=GUESSED)


def _days(text: str) -> Iterator[tuple[int, date]]:
    for pattern in _DATES:
        for match in pattern.finditer(text):
            try:
                yield match.start(), date(int(match["year"]), _month(match["month"]), int(match["day"]))
            except ValueError:  # the thirty-second of May is none
                continue


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return next(n for n, names in enumerate(_MONTHS, start=1) if re.match(names, text, re.IGNORECASE))
