"""What a text says in numbers. Pure, and slow enough for a thread of its own."""

import re
from collections.abc import Iterator

from gptagent.features.knowledge.checks.model import DATE, TIME, Told
from gptagent.features.knowledge.grounding.gate import facts_of
from gptagent.features.knowledge.grounding.model import COUNT, OPEN, PART, Amount, Clock, Day, Fact, Reading
from gptagent.features.knowledge.grounding.sheet import normalized
from gptagent.features.knowledge.lexical import split_sentences

STATEMENTS_MAX = 60  # of one passage: a page of a price list has about as many rows
SENTENCE_MAX_CHARS = 600
_DIGIT_OR_PRICE = re.compile(r"\d|руб|доллар|евро|процент|dollar|euro|per\s?cent", re.IGNORECASE)
_PROMISE = re.compile(
    r"(?<![^\W_])(?:(?:до|по)\s+(?:конца\s+)?\d|не\s+позднее|действ[а-яё]+|акци[а-яё]+|скидк[а-яё]+|распродаж[а-яё]+"
    r"|until|till|through|by\s+\d|valid|expires?|ends|offers?|sale|promo\w*)",
    re.IGNORECASE,
)


def told_in(text: str, above: str) -> list[Told]:
    """Return what a text says in numbers, at most STATEMENTS_MAX; `above` is its title and heading."""
    found: list[Told] = []
    for sentence in split_sentences(text):
        if _DIGIT_OR_PRICE.search(sentence):
            found += _told(sentence[:SENTENCE_MAX_CHARS], above)
            if len(found) >= STATEMENTS_MAX:
                return found[:STATEMENTS_MAX]
    return found


def _told(sentence: str, above: str) -> Iterator[Told]:
    facts = [(fact, unit) for fact in facts_of(sentence) if (unit := _unit(fact))]
    if not facts:
        return
    subject = _without([fact.text for fact, _unit in facts], normalized(sentence))
    subject = subject if any(char.isalpha() for char in subject) else above
    promises = _PROMISE.search(sentence) is not None
    for unit in sorted({unit for _fact, unit in facts}):
        amounts = tuple(dict.fromkeys(_amount(fact) for fact, its in facts if its == unit))
        yield Told(sentence, unit, amounts, subject, promises)


def _unit(fact: Fact) -> str:
    """Return the unit in which a fact may be held against others, empty if it is none to be compared."""
    units = {_unit_of(reading) for reading in fact.readings}
    return units.pop() if len(units) == 1 else ""


def _unit_of(reading: Reading) -> str:
    match reading:
        case Amount(unit=unit) if unit not in {OPEN, COUNT, PART}:
            return unit
        case Day():
            return DATE
        case Clock():
            return TIME
    return ""


def _amount(fact: Fact) -> str:
    return "|".join(dict.fromkeys(_written(reading) for reading in fact.readings))


def _written(reading: Reading) -> str:
    match reading:
        case Amount(value=value):
            return format(value.normalize(), "f")
        case Clock(minutes=minutes):
            return f"{minutes // 60:02}:{minutes % 60:02}"
        case Day(day=day, month=month, year=year):
            head = f"{year:04}" if year is not None else "-"
            return f"{head}-{month:02}" + (f"-{day:02}" if day is not None else "")
    return ""


def _without(texts: list[str], sentence: str) -> str:
    """Return a sentence without the words of its facts."""
    for text in sorted(texts, key=len, reverse=True):
        sentence = sentence.replace(text, " ", 1)
    return sentence
