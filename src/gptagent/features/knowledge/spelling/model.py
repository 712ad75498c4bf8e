"""What may be a misspelling, and of which words."""

from collections.abc import Iterable

MIN_LETTERS = 5  # of a lexeme; a shorter one is one letter away from too many others
MAX_LETTERS = 32
TWO_EDITS_FROM_LETTERS = 8

# What a word that was found by its spelling counts for, by the letters it differs in: a guess shall not
# outweigh what was written. Several as near share it, else a word that is right and only unknown here would
# bring many strangers: with this, questions without typos lose nothing.
WEIGHTS = {1: 0.8, 2: 0.5}


def may_be_misspelt(lexeme: str) -> bool:
    """Tell whether a lexeme is worth looking up by its letters: numbers and short words never are."""
    return MIN_LETTERS <= len(lexeme) <= MAX_LETTERS and lexeme.isalpha()


def nearest(lexeme: str, words: Iterable[str]) -> dict[str, float]:
    """Return the words that differ in the fewest letters, and in no more than allowed, with their weights."""
    allowed = 2 if len(lexeme) >= TWO_EDITS_FROM_LETTERS else 1
    edits = {word: count_edits(lexeme, word, allowed) for word in words if word.isalpha()}
    fewest = min(edits.values(), default=allowed + 1)
    near = [word for word, n in edits.items() if n == fewest <= allowed]
    return {word: WEIGHTS[fewest] / len(near) for word in near}


def count_edits(one: str, other: str, most: int) -> int:
    """Return how many letters were left out, put in, taken for another or swapped with their neighbour.

    More than `most` are all told as `most` + 1.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            least = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                least = min(least, before[j - 2] + 1)
            row.append(least)
        if min(row) > most:
            return most + 1
        before, above = above, row
    return min(above[-1], most + 1)
