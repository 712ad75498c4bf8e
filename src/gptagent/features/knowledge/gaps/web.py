"""The pages of gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.drafts import service as drafts
from gptagent.features.knowledge.gaps import service
from gptagent.features.knowledge.gaps.model import PERIODS, VIEWS, Gap, Share, View, sums
from gptagent.features.knowledge.gaps.store import SORTS
from gptagent.features.knowledge.listing import SIZE_OPTIONS, Listing
from gptagent.features.knowledge.staging.service import stage_names
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of

WEEK = timedelta(days=7)
ANSWERED = Notice("success", "The question is answered now", "The search finds it in the knowledge base.")
UNANSWERED = Notice("warning", "Not answered yet", "The search finds nothing that answers it.")
PLACES_NAMED = 5  # of those without an answer
PLACE_NAME_CHARS = 80


@dataclass(frozen=True, slots=True)
class GapPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-gaps")
        router.get("")(self.list)
        router.get("/{gap_id}")(self.show)
        router.post("/{gap_id}/check")(self.check)
        router.post("/{gap_id}/dismiss")(self.dismiss)
        router.post("/{gap_id}/restore")(self.restore)
        return router

    async def list(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        listing = Listing.read(request.query_params, ("q", "view", "days"), SORTS)
        view: View = next((one for one in VIEWS if one == listing.get("view")), "open")
        days = next((one for one in PERIODS if str(one) == listing.get("days")), 30)
        now = utcnow()
        async with self.db.session(scope) as session:
            gaps, total = await service.find_gaps(
                session,
                view,
                search=listing.get("q"),
                sort=listing.sort,
                limit=listing.size,
                offset=listing.offset,
            )
            views = await service.count_views(session)
            shares = await service.read_shares(session, 2 * days, now=now)
            counts = await knowledge.count_sources(session)
            drafted = await drafts.count_drafts(session)
            shell = await self.pages.shell(request, session)
        today = now.date()
        first = today - timedelta(days=days - 1)
        return self.pages.show(
            request,
            "knowledge/gaps.html",
            shell,
            gaps=gaps,
            total=total,
            listing=listing,
            sizes=SIZE_OPTIONS,
            view_shown=view,
            views=views,
            days=days,
            periods=PERIODS,
            now_share=sums(shares, first, today),
            then_share=sums(shares, first - timedelta(days=days), first - timedelta(days=1)),
            weeks=_weeks(shares, first, today),
            counts=counts,
            waiting_drafts=drafted["proposed"],
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def show(self, request: Request, scope: CurrentScope, gap_id: UUID) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            gap = await service.get_gap(session, gap_id)
            questions = await service.list_questions(session, gap_id)
            stages = {str(key): label for key, label in (await stage_names(session)).items()}
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/gap.html",
            shell,
            gap=gap,
            questions=questions,
            stages=stages,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def check(self, request: Request, scope: CurrentScope, gap_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            gap = await service.check_gap(session, gap_id, now=utcnow())
            notice = await notice_of(session, gap, locale_of(request))
        return self.pages.redirect(f"{base_of(request)}/knowledge-gaps/{gap_id}", notice)

    async def dismiss(self, request: Request, scope: CurrentScope, gap_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.dismiss(session, gap_id, now=utcnow())
        done = Notice("success", "The question is put away", "It is among the dismissed ones.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-gaps", done)

    async def restore(self, request: Request, scope: CurrentScope, gap_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.restore(session, gap_id, now=utcnow())
        done = Notice("success", "The question is open again")
        return self.pages.redirect(f"{base_of(request)}/knowledge-gaps/{gap_id}", done)


async def notice_of(session: Session, gap: Gap, language: str) -> Notice:
    """Return what is said of a gap that was looked up: if some stages have an answer, which have none."""
    if gap.status == "answered":
        return ANSWERED
    lacking = await service.places_lacking(session, gap)
    names = await stage_names(session) if lacking else {}
    nowhere = translate(language, "In a chat without a deal")
    named = [nowhere if one.stage is None else names.get(one.stage, "") for one in lacking]
    named = [name[:PLACE_NAME_CHARS] for name in named if name]
    if not named:
        return UNANSWERED
    places = "; ".join([*named[:PLACES_NAMED], *(["…"] if len(named) > PLACES_NAMED else [])])
    return Notice(
        "warning",
        "Not answered yet",
        "There is an answer at other stages. There is none here: {places}",
        {"places": places},
    )


def _weeks(shares: Sequence[Share], first: date, last: date) -> list[tuple[datetime, Share]]:
    """Return the sums of each seven days, the latest first; the earliest may be shorter.

    Each begins at noon (UTC), so that it is the same date wherever it is read.
    """
    found = []
    while last >= first:
        week = sums(shares, max(first, last - WEEK + timedelta(days=1)), last)
        found.append((datetime.combine(week.day, time(12), UTC), week))
        last -= WEEK
    return found
