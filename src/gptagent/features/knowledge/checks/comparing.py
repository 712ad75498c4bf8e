"""Statements held against each other: which speak of the same and say different things.

Not every one with every other: two subjects that share enough of their words share one of the rarest of each
(Chaudhuri, Ganti, Kaushik, "A Primitive Operator for Similarity Joins in Data Cleaning", 2006), so only what
such a word brings together is compared, and of a word that brings too much together a part.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import combinations, product

from gptagent.features.knowledge.checks.model import DATE, Changed, Hit, Statement
from gptagent.features.knowledge.grounding.units import CURRENCIES

SAME_SUBJECT = 0.5  # of the weighted words of two subjects, in common
BLOCK_MAX = 60  # subjects that one word brings together
STATEMENTS_OF_SUBJECT_MAX = 20
PRICE_AGE = timedelta(days=365)

# Stems that say that a number comes, not of what.
_GENERIC = """
    стоим стоимост сто цен составля обойдет обойдут плат оплат сумм руб рубл занима длит течен возмож возможн
    срок быт итог всег
    cost costs price pay fee take takes total amount
"""
GENERIC = frozenset(_GENERIC.split())

Subject = tuple[str, ...]


def contradictions(statements: Iterable[Statement]) -> list[Hit]:
    """Return pairs of different sources with the same subject and unit and different values, best first.

    What is never given together is meant to differ, and no pair.
    Of what one subject's statements say only the first pair of each two sources is told.
    """
    by_unit: dict[str, dict[Subject, list[Statement]]] = defaultdict(lambda: defaultdict(list))
    for one in statements:
        subject = tuple(word for word in one.words if word not in GENERIC)
        if subject:
            by_unit[one.unit][subject].append(one)
    hits = [hit for subjects in by_unit.values() for hit in _of_unit(subjects)]
    return sorted(hits, key=lambda hit: (-hit.rank, hit.statement, hit.other or 0))


def past_dates(statements: Iterable[Statement], today: date) -> list[Hit]:
    """Return statements that promise something until a day that is over; a date without a year is none."""
    return [
        Hit("past_date", 1.0, one.id)
        for one in statements
        if one.unit == DATE and one.promises and _is_over(one.amounts, today)
    ]


def old_prices(statements: Iterable[Statement], changed: Changed, now: datetime) -> list[Hit]:
    """Return the first price of each source that nobody has touched for PRICE_AGE."""
    seen = set()
    found = []
    for one in statements:
        at = changed.get(one.source)
        if one.unit in CURRENCIES and at is not None and at < now - PRICE_AGE and one.source not in seen:
            seen.add(one.source)
            found.append(Hit("old_price", min((now - at) / (10 * PRICE_AGE), 1.0), one.id))
    return found


def differ(one: Collection[str], other: Collection[str]) -> bool:
    """Tell whether each says an amount that the other does not."""
    return _says_more(one, other) and _says_more(other, one)


def _of_unit(subjects: Mapping[Subject, list[Statement]]) -> Iterator[Hit]:
    weights = _weights(subjects)
    for statements in subjects.values():
        yield from _pairs(statements, statements, 1.0)
    for one, other in _candidates(subjects, weights):
        shared = sum(weights[word] for word in set(one) & set(other))
        similarity = shared / sum(weights[word] for word in {*one, *other})
        if similarity >= SAME_SUBJECT:
            yield from _pairs(subjects[one], subjects[other], similarity)


def _weights(subjects: Collection[Subject]) -> dict[str, float]:
    counts: dict[str, int] = defaultdict(int)
    for subject in subjects:
        for word in subject:
            counts[word] += 1
    return {word: 1 + math.log(len(subjects) / count) for word, count in counts.items()}


def _candidates(
    subjects: Iterable[Subject], weights: Mapping[str, float]
) -> Iterator[tuple[Subject, Subject]]:
    """Yield the pairs that one of the rarest words of each brings together, each once."""
    blocks: dict[str, list[Subject]] = defaultdict(list)
    for subject in sorted(subjects):
        for word in _rarest(subject, weights):
            blocks[word].append(subject)
    seen = set()
    for _word, block in sorted(blocks.items()):
        for pair in combinations(block[:BLOCK_MAX], 2):
            if pair not in seen:
                seen.add(pair)
                yield pair


def _rarest(subject: Subject, weights: Mapping[str, float]) -> list[str]:
    """Return so many of the rarest words that those left weigh less than two alike would have to share."""
    ordered = sorted(subject, key=lambda word: (-weights[word], word))
    left = total = sum(weights[word] for word in subject)
    found = []
    for word in ordered:
        if left < SAME_SUBJECT * total:
            break
        found.append(word)
        left -= weights[word]
    return found


def _pairs(ones: Sequence[Statement], others: Sequence[Statement], similarity: float) -> Iterator[Hit]:
    seen = set()
    few = (ones[:STATEMENTS_OF_SUBJECT_MAX], others[:STATEMENTS_OF_SUBJECT_MAX])
    for one, other in product(*few):
        sources = frozenset((one.source, other.source))
        if len(sources) < 2 or sources in seen or not one.meets(other):
            continue
        if differ(one.amounts, other.amounts):
            seen.add(sources)
            first, second = sorted((one.id, other.id))
            yield Hit("contradiction", similarity, first, second)


def _says_more(one: Collection[str], other: Collection[str]) -> bool:
    known = [reading for amount in other for reading in amount.split("|")]
    return any(not any(_same(r, k) for r in amount.split("|") for k in known) for amount in one)


def _same(one: str, other: str) -> bool:
    """Tell whether two amounts are one. A date without a year is that day of any year."""
    if one.startswith("--") or other.startswith("--"):
        return one[-5:] == other[-5:]
    return one == other


def _is_over(amounts: Collection[str], today: date) -> bool:
    """Tell whether the last day that is told lies in the past; a month is over when its last day is."""
    days = [_last_day(reading) for amount in amounts for reading in amount.split("|")]
    known = [day for day in days if day is not None]
    return bool(known) and len(known) == len(days) and max(known) < today


def _last_day(text: str) -> date | None:
    if text.startswith("-"):
        return None
    year, month, *day = map(int, text.split("-"))
    try:
        if day:
            return date(year, month, day[0])
        return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    except ValueError:
        return None
