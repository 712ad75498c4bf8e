"""What a question calls by one of its names, and what else it is called. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# What another name of a thing counts for beside the one that was used: the passages that use that come first.
OTHER_NAME_WEIGHT = 0.8

Named = Mapping[str, Mapping[str, float]]  # a word of the question -> words of other names, with weights


@dataclass(frozen=True, slots=True)
class Naming:
    """An entity's name that a question holds, another name of the entity, and the lexemes of both."""

    name: str
    lexemes: frozenset[str]
    other: str
    other_lexemes: frozenset[str]


def longest(namings: Sequence[Naming]) -> list[Naming]:
    """Leave out names that are part of a longer one: who asks for a Red Chair does not ask for Red."""
    return [one for one in namings if not any(one.lexemes < longer.lexemes for longer in namings)]


def other_words(namings: Sequence[Naming], words: Collection[str]) -> dict[str, dict[str, float]]:
    """Return which words count for those of the question: together those of a name count as the name.

    Words that both names have stand for themselves.
    """
    found: dict[str, dict[str, float]] = {}
    for one in namings:
        more = one.other_lexemes - one.lexemes
        for word in (one.lexemes - one.other_lexemes) & set(words):
            meant = found.setdefault(word, {})
            for lexeme in sorted(more):
                meant[lexeme] = max(OTHER_NAME_WEIGHT / len(more), meant.get(lexeme, 0.0))
    return {word: meant for word, meant in found.items() if meant}


def other_names(namings: Sequence[Naming]) -> dict[str, list[str]]:
    """Return what each name of the question is also called."""
    found: dict[str, list[str]] = {}
    for one in namings:
        found.setdefault(one.name, []).append(one.other)
    return {name: sorted(set(others)) for name, others in found.items()}
