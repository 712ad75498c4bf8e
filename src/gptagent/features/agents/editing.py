"""The pages of the editor: a tab each, all inside one layout."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
from gptagent.features.agents.forms import TABS, Tab, read, values_of
from gptagent.features.agents.model import NAME_MAX_CHARS, SETTINGS, Problem
from gptagent.features.knowledge import service as knowledge
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, field_errors

Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class AgentEditor:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/ai-agents/{agent_id}")
        for tab in TABS:
            router.get(f"/{tab}")(self._shows(tab))
            router.post(f"/{tab}")(self._saves(tab))
        return router

    def _shows(self, tab: Tab) -> Handler:
        async def show(request: Request, scope: CurrentScope, agent_id: UUID, part: str = "") -> Response:
            require(scope, policy.VIEW)
            return await self._page(request, scope, agent_id, tab, part=part)

        return show

    def _saves(self, tab: Tab) -> Handler:
        async def save(request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
            require(scope, policy.EDIT_AGENTS)
            typed = read(await request.form(), tab, with_model=self.llm_model is not None)
            try:
                async with self.db.session(scope) as session:
                    await service.update_agent(session, agent_id, nested(typed))
            except Invalid as error:
                return await self._page(request, scope, agent_id, tab, typed=typed, error=error)
            return self.pages.redirect(request.url.path, Notice("success", "Saved"))

        return save

    async def _page(
        self,
        request: Request,
        scope: Scope,
        agent_id: UUID,
        tab: Tab,
        *,
        typed: Mapping[str, object] | None = None,
        error: Invalid | None = None,
        part: str = "",
    ) -> Response:
        async with self.db.session(scope) as session:
            agent = await service.get_agent(session, agent_id)
            problems = (await service.find_problems(session, [agent]))[agent_id]
            speaker = await service.choose_agent(session)
            offered = {} if part else await self._offered(session, tab, problems)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "agent": agent,
            "speaker": speaker,
            "problems": problems,
            "llm_model": self.llm_model,
            "may_edit": policy.EDIT_AGENTS in scope.permissions,
        }
        if part:
            return self.pages.part(request, "agents/_state.html", **context)
        return self.pages.show(
            request,
            "agents/edit.html",
            shell,
            status=422 if error else 200,
            tab=tab,
            values={**values_of(agent), **(typed or {})},
            errors=field_errors(request, error) if error else {},
            table=SETTINGS,
            name_max=NAME_MAX_CHARS,
            **offered,
            **context,
        )

    async def _offered(self, session: Session, tab: Tab, problems: list[Problem]) -> dict[str, Any]:
        """Return what the tab's lists offer; what is chosen and lost stays, to be taken out."""
        if tab != "edit":
            return {}
        tree = await knowledge.read_tree(session)
        return {
            "categories": [(str(one.id), one.title, depth) for one, depth in tree.walk()],
            "lost_categories": [one.reference for one in problems if one.setting == "knowledge.categories"],
        }


def nested(typed: Mapping[str, object]) -> dict[str, object]:
    """Return the settings by path as the document they are part of."""
    document: dict[str, Any] = {}
    for path, value in typed.items():
        *groups, key = path.split(".")
        place = document
        for group in groups:
            place = place.setdefault(group, {})
        place[key] = value
    return document
