"""A turn played again with other settings, beside what was said then."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent
from gptagent.features.conversations import service as conversations
from gptagent.features.dialog import service as turns
from gptagent.features.dialog.rehearsing.model import Rehearsed
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.dialog.tracing.model import Explanation
from gptagent.features.dialog.tracing.web import shown
from gptagent.features.dialog.trying import service
from gptagent.features.dialog.trying.comparing import compared
from gptagent.features.dialog.trying.forms import OVERRIDABLE, read_overrides
from gptagent.features.dialog.trying.model import Played
from gptagent.features.dialog.trying.streaming import streamed
from gptagent.features.dialog.trying.telling import EVERYTHING
from gptagent.features.dialog.web import REASONS
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Invalid, NotFound, RateLimited
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Pages, base_of, field_errors, message_of, words

VERSIONS_OFFERED = 20


@dataclass(frozen=True, slots=True)
class ReplayPages:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    limits: LoginLimits
    llm_model: str | None

    def router(self) -> APIRouter:
        prefix = "/manage/{workspace}/conversations/{conversation_id}/turns/{turn_id}/replays"
        router = page_router(prefix)
        router.get("")(self.show)
        router.post("")(self.play)
        router.get("/{played_id}")(self.result)
        router.get("/{played_id}/stream")(self.stream)
        return router

    async def show(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, turn_id: UUID
    ) -> Response:
        """Show the form, and how the turn was played lately."""
        require(scope, policy.EDIT_AGENTS)
        return await self._page(request, scope, conversation_id, turn_id)

    async def play(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, turn_id: UUID
    ) -> Response:
        require(scope, policy.EDIT_AGENTS)
        form, typed = await request.form(), dict[str, Any]()
        try:
            await self.limits.check_test(person_of(request))
            async with self.db.session(scope) as session:
                agent = await _agent(session, conversation_id, turn_id)
                typed = read_overrides(form, agent.settings, {})
                played = await service.replay_turn(
                    session,
                    person_of(request),
                    conversation_id,
                    turn_id,
                    typed,
                    service.read_basis(words(form, "basis")),
                )
        except (Invalid, RateLimited) as error:
            typed = {**typed, "basis": words(form, "basis")}
            return await self._page(request, scope, conversation_id, turn_id, typed=typed, error=error)
        here = f"{base_of(request)}/conversations/{conversation_id}/turns/{turn_id}/replays"
        return self.pages.redirect(f"{here}/{played.id}")

    async def result(  # noqa: PLR0917 - the address, and the part that is asked for
        self,
        request: Request,
        scope: CurrentScope,
        conversation_id: UUID,
        turn_id: UUID,
        played_id: UUID,
        part: str = "",
    ) -> Response:
        """`part`: what is compared, alone."""
        require(scope, policy.EDIT_AGENTS)
        return await self._page(request, scope, conversation_id, turn_id, played_id, part=part)

    async def stream(
        self, scope: CurrentScope, conversation_id: UUID, turn_id: UUID, played_id: UUID
    ) -> Response:
        """Stream what the model says. It is a draft: nothing has checked it yet."""
        require(scope, policy.EDIT_AGENTS)

        async def read() -> Played:
            async with self.db.session(scope) as session:
                return await service.get_replay(session, conversation_id, turn_id, played_id)

        await read()
        return streamed(read)

    async def _page(
        self,
        request: Request,
        scope: Scope,
        conversation_id: UUID,
        turn_id: UUID,
        played_id: UUID | None = None,
        *,
        part: str = "",
        typed: dict[str, Any] | None = None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            context = await self._context(session, conversation_id, turn_id, played_id)
            shell = None if part else await self.pages.shell(request, session)
        context |= {
            "llm_model": self.llm_model,
            "errors": field_errors(request, error) if isinstance(error, Invalid) else {},
            "failure": message_of(request, error) if error and not error.fields else "",
            "reasons": REASONS,
            **shown(scope),
            **EVERYTHING,
        }
        context["values"] |= typed or {}
        if part:
            return self.pages.part(request, "dialog/_replayed.html", **context)
        name = "dialog/replay.html"
        return self.pages.show(request, name, shell, status=error.status if error else 200, **context)

    async def _context(
        self, session: Session, conversation_id: UUID, turn_id: UUID, played_id: UUID | None
    ) -> dict[str, Any]:
        turn = await turns.get_turn(session, conversation_id, turn_id)
        agent = await _agent(session, conversation_id, turn_id)
        played = None
        if played_id is not None:
            played = await service.get_replay(session, conversation_id, turn_id, played_id)
        said = turn.answer.whole if turn.answer else ""
        result = played.result if played else None
        before, after = compared(said, result.text) if result else ([], [])
        frozen = await tracing.find_explanation(session, conversation_id, turn_id)
        own = {name: getattr(agent.settings, name) for name in OVERRIDABLE}
        return {
            "conversation": await conversations.get_conversation(session, conversation_id),
            "turn": turn,
            "agent": agent,
            "frozen": frozen,
            "question": await _question(session, conversation_id, frozen),
            "played": played,
            "result": result,
            "is_same": not any(one.is_other for one in (*before, *after)),
            "changed": _changed(frozen, result),
            "before": before,
            "after": after,
            "replays": await service.list_replays(session, conversation_id, turn_id),
            "versions": range(agent.published, max(0, agent.published - VERSIONS_OFFERED), -1),
            "values": own | dict(played.overrides if played else {}),
        }


async def _agent(session: Session, conversation_id: UUID, turn_id: UUID) -> Agent:
    told = await tracing.find_explanation(session, conversation_id, turn_id)
    if told is None or told.agent_id is None:
        raise NotFound
    return await agents.get_agent(session, told.agent_id)


async def _question(session: Session, conversation_id: UUID, frozen: Explanation | None) -> str:
    """Return what the turn answered, as it stands in the thread."""
    seqs = frozen.input.unanswered if frozen and frozen.input else ()
    if not seqs:
        return ""
    since = await conversations.list_messages(session, conversation_id, from_seq=min(seqs), to_seq=max(seqs))
    return "\n".join(one.said or one.text for one in since if one.seq in seqs)


def _changed(frozen: Explanation | None, result: Rehearsed | None) -> list[str] | None:
    """Return what the settings that differ are called, in English; None if either are not known."""
    then = frozen.settings if frozen else None
    now = result.explanation.settings if result else None
    return None if then is None or now is None else agents.titles_that_differ(then, now)
