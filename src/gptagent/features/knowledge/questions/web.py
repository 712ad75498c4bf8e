"""The test bench: a question and all that becomes of it, saved questions, runs of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories.service import read_tree
from gptagent.features.knowledge.listing import id_of
from gptagent.features.knowledge.questions import service
from gptagent.features.knowledge.questions.asking import Askers, part_asked
from gptagent.features.knowledge.questions.calibration import SAMPLE_MIN, compare
from gptagent.features.knowledge.questions.model import TEXT_MAX_CHARS
from gptagent.features.knowledge.reranking.service import Reranking
from gptagent.features.knowledge.staging.model import At, stage_of
from gptagent.features.knowledge.staging.service import stage_choices
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

WITHOUT_DEAL = "none"  # as the form says it


@dataclass(frozen=True, slots=True)
class _Part:
    """What of the base is asked, as the form says it."""

    categories: tuple[UUID, ...] = ()
    agent_id: UUID | None = None
    stage: str = ""

    @property
    def at(self) -> At | None:
        """Raises Invalid for a stage that is none."""
        if not self.stage:
            return None
        if self.stage == WITHOUT_DEAL:
            return At(None)
        key = stage_of(self.stage)
        if key is None:
            raise Invalid.field("stage", "There is no such stage.")
        return At(key)


WHOLE = _Part()


@dataclass(frozen=True, slots=True)
class BenchPages:
    db: Database
    pages: Pages
    understanding: Understanding
    askers: Askers
    reranking: Reranking

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-bench")
        router.get("")(self.show)
        router.get("/runs")(self.runs)
        router.post("/runs")(self.run)
        router.post("/questions")(self.save)
        router.get("/questions/{question_id}")(self.question)
        router.post("/questions/{question_id}/sources")(self.expect)
        router.post("/questions/{question_id}/delete")(self.delete)
        return router

    async def show(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        said = request.query_params
        chosen = tuple(_id(text) for text in said.getlist("categories") if text)
        agent_id = _id(said["agent"]) if said.get("agent") else None
        part = _Part(chosen, agent_id, said.get("stage", ""))
        return await self._page(request, scope, said.get("q", ""), part=part)

    async def runs(self, request: Request, scope: CurrentScope) -> Response:
        """Return the part that shows the last run, for a page that heard of another."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            values = await _runs(session)
        return self.pages.part(request, "knowledge/_runs.html", **values)

    async def run(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            run_id = await service.queue_run(session, now=utcnow())
        begun = Notice("success", "The base is being measured", "The figures appear here in a moment.")
        waits = Notice("info", "The base is being measured already")
        return self.pages.redirect(f"{base_of(request)}/knowledge-bench", begun if run_id else waits)

    async def save(self, request: Request, scope: CurrentScope) -> Response:
        """Save it; where nothing that was found should answer it, what should is chosen on its own page."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed = words(form, "text")
        sources = _sources(form)
        try:
            async with self.db.session(scope) as session:
                question = await service.save_question(session, typed, sources, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._page(request, scope, typed, error)
        place = f"{base_of(request)}/knowledge-bench"
        further = place if sources else f"{place}/questions/{question.id}"
        return self.pages.redirect(further, Notice("success", "Saved"))

    async def question(
        self, request: Request, scope: CurrentScope, question_id: UUID, find: QueryText = ""
    ) -> Response:
        """Show what a saved question expects, and more sources to choose from: `find` is in their titles."""
        require(scope, policy.VIEW)
        return await self._question_page(request, scope, question_id, find=find)

    async def expect(self, request: Request, scope: CurrentScope, question_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        sources = _sources(await request.form())
        try:
            async with self.db.session(scope) as session:
                await service.change_sources(session, question_id, sources, now=utcnow())
        except Invalid as error:
            return await self._question_page(request, scope, question_id, chosen=sources, error=error)
        return self.pages.redirect(f"{base_of(request)}/knowledge-bench", Notice("success", "Saved"))

    async def _question_page(
        self,
        request: Request,
        scope: Scope,
        question_id: UUID,
        *,
        find: str = "",
        chosen: Sequence[UUID] | None = None,
        error: AppError | None = None,
    ) -> Response:
        find = find.replace("\0", "")[:TEXT_MAX_CHARS]
        async with self.db.session(scope) as session:
            question = await service.get_question(session, question_id)
            offered = await service.offer_sources(session, question, find)
            shell = await self.pages.shell(request, session)
        ticked = [one.id for one in question.sources] if chosen is None else chosen
        return self.pages.show(
            request,
            "knowledge/question.html",
            shell,
            status=error.status if error else 200,
            question=question,
            choices=[(str(one.id), one.title, 1) for one in offered],
            ticked=[str(one) for one in ticked],
            find=find,
            errors=field_errors(request, error) if error else {},
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def delete(self, request: Request, scope: CurrentScope, question_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_question(session, question_id)
        gone = Notice("success", "The question is deleted")
        return self.pages.redirect(f"{base_of(request)}/knowledge-bench", gone)

    async def _try(self, scope: Scope, asked: str, of: _Part) -> service.Trial:
        """Raises Invalid, as what a trial needs of others does."""
        text = service.check_text(asked)
        async with self.db.session(scope) as session:
            part = await part_asked(session, self.askers, of.agent_id, of.categories, of.at)
        meaning = await self.understanding.understand(self.db, scope, text)
        order = await self.reranking.order(self.db, scope, text, meaning=meaning, within=part)
        async with self.db.session(scope) as session:
            return await service.try_question(session, text, meaning, within=part, order=order)

    async def _page(
        self,
        request: Request,
        scope: Scope,
        asked: str,
        error: AppError | None = None,
        *,
        part: _Part = WHOLE,
    ) -> Response:
        trial = None
        if asked.strip():
            try:
                trial = await self._try(scope, asked, part)
            except Invalid as wrong:
                error = error or wrong
        async with self.db.session(scope) as session:
            values = await _runs(session)
            questions = await service.list_questions(session)
            counts = await knowledge.count_sources(session)
            tree = await read_tree(session)
            agents = await self.askers(session)
            stages = await stage_choices(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/bench.html",
            shell,
            status=error.status if error else 200,
            asked=asked,
            trial=trial,
            tree=tree,
            chosen=part.categories,
            agents=[(str(one.id), one.name) for one in agents],
            agent=str(part.agent_id or ""),
            stages=[(key, label) for key, label, _depth in stages],
            stage=part.stage,
            without_deal=WITHOUT_DEAL,
            choices=_choices(trial) if trial else [],
            questions=questions,
            counts=counts,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limit=TEXT_MAX_CHARS,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
            **values,
        )


def _id(text: str) -> UUID:
    """Return the id; nobody's for what is none, so that it is refused as any that is not there."""
    return id_of(text) or UUID(int=0)


def _sources(form: FormData) -> list[UUID]:
    try:
        return [UUID(one) for one in form.getlist("sources") if isinstance(one, str)]
    except ValueError:
        return [UUID(int=0)]  # nobody's: refused as any that is not there


def _choices(trial: service.Trial) -> list[tuple[str, str, int]]:
    """Return the sources found, the best first, to be ticked."""
    found = {str(one.source_id): one.source_title for one in trial.passages}
    return [(source_id, title, 1) for source_id, title in found.items()]


async def _runs(session: Session) -> dict[str, object]:
    latest = await service.list_runs(session, limit=1)
    done = await service.list_runs(session, limit=2, done=True)
    return {
        "is_running": bool(latest) and latest[0].state == "queued",
        "run": done[0] if done else None,
        "failed": latest[0] if latest and latest[0].state == "failed" else None,
        "change": compare(done[1], done[0]) if len(done) > 1 else None,
        "enough": SAMPLE_MIN,
        "threshold": await knowledge.refusal_support(session),
    }
