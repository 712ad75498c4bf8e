"""What waits for approval, on a page of its own and beside the conversation, and the clicks that decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.dialog.acting import service
from gptagent.features.dialog.acting.forms import TEXT_MAX_CHARS
from gptagent.features.dialog.acting.model import UNKNOWN
from gptagent.features.dialog.acting.tools import SENT
from gptagent.features.dialog.inbox.desk import Desk, Threads
from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Invalid, RateLimited
from gptagent.kernel.http import CurrentScope, QueryText, person_of
from gptagent.kernel.paging import Page
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of

PER_PAGE = 25
# What the actions are called where they are proposed, and what customers may want, as msgids.
ACTIONS: Mapping[str, str] = {
    "move_deal": "Move the deal",
    "create_task": "Create a task",
    "add_note": "Add a note",
    "change_responsible": "Change the responsible person",
    "add_tags": "Add tags",
    "create_contact": "Create a contact",
    "fill_contact": "Add phone or e-mail to the contact",
    UNKNOWN: "An action of a newer release",
    "send_message": "Write to the customer about the payment",
    "send_email": "Send an e-mail",
}
INTENTS: Mapping[str, str] = {
    "inquiry": "Asks a question",
    "complaint": "Complains",
    "request_callback": "Wants to be called",
    "booking": "Wants an appointment",
    "payment": "Speaks of payment",
    "support": "Needs help",
    "feedback": "Gives feedback",
    "unsubscribe": "Wants no more messages",
    "other": "Something else",
}
# Why the agent does nothing, or did not do something alone, by the code of the run or of the proposal.
REASONS: Mapping[str, str] = {
    "llm_rejected": "The model's provider refuses the request: nothing is written or proposed.",
    "actions_unreadable": "The model takes no tools, and what it answered names no actions: nothing is done.",
    "llm_unauthorized": "The model's provider does not accept the key: nothing is written or proposed.",
    "budget_exhausted": "The budget for models is used up: nothing is written or proposed until it renews.",
    "llm_unavailable": "The model did not answer: look yourself whether something is to be done.",
    "no_model": "Without a model nothing is written or proposed.",
    "too_many_alone": "The agent has done much here within an hour, so it asks.",
}


async def beside(session: Session, conversation_id: UUID) -> dict[str, Any]:
    """Return what a conversation's page shows of its proposals."""
    return {
        "proposals": await service.list_latest(session, conversation_id),
        "run": await service.latest_run(session, conversation_id),
        "action_names": ACTIONS,
        "sent": SENT,
        "intents": INTENTS,
        "acting_reasons": REASONS,
    }


@dataclass(frozen=True, slots=True)
class Wrong:
    """What was typed in place of a proposal's words, and what is wrong with it."""

    conversation_id: UUID
    proposal_id: UUID
    text: str
    error: str
    status: int = 422


@dataclass(frozen=True, slots=True)
class ProposalPages:
    """`sends_letters`: whether the platform has a mail server."""

    threads: Threads
    sends_letters: bool = False

    @property
    def db(self) -> Database:
        return self.threads.db

    @property
    def pages(self) -> Pages:
        return self.threads.pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}")
        one = "/conversations/{conversation_id}/proposals/{proposal_id}"
        router.get("/proposals")(self.queue)
        router.post(f"{one}/approval")(self.approve)
        router.post(f"{one}/rejection")(self.reject)
        return router

    async def queue(
        self, request: Request, scope: CurrentScope, cursor: QueryText = "", part: QueryText = ""
    ) -> Response:
        """List what waits for approval in all conversations, the oldest first; `part` for a live update."""
        require(scope, policy.VIEW)
        return await self._queue(request, scope, cursor, part=part)

    async def _queue(
        self, request: Request, scope: Scope, cursor: str, *, part: str = "", wrong: Wrong | None = None
    ) -> Response:
        page = Page.read(service.ORDERS["created_at"], PER_PAGE, cursor or None)
        async with self.db.session(scope) as session:
            found, after = await service.page_proposals(session, page, state="waiting", degree="approve")
            if wrong is not None and all(one.id != wrong.proposal_id for one in found):
                typed = await service.get_proposal(session, wrong.conversation_id, wrong.proposal_id)
                found = [typed, *found]  # it stood on another page
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "proposals": found,
            "after": after,
            "cursor": cursor,
            "action_names": ACTIONS,
            "sent": SENT,
            "acting_reasons": REASONS,
            "may_work": policy.WORK_CONVERSATIONS in scope.permissions,
            "worded": service.WORDED,
            "text_max": TEXT_MAX_CHARS,
            "wrong": wrong,
        }
        if part:
            return self.pages.part(request, "dialog/_queue.html", **context)
        return self.pages.show(
            request, "dialog/queue.html", shell, status=wrong.status if wrong is not None else 200, **context
        )

    async def approve(  # noqa: PLR0917 - the fields of a form
        self,
        request: Request,
        scope: CurrentScope,
        conversation_id: UUID,
        proposal_id: UUID,
        back: Annotated[str, Form()] = "",
        edits: Annotated[str, Form()] = "",
        text: Annotated[str, Form()] = "",
        use: Annotated[str, Form()] = "",
    ) -> Response:
        """`text` counts where the form says that it `edits`. `use`: it is put into the reply and waits on."""
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        if use:
            async with self.db.session(scope) as session:
                prepared = await service.get_proposal(session, conversation_id, proposal_id)
            if prepared.action == "send_message" and prepared.state == "waiting":
                return await desk.take_in(str(prepared.fields["text"]))
            return await desk.done(None, None, "#proposals")
        try:
            async with self.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                words = text if edits else None
                done = await service.approve(
                    session,
                    conversation_id,
                    proposal_id,
                    by=person.full_name,
                    text=words,
                    sends_letters=self.sends_letters,
                )
            notice = Notice(
                "success", "It is on its way" if done.action in SENT else "It is being done in the CRM"
            )
        except Invalid as error:
            wrong = Wrong(conversation_id, proposal_id, text, field_errors(request, error)["text"])
            return await self._queue(request, scope, "", wrong=wrong)
        except (Conflict, RateLimited) as error:
            if edits:  # the words are shown again, also of what somebody else has decided about meanwhile
                said = message_of(request, error)
                wrong = Wrong(conversation_id, proposal_id, text, said, error.status)
                return await self._queue(request, scope, "", wrong=wrong)
            notice = Notice("warning", "Not done", error.message)
        return await self._back(desk, back, notice)

    async def reject(
        self,
        request: Request,
        scope: CurrentScope,
        conversation_id: UUID,
        proposal_id: UUID,
        back: Annotated[str, Form()] = "",
    ) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        notice = Notice("success", "The action is rejected")
        try:
            async with self.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                await service.reject(session, conversation_id, proposal_id, by=person.full_name)
        except Conflict as error:
            notice = Notice("warning", "Not rejected", error.message)
        return await self._back(desk, back, notice)

    async def _back(self, desk: Desk, back: str, notice: Notice) -> Response:
        """`back` is `queue` where the button stood on the page of all that waits."""
        if back != "queue":
            return await desk.done(None, notice, "#proposals")
        return self.pages.redirect(f"{base_of(desk.request)}/proposals", notice)
