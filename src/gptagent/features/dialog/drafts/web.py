"""Deciding about a draft on the conversation's page."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.dialog.drafts import service
from gptagent.features.dialog.web import ConversationPages
from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, base_of, field_errors, message_of, words


@dataclass(frozen=True, slots=True)
class ReplyDraftPages:
    """The forms below a draft; the page around them is the conversation's."""

    threads: ConversationPages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/conversations/{conversation_id}/drafts/{draft_id}")
        router.post("/approval")(self.approve)
        router.post("/rejection")(self.reject)
        return router

    async def approve(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, draft_id: UUID
    ) -> Response:
        """Send it; the field `text`, if the form has it, holds the person's own words."""
        require(scope, policy.WORK_CONVERSATIONS)
        form = await request.form()
        text = words(form, "text") if "text" in form else None
        try:
            async with self.threads.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                await service.approve(session, conversation_id, draft_id, by=person.full_name, text=text)
        except (Invalid, Conflict) as error:
            typed = {} if text is None else {"text": text}
            return await self._again(request, scope, conversation_id, typed, error)
        return self._back(request, conversation_id, Notice("success", "The reply is being sent"))

    async def reject(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, draft_id: UUID
    ) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        note = words(await request.form(), "reason")
        try:
            async with self.threads.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                await service.reject(session, conversation_id, draft_id, by=person.full_name, note=note)
        except (Invalid, Conflict) as error:
            return await self._again(request, scope, conversation_id, {"reason": note}, error)
        return self._back(request, conversation_id, Notice("success", "The draft is rejected"))

    async def _again(
        self, request: Request, scope: Scope, conversation_id: UUID, typed: Mapping[str, str], error: AppError
    ) -> Response:
        return await self.threads.show(
            request,
            scope,
            conversation_id,
            status=error.status,
            draft_typed=typed,
            draft_errors=field_errors(request, error),
            draft_failure="" if error.fields else message_of(request, error),
        )

    def _back(self, request: Request, conversation_id: UUID, notice: Notice) -> Response:
        return self.threads.pages.redirect(f"{base_of(request)}/conversations/{conversation_id}", notice)
