"""The pages of the editor: a tab each, all inside one layout."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
from gptagent.features.agents.checking import merge, timezones
from gptagent.features.agents.crm_reading import last_read, list_readings, read_anew
from gptagent.features.agents.forms import TABS, WEEKDAYS, Tab, nested, read, rules_of, values_of, version_of
from gptagent.features.agents.limits import instructions_max
from gptagent.features.agents.model import Agent, Problem
from gptagent.features.agents.naming_models import OTHER, offered_models
from gptagent.features.agents.offering import languages, offered_in_basics, offered_in_fields
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.agents.rule_forms import REARRANGE, rearranged, whole_lists
from gptagent.features.agents.stage_forms import PATH as STAGES
from gptagent.features.agents.stage_forms import whole_rules
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
from gptagent.features.agents.versions.showing import tell_differences
from gptagent.features.agents.versions.telling import Line, Told, title_of
from gptagent.features.knowledge.agent_files.service import show_files
from gptagent.features.organizations import policy
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, FieldError, Invalid
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, field_errors, message_of, words

PUBLISHED = Notice("success", "Published", "It counts from the next answer on.")
SAVED_AS_DRAFT = Notice("success", "Saved as a draft", "Customers get it once it is published.")
BY_ITSELF = "itself"  # saved a moment after the last change: nobody has pressed a button
READ_CRM = "sync"  # among what REARRANGE asks for
NOTHING: Mapping[str, str] = {}
CONFLICTS = frozenset({"agent_changed", "draft_changed"})
Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class AgentEditor:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None
    condition: PublishCondition

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/ai-agents/{agent_id}")
        for tab in TABS:
            router.get(f"/{tab}")(self._shows(tab))
            router.post(f"/{tab}")(self._saves(tab))
        return router

    def _shows(self, tab: Tab) -> Handler:
        async def show(
            request: Request, scope: CurrentScope, agent_id: UUID, part: str = "", seen: QueryText = ""
        ) -> Response:
            require(scope, policy.VIEW)
            return await self._page(request, scope, agent_id, tab, part=part, seen=seen)

        return show

    def _saves(self, tab: Tab) -> Handler:
        async def save(request: Request, scope: CurrentScope, agent_id: UUID, by: QueryText = "") -> Response:
            """Publish, or keep as a draft; if somebody else changed the tab meanwhile, or it may not be
            published, what was typed stays and the page says so.
            """
            require(scope, policy.EDIT_AGENTS)
            form = await request.form()
            typed = read(form, tab, with_model=self.llm_model is not None)
            if by == BY_ITSELF:
                return await self._keep(request, scope, agent_id, tab, form=form, typed=typed)
            if REARRANGE in form:
                notice = await self._read_crm(scope) if words(form, REARRANGE) == READ_CRM else None
                typed = rearranged(typed, words(form, REARRANGE))
                began = {name: words(form, name) for name in ("version", "seen") if name in form}
                return await self._page(
                    request, scope, agent_id, tab, typed=typed, began=began, is_typing=True, notice=notice
                )
            whole, halves = _whole(typed)
            changes, is_draft = nested(whole), words(form, "action") == "draft"
            try:
                async with self.db.session(scope) as session:
                    agent = await service.get_agent(session, agent_id, lock=True)
                    _check_version(form, agent, tab, is_draft=is_draft)
                    with telling_too(halves):
                        if is_draft:
                            await service.save_draft(session, agent_id, changes)
                        else:
                            await service.publish(session, agent_id, changes, condition=self.condition)
            except (Invalid, Conflict) as error:
                # What shows the tab has not shown the rest of the draft: that stays to be told.
                is_of_tab = error.code == "agent_changed" and "seen" in form
                before = {"seen": words(form, "seen")} if is_of_tab else NOTHING
                return await self._page(request, scope, agent_id, tab, typed=typed, error=error, began=before)
            return self.pages.redirect(request.url.path, SAVED_AS_DRAFT if is_draft else PUBLISHED)

        return save

    async def _keep(
        self,
        request: Request,
        scope: Scope,
        agent_id: UUID,
        tab: Tab,
        *,
        form: FormData,
        typed: Mapping[str, object],
    ) -> Response:
        """Keep what is typed as a draft, but for the name, which would count at once; say how that went."""
        whole, halves = _whole({key: value for key, value in typed.items() if key != "name"})
        try:
            async with self.db.session(scope) as session:
                old = await service.get_agent(session, agent_id, lock=True)
                _check_version(form, old, tab, is_draft=True)
                with telling_too(halves):
                    kept = await service.save_draft(session, agent_id, nested(whole), by_itself=True)
        except (Invalid, Conflict) as error:
            fault = next(iter(error.fields), None)
            title = title_of(fault.pointer) if fault else ""
            why = next(iter(field_errors(request, error).values()), "") or message_of(request, error)
            said = self.pages.part(
                request, "agents/_not_kept.html", title=title, why=why, is_conflict=error.status == 409
            )
            said.status_code = error.status
            return said
        # What a colleague has changed on other tabs is still to be told before it is published with this.
        is_all_known = not _is_other_draft(form, old)
        return self.pages.part(
            request,
            "agents/_kept.html",
            agent=kept,
            tab=tab,
            version=version_of(service.as_edited(kept), tab),
            seen=sign_of(kept.draft) if is_all_known else words(form, "seen"),
            is_renamed=typed.get("name", kept.name) != kept.name,
        )

    async def _read_crm(self, scope: Scope) -> Notice:
        """Have the accounts of the CRM read anew; the page shows how far it is, and keeps what was typed."""
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.db.session(scope) as session:
            wrong = await read_anew(session)
        if wrong is not None:
            return Notice("warning", "Nothing was started", wrong.message)
        return Notice("success", "The CRM is being read")

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
        seen: str = "",
        began: Mapping[str, str] = NOTHING,
        is_typing: bool = False,
        notice: Notice | None = None,
    ) -> Response:
        """`is_typing`: what was typed is not saved yet, and nobody asked for it. `began`: what the form began
        with, or a colleague's change of meanwhile would be overwritten unseen.
        """
        async with self.db.session(scope) as session:
            agent = await service.get_agent(session, agent_id)
            edited = service.as_edited(agent)
            problems = (await service.find_problems(session, [edited]))[agent_id]
            earlier = service.overshadowed_by(await service.list_agents(session), agent)
            offered = {} if part else await self._offered(session, agent_id, tab, problems)
            plan = await organizations.get_entitlements(session)
            offered |= {"models": offered_models(plan, self.llm_model)}
            differing = await _differing(request, session, agent, error, typed) if error else None
            readings = await list_readings(session) if part != "state" else []
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "agent": agent,
            "earlier": earlier,
            "problems": problems,
            "llm_model": self.llm_model,
            "may_edit": policy.EDIT_AGENTS in scope.permissions,
            "may_sync": policy.MANAGE_CONNECTIONS in scope.permissions,
            "readings": readings,
            "last_read": last_read(readings),
            "shown_read": seen if part else last_read(readings),
        }
        if part == "crm":
            return self.pages.part(request, "agents/_crm.html", tab=tab, **context)
        if part:
            return self.pages.part(request, "agents/_state.html", **context)
        values = {**values_of(edited), **(typed or {})}
        return self.pages.show(
            request,
            "agents/edit.html",
            shell,
            notice,
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
            differing=differing,
            conflict=error.code if error else "",
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

    async def _offered(
        self, session: Session, agent_id: UUID, tab: Tab, problems: list[Problem]
    ) -> dict[str, Any]:
        """Return what the tab's lists offer, and what else it shows."""
        if tab == "edit":
            return await offered_in_basics(session, problems)
        if tab == "leads-contacts":
            return await offered_in_fields(session, problems)
        return {
            "languages": languages(),
            "timezones": [(zone, zone) for zone in timezones()],
            "weekdays": WEEKDAYS,
            "files": await show_files(session, agent_id, now=utcnow()),
        }


def _whole(typed: Mapping[str, object]) -> tuple[dict[str, object], list[FieldError]]:
    """Return what was typed without what is half typed in rules and at stages, and what is wrong in it."""
    typed, halves = whole_lists(typed)
    if typed.get("model") == OTHER:
        halves.append(FieldError("model", "Name the model, or choose one of those above."))
        del typed["model"]
    rules = typed.get(STAGES)
    if not isinstance(rules, list):
        return typed, halves
    whole, faults = whole_rules(rules)
    return {**typed, STAGES: whole}, [*halves, *faults]


@contextmanager
def telling_too(faults: Sequence[FieldError]) -> Iterator[None]:
    """Raise Invalid with these faults too, so that all are told at once and nothing is kept."""
    try:
        yield
    except Invalid as error:
        raise Invalid(error.code, error.message, fields=(*error.fields, *faults)) from error
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))


async def _differing(
    request: Request,
    session: Session,
    agent: Agent,
    error: AppError,
    typed: Mapping[str, object] | None,
) -> list[Told] | None:
    """Return both values of what somebody else changed: saved once more, what was typed takes its place."""
    if error.code not in CONFLICTS:
        return None
    edited = service.as_edited(agent).settings
    changes = {key: value for key, value in (typed or {}).items() if key != "name"}
    wanted, _wrong = merge(edited, nested(changes))
    kept = edited if error.code == "agent_changed" else agent.settings
    told = await tell_differences(session, locale_of(request), kept, wanted)
    name = (typed or {}).get("name", agent.name)
    if name == agent.name:
        return told
    lines = (Line("gone", agent.name), Line("new", str(name)))
    return [Told("name", translate(locale_of(request), "Name"), "", lines), *told]


def _check_version(form: FormData, agent: Agent, tab: Tab, *, is_draft: bool) -> None:
    """Raise Conflict if the tab no longer holds what the form began with, or if what waits in the draft of
    other tabs would be published and is not what was there then.
    """
    if words(form, "version") not in {"", version_of(service.as_edited(agent), tab)}:
        raise Conflict("agent_changed", "Somebody else changed it while you were typing.")
    if not is_draft and _is_other_draft(form, agent):
        raise Conflict("draft_changed", DRAFT_CHANGED)


def _is_other_draft(form: FormData, agent: Agent) -> bool:
    """Return whether a draft waits that is not the one the form began with."""
    return agent.draft is not None and "seen" in form and words(form, "seen") != sign_of(agent.draft)
