"""What questions and runs are over REST."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from fastapi import Request
from pydantic import Field

from gptagent.features.knowledge.categories.model import CATEGORIES_MAX
from gptagent.features.knowledge.model import Passage
from gptagent.features.knowledge.questions.calibration import Run
from gptagent.features.knowledge.questions.model import Question
from gptagent.features.knowledge.staging.api import StageBody, keys_of
from gptagent.features.knowledge.staging.model import At
from gptagent.kernel.errors import Invalid
from gptagent.kernel.http import Body, Wire, example, locale_of
from gptagent.kernel.i18n import translate


class TrialBody(Body):
    """Asked is what is in these `categories` or below them, or what the agent answers from; else all.

    At a `stage` of a deal what is bound to others is not found, `without_deal` nothing that is bound; without
    either stages do not count.
    """

    model_config = example({"text": "How long does delivery to Kazan take?"})

    text: str
    categories: list[UUID] = Field(default_factory=list, max_length=CATEGORIES_MAX)
    agent_id: UUID | None = None
    stage: StageBody | None = None
    without_deal: bool = False


class QuestionBody(Body):
    """`sources` are ids of the articles and documents that should answer it."""

    model_config = example(
        {"text": "How long does delivery take?", "sources": ["0198c0de-0000-7000-8000-000000000001"]}
    )

    text: str
    sources: list[UUID] = Field(default_factory=list)


class SourcesBody(Body):
    model_config = example({"sources": ["0198c0de-0000-7000-8000-000000000001"]})

    sources: list[UUID]


class PassageOut(Wire):
    """`coverage` and `support` are shares (0-1): of the question's words held, and how far it answers.

    `score` is that of its words (BM25), `similarity` that of its meaning (cosine), `fused` its share in both
    searches joined, `relevance` what the reranking model told, in its own measure; null if it has none.
    """

    source_kind: str
    source_id: UUID
    source_title: str
    heading: str
    content: str
    score: float
    coverage: float
    support: float
    similarity: float | None
    fused: float | None
    relevance: float | None


class LegOut(Wire):
    """What one way of searching found: `words`, `meaning`, `graph`, which is by other names, `fused`, words
    and meaning joined, or all of them in the order of the `reranking` model.

    `scores` are what this way gives each of the passages. `taken_for`: what words of the question stood for,
    `alike` (0-1) how much each of those counts that were found by their 3-grams. Without `is_used` it was
    found for this answer only.
    """

    name: str
    passages: list[PassageOut]
    scores: list[float | None]
    taken_for: dict[str, list[str]]
    alike: dict[str, dict[str, float]]
    is_used: bool


class QuoteOut(Wire):
    text: str
    source_id: UUID


class TrialOut(Wire):
    """`passages` are what a model would be given; `threshold` is the support that counts as an answer."""

    legs: list[LegOut]
    passages: list[PassageOut]
    threshold: float
    is_answerable: bool
    quotes: list[QuoteOut]


class ExpectedOut(Wire):
    kind: str
    id: UUID
    title: str


class QuestionOut(Wire):
    """`sources` are ids; `expected` says what they are."""

    id: UUID
    text: str
    sources: list[UUID]
    expected: list[ExpectedOut]
    created_at: datetime
    updated_at: datetime


class QuestionsOut(Wire):
    items: list[QuestionOut]
    next_cursor: str | None


class QuestionsImported(Wire):
    """Of `changed` ones, which were saved already, the expected sources are the file's now."""

    created: int
    changed: int


class FiguresOut(Wire):
    recall_1: float
    recall_5: float
    mrr: float
    answered: float
    false_answers: float


class RunOut(Wire):
    """`threshold` is the support from which on the base answers since this run, once it is done.

    `is_saved` tells whether saved questions were asked, else the base's own headings and sentences. `legs`
    are the ways by which they were asked, those of a turn: `words`, `graph`, `meaning`, `reranking`.
    `failure` says why a run of the state `failed` came to nothing.
    """

    id: UUID
    state: str
    is_saved: bool
    questions: int
    threshold: float
    figures: FiguresOut
    created_at: datetime
    ended_at: datetime | None
    legs: list[str]
    error_code: str | None
    failure: str | None


class RunsOut(Wire):
    items: list[RunOut]
    next_cursor: str | None


class RunQueued(Wire):
    """`id` is null if a run is under way already."""

    id: UUID | None


class RunDetail(RunOut):
    """`failing` are not answered from where they should; `better` and `worse` are since the run before."""

    failing: list[str]
    better: list[str]
    worse: list[str]


def at_of(body: TrialBody) -> At | None:
    if body.stage is None:
        return At(None) if body.without_deal else None
    if body.without_deal:
        raise Invalid.field("stage", "A stage is of a deal. Choose either.")
    return At(keys_of([body.stage])[0])


def passages_out(passages: Sequence[Passage]) -> list[PassageOut]:
    return [PassageOut.model_validate(one, from_attributes=True) for one in passages]


def question_out(question: Question) -> QuestionOut:
    return QuestionOut(
        id=question.id,
        text=question.text,
        sources=[one.id for one in question.sources],
        expected=[ExpectedOut.model_validate(one, from_attributes=True) for one in question.sources],
        created_at=question.created_at,
        updated_at=question.updated_at,
    )


def run_out(run: Run, request: Request) -> RunOut:
    values = {name: getattr(run, name) for name in RunOut.model_fields if name not in {"failure", "figures"}}
    failure = translate(locale_of(request), run.failure) if run.failure else None
    return RunOut(**values, figures=FiguresOut.model_validate(run.figures), failure=failure)
