"""Questions and runs over REST."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, UploadFile
from pydantic import Field
from starlette.responses import Response

from gptagent.features.knowledge.categories.model import CATEGORIES_MAX
from gptagent.features.knowledge.exchange.api import EXPORTED, Format, as_file
from gptagent.features.knowledge.model import Passage
from gptagent.features.knowledge.questions import exchange, service
from gptagent.features.knowledge.questions.asking import Askers, part_asked
from gptagent.features.knowledge.questions.calibration import Run, compare
from gptagent.features.knowledge.questions.model import Question
from gptagent.features.knowledge.reranking.service import Reranking
from gptagent.features.knowledge.staging.api import StageBody, keys_of
from gptagent.features.knowledge.staging.model import At
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Invalid
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router


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
    """`coverage` and `support` are shares (0-1): of the question's words held, and how far it answers."""

    source_kind: str
    source_id: UUID
    source_title: str
    heading: str
    content: str
    score: float
    coverage: float
    support: float


class LegOut(Wire):
    """What one way of searching found: `words`, `meaning`, `graph`, which is by other names, or all of them
    in the order of the `reranking` model.

    `taken_for`: what words of the question stood for. Without `is_used` it was found for this answer only.
    """

    name: str
    passages: list[PassageOut]
    taken_for: dict[str, list[str]]
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

    `is_saved` tells whether saved questions were asked, else the base's own headings and sentences.
    """

    id: UUID
    state: str
    is_saved: bool
    questions: int
    threshold: float
    figures: FiguresOut
    created_at: datetime
    ended_at: datetime | None


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


@dataclass(frozen=True, slots=True)
class QuestionsApi:
    db: Database
    understanding: Understanding
    askers: Askers
    reranking: Reranking

    def router(self) -> APIRouter:
        router = api_router("/knowledge-questions", tags=["knowledge questions"])
        router.get("", summary="List saved questions")(self.list)
        router.post("", status_code=201, summary="Save a question")(self.create)
        router.post("/try", summary="Try a question")(self.attempt)
        router.get(
            "/export", response_class=Response, responses=dict(EXPORTED), summary="Export questions as a file"
        )(self.export)
        router.post("/import", summary="Import questions from a file")(self.take)
        router.get("/{question_id}", summary="Get a saved question")(self.get)
        router.patch("/{question_id}", summary="Change what a question expects")(self.update)
        router.delete("/{question_id}", status_code=204, summary="Delete a saved question")(self.delete)
        return router

    async def attempt(self, scope: CurrentScope, body: TrialBody) -> TrialOut:
        """Show what each way of searching finds, what a model would be given and what would be quoted."""
        require(scope, policy.VIEW)
        meaning = await self.understanding.understand(self.db, scope, service.check_text(body.text))
        async with self.db.session(scope) as session:
            part = await part_asked(session, self.askers, body.agent_id, body.categories, _at(body))
        order = await self.reranking.order(self.db, scope, body.text, meaning=meaning, within=part)
        async with self.db.session(scope) as session:
            trial = await service.try_question(session, body.text, meaning, within=part, order=order)
        return TrialOut(
            legs=[
                LegOut(
                    name=leg.name,
                    passages=_passages(leg.passages),
                    taken_for=leg.taken_for,
                    is_used=leg.is_used,
                )
                for leg in trial.legs
            ],
            passages=_passages(trial.passages),
            threshold=trial.threshold,
            is_answerable=trial.is_answerable,
            quotes=[QuoteOut(text=one.text, source_id=one.passage.source_id) for one in trial.quotes],
        )

    async def list(
        self, scope: CurrentScope, page: Annotated[Page, page_of(service.ORDERS, "-created_at")]
    ) -> QuestionsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_questions(session, page)
        return QuestionsOut(items=[_question(one) for one in found], next_cursor=after)

    async def export(self, scope: CurrentScope, form: Format = "json") -> Response:
        """Return all saved questions as JSON or CSV. That they were exported is recorded."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return as_file(await exchange.export_questions(session, form), "questions", form)

    async def take(self, scope: CurrentScope, file: UploadFile) -> QuestionsImported:
        """Save the questions of a JSON or CSV file, all or none; each fault is named by its line."""
        require(scope, policy.EDIT_KNOWLEDGE)
        data = await file.read()
        async with self.db.session(scope) as session:
            done = await exchange.import_questions(session, data, now=utcnow())
        return QuestionsImported(created=done.created, changed=done.changed)

    async def create(self, scope: CurrentScope, body: QuestionBody) -> QuestionOut:
        """Save it with the articles and documents that should answer it."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return _question(await service.save_question(session, body.text, body.sources, now=utcnow()))

    async def get(self, scope: CurrentScope, question_id: UUID) -> QuestionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _question(await service.get_question(session, question_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, question_id: UUID, body: SourcesBody
    ) -> QuestionOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(_question(await service.get_question(session, question_id)))
            return _question(await service.change_sources(session, question_id, body.sources, now=utcnow()))

    async def delete(self, scope: CurrentScope, match: CurrentMatch, question_id: UUID) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(_question(await service.get_question(session, question_id)))
            await service.delete_question(session, question_id)


@dataclass(frozen=True, slots=True)
class RunsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/knowledge-runs", tags=["knowledge runs"])
        router.get("", summary="List runs of the questions")(self.list)
        router.post("", status_code=202, summary="Run the questions")(self.start)
        router.get("/{run_id}", summary="Get a run")(self.get)
        return router

    async def list(
        self, scope: CurrentScope, page: Annotated[Page, page_of(service.ORDERS, "-created_at")]
    ) -> RunsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_runs(session, page)
        return RunsOut(items=[_run(one) for one in found], next_cursor=after)

    async def start(self, scope: CurrentScope) -> RunQueued:
        """Measure the base in the background and calibrate from which support on it answers."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return RunQueued(id=await service.queue_run(session, now=utcnow()))

    async def get(self, scope: CurrentScope, run_id: UUID) -> RunDetail:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            run = await service.get_run(session, run_id)
            done = await service.list_runs(session, done=True)
        before = next((one for one in done if one.created_at < run.created_at), None)
        change = compare(before, run) if before and run.state == "done" else None
        return RunDetail(
            **_run(run).model_dump(),
            failing=[one.question for one in run.failing],
            better=list(change.better) if change else [],
            worse=list(change.worse) if change else [],
        )


def _at(body: TrialBody) -> At | None:
    if body.stage is None:
        return At(None) if body.without_deal else None
    if body.without_deal:
        raise Invalid.field("stage", "A stage is of a deal. Choose either.")
    return At(keys_of([body.stage])[0])


def _passages(passages: Sequence[Passage]) -> list[PassageOut]:
    return [PassageOut.model_validate(one, from_attributes=True) for one in passages]


def _question(question: Question) -> QuestionOut:
    return QuestionOut(
        id=question.id,
        text=question.text,
        sources=[one.id for one in question.sources],
        expected=[ExpectedOut.model_validate(one, from_attributes=True) for one in question.sources],
        created_at=question.created_at,
        updated_at=question.updated_at,
    )


def _run(run: Run) -> RunOut:
    return RunOut.model_validate(run, from_attributes=True)
