"""A customer's words without what names the customer.

Numbers and addresses are known as everywhere in the platform; since nobody needs them back here, also what
only looks like a phone or card, links and houses. Names are known only if the CRM knows them or they are
introduced ("my name is"): the rest of a text is about the matter, and that is what is kept.
"""

import re
from collections.abc import Iterable

from gptagent.features.inference.masking.model import KINDS
from gptagent.features.inference.masking.service import replaced
from gptagent.features.knowledge.grounding.contacts import take_houses, take_links, take_phones
from gptagent.features.knowledge.grounding.sheet import TAKEN, Sheet, normalized

MASK = "•••"
_MASKS = re.compile(f"{TAKEN}+")
_WORD = re.compile(r"[^\W\d_]+")
_CARD = re.compile(r"(?<![\d-])\d{4}(?:[ -]?\d{4}){3}(?![\d-])")
_INTRODUCED = re.compile(
    r"(?P<intro>(?i:меня\s+зовут|мо[её]\s+имя|my\s+name\s+is|i\s+am\s+called))[\s:,-]+"
    r"(?P<name>[^\W\d_][\w'-]*(?:\s+[A-ZА-ЯЁ][\w'-]*){0,2})"
)
_NAME_MIN_CHARS = 3
_ENDING_CHARS = 3  # that a case may add


def masked(text: str, names: Iterable[str] = ()) -> str:
    """Return the text in one line with MASK in the place of whatever names a person."""
    numberless = replaced(" ".join(normalized(text).split()), KINDS, lambda _found: MASK)
    sheet = Sheet(_CARD.sub(MASK, numberless))
    for taken in (take_links, take_phones, take_houses):
        for _fact in taken(sheet):
            pass
    plain = _INTRODUCED.sub(rf"\g<intro> {MASK}", _MASKS.sub(MASK, sheet.text))
    known = [word for name in names for word in _WORD.findall(name) if len(word) > 1]
    said = {word.casefold() for word in known}
    stems = [_stem(word) for word in known if len(word) >= _NAME_MIN_CHARS]
    return _WORD.sub(
        lambda word: MASK if word[0].casefold() in said or _is_case(word[0], stems) else word[0], plain
    )


def _stem(name: str) -> str:
    """Return the beginning that all cases of a name have: Анна, Анны."""
    return name[:-1].casefold() if len(name) > _NAME_MIN_CHARS else name.casefold()


def _is_case(word: str, stems: Iterable[str]) -> bool:
    """Tell whether a word is a case of one of the names. A name begins with a capital letter."""
    if not word[0].isupper():
        return False
    small = word.casefold()
    return any(small.startswith(stem) and len(small) <= len(stem) + _ENDING_CHARS for stem in stems)
