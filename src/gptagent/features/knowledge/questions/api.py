"""Questions and runs over REST."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, UploadFile
from starlette.responses import Response

from gptagent.features.knowledge.exchange.api import EXPORTED, Format, as_file
from gptagent.features.knowledge.questions import exchange, service
from gptagent.features.knowledge.questions.asking import Askers, part_asked
from gptagent.features.knowledge.questions.calibration import compare
from gptagent.features.knowledge.questions.wire import (
    LegOut,
    QuestionBody,
    QuestionOut,
    QuestionsImported,
    QuestionsOut,
    QuoteOut,
    RunDetail,
    RunQueued,
    RunsOut,
    SourcesBody,
    TrialBody,
    TrialOut,
    at_of,
    passages_out,
    question_out,
    run_out,
)
from gptagent.features.knowledge.reranking.service import Reranking
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router


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
            part = await part_asked(session, self.askers, body.agent_id, body.categories, at_of(body))
        order = await self.reranking.order(self.db, scope, body.text, meaning=meaning, within=part)
        async with self.db.session(scope) as session:
            trial = await service.try_question(session, body.text, meaning, within=part, order=order)
        return TrialOut(
            legs=[
                LegOut(
                    name=leg.name,
                    passages=passages_out(leg.passages),
                    scores=leg.scores,
                    taken_for=leg.taken_for,
                    alike={word: dict(near) for word, near in leg.alike.items()},
                    is_used=leg.is_used,
                )
                for leg in trial.legs
            ],
            passages=passages_out(trial.passages),
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
        return QuestionsOut(items=[question_out(one) for one in found], next_cursor=after)

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
            return question_out(await service.save_question(session, body.text, body.sources, now=utcnow()))

    async def get(self, scope: CurrentScope, question_id: UUID) -> QuestionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return question_out(await service.get_question(session, question_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, question_id: UUID, body: SourcesBody
    ) -> QuestionOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(question_out(await service.get_question(session, question_id)))
            return question_out(
                await service.change_sources(session, question_id, body.sources, now=utcnow())
            )

    async def delete(self, scope: CurrentScope, match: CurrentMatch, question_id: UUID) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(question_out(await service.get_question(session, question_id)))
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
        self,
        request: Request,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
    ) -> RunsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_runs(session, page)
        return RunsOut(items=[run_out(one, request) for one in found], next_cursor=after)

    async def start(self, scope: CurrentScope) -> RunQueued:
        """Measure the base in the background and calibrate from which support on it answers.

        Each question is asked as a turn does, also by meaning and in a model's order where these are used.
        """
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return RunQueued(id=await service.queue_run(session, now=utcnow()))

    async def get(self, request: Request, scope: CurrentScope, run_id: UUID) -> RunDetail:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            run = await service.get_run(session, run_id)
            done = await service.list_runs(session, done=True)
        before = next((one for one in done if one.created_at < run.created_at), None)
        change = compare(before, run) if before and run.state == "done" else None
        return RunDetail(
            **run_out(run, request).model_dump(),
            failing=[one.question for one in run.failing],
            better=list(change.better) if change else [],
            worse=list(change.worse) if change else [],
        )
