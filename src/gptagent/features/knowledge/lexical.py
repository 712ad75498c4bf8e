"""The pure half of lexical search: what counts as a word, as its kin, as a sentence."""

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

# Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3.
BM25_K1 = 1.2
BM25_B = 0.75

# The stemmer keeps `возврат` apart from `возвращать`: forms with a long common beginning count as kin, the
# less they share the less. On XQuAD's halves this lifts recall@5 by 0.007 in both languages.
KIN_MIN_CHARS = 4
KIN_MIN_SHARE = 0.5
KIN_WEIGHT = 0.8

# Added to a word's inverse document frequency when coverage is measured: in a base of a few passages every
# unknown word would otherwise outweigh all known ones, in a large one names would outweigh everything.
COVERAGE_PRIOR = 2.0

# Stems of words that ask, greet and thank: they say nothing about what is asked.
_ASKING = """
    вам ваш вопрос ещ здравств интерес интересн как каков ког ком котор мог могут может называ наход нуж нужн
    откуд подскаж пожалуйст поч привет расскаж рассказа сво скаж скольк соб спасиб так узна хотел хоч эт явля
    call could even hello hey hi kind know like mani much name need pleas question tell thank type want would
"""
ASKING = frozenset(_ASKING.split())
_GREETING = re.compile(
    r"\b(?:добр(?:ый|ое|ого)\s+(?:дня|день|утро|утра|вечера?|времени\s+суток)|good\s+(?:morning|afternoon|evening|day))\b",
    re.IGNORECASE,
)

_THOUSANDS = re.compile(r"\b\d{1,3}(?:[ \u00a0\u202f]\d{3})+\b")
_JOINERS = re.compile(r"(?<=\w)[-‐‑–—/\\_.,:;#+]+(?=\w)")
_PLAIN = re.compile(r"[\x00-\x7fА-Яа-я]*")  # nothing to take off, which is the most of what is read
_BREVE = "\u0306"  # part of й, unlike an accent

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"»”)\]]*\s+(?=[\"«“(\[]?[A-ZА-ЯЁ0-9—–-])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:г|гг|ул|д|стр|руб|коп|тыс|млн|млрд|см|им|т\. ?е|т\. ?д|т\. ?п|т\. ?к|др|пр|св|рис|кв|корп|"
    r"Mr|Mrs|Ms|Dr|St|No|vs|e\.g|i\.e|etc|approx|Inc|Ltd|Co)|(?:^|[\s(])[A-ZА-ЯЁ])\.$"
)


def normalise(text: str) -> str:
    """Return the text as its words are counted: accents off, `1 500` as one number, `AB-12/3` as parts."""
    plain = text if _PLAIN.fullmatch(text) else _without_accents(text)
    plain = _THOUSANDS.sub(lambda number: re.sub(r"\D", "", number[0]), plain)
    return _JOINERS.sub(" ", plain).replace("\0", " ")


def normalise_question(text: str) -> str:
    """Return a question as its words are counted, its greeting left out."""
    return normalise(_GREETING.sub(" ", text))


def informative(lexemes: Iterable[str]) -> list[str]:
    """Return the lexemes that say what is asked about; all of them if none does."""
    every = list(lexemes)
    return [lexeme for lexeme in every if lexeme not in ASKING] or every


def kin_range(lexeme: str) -> tuple[str, str]:
    """Return the bounds [low, high) between which all kin of a lexeme lie, in code-point order."""
    if not _may_have_kin(lexeme):
        return lexeme, f"{lexeme}\x01"
    prefix = lexeme[: max(KIN_MIN_CHARS, math.ceil(len(lexeme) * KIN_MIN_SHARE))]
    return prefix, f"{prefix}\U0010ffff"


def kinship(lexeme: str, form: str) -> float:
    """Return 1 for the same lexeme, less for one that begins alike, 0 for a stranger."""
    if lexeme == form:
        return 1.0
    if not (_may_have_kin(lexeme) and form.isalpha()):
        return 0.0
    common = _common_beginning(lexeme, form)
    share = common / max(len(lexeme), len(form))
    if common < KIN_MIN_CHARS or share < KIN_MIN_SHARE:
        return 0.0
    return KIN_WEIGHT * share**2


def covered_share(weights: Mapping[str, float], lexemes: Collection[str]) -> float:
    """Return the share of the weighted words that the lexemes hold, kin counted in part."""
    total = sum(weights.values())
    if not total:
        return 0.0
    return (
        sum(w * max((kinship(word, x) for x in lexemes), default=0.0) for word, w in weights.items()) / total
    )


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a Russian or English text; a line break always ends one."""
    found: list[str] = []
    for line in text.splitlines():
        start = 0
        for end in _SENTENCE_END.finditer(line):
            sentence = line[start : end.end()].strip()
            if not _ABBREVIATION.search(sentence):
                found.append(sentence)
                start = end.end()
        found.append(line[start:].strip())
    return [sentence for sentence in found if any(c.isalnum() for c in sentence)]


def _without_accents(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if c == _BREVE or unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", plain)


def _may_have_kin(lexeme: str) -> bool:
    return len(lexeme) >= KIN_MIN_CHARS and lexeme.isalpha()


def _common_beginning(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
