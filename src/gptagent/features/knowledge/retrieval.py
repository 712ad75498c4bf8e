"""Questions to passages, and passages to the sentences that answer."""

from collections.abc import Sequence

from gptagent.features.knowledge import lexical, store
from gptagent.features.knowledge.model import Form, Passage, Quote
from gptagent.features.knowledge.spelling.service import respell
from gptagent.features.knowledge.vectors import store as vectors
from gptagent.features.knowledge.vectors.model import POOL, Meaning, fuse
from gptagent.kernel.db import Session

SEARCH_LIMIT = 5
SEARCH_MAX_CHARS = 2_000  # of a question; a longer one is cut, its first words ask
QUOTES = 3

# Below this coverage of its best passage a question counts as not answered by the base. On XQuAD's halves
# it keeps 0.90 (en) and 0.85 (ru) of the answerable questions; it refuses 0.75 and 0.78 of those whose
# paragraph is gone while others of its article stay, and 0.94 of those whose whole article is gone.
REFUSAL_COVERAGE = 0.5

# A sentence is quoted beside the best one if it answers at least this share of what that one does.
QUOTE_RELATIVE = 0.6
QUOTE_MIN_CHARS = 3
HEADING_SHARE = 0.5

RELATED_PASSAGES = 3  # of related articles, one of each, besides what was found


async def search(
    session: Session, question: str, *, limit: int = SEARCH_LIMIT, meaning: Meaning | None = None
) -> list[Passage]:
    """Return the passages that best match the question, best first: by words, and by its meaning if given.

    A word that is not known, but is near to known ones by its letters, is taken for these. Whether the
    passages answer the question is told by `is_answerable`: one found by meaning may hold few of its words.
    """
    words = await _words(session, question)
    forms = await _forms(session, words)
    by_words = await store.rank(session, forms, len(words), POOL if meaning else limit) if forms else []
    if meaning is None:
        return by_words
    near = [one.chunk_id for one in await vectors.nearest(session, meaning, POOL)]
    best = fuse([passage.chunk_id for passage in by_words], near, meaning.weight)[:limit]
    found = {passage.chunk_id: passage for passage in by_words}
    lacking = [chunk_id for chunk_id in best if chunk_id not in found]
    if lacking:
        more = await store.score(session, lacking, forms, len(words))
        found |= {passage.chunk_id: passage for passage in more}
    return [found[chunk_id] for chunk_id in best if chunk_id in found]


async def add_related(session: Session, question: str, passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages and, after them, one of each article related to the articles that were found.

    It is the one with most of the question's words, else the article's beginning; of an article that is
    switched off there is none. A passage that holds too little of the question brings no relatives.
    """
    found = [
        passage.source_id
        for passage in passages
        if passage.source_kind == "article" and passage.coverage >= REFUSAL_COVERAGE
    ]
    if not found:
        return list(passages)
    words = await _known_words(session, question)
    known = [passage.source_id for passage in passages]
    return [
        *passages,
        *await store.related(session, list(dict.fromkeys(found)), known, words, RELATED_PASSAGES),
    ]


def is_answerable(passages: Sequence[Passage]) -> bool:
    """Tell whether some passage holds enough of the question's informative words."""
    return any(passage.coverage >= REFUSAL_COVERAGE for passage in passages)


async def best_sentences(
    session: Session, question: str, passages: Sequence[Passage], *, limit: int = QUOTES
) -> list[Quote]:
    """Return up to `limit` sentences, word for word, that hold most of the question; none if refused."""
    candidates = _candidates([passage for passage in passages if passage.coverage >= REFUSAL_COVERAGE])
    words = await _known_words(session, question)
    if not candidates or not words:
        return []
    weights = await store.weigh(session, words)
    texts = [text for text, _ in candidates] + [passage.heading for _, passage in candidates]
    stems = await store.stem(session, [lexical.normalise(text) for text in texts])
    quotes = [
        Quote(text, passage, _answering(weights, own, heading) * passage.coverage)
        for (text, passage), own, heading in zip(
            candidates, stems[: len(candidates)], stems[len(candidates) :], strict=True
        )
    ]
    return _best(quotes, limit)


async def _forms(session: Session, words: Sequence[str]) -> list[Form]:
    """Return the base's lexemes that count for each word: itself, its kin, or what it may mean."""
    respelt = await respell(session, words)
    meant = [(n, word, 1.0) for n, word in enumerate(words)]
    meant += [
        (n, near, share) for n, word in enumerate(words) for near, share in respelt.get(word, {}).items()
    ]
    if not meant:
        return []
    weights: dict[tuple[int, str], float] = {}
    for number, form in await store.find_forms(session, [lexical.kin_range(word) for _, word, _ in meant]):
        term, word, share = meant[number]
        weight = share * lexical.kinship(word, form)
        weights[term, form] = max(weight, weights.get((term, form), 0.0))
    return [Form(term, form, weight) for (term, form), weight in weights.items() if weight > 0]


async def _known_words(session: Session, question: str) -> list[str]:
    """Return the question's words, a misspelt one as the nearest that the base knows."""
    words = await _words(session, question)
    respelt = await respell(session, words)
    return list(dict.fromkeys(next(iter(respelt.get(word, [word]))) for word in words))


async def _words(session: Session, question: str) -> list[str]:
    stems = await store.stem(session, [lexical.normalise_question(question[:SEARCH_MAX_CHARS])])
    return lexical.informative(stems[0])


def _candidates(passages: Sequence[Passage]) -> list[tuple[str, Passage]]:
    """Return each sentence once, with the best passage it stands in: neighbours overlap."""
    seen: dict[str, Passage] = {}
    for passage in passages:
        for sentence in lexical.split_sentences(passage.content):
            if len(sentence) >= QUOTE_MIN_CHARS:
                seen.setdefault(sentence, passage)
    return list(seen.items())


def _answering(weights: dict[str, float], sentence: Sequence[str], heading: Sequence[str]) -> float:
    """A heading lends its words to the sentences under it, but a sentence that says them itself wins."""
    own = lexical.covered_share(weights, sentence)
    with_heading = lexical.covered_share(weights, [*sentence, *heading])
    return own + HEADING_SHARE * (with_heading - own)


def _best(quotes: list[Quote], limit: int) -> list[Quote]:
    ranked = sorted(quotes, key=lambda quote: -quote.score)[:limit]
    return [quote for quote in ranked if quote.score > 0 and quote.score >= ranked[0].score * QUOTE_RELATIVE]
