"""Saved questions, and questions made of the base itself. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.knowledge import lexical

TEXT_MAX_CHARS = 500
QUESTIONS_MAX = 500  # of a workspace; of those that expect a source the latest 200 are asked in a run
SOURCES_MAX = 10  # of a question

# A sentence shorter than this says too little to be told from others, a longer one is nobody's question.
SENTENCE_MIN_CHARS = 25
SENTENCE_MAX_CHARS = 300
HEADING_MIN_CHARS = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and where its answer is: in one of `chunks` if any are named, else in the `documents`.

    `documents` are ids of articles and documents.
    """

    text: str
    chunks: frozenset[int]
    documents: frozenset[UUID]

    def is_answered_by(self, chunk_id: int, source_id: UUID) -> bool:
        """Tell whether a passage is one of those expected."""
        return chunk_id in self.chunks if self.chunks else source_id in self.documents


@dataclass(frozen=True, slots=True)
class Expected:
    """An article or document that should answer a question."""

    kind: str
    id: UUID
    title: str


@dataclass(frozen=True, slots=True)
class Question:
    id: UUID
    text: str
    sources: tuple[Expected, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage to make questions of. `siblings` are those of its source under the same heading, itself too.

    `around` are its neighbours and doubles, with what they say: an answer in them is as good.
    """

    chunk_id: int
    source_id: UUID
    heading: str
    content: str
    siblings: frozenset[int]
    around: tuple[tuple[int, str], ...]


def self_questions(excerpts: Sequence[Excerpt], limit: int) -> list[Asked]:
    """Return the headings and first sentences of passages, asked against these passages themselves."""
    found: dict[str, Asked] = {}
    for excerpt in excerpts:
        for asked in _questions_of(excerpt):
            found.setdefault(asked.text.casefold(), asked)
    return list(found.values())[:limit]


def _questions_of(excerpt: Excerpt) -> Iterator[Asked]:
    source = frozenset((excerpt.source_id,))
    heading = excerpt.heading.rpartition(" › ")[2].strip()
    if len(heading) >= HEADING_MIN_CHARS:
        yield Asked(heading[:TEXT_MAX_CHARS], excerpt.siblings, source)
    sentence = _first_sentence(lexical.split_sentences(excerpt.content))
    if sentence:
        also = {chunk_id for chunk_id, content in excerpt.around if sentence in content}
        yield Asked(sentence, frozenset((excerpt.chunk_id, *also)), source)


def _first_sentence(sentences: Collection[str]) -> str | None:
    """Return the first that is whole enough; a passage may begin in the middle of one."""
    return next((one for one in sentences if SENTENCE_MIN_CHARS <= len(one) <= SENTENCE_MAX_CHARS), None)
