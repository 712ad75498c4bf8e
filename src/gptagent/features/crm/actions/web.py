"""The tab of a connection that shows what was written into its deals and contacts, and takes it back."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.labels import line_of
from gptagent.features.crm.actions.reverting import EDITED_SINCE, Reverting, revert_change
from gptagent.features.crm.frame import frame_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.errors import AppError, Conflict, Forbidden, NotFound, RateLimited, UpstreamUnavailable
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of

PER_PAGE = 25
# Show a conversation's page again, with what was typed into it.
ToConversation = Callable[[Request, Scope, UUID, Notice | None], Awaitable[Response]]
OWN_FIELDS = frozenset({"csrf_token", "force", "leave", "conversation"})


@dataclass(frozen=True, slots=True)
class ChangesPages:
    """`to_conversation` leads back from a button that stood on a conversation's page, whose form it sent."""

    door: Reverting
    pages: Pages
    to_conversation: ToConversation

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/integrations/{connection_id}/changes")
        router.get("")(self.show)
        router.post("/{change_id}/revert")(self.revert)
        return router

    async def show(
        self, request: Request, scope: CurrentScope, connection_id: UUID, *, page: int = 1, part: str = ""
    ) -> Response:
        """`part` is `list` for a live update."""
        require(scope, policy.VIEW)
        number = min(max(page, 1), 10_000)
        async with self.door.db.session(scope) as session:
            connection = await crm.get_connection(session, connection_id)
            found, total = await service.list_changes(
                session, connection_id, offset=(number - 1) * PER_PAGE, limit=PER_PAGE
            )
            known = await service.known_of(session, connection_id)
            shell = None if part else await self.pages.shell(request, session)
        context = {
            **frame_of(request, connection),
            "lines": [line_of(known, one) for one in found],
            "total": total,
            "page": number,
            "per_page": PER_PAGE,
            "actors": service.ACTORS,
            "may_work": policy.WORK_CONVERSATIONS in scope.permissions,
        }
        if part:
            return self.pages.part(request, "crm/_changes.html", **context)
        return self.pages.show(request, "crm/changes.html", shell, **context)

    async def revert(
        self,
        request: Request,
        scope: CurrentScope,
        connection_id: UUID,
        change_id: UUID,
        *,
        force: Annotated[str, Form()] = "",
        leave: Annotated[str, Form()] = "",
        conversation: Annotated[UUID | None, Form()] = None,
    ) -> Response:
        """Write back what stood there. If a person wrote since, ask first, showing both; `leave`: then not.

        `conversation`: on whose page the button stood, which is where the reader comes back to.
        """
        require(scope, policy.WORK_CONVERSATIONS)
        if leave == "yes":
            return await self._back(request, scope, conversation, None)
        try:
            await revert_change(self.door, scope, connection_id, change_id, force=force == "yes")
        except Conflict as error:
            if error.code == EDITED_SINCE:
                return await self._ask(request, scope, connection_id, change_id, (error, conversation))
            done = Notice("warning", "Nothing was taken back", error.message)
        except (UpstreamUnavailable, RateLimited, Forbidden) as error:
            done = Notice("warning", "Nothing was taken back", error.message)
        except NotFound as error:
            if error.code != "crm_not_found":
                raise
            done = Notice("warning", "Nothing was taken back", error.message)
        else:
            done = Notice("success", "It is being written back", "The list shows when it is done.")
        return await self._back(request, scope, conversation, done)

    async def _back(
        self, request: Request, scope: Scope, conversation: UUID | None, notice: Notice | None
    ) -> Response:
        if conversation is not None:
            return await self.to_conversation(request, scope, conversation, notice)
        return self.pages.redirect(request.url.path.rsplit("/", 2)[0], notice)

    async def _ask(
        self,
        request: Request,
        scope: CurrentScope,
        connection_id: UUID,
        change_id: UUID,
        asked: tuple[AppError, UUID | None],
    ) -> Response:
        """What was typed on the conversation's page comes along."""
        error, conversation = asked
        back = request.url.path.rsplit("/", 2)[0]
        if conversation is not None:
            back = f"{base_of(request)}/conversations/{conversation}#changes"
        async with self.door.db.session(scope) as session:
            connection = await crm.get_connection(session, connection_id)
            change = await service.get_change(session, connection_id, change_id)
            known = await service.known_of(session, connection_id)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "crm/revert.html",
            shell,
            status=409,
            **frame_of(request, connection),
            line=line_of(known, change),
            now=error.params["now"],
            back=back,
            conversation_id=conversation,
            typed=_typed(await request.form()),
        )


def _typed(form: FormData) -> Sequence[tuple[str, str]]:
    """Return the fields of the page on which the button stood."""
    fields = form.multi_items()
    return [(name, value) for name, value in fields if name not in OWN_FIELDS and isinstance(value, str)]
