"""How far passages answer a question, and with which of their sentences. Pure.

Chosen on XQuAD's halves; how it does on them: docs/reference/performance.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gptagent.features.knowledge.lexical import KIN_MIN_CHARS, kinship, split_sentences
from gptagent.features.knowledge.model import Passage, Quote

# Support below which a question counts as not answered by the base, until the base has told a better one.
REFUSAL_SUPPORT = 0.38

# A question of few words is covered by chance more easily than one of many: so much of it counts as unsaid.
UNSAID_WORDS = 1.0

# What a sentence counts for besides its own words: `it` and `they` of a sentence are in the one before.
BEFORE_SHARE = 0.3
AFTER_SHARE = 0.15
HEADING_SHARE = 0.5

# A sentence is quoted beside the best one if it answers at least this share of what that one does.
QUOTE_RELATIVE = 0.5
QUOTE_MIN_CHARS = 3

Held = Mapping[str, float]  # a word of the question -> how surely a text holds it, 0-1


@dataclass(frozen=True, slots=True)
class Spoken:
    """A passage's sentences as they stand in it, and the lexemes of each and of its title and heading."""

    passage: Passage
    sentences: Sequence[str]
    lexemes: Sequence[Sequence[str]]
    title: Sequence[str]
    heading: Sequence[str]


def sentences_of(passage: Passage) -> list[str]:
    """Return what can be quoted of a passage, in its order."""
    return [one for one in split_sentences(passage.content) if len(one) >= QUOTE_MIN_CHARS]


class Judge:
    """Weighs texts by the words of one question. `weights` say how much each of these tells in the base.

    Of `named` words the texts may hold others instead, whose shares add up.
    """

    def __init__(
        self, weights: Mapping[str, float], words: int, named: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self._weights = weights
        self._named = {word: others for word, others in (named or {}).items() if word in weights}
        self._total = sum(weights.values())
        self._words = words
        self._kin: dict[str, Held] = {}
        self._alike: dict[str, list[str]] = {}
        for word in weights:
            self._alike.setdefault(word[:KIN_MIN_CHARS], []).append(word)

    def judge(self, spoken: Spoken) -> Passage:
        """Return the passage with its support: how much of the question it holds, and one sentence of it."""
        around = self._held([*spoken.title, *spoken.heading])
        best = max((self._share(self._held(one), around) for one in spoken.lexemes), default=0.0)
        said = self._words / (self._words + UNSAID_WORDS)
        return replace(spoken.passage, support=(spoken.passage.coverage + best) / 2 * said)

    def quotes(self, spoken: Spoken) -> list[Quote]:
        """Return each sentence with how far it answers, its neighbours and heading lending it their words."""
        held = [self._held(one) for one in spoken.lexemes]
        heading = self._held(spoken.heading)
        found = []
        for n, (text, own) in enumerate(zip(spoken.sentences, held, strict=True)):
            before = held[n - 1] if n else {}
            after = held[n + 1] if n + 1 < len(held) else {}
            score = self._share(own) + sum(
                share * (self._share(own, other) - self._share(own))
                for share, other in ((HEADING_SHARE, heading), (BEFORE_SHARE, before), (AFTER_SHARE, after))
            )
            found.append(Quote(text, spoken.passage, score * spoken.passage.support))
        return found

    def _held(self, lexemes: Iterable[str]) -> Held:
        """Return which of the question's words these lexemes hold, kin counted in part."""
        held: dict[str, float] = {}
        said = dict.fromkeys(lexemes)
        for lexeme in said:
            for word, kin in self._kinship(lexeme).items():
                held[word] = max(kin, held.get(word, 0.0))
        for word, others in self._named.items():
            told = sum(share for other, share in others.items() if other in said)
            held[word] = max(min(told, 1.0), held.get(word, 0.0))
        return held

    def _kinship(self, lexeme: str) -> Held:
        if lexeme not in self._kin:
            kin = {word: kinship(word, lexeme) for word in self._alike.get(lexeme[:KIN_MIN_CHARS], ())}
            self._kin[lexeme] = {word: share for word, share in kin.items() if share}
        return self._kin[lexeme]

    def _share(self, held: Held, other: Held | None = None) -> float:
        """Return the share of the question that is held by one of them."""
        if not self._total:
            return 0.0
        both = {**held, **{w: max(kin, held.get(w, 0.0)) for w, kin in (other or {}).items()}}
        return sum(self._weights[word] * kin for word, kin in both.items()) / self._total


def best_of(quotes: Iterable[Quote], limit: int) -> list[Quote]:
    """Return up to `limit` quotes, each sentence once, best first, those that say much less left out."""
    once: dict[str, Quote] = {}
    for quote in quotes:
        once.setdefault(quote.text, quote)
    ranked = sorted(once.values(), key=lambda quote: -quote.score)[:limit]
    return [quote for quote in ranked if quote.score > 0 and quote.score >= ranked[0].score * QUOTE_RELATIVE]
