"""Gaps over REST."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from gptagent.features.knowledge.gaps import service
from gptagent.features.knowledge.gaps.model import Kind, Status, View
from gptagent.features.knowledge.staging.api import StageKeyOut
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router


class GapLink(Body):
    """The article that was written for it."""

    model_config = example({"article_id": "0193a1b2-0000-7000-8000-000000000000"})

    article_id: UUID


class GapOut(Wire):
    """Questions about the same. `title` is the first of them; all of them are at `questions`.

    `stages` are those at which they were asked, as far as that is known.
    """

    id: UUID
    title: str
    status: Status
    article_id: UUID | None
    article_title: str | None
    questions: int
    not_found: int
    weak: int
    customers: int
    stages: list[StageKeyOut]
    last_asked_at: datetime
    created_at: datetime
    updated_at: datetime


class GapsOut(Wire):
    items: list[GapOut]
    next_cursor: str | None


class QuestionOut(Wire):
    """`support` (0-1) is how far its best passage answered the question when it was asked.

    `categories` are the part of the base that was asked, as its agent is kept to it; null is all of it.
    `stage` is where the deal was; null where there was none (`is_without_deal`) or it is not known.
    """

    turn_id: UUID
    conversation_id: UUID
    kind: Kind
    support: float
    text: str
    asked_at: datetime
    categories: list[UUID] | None
    stage: StageKeyOut | None
    is_without_deal: bool


class GapQuestionsOut(Wire):
    items: list[QuestionOut]
    next_cursor: str | None


class ShareOut(Wire):
    day: date
    found: int
    weak: int
    not_found: int


class SharesOut(Wire):
    """Days (UTC) on which nothing was asked are left out."""

    items: list[ShareOut]


@dataclass(frozen=True, slots=True)
class GapsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/knowledge-gaps", tags=["knowledge gaps"])
        router.get("", summary="List what the base does not answer")(self.list)
        router.get("/shares", summary="Get how much was found, day by day")(self.shares)
        router.get("/{gap_id}", summary="Get a gap")(self.get)
        router.get("/{gap_id}/questions", summary="List the questions of a gap")(self.questions)
        router.put("/{gap_id}/article", summary="Link an article to a gap")(self.link)
        router.post("/{gap_id}/check", summary="Look whether a gap is answered by now")(self.check)
        router.put("/{gap_id}/dismissal", summary="Dismiss a gap")(self.dismiss)
        router.delete("/{gap_id}/dismissal", summary="Restore a dismissed gap")(self.restore)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "-questions")],
        view: View = "open",
        search: QueryText = "",
    ) -> GapsOut:
        """`view`: open ones, of these the ones with or without a question not found; dismissed or done."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_gaps(session, page, view, search=search)
        return GapsOut(items=[GapOut.model_validate(one) for one in found], next_cursor=after)

    async def shares(
        self, scope: CurrentScope, days: Annotated[int, Query(ge=1, le=service.SHARE_DAYS_MAX)] = 30
    ) -> SharesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await service.read_shares(session, days, now=utcnow())
        return SharesOut(items=[ShareOut.model_validate(one) for one in found])

    async def get(self, scope: CurrentScope, gap_id: UUID) -> GapOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return GapOut.model_validate(await service.get_gap(session, gap_id))

    async def questions(
        self,
        scope: CurrentScope,
        gap_id: UUID,
        page: Annotated[Page, page_of(service.QUESTION_ORDERS, "-asked_at")],
    ) -> GapQuestionsOut:
        """Return them without the names and numbers of people."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_questions(session, page, gap_id)
        return GapQuestionsOut(items=[QuestionOut.model_validate(one) for one in found], next_cursor=after)

    async def link(self, scope: CurrentScope, gap_id: UUID, body: GapLink) -> GapOut:
        """It is answered as soon as the search finds the article for it, and at each further stage where
        it was asked that or another one; `status` tells.
        """
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            gap = await service.link_article(session, gap_id, body.article_id, now=utcnow())
        return GapOut.model_validate(gap)

    async def check(self, scope: CurrentScope, gap_id: UUID) -> GapOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return GapOut.model_validate(await service.check_gap(session, gap_id, now=utcnow()))

    async def dismiss(self, scope: CurrentScope, gap_id: UUID) -> GapOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return GapOut.model_validate(await service.dismiss(session, gap_id, now=utcnow()))

    async def restore(self, scope: CurrentScope, gap_id: UUID) -> GapOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return GapOut.model_validate(await service.restore(session, gap_id, now=utcnow()))
