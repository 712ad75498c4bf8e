"""The tab of versions: what waits to be published, what was, and what differs between two of them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.agents.versions import service
from gptagent.features.agents.versions.model import DRAFT_CHANGED, NOTE_MAX_CHARS, VERSIONS_KEPT, sign_of
from gptagent.features.agents.versions.showing import tell_differences
from gptagent.features.organizations import policy
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.paging import Page
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

VERSIONS_SHOWN = 50
# What somebody had before them is forgotten by now, so nothing can be held against it.
MANY_MEANWHILE = (
    "So many versions were published since this page was opened that it is told no more what has changed. "
    "Version {number} is what customers get."
)
LONGEST_NUMBER = 9  # digits of a version's number that are sure to fit


@dataclass(frozen=True, slots=True)
class AgentVersionPages:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None
    condition: PublishCondition

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/ai-agents/{agent_id}")
        router.get("/versions")(self.show)
        router.post("/versions/{version}/restore")(self.restore)
        router.post("/draft/publish")(self.publish)
        router.post("/draft/discard")(self.discard)
        return router

    async def show(
        self,
        request: Request,
        scope: CurrentScope,
        agent_id: UUID,
        *,
        before: str = "",
        after: str = "",
        cursor: str = "",
    ) -> Response:
        """Show the versions; with `before` or `after`, what differs between them too."""
        require(scope, policy.VIEW)
        between = (_number(before), _number(after)) if before or after else None
        return await self._page(request, scope, agent_id, between, cursor)

    async def _page(  # noqa: PLR0917 - the page with what was typed into it
        self,
        request: Request,
        scope: Scope,
        agent_id: UUID,
        between: tuple[int | None, int | None] | None = None,
        cursor: str = "",
        error: AppError | None = None,
        note: str = "",
    ) -> Response:
        """`between`: the two versions to compare. With `error` its page has the note that was typed."""
        locale = locale_of(request)
        async with self.db.session(scope) as session:
            agent = await agents.get_agent(session, agent_id)
            found, older = await service.page_versions(session, _page(cursor), agent_id)
            waiting, compared = [], None
            if agent.draft:
                waiting = await tell_differences(session, locale, agent.settings, agent.draft)
            if between:
                old, new, _found = await service.compare(session, agent_id, *between)
                compared = await tell_differences(session, locale, old, new)
            names = {one.person_id: one.full_name for one in await organizations.list_members(session)}
            earlier = agents.overshadowed_by(await agents.list_agents(session), agent)
            problems = (await agents.find_problems(session, [agent]))[agent_id]
            shell = await self.pages.shell(request, session)
        context: dict[str, Any] = {"agent": agent, "versions": found, "names": names, "older": older}
        before, after = between or (None, None)
        held_back = error if error and error.code == "version_not_passed" else None
        is_told = error is None or held_back is not None or _is_of_note(error)  # in its place on the page
        return self.pages.show(
            request,
            "agents/versions.html",
            shell,
            None if error is None or is_told else refusal(error),
            status=error.status if error else 200,
            tab="versions",
            waiting=waiting,
            compared=compared,
            before=before,
            after=after,
            note=note,
            errors=field_errors(request, error) if error else {},
            note_max=NOTE_MAX_CHARS,
            seen=sign_of(agent.draft),
            held_back=held_back.params["number"] if held_back else None,
            why_held_back=message_of(request, held_back) if held_back else "",
            earlier=earlier,
            problems=problems,
            llm_model=self.llm_model,
            may_edit=policy.EDIT_AGENTS in scope.permissions,
            **context,
        )

    async def restore(self, request: Request, scope: CurrentScope, agent_id: UUID, version: int) -> Response:
        """Publish an earlier version anew, unless somebody has published another one meanwhile."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        try:
            async with self.db.session(scope) as session:
                _check_published(form, await agents.get_agent(session, agent_id, lock=True))
                await service.restore_version(
                    session,
                    agent_id,
                    version,
                    condition=self.condition,
                    anyway=words(form, "anyway") == str(version),
                )
        except (Conflict, Invalid) as error:
            return await self._refused(request, scope, agent_id, form, error)
        done = Notice("success", "The earlier version is back", "It counts from the next answer on.")
        return self.pages.redirect(_tab_of(request, agent_id), done)

    async def publish(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        """Publish what was shown beside the button: not what somebody has made of it meanwhile."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        try:
            async with self.db.session(scope) as session:
                agent = await agents.get_agent(session, agent_id, lock=True)
                _check_published(form, agent)
                _check_seen(form, agent)
                await agents.publish_draft(
                    session, agent_id, note=words(form, "note"), condition=self.condition
                )
        except (Conflict, Invalid) as error:
            return await self._refused(request, scope, agent_id, form, error)
        done = Notice("success", "Published", "It counts from the next answer on.")
        return self.pages.redirect(_tab_of(request, agent_id), done)

    async def discard(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        try:
            async with self.db.session(scope) as session:
                _check_seen(form, await agents.get_agent(session, agent_id, lock=True))
                await agents.discard_draft(session, agent_id)
        except Conflict as error:
            return await self._refused(request, scope, agent_id, form, error)
        done = Notice("success", "The draft is discarded")
        return self.pages.redirect(_tab_of(request, agent_id), done)

    async def _refused(
        self, request: Request, scope: Scope, agent_id: UUID, form: FormData, error: AppError
    ) -> Response:
        """Show the page as it is now, with the note, and what was published since the page was opened."""
        between = None
        if "seen" in error.params:
            between = (int(str(error.params["seen"])), int(str(error.params["number"])))
        return await self._page(
            request, scope, agent_id, between=between, error=error, note=words(form, "note")
        )


def _check_seen(form: FormData, agent: Agent) -> None:
    """Raise Conflict if the draft is no longer the one that was shown beside the button."""
    if agent.draft is not None and words(form, "seen") not in {"", sign_of(agent.draft)}:
        raise Conflict("draft_changed", DRAFT_CHANGED)


def _check_published(form: FormData, agent: Agent) -> None:
    """Raise Conflict if customers no longer get the version that was shown beside the button."""
    said = words(form, "published")
    if not said.isascii() or not said.isdecimal() or len(said) > LONGEST_NUMBER:
        return
    seen, number = int(said), agent.published
    if seen <= number - VERSIONS_KEPT:
        raise Conflict("published_meanwhile", MANY_MEANWHILE, params={"number": number})
    if seen < number:
        raise Conflict(
            "published_meanwhile",
            "Somebody has published version {number} meanwhile. What it changed is shown here.",
            params={"number": number, "seen": seen},
        )


def _is_of_note(error: AppError) -> bool:
    """Whether what is wrong is said beside the note."""
    return any(one.pointer == "note" for one in error.fields)


def refusal(error: AppError) -> Notice:
    """Return why something was not done: the first fault, or the error's own sentence.

    Both, if the sentence says more than that something is wrong: whose fault it is.
    """
    fault = error.fields[0] if error.fields else None
    title = fault.message if fault and not error.params else error.message
    text = fault.message if fault and error.params else ""
    if error.code == "scenarios_not_passed":
        text = "The tab Scenarios shows what is missing."
    params = {**(error.params or {}), **((fault.params if fault else None) or {})}
    return Notice("warning", title, text, params={name: str(value) for name, value in params.items()})


def _tab_of(request: Request, agent_id: UUID) -> str:
    return f"{base_of(request)}/ai-agents/{agent_id}/versions"


def _page(cursor: str) -> Page:
    order = service.VERSION_ORDERS["-number"]
    try:
        return Page.read(order, VERSIONS_SHOWN, cursor or None)
    except Invalid:
        return Page(order, VERSIONS_SHOWN)


def _number(text: str) -> int | None:
    """Return the number of a version; None for what is published, or the draft. Raises NotFound."""
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER and int(text):
        return int(text)
    raise NotFound
