"""What a reply must never hold: the texts a model was set up with, and keys. Pure.

A model may put the same into other words, another language or a code; that is not seen here. So nothing in a
prompt is a secret of the platform: no key, no address of ours, nothing of another workspace.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

Leak = Literal["prompt", "key"]

RUN_WORDS = 8  # so many words in a row are nobody's by chance
MANY_WORDS = 40  # of an owner's instructions, or
MOST_PERCENT = 60  # of all their words: facts of the company in them may well be told
KEYS = re.compile(
    r"\b(?:sk|pk|rk)-(?:[A-Za-z]{2,10}-)?[A-Za-z0-9_-]{20,}|\bgpa_[A-Za-z0-9_-]{20,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{30,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bxox[abpr]-[A-Za-z0-9-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----|\b[Bb]earer\s+[A-Za-z0-9._~+/-]{20,}"
)
WORD = re.compile(r"[^\W_]+")
QUOTED = re.compile(r"«[^»\n]{1,500}»|“[^”\n]{1,500}”|\"[^\"\n]{1,500}\"")


def leak_in(reply: str, rules: Sequence[str], told: Sequence[str], known: Iterable[str]) -> Leak | None:
    """Return what of it must not be said, None if nothing.

    `rules` are the platform's own words, of which RUN_WORDS in a row are too many; `told` what an owner tells
    the agent, of which what stands in quotation marks is there to be said. What is `known` to the customer
    anyway, from passages or their own words, is no secret.
    """
    open_texts = list(known)
    if any(not any(key.rstrip(".") in text for text in open_texts) for key in KEYS.findall(reply)):
        return "key"
    said = _words(reply)
    free = {run for text in open_texts for run in _runs(_words(text))}
    if any(run not in free for rule in rules for run in _runs(_words(rule)) if run in set(_runs(said))):
        return "prompt"
    return "prompt" if any(_is_repeated(said, text, free) for text in told) else None


def _is_repeated(said: list[str], told: str, free: set[tuple[str, ...]]) -> bool:
    """Tell whether a reply has most of an owner's text, or very much of it, word for word."""
    own = _words(QUOTED.sub(" ", told))
    runs = set(_runs(own)) - free
    covered: set[int] = set()
    for place, run in enumerate(_runs(said)):
        if run in runs:
            covered.update(range(place, place + RUN_WORDS))
    return bool(covered) and (len(covered) >= MANY_WORDS or len(covered) * 100 >= len(own) * MOST_PERCENT)


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + RUN_WORDS]) for at in range(len(words) - RUN_WORDS + 1))
