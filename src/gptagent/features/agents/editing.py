"""The pages of the editor: a tab each, all inside one layout."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
from gptagent.features.agents.checking import timezones
from gptagent.features.agents.forms import TABS, WEEKDAYS, Tab, nested, read, rules_of, values_of, version_of
from gptagent.features.agents.limits import instructions_max
from gptagent.features.agents.model import Agent, Problem
from gptagent.features.agents.offering import languages, offered_in_basics, offered_in_fields
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.agents.rule_forms import REARRANGE, rearranged
from gptagent.features.agents.table import (
    CONDITION_MAX_CHARS,
    FOLLOW_UP_MAX_CHARS,
    NAME_MAX_CHARS,
    RULES_MAX,
    SETTINGS,
    STAGE_GOAL_MAX_CHARS,
    STAGE_TEXT_MAX_CHARS,
)
from gptagent.features.agents.versions.model import DRAFT_CHANGED, sign_of
from gptagent.features.organizations import policy
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, field_errors, message_of, words

PUBLISHED = Notice("success", "Published", "It counts from the next answer on.")
SAVED_AS_DRAFT = Notice("success", "Saved as a draft", "Customers get it once it is published.")
NOTHING: Mapping[str, str] = {}
Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class AgentEditor:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None
    condition: PublishCondition

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
            """Publish, or keep as a draft; if somebody else changed the tab meanwhile, or it may not be
            published, what was typed stays and the page says so.
            """
            require(scope, policy.EDIT_AGENTS)
            form = await request.form()
            typed = read(form, tab, with_model=self.llm_model is not None)
            if REARRANGE in form:
                typed = rearranged(typed, words(form, REARRANGE))
                began = {name: words(form, name) for name in ("version", "seen") if name in form}
                return await self._page(
                    request, scope, agent_id, tab, typed=typed, began=began, is_typing=True
                )
            changes, is_draft = nested(typed), words(form, "action") == "draft"
            try:
                async with self.db.session(scope) as session:
                    agent = await service.get_agent(session, agent_id, lock=True)
                    _check_version(form, agent, tab, is_draft=is_draft)
                    if is_draft:
                        await service.save_draft(session, agent_id, changes)
                    else:
                        await service.publish(session, agent_id, changes, condition=self.condition)
            except (Invalid, Conflict) as error:
                return await self._page(request, scope, agent_id, tab, typed=typed, error=error)
            return self.pages.redirect(request.url.path, SAVED_AS_DRAFT if is_draft else PUBLISHED)

        return save

    async def _page(
        self,
        request: Request,
        scope: Scope,
        agent_id: UUID,
        tab: Tab,
        *,
        typed: Mapping[str, object] | None = None,
        error: AppError | None = None,
        part: str = "",
        began: Mapping[str, str] = NOTHING,
        is_typing: bool = False,
    ) -> Response:
        """`is_typing`: what was typed is not saved yet, and nobody asked for it. `began`: what the form began
        with, or a colleague's change of meanwhile would be overwritten unseen.
        """
        async with self.db.session(scope) as session:
            agent = await service.get_agent(session, agent_id)
            edited = service.as_edited(agent)
            problems = (await service.find_problems(session, [edited]))[agent_id]
            earlier = service.overshadowed_by(await service.list_agents(session), agent)
            offered = {} if part else await self._offered(session, tab, problems)
            plan = await organizations.get_entitlements(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "agent": agent,
            "earlier": earlier,
            "problems": problems,
            "llm_model": self.llm_model,
            "may_edit": policy.EDIT_AGENTS in scope.permissions,
        }
        if part:
            return self.pages.part(request, "agents/_state.html", **context)
        values = {**values_of(edited), **(typed or {})}
        return self.pages.show(
            request,
            "agents/edit.html",
            shell,
            status=error.status if error else 200,
            tab=tab,
            version=began.get("version") or version_of(edited, tab),
            seen=began.get("seen", sign_of(agent.draft)),
            values=values,
            rules=rules_of(values),
            week={one["day"]: one for one in values["hours.week"]},
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            table=SETTINGS,
            is_typing=is_typing,
            rules_max=RULES_MAX,
            condition_max=CONDITION_MAX_CHARS,
            name_max=NAME_MAX_CHARS,
            instructions_max=instructions_max(plan, edited.settings.model),
            stage_text_max=STAGE_TEXT_MAX_CHARS,
            follow_up_max=FOLLOW_UP_MAX_CHARS,
            stage_goal_max=STAGE_GOAL_MAX_CHARS,
            **offered,
            **context,
        )

    async def _offered(self, session: Session, tab: Tab, problems: list[Problem]) -> dict[str, Any]:
        """Return what the tab's lists offer."""
        if tab == "edit":
            return await offered_in_basics(session, problems)
        if tab == "leads-contacts":
            return await offered_in_fields(session, problems)
        return {
            "languages": languages(),
            "timezones": [(zone, zone) for zone in timezones()],
            "weekdays": WEEKDAYS,
        }


def _check_version(form: FormData, agent: Agent, tab: Tab, *, is_draft: bool) -> None:
    """Raise Conflict if the tab no longer holds what the form began with, or if what waits in the draft of
    other tabs would be published and is not what was there then.
    """
    is_other = agent.draft is not None and "seen" in form and words(form, "seen") != sign_of(agent.draft)
    if is_other and not is_draft:
        raise Conflict("draft_changed", DRAFT_CHANGED)
    if words(form, "version") not in {"", version_of(service.as_edited(agent), tab)}:
        raise Conflict("agent_changed", "Somebody else changed it. Reload it and try again.")
