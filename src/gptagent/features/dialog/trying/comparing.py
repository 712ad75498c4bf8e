"""Two texts side by side, word by word: what one has and the other has not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

# A word or a sign, with the space before it: spaces alone would be what all texts share, and comparing
# each with each other takes minutes.
_WORD = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
WORDS_MAX = 1_000  # of a text; what is longer is shown as it is


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text; `is_other` where the two texts differ."""

    text: str
    is_other: bool


def compared(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Return both texts in pieces; joined they are what they were."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > WORDS_MAX:
        return [Piece(before, is_other=False)], [Piece(after, is_other=False)]
    own, other = [one.strip() for one in old], [one.strip() for one in new]
    steps = SequenceMatcher(None, own, other, autojunk=False).get_opcodes()
    return list(_pieces(old, [(kind, a, b) for kind, a, b, _c, _d in steps])), list(
        _pieces(new, [(kind, c, d) for kind, _a, _b, c, d in steps])
    )


def _pieces(words: list[str], steps: list[tuple[str, int, int]]) -> Iterator[Piece]:
    for kind, begin, end in steps:
        if end > begin:
            yield Piece("".join(words[begin:end]), kind != "equal")
