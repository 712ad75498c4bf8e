"""The tab of versions: what waits to be published, what was, and what differs between two of them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import CUSTOM_FIELD, Agent
from gptagent.features.agents.offering import FIELD_NAMES, offered_in_basics, offered_in_fields
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.agents.versions import service
from gptagent.features.agents.versions.model import DRAFT_CHANGED, NOTE_MAX_CHARS, sign_of
from gptagent.features.agents.versions.telling import Told, tell
from gptagent.features.organizations import policy
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.paging import Page
from gptagent.ui.web import Notice, Pages, base_of, words

VERSIONS_SHOWN = 50
LONGEST_NUMBER = 9  # digits of a version's number that are sure to fit


@dataclass(frozen=True, slots=True)
class AgentVersionPages:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None
    condition: PublishCondition

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/ai-agents/{agent_id}")
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
        async with self.db.session(scope) as session:
            agent = await agents.get_agent(session, agent_id)
            found, older = await service.page_versions(session, _page(cursor), agent_id)
            waiting = await self._told(request, session, agent_id) if agent.draft else []
            compared: list[Told] | None = None
            if before or after:
                compared = await self._told(request, session, agent_id, _number(before), _number(after))
            names = {one.person_id: one.full_name for one in await organizations.list_members(session)}
            earlier = agents.overshadowed_by(await agents.list_agents(session), agent)
            problems = (await agents.find_problems(session, [agent]))[agent_id]
            shell = await self.pages.shell(request, session)
        context: dict[str, Any] = {"agent": agent, "versions": found, "names": names, "older": older}
        return self.pages.show(
            request,
            "agents/versions.html",
            shell,
            tab="versions",
            waiting=waiting,
            compared=compared,
            before=_number(before),
            after=_number(after),
            note_max=NOTE_MAX_CHARS,
            seen=sign_of(agent.draft),
            earlier=earlier,
            problems=problems,
            llm_model=self.llm_model,
            may_edit=policy.EDIT_AGENTS in scope.permissions,
            **context,
        )

    async def restore(self, request: Request, scope: CurrentScope, agent_id: UUID, version: int) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.restore_version(session, agent_id, version)
        done = Notice("success", "The earlier version is back", "It counts from the next answer on.")
        return self.pages.redirect(_tab_of(request, agent_id), done)

    async def publish(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        note = words(form, "note")
        notice = Notice("success", "Published", "It counts from the next answer on.")
        try:
            async with self.db.session(scope) as session:
                _check_seen(form, await agents.get_agent(session, agent_id, lock=True))
                await agents.publish_draft(session, agent_id, note=note, condition=self.condition)
        except (Conflict, Invalid) as error:
            notice = refusal(error)
        return self.pages.redirect(_tab_of(request, agent_id), notice)

    async def discard(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        form, notice = await request.form(), Notice("success", "The draft is discarded")
        try:
            async with self.db.session(scope) as session:
                _check_seen(form, await agents.get_agent(session, agent_id, lock=True))
                await agents.discard_draft(session, agent_id)
        except Conflict as error:
            notice = refusal(error)
        return self.pages.redirect(_tab_of(request, agent_id), notice)

    async def _told(
        self,
        request: Request,
        session: Session,
        agent_id: UUID,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Told]:
        _old, _new, found = await service.compare(session, agent_id, before, after)
        locale = locale_of(request)

        def say(text: str) -> str:
            return translate(locale, text)

        return tell(found, await _names(session, say), say)


def _check_seen(form: FormData, agent: Agent) -> None:
    """Raise Conflict if the draft is no longer the one that was shown beside the button."""
    if agent.draft is not None and words(form, "seen") not in {"", sign_of(agent.draft)}:
        raise Conflict("draft_changed", DRAFT_CHANGED)


def refusal(error: AppError) -> Notice:
    """Return why something was not done: the first fault, or the error's own sentence."""
    fault = error.fields[0] if error.fields else None
    message, params = (fault.message, fault.params) if fault else (error.message, error.params)
    return Notice(
        "warning",
        message,
        "The tab Scenarios shows what is missing." if error.code == "scenarios_not_passed" else "",
        params={name: str(value) for name, value in (params or {}).items()},
    )


async def _names(session: Session, say: Any) -> dict[str, str]:
    """Return what is called how of all that settings may name; what is lost keeps its number."""
    basics, fields = await offered_in_basics(session, []), await offered_in_fields(session, [])
    names = {key: say(name) for key, name in FIELD_NAMES.items()}
    names |= {value: label for value, label, _depth in (*basics["channels"], *basics["categories"])}
    own = (*fields["lead_custom"], *fields["contact_custom"])
    names |= {value: label for value, label, _depth in own if value.startswith(CUSTOM_FIELD)}
    for pipeline in basics["pipelines"]:
        names[pipeline.key] = pipeline.name
        names |= {f"{pipeline.key}/{stage.id}": stage.name for stage in pipeline.stages}
    return names


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
