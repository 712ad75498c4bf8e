"""Questions as they are mistyped."""

import random
import re

LETTERS = {"en": "abcdefghijklmnopqrstuvwxyz", "ru": "абвгдежзийклмнопрстуфхцчшщъыьэюя"}
_WORD = re.compile(r"[^\W\d_]{5,}")


def misspell(question: str, language: str, rng: random.Random) -> str:
    """Return the question with one letter wrong in two of its words of five letters or more.

    If there is only one such word, both are in it; if there is none, nothing is changed. Anywhere in a word,
    the first letter included, and each as likely: a letter is replaced by any other, one is put in, one is
    left out, or two neighbours are swapped.
    """
    words = [found.span() for found in _WORD.finditer(question)]
    if len(words) > 1:
        words = rng.sample(words, 2)
    elif words:
        words *= 2
    for start, end in sorted(words, reverse=True):
        question = question[:start] + _mistype(question[start:end], language, rng) + question[end:]
    return question


def _mistype(word: str, language: str, rng: random.Random) -> str:
    changed = word
    while changed.lower() == word.lower():
        n, letter = rng.randrange(len(word)), rng.choice(LETTERS[language])
        changed = rng.choice(
            (
                word[:n] + letter + word[n + 1 :],
                word[:n] + letter + word[n:],
                word[:n] + word[n + 1 :],
                word[:n] + word[n + 1 : n + 2] + word[n : n + 1] + word[n + 2 :],
            )
        )
    return changed
