"""Which sentences of a passage a statement was taken from."""

import re

from gptagent.features.knowledge import lexical

SENTENCES = 3
_WORD = re.compile(r"\w+")
_WORD_MIN_CHARS = 3


def supporting_sentences(statement: str, content: str) -> str:
    """Return the up to `SENTENCES` sentences that share most words with the statement, in their order.

    All of the content if none shares any, as when one is a translation of the other.
    """
    missing = _words(statement)
    sentences = lexical.split_sentences(content)
    words = [_words(sentence) for sentence in sentences]
    chosen: set[int] = set()
    while missing and len(chosen) < SENTENCES:
        shared = [_shared(missing, own) for own in words]
        best = max(range(len(shared)), key=lambda n: len(shared[n]), default=None)
        if best is None or not shared[best]:
            break
        chosen.add(best)
        missing -= shared[best]
    return " ".join(sentences[number] for number in sorted(chosen)) or content


def _words(text: str) -> set[str]:
    words = _WORD.findall(lexical.normalise(text).casefold())
    return {word for word in words if len(word) >= _WORD_MIN_CHARS or word.isdigit()}


def _shared(words: set[str], sentence: set[str]) -> set[str]:
    return {word for word in words if any(lexical.kinship(word, own) > 0 for own in sentence)}
