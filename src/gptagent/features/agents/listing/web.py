"""The list of agents: its filters are in the address, its columns and order in the reader's browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.agents.listing import service
from gptagent.features.agents.listing.model import BULK_MAX, AgentFilter, BulkAction
from gptagent.features.agents.listing.store import SORTS
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.agents.table import NAME_MAX_CHARS
from gptagent.features.agents.versions.web import refusal
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid, NotFound
from gptagent.kernel.http import CurrentScope, choice_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.listing import SIZE_OPTIONS, Listing, ids_of
from gptagent.ui.web import Notice, Pages, base_of, field_errors, timezone_of, words

FILTERS = ("q", "status", "model", "from", "to")
STATES = {"active": True, "inactive": False}
# What may be shown beside the name, in order; `created` only if it is asked for.
COLUMNS: Mapping[str, str] = {
    "active": "Active",
    "model": "Model",
    "delay": "Answer delay",
    "changed": "Changed",
    "created": "Created",
}
SHOWN = tuple(COLUMNS)[:-1]
COLUMNS_COOKIE, SORT_COOKIE = "agents_columns", "agents_sort"
DEFAULT_SORT = "created"
SORTED = ("name", "active", "created", "changed")
DONE: dict[BulkAction, Notice] = {
    "activate": Notice("success", "The agents are on"),
    "deactivate": Notice("success", "The agents are off", "They are silent from now on."),
    "set_model": Notice("success", "The model is changed", "It counts from the next answer on."),
    "delete": Notice("success", "The agents are deleted"),
}


@dataclass(frozen=True, slots=True)
class Renaming:
    """A new name that was refused, and why."""

    agent_id: UUID | None = None
    name: str = ""
    error: str = ""


NOBODY = Renaming()


@dataclass(frozen=True, slots=True)
class AgentListPages:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None
    condition: PublishCondition

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/ai-agents")
        router.get("")(self.list)
        router.post("/bulk")(self.change)
        router.post("/columns")(self.columns)
        router.post("/{agent_id}/name")(self.rename)
        return router

    async def list(self, request: Request, scope: CurrentScope, part: str = "", chosen: str = "") -> Response:
        require(scope, policy.VIEW)
        return await self._page(request, scope, _listing_of(request), part=part, chosen=chosen)

    async def _page(
        self,
        request: Request,
        scope: Scope,
        listing: Listing,
        *,
        part: str = "",
        chosen: str = "",
        renaming: Renaming = NOBODY,
    ) -> Response:
        async with self.db.session(scope) as session:
            found, fitting = await service.find_agents(
                session,
                _wanted(listing, timezone_of(request)),
                self.llm_model or "",
                sort=listing.sort,
                limit=listing.size,
                offset=listing.offset,
            )
            counts = await service.count_agents(session)
            active = await agents.list_active(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "agents": found,
            "fitting": fitting,
            "counts": counts,
            "waiting": {one.id for one in active if agents.overshadowed_by(active, one)},
            "listing": listing,
            "sorted_by": {name: _sorted_by(listing, name) for name in SORTED},
            "columns": _columns(request),
            "all_columns": COLUMNS,
            "models": _models(counts.models, self.llm_model),
            "sizes": SIZE_OPTIONS,
            "all_chosen": chosen == "all",
            "renaming": renaming,
            "name_max": NAME_MAX_CHARS,
            "llm_model": self.llm_model,
            "bulk_max": BULK_MAX,
            "may_edit": policy.EDIT_AGENTS in scope.permissions,
        }
        if part:
            return self.pages.part(request, "agents/_list.html", **context)
        status = 422 if renaming.agent_id else 200
        response = self.pages.show(request, "agents/list.html", shell, status=status, **context)
        if listing.sort != choice_of(request.cookies, SORT_COOKIE, DEFAULT_SORT):
            self.pages.remember(response, SORT_COOKIE, listing.sort)
        return response

    async def change(self, request: Request, scope: CurrentScope) -> Response:
        """Do one thing to all that were ticked, and show the same list again."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        ids = ids_of(form.getlist("ids"))
        action = next((one for one in DONE if one == words(form, "action")), None)
        notice = DONE[action] if action else None
        try:
            if not ids or action is None:
                raise Invalid.field("ids", "Choose agents first.")
            async with self.db.session(scope) as session:
                await service.change_agents(
                    session, ids, action, model=words(form, "model") or None, condition=self.condition
                )
        except NotFound:
            notice = Notice("warning", "One of the agents is gone. Nothing was changed.")
        except AppError as error:
            notice = refusal(error)
        listing = Listing.read(form, FILTERS, SORTS)
        return self.pages.redirect(f"{base_of(request)}/ai-agents{listing.query()}", notice)

    async def rename(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        """Give the agent another name and show the same list; one that it cannot have stays in its row."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        name, listing = words(form, "name"), Listing.read(form, FILTERS, SORTS)
        try:
            async with self.db.session(scope) as session:
                await agents.update_agent(session, agent_id, {"name": name})
        except Invalid as error:
            wrong = field_errors(request, error).get("name", "")
            return await self._page(request, scope, listing, renaming=Renaming(agent_id, name, wrong))
        done = Notice("success", "The agent is renamed")
        address = f"{base_of(request)}/ai-agents{listing.query(page=listing.page)}"
        return self.pages.redirect(address, done)

    async def columns(self, request: Request, scope: CurrentScope) -> Response:
        """Keep in the reader's browser which columns to show."""
        require(scope, policy.VIEW)
        form = await request.form()
        wanted = [name for name in COLUMNS if name in form.getlist("column")]
        listing = Listing.read(form, FILTERS, SORTS)
        response = self.pages.redirect(f"{base_of(request)}/ai-agents{listing.query()}")
        self.pages.remember(response, COLUMNS_COOKIE, ".".join(wanted) or "none")
        return response


def _listing_of(request: Request) -> Listing:
    """Return what the address says; where it names no order, the one that was chosen last."""
    kept = choice_of(request.cookies, SORT_COOKIE)
    said = {"sort": kept if kept in SORTS else "", **request.query_params}
    listing = Listing.read(said, FILTERS, SORTS)
    return listing if listing.sort else Listing.read({**said, "sort": DEFAULT_SORT}, FILTERS, SORTS)


def _wanted(listing: Listing, zone: tzinfo) -> AgentFilter:
    until = _day(listing.get("to"))
    return AgentFilter(
        listing.get("q"),
        STATES.get(listing.get("status")),
        True if listing.get("status") == "draft" else None,
        listing.get("model"),
        _midnight(_day(listing.get("from")), zone),
        _midnight(until + timedelta(days=1) if until else None, zone),
    )


def _day(text: str) -> date | None:
    """Return the day a field of a form names; years that no calendar goes on from count as none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 <= day.year < 9000 else None


def _midnight(day: date | None, zone: tzinfo) -> datetime | None:
    return datetime.combine(day, time.min, zone) if day else None


def _sorted_by(listing: Listing, name: str) -> tuple[str, str]:
    """Return how a column is sorted now (for aria-sort), and the address that sorts it the next way."""
    now = {name: "ascending", f"-{name}": "descending"}.get(listing.sort, "none")
    return now, listing.query(sort=f"-{name}" if now == "ascending" else name)


def _columns(request: Request) -> tuple[str, ...]:
    kept = choice_of(request.cookies, COLUMNS_COOKIE)
    wanted = kept.split(".") if kept else SHOWN
    return tuple(name for name in COLUMNS if name in wanted)


def _models(named: Sequence[str], own: str | None) -> list[tuple[str, str]]:
    """Return the models to filter by: the installation's first, then those that agents name."""
    return [(one, one) for one in dict.fromkeys([*([own] if own else []), *named])]
