"""A talk that a person finished, and the article that is proposed from it. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.knowledge.articles.model import CONTENT_MAX_CHARS, CONTENT_MIN_CHARS, TITLE_MAX_CHARS
from gptagent.features.knowledge.staging.model import StageKey

Status = Literal["proposed", "accepted", "rejected"]
STATUSES: tuple[Status, ...] = ("proposed", "accepted", "rejected")
Maker = Literal["model", "words"]

ANSWER_MAX_CHARS = 8_000  # of what was said to one question
EXCHANGES_MAX = 10  # questions of one talk
ASKS_WORDS = 2  # that say what is asked about; with fewer it takes a question mark
ANSWER_WORDS = 3  # "Yes, of course" is no article


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a customer asked, what a person answered, and the turns in which an agent had a try at it."""

    question: str = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)
    turns: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Talk:
    """The same without the names and numbers of people."""

    question: str = field(repr=False)
    answer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Material:
    """What an article is to be made of: questions that the base does not answer, the first one names it.

    `gap_id` is what customers asked, if that was noted. `names` are those of the people who talked. `stages`
    are those that it is for, all if there are none.
    """

    talks: tuple[Talk, ...]
    gap_id: UUID | None
    names: tuple[str, ...] = field(default=(), repr=False)
    stages: tuple[StageKey, ...] = ()

    @property
    def question(self) -> str:
        return self.talks[0].question


@dataclass(frozen=True, slots=True)
class DraftText:
    """What is proposed. `content` is Markdown."""

    title: str = field(repr=False)
    content: str = field(repr=False)
    made_by: Maker


@dataclass(frozen=True, slots=True)
class Draft:
    """`gap_id` is of a gap that is still there. `stages` are those that the article is to be for, all
    if there are none. `decided_by` is a person's id.
    """

    id: UUID
    status: Status
    made_by: Maker
    question: str = field(repr=False)
    talk: tuple[Talk, ...] = field(repr=False)
    title: str = field(repr=False)
    content: str = field(repr=False)
    conversation_id: UUID
    gap_id: UUID | None
    stages: tuple[StageKey, ...]
    article_id: UUID | None
    article_title: str | None
    decided_by: UUID | None
    decided_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person makes of a draft when accepting it. None leaves its text as it is, and of its stages
    those that are still there.
    """

    title: str | None = None
    content: str | None = None
    is_active: bool = False
    stages: tuple[StageKey, ...] | None = None


def is_question(words: Collection[str], text: str) -> bool:
    """Tell whether a text asks something by itself. `words` are those that say what is asked about."""
    return len(words) >= ASKS_WORDS or (bool(words) and "?" in text)


def goes_on(words: Collection[str], text: str) -> bool:
    """Tell whether a text that asks nothing by itself goes on with what was asked: "And when?"."""
    return bool(words) or "?" in text


def from_words(material: Material) -> DraftText:
    """Return the customer's question and the person's answers, word for word."""
    if len(material.talks) == 1:
        content = material.talks[0].answer
    else:
        content = "\n\n".join(f"## {one.question}\n\n{one.answer}" for one in material.talks)
    return DraftText(material.question[:TITLE_MAX_CHARS], content[:CONTENT_MAX_CHARS], "words")


def says_enough(words: Sequence[str], answer: str) -> bool:
    """Tell whether an answer could be an article. `words` are its informative ones."""
    return len(words) >= ANSWER_WORDS and len(answer.strip()) >= CONTENT_MIN_CHARS
