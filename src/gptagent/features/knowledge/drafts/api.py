"""Proposed articles over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from gptagent.features.knowledge.drafts import service
from gptagent.features.knowledge.drafts.model import Decision, Draft, Maker, Status
from gptagent.features.knowledge.staging.api import StageBody, StageKeyOut, keys_of
from gptagent.features.knowledge.staging.model import STAGES_MAX
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router


class AcceptanceBody(Body):
    """Without `title` and `content` the article says what was proposed, without `stages` it is for those that
    were proposed and are still there; no stage is for all of them. Agents answer from an active one.
    """

    model_config = example({"is_active": True, "title": "Do you engrave rings?"})

    is_active: bool
    title: str | None = None
    content: str | None = None
    stages: Annotated[list[StageBody] | None, Field(max_length=STAGES_MAX)] = None


class TalkOut(Wire):
    """Without the names and numbers of people."""

    question: str
    answer: str


class DraftOut(Wire):
    """`made_by` the `model`, or of the person's own `words`. `article_id` is what became of an accepted one.

    `gap_id` is what customers asked, if that was gathered. `stages` are those that the article is to be for,
    where it was said; none is for all.
    """

    id: UUID
    status: Status
    made_by: Maker
    question: str
    talk: list[TalkOut]
    title: str
    content: str
    conversation_id: UUID
    gap_id: UUID | None
    stages: list[StageKeyOut]
    article_id: UUID | None
    decided_by: UUID | None
    decided_at: datetime | None
    created_at: datetime
    updated_at: datetime


class DraftsOut(Wire):
    items: list[DraftOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class DraftsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/knowledge-drafts", tags=["knowledge drafts"])
        router.get("", summary="List proposed articles")(self.list)
        router.get("/{draft_id}", summary="Get a proposed article")(self.get)
        router.post("/{draft_id}/acceptance", summary="Accept a proposed article")(self.accept)
        router.post("/{draft_id}/rejection", summary="Reject a proposed article")(self.reject)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
        status: Status = "proposed",
    ) -> DraftsOut:
        """They are made of what people answered where the base had nothing; none is used unless accepted."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_drafts(session, page, status)
        return DraftsOut(items=[_out(one) for one in found], next_cursor=after)

    async def get(self, scope: CurrentScope, draft_id: UUID) -> DraftOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _out(await service.get_draft(session, draft_id))

    async def accept(self, scope: CurrentScope, draft_id: UUID, body: AcceptanceBody) -> DraftOut:
        """Make an article of it, `article_id`, linked to the question of customers that it answers."""
        require(scope, policy.EDIT_KNOWLEDGE)
        stages = None if body.stages is None else keys_of(body.stages)
        decision = Decision(body.title, body.content, body.is_active, stages)
        async with self.db.session(scope) as session:
            return _out(await service.accept(session, draft_id, decision, now=utcnow()))

    async def reject(self, scope: CurrentScope, draft_id: UUID) -> DraftOut:
        """Put it away: the same is not proposed again."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return _out(await service.reject(session, draft_id, now=utcnow()))


def _out(draft: Draft) -> DraftOut:
    return DraftOut.model_validate(draft, from_attributes=True)
