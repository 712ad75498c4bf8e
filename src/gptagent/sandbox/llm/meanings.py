"""What words mean to the fake embedding model: the same in Russian and English, by their first letters.

A model of many languages knows that `доставка` and `shipping` are one thing; this one knows a shop's words.
"""

import re
from collections.abc import Iterator, Mapping

WORD = re.compile(r"\w+")
STEM_LETTERS = 5
CYRILLIC = re.compile(r"[а-яё]")

# One meaning a line; a word belongs to the first one with whose letters it begins.
_SAME = """
    доставк доставл deliver ship
    возврат возвращ вернут верну return refund
    гарант warrant guarant
    цен стоит стоим price cost
    оплат плат pay
    рассроч instal credit
    карт card
    налич cash
    скидк discount sale
    заказ order purchase
    товар product goods item
    склад warehouse stock
    магазин shop store
    адрес address
    время час hour time
    день дня дней суток day
    недел week
    месяц month
    год лет year
    город city town
    курьер courier
    размер size
    цвет color colour
    вес weight
    диван sofa couch
    стол table desk
    стул chair
    кухн kitchen
    мебел furniture
    часы watch clock
    батаре battery batteries
    ремон repair fix
    поломк сломал broken break defect
    замен replac exchang
    чек receipt
    договор contract agreement
    скач download
    парол password
    вход войти login
    телефон phone
    почт mail
    работ open work
    закрыт closed close
    бесплат free
    быстр срочн fast express quick
    отмен cancel
    подар gift
    сертифик certific
    установ монтаж install assembl
    вода водн water
    война войн war
    церк church
    корол king royal
    школ school
    универс universit
    правител government
    президент president
    населен population inhabit
    язык language
    книг book
    фильм movie film
    музык music
    команд team
    игр game play
    побед victory win won
    армия арми army
    река реки river
    море морск sea
    страна стран country
    закон law
    власт power authorit
    деньг money
"""
MEANINGS: Mapping[str, str] = {
    stem: line.split()[0] for line in _SAME.strip().splitlines() for stem in line.split()
}
STEM_LENGTHS = sorted({len(stem) for stem in MEANINGS}, reverse=True)
# Words that are in every text tell nothing of any.
EMPTY = frozenset(
    [
        "а",
        "без",
        "бы",
        "был",
        "была",
        "были",
        "в",
        "во",
        "вы",
        "где",
        "да",
        "для",
        "до",
        "его",
        "ее",
        "если",
        "есть",
        "же",
        "за",
        "и",
        "из",
        "или",
        "как",
        "какой",
        "какая",
        "какие",
        "ко",
        "когда",
        "кто",
        "ли",
        "мне",
        "можно",
        "мы",
        "на",
        "не",
        "него",
        "нет",
        "но",
        "о",
        "об",
        "он",
        "она",
        "они",
        "от",
        "по",
        "под",
        "при",
        "с",
        "сколько",
        "со",
        "так",
        "то",
        "у",
        "что",
        "это",
        "я",
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "by",
        "can",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "many",
        "much",
        "my",
        "of",
        "on",
        "or",
        "that",
        "the",
        "their",
        "this",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "with",
        "you",
        "your",
    ]
)
NGRAM_LETTERS = 3
NGRAM_WEIGHT = 0.15  # of a word's three letters beside the word itself: typos stay near


def features(text: str, *, only_english: bool) -> Iterator[tuple[str, float]]:
    """Yield what a text is made of, with weights. To an English model all Cyrillic words are much alike."""
    for word in WORD.findall(text.casefold()):
        if word in EMPTY:
            continue
        if only_english and CYRILLIC.search(word):
            yield f"unknown:{len(word) % 3}", 1.0
            continue
        yield _meaning(word), 1.0
        padded = f"  {word} "
        for start in range(len(padded) - NGRAM_LETTERS + 1):
            yield padded[start : start + NGRAM_LETTERS], NGRAM_WEIGHT


def _meaning(word: str) -> str:
    for length in STEM_LENGTHS:
        if word[:length] in MEANINGS and len(word) >= length:
            return f"meaning:{MEANINGS[word[:length]]}"
    return f"word:{word[:STEM_LETTERS]}"
