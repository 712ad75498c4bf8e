"""The dashboard."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.conversations import service as conversations
from gptagent.features.crm import service as crm
from gptagent.features.dashboard.model import Replies, periods, steps
from gptagent.features.knowledge import service as knowledge
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Pages, timezone_of

RECENT = 5
CLOCK_SKEW = timedelta(minutes=5)  # a reply's time is the CRM's; a clock that runs ahead still counts today


@dataclass(frozen=True, slots=True)
class DashboardPages:
    db: Database
    pages: Pages
    llm_model: str | None

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/dashboard")
        router.get("")(self.dashboard)
        return router

    async def dashboard(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            context = await self._context(session, request)
            shell = None if part else await self.pages.shell(request, session)
        context["permissions"] = scope.permissions
        if part:
            return self.pages.part(request, "dashboard/_dashboard.html", **context)
        return self.pages.show(request, "dashboard/dashboard.html", shell, **context)

    async def _context(self, session: Session, request: Request) -> dict[str, Any]:
        found = await agents.list_agents(session)
        counts = await knowledge.count_sources(session)
        connections = await crm.list_connections(session)
        marks = periods(utcnow() + CLOCK_SKEW, timezone_of(request))
        month, last_month, week, last_week, today, yesterday = await conversations.count_replies(
            session, marks
        )
        has_replied = any((month, last_month, week)) or await conversations.has_replies(session)
        return {
            "agents": found,
            "active": sum(agent.is_active for agent in found),
            "counts": counts,
            "connections": connections,
            "recent": await conversations.list_conversations(session, limit=RECENT),
            "steps": steps(found, counts, connections, has_replied=has_replied),
            "month": Replies(month, last_month),
            "week": Replies(week, last_week),
            "today": Replies(today, yesterday),
            "llm_model": self.llm_model,
        }
