"""Passwords that are tried first: common ones and words of this product, with what people add to them."""

import string
from functools import cache

# Words anybody would try here, because they name what this is.
CONTEXT_WORDS = frozenset({
    "gptagent", "gpt agent", "gpt-agent", "kommo", "amocrm", "whatsapp", "instagram", "telegram", "workspace",
    "support", "operator", "administrator",
})  # fmt: skip
WORD_MIN_CHARS = 4  # a shorter word says nothing about what stands around it
_ADDED = string.digits + string.punctuation + string.whitespace


def is_guessable(password: str) -> bool:
    """Whether it is a common password or a word of ours, alone, doubled, or with digits and signs around."""
    lowered = password.lower()
    half = lowered[: len(lowered) // 2]
    return any(_is_known(text) for text in ((lowered, half) if half * 2 == lowered else (lowered,)))


def _is_known(text: str) -> bool:
    begins = range(len(text) - len(text.lstrip(_ADDED)) + 1)
    ends = range(len(text.rstrip(_ADDED)), len(text) + 1)
    words = (text[begin:end] for begin in begins for end in ends if end - begin >= WORD_MIN_CHARS)
    return text in _known() or any(word in _known() for word in words if word.strip(_ADDED))


@cache
def _known() -> frozenset[str]:
    """Passwords of the list of the package zxcvbn (MIT), made of breaches, and the words of ours."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return CONTEXT_WORDS.union(FREQUENCY_LISTS["passwords"])
