"""Suggested replies over REST."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.dialog.api import SourceOut
from gptagent.features.dialog.suggesting import service
from gptagent.features.dialog.suggesting.model import Suggestion, SuggestionState
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.rest import api_router


class SuggestionOut(Wire):
    """`state`: pending, ready, none (the agent's sources do not answer it) or failed."""

    id: UUID
    state: SuggestionState
    text: str
    sources: list[SourceOut]
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class SuggestionsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/conversations/{conversation_id}/suggestion", tags=["suggestions"])
        router.post("", status_code=202, summary="Ask the agent for a reply")(self.ask)
        router.get("", summary="Get the suggested reply")(self.get)
        return router

    async def ask(self, scope: CurrentScope, conversation_id: UUID) -> SuggestionOut:
        """The agent makes what it would answer, also while it is stopped. Nothing is sent."""
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            return _told(await service.ask(session, conversation_id))

    async def get(self, scope: CurrentScope, conversation_id: UUID) -> SuggestionOut:
        """404 if none was asked for since somebody wrote last."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _told(await service.get_suggestion(session, conversation_id))


def _told(one: Suggestion) -> SuggestionOut:
    sources = one.answer.sources if one.answer is not None and one.state == "ready" else ()
    return SuggestionOut(
        id=one.id,
        state=one.state,
        text=one.text,
        sources=[SourceOut.model_validate(source) for source in sources],
        asked_at=one.asked_at,
    )
