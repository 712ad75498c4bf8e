"""How a reply was made: a drawer beside the conversation, a page of its own without JavaScript."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.conversations import service as conversations
from gptagent.features.dialog import service as turns
from gptagent.features.dialog.tracing import service
from gptagent.features.dialog.tracing.telling import EVERYTHING
from gptagent.features.dialog.web import REASONS
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import NotFound
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Pages


@dataclass(frozen=True, slots=True)
class ExplanationPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/conversations/{conversation_id}/turns/{turn_id}")
        router.get("")(self.show)
        return router

    async def show(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, turn_id: UUID, part: str = ""
    ) -> Response:
        """`part`: what the drawer shows. A further part of a reply is shown with the answer it belongs to."""
        require(scope, policy.READ_EXPLANATIONS)
        async with self.db.session(scope) as session:
            context = await _explained(session, scope, conversation_id, turn_id)
            shell = None if part else await self.pages.shell(request, session)
        if part:
            return self.pages.part(request, "dialog/_explained.html", **context)
        return self.pages.show(request, "dialog/explained.html", shell, **context)


async def _explained(session: Session, scope: Scope, conversation_id: UUID, turn_id: UUID) -> dict[str, Any]:
    conversation = await conversations.get_conversation(session, conversation_id)
    whole_id = await service.made_with(session, conversation_id, turn_id)
    turn = await turns.get_turn(session, conversation_id, whole_id)
    told = await service.find_explanation(session, conversation_id, turn_id)
    if told is None:
        raise NotFound
    return {
        "conversation": conversation,
        "turn": turn,
        "told": told,
        "reasons": REASONS,
        "may_replay": policy.EDIT_AGENTS in scope.permissions,
        **shown(scope),
    }


def shown(scope: Scope) -> dict[str, Any]:
    """Return what the template of an explanation needs besides it."""
    return {"may_read_prompts": policy.READ_PROMPTS in scope.permissions, **EVERYTHING}
