"""Questions to passages, and passages to the sentences that answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gptagent.features.knowledge import lexical, store
from gptagent.features.knowledge.answering import REFUSAL_SUPPORT, Judge, Spoken, best_of, sentences_of
from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.model import Form, Passage, Quote
from gptagent.features.knowledge.naming.model import Named, Naming, other_words
from gptagent.features.knowledge.naming.service import find_names
from gptagent.features.knowledge.reranking.model import Order, reordered
from gptagent.features.knowledge.scoring import store as scoring
from gptagent.features.knowledge.spelling.service import respell
from gptagent.features.knowledge.staging.service import narrowed
from gptagent.features.knowledge.vectors import store as vectors
from gptagent.features.knowledge.vectors.model import POOL, Meaning, fused
from gptagent.kernel.db import Session

SEARCH_LIMIT = 5
SEARCH_MAX_CHARS = 2_000  # of a question; a longer one is cut, its first words ask
QUOTES = 3

RELATED_PASSAGES = 3  # of related articles, one of each, besides what was found


@dataclass(frozen=True, slots=True)
class Asking:
    """A question's informative words, and what a misspelt one may mean, with weights.

    `named` holds the words of other names of what the question names, `names` these names themselves.
    `within` is the part of the base that is asked.
    """

    words: Sequence[str]
    respelt: Mapping[str, Mapping[str, float]]
    named: Named = field(default_factory=dict)
    names: Sequence[Naming] = ()
    within: Within | None = None

    @property
    def known(self) -> list[str]:
        """The words, a misspelt one as the nearest that the base knows."""
        return list(dict.fromkeys(next(iter(self.respelt.get(word, [word]))) for word in self.words))


async def search(
    session: Session,
    question: str | Asking,
    *,
    limit: int = SEARCH_LIMIT,
    meaning: Meaning | None = None,
    within: Within | None = None,
    by_names: bool | None = None,
    order: Order | None = None,
) -> list[Passage]:
    """Return the passages that best match the question, best first: by words, and by its meaning if given.

    A word that is not known, but is near to known ones by its letters, is taken for these. What is
    called by one of its names is also found by the others, where that helps or as `by_names` says. Whether
    the passages answer the question is told by `is_answerable`: one found by meaning may hold few of its
    words. With `within` nothing else of the base is looked at. `order` are the best passages as a reranking
    model has put them. A question that was read already brings its part and its names.
    """
    asking = await _asked(session, question, within, by_names=by_names)
    found = await _find(session, asking, limit, meaning=meaning, order=order)
    return await judge(session, asking, found)


async def candidates(
    session: Session,
    question: str,
    *,
    limit: int,
    meaning: Meaning | None = None,
    within: Within | None = None,
) -> list[Passage]:
    """Return what `search` finds, without looking how far it answers."""
    asking = await read_question(session, question, within)
    return await _find(session, asking, limit, meaning=meaning)


async def candidates_of_all(session: Session, question: str, *, limit: int) -> list[Passage]:
    """Return what is found in all that is kept, whoever's it is: for the proof of an index, shown to nobody.

    It is asked of the schema of the release before as well.
    """
    return await _find(session, await _read(session, question, None), limit, meaning=None)


async def _find(
    session: Session,
    asking: Asking,
    limit: int,
    *,
    meaning: Meaning | None,
    order: Order | None = None,
) -> list[Passage]:
    forms, within = await _forms(session, asking), asking.within
    terms, is_wide = len(asking.words), meaning is not None or order is not None
    found = (
        await scoring.rank(session, forms, terms, max(POOL, limit) if is_wide else limit, within)
        if forms
        else []
    )
    by_words, near = [passage.chunk_id for passage in found], dict[int, float]()
    best: Sequence[int] = by_words
    shares: Mapping[int, float] = {}
    if meaning is not None:
        nearest = await vectors.nearest(session, meaning, max(POOL, limit), within)
        near = {one.chunk_id: one.similarity for one in nearest}
        shares = fused(by_words, list(near), meaning.weight)
        best = list(shares)
    if order is not None:
        best = reordered(best, order.chunk_ids)
    chosen = await _chosen(session, best[:limit], found, forms, terms)
    relevance = order.relevance if order else {}
    return [
        replace(
            _placed(one, by_words, near),
            fused=shares.get(one.chunk_id),
            relevance=relevance.get(one.chunk_id),
        )
        for one in chosen
    ]


def _placed(passage: Passage, by_words: Sequence[int], near: Mapping[int, float]) -> Passage:
    """Return the passage with its places in the two searches."""
    places = [
        ids.index(passage.chunk_id) + 1 if passage.chunk_id in ids else None for ids in (by_words, [*near])
    ]
    similarity = near.get(passage.chunk_id)
    return replace(passage, by_words=places[0], by_meaning=places[1], similarity=similarity)


async def search_by_meaning(
    session: Session, question: str, meaning: Meaning, within: Within | None = None
) -> list[Passage]:
    """Return the passages nearest in meaning alone, nearest first, as `search` weighs them in."""
    within = await narrowed(session, within)
    asking = await _read(session, question, within)
    nearest = await vectors.nearest(session, meaning, SEARCH_LIMIT, within)
    near = {one.chunk_id: one.similarity for one in nearest}
    forms = await _forms(session, asking)
    found = await _chosen(session, list(near), [], forms, len(asking.words))
    return await judge(session, asking, [replace(one, similarity=near[one.chunk_id]) for one in found])


async def search_by_names(session: Session, question: str, within: Within | None = None) -> list[Passage]:
    """Return the passages found by nothing but other names of what the question names."""
    within = await narrowed(session, within)
    asking = await _read(session, question, within, by_names=True)
    words = [word for word in asking.words if word in asking.named]
    forms = await _kin(session, _others(words, asking.named))
    found = await scoring.rank(session, forms, len(words), SEARCH_LIMIT, within) if forms else []
    return await judge(session, asking, found)


async def _chosen(
    session: Session, chunk_ids: Sequence[int], known: Sequence[Passage], forms: Sequence[Form], terms: int
) -> list[Passage]:
    """Return these passages in this order; those that words did not find are read."""
    found = {passage.chunk_id: passage for passage in known}
    lacking = [chunk_id for chunk_id in chunk_ids if chunk_id not in found]
    if lacking:
        found |= {one.chunk_id: one for one in await scoring.score(session, lacking, forms, terms)}
    return [found[chunk_id] for chunk_id in chunk_ids if chunk_id in found]


async def add_related(
    session: Session, question: str | Asking, passages: Sequence[Passage], *, within: Within | None = None
) -> list[Passage]:
    """Return the passages and, after them, one of each article related to the articles that were found.

    It is the one with most of the question's words, else the article's beginning; of an article that is
    switched off, or not `within`, there is none. A passage that holds too little of the question brings no
    relatives.
    """
    threshold = await refusal_support(session)
    found = [
        passage.source_id
        for passage in passages
        if passage.source_kind == "article" and passage.support >= threshold
    ]
    if not found:
        return list(passages)
    asking = await _asked(session, question, within)
    words, within = asking.known, asking.within
    known = [passage.source_id for passage in passages]
    return [
        *passages,
        *await scoring.related(
            session, list(dict.fromkeys(found)), known, words, limit=RELATED_PASSAGES, within=within
        ),
    ]


async def refusal_support(session: Session) -> float:
    """Return the support from which on this base answers: as its own questions told, else the usual one."""
    return await store.calibrated_support(session) or REFUSAL_SUPPORT


def is_answerable(passages: Sequence[Passage], threshold: float = REFUSAL_SUPPORT) -> bool:
    """Tell whether some passage answers enough of the question, `threshold` being the base's."""
    return any(passage.support >= threshold for passage in passages)


async def best_sentences(
    session: Session,
    question: str | Asking,
    passages: Sequence[Passage],
    *,
    limit: int = QUOTES,
    within: Within | None = None,
) -> list[Quote]:
    """Return up to `limit` sentences, word for word, that hold most of the question; none if refused."""
    threshold = await refusal_support(session) if passages else 0.0
    answering = [passage for passage in passages if passage.support >= threshold]
    if not answering:
        return []
    asking = await _asked(session, question, within)
    by = Judge(await scoring.weigh(session, asking.known), len(asking.words), asking.named)
    return best_of([quote for one in await _spoken(session, answering) for quote in by.quotes(one)], limit)


async def read_question(
    session: Session, question: str, within: Within | None = None, *, by_names: bool | None = None
) -> Asking:
    """Return what a question asks by; with other names where these help, or as `by_names` says.

    Its misspelt words are those that are not known `within`.
    """
    return await _read(session, question, await narrowed(session, within), by_names=by_names)


async def _asked(
    session: Session, question: str | Asking, within: Within | None, *, by_names: bool | None = None
) -> Asking:
    """Return the question read, if it was not before."""
    if isinstance(question, Asking):
        return question
    return await read_question(session, question, within, by_names=by_names)


async def _read(
    session: Session, question: str, within: Within | None, *, by_names: bool | None = None
) -> Asking:
    stems = await scoring.stem(session, [lexical.normalise_question(question[:SEARCH_MAX_CHARS])])
    words = lexical.informative(stems[0])
    names = [] if by_names is False else await find_names(session, stems[0], always=by_names is True)
    named = other_words(names, words)
    respelt = await respell(session, [word for word in words if word not in named], within)
    return Asking(words, respelt, named, names, within)


async def judge(session: Session, asking: Asking, passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages with their support, however they were found."""
    if not passages:
        return []
    by = Judge(await scoring.weigh(session, asking.known), len(asking.words), asking.named)
    return [by.judge(one) for one in await _spoken(session, passages)]


async def _spoken(session: Session, passages: Sequence[Passage]) -> list[Spoken]:
    sentences = [sentences_of(passage) for passage in passages]
    texts = [
        lexical.normalise(text)
        for passage, own in zip(passages, sentences, strict=True)
        for text in (passage.source_title, passage.heading, *own)
    ]
    stems = iter(await scoring.stem(session, texts))
    spoken = []
    for passage, own in zip(passages, sentences, strict=True):
        title, heading = next(stems), next(stems)
        spoken.append(Spoken(passage, own, [next(stems) for _ in own], title, heading))
    return spoken


async def _forms(session: Session, asking: Asking) -> list[Form]:
    """Return the base's lexemes that count for each word: itself, its kin, or what it may mean."""
    meant = [(n, word, 1.0) for n, word in enumerate(asking.words)]
    return await _kin(
        session, [*meant, *_others(asking.words, asking.respelt), *_others(asking.words, asking.named)]
    )


def _others(
    words: Sequence[str], standing: Mapping[str, Mapping[str, float]]
) -> list[tuple[int, str, float]]:
    """Return what stands for the words: the number of the word, the other one, its weight."""
    return [
        (n, other, share) for n, word in enumerate(words) for other, share in standing.get(word, {}).items()
    ]


async def _kin(session: Session, meant: Sequence[tuple[int, str, float]]) -> list[Form]:
    if not meant:
        return []
    found: dict[tuple[int, str], Form] = {}
    ranges = [lexical.kin_range(word) for _, word, _ in meant]
    for number, lexeme, chunks in await scoring.find_forms(session, ranges):
        term, word, share = meant[number]
        form = Form(term, lexeme, share * lexical.kinship(word, lexeme), chunks)
        if form.weight > 0 and ((term, lexeme) not in found or form.weight > found[term, lexeme].weight):
            found[term, lexeme] = form
    return list(found.values())
