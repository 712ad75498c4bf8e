"""The test chat: a person tries an agent, and nobody else is reached by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.dialog.rehearsing.model import Place
from gptagent.features.dialog.tracing.web import shown
from gptagent.features.dialog.trying import service
from gptagent.features.dialog.trying.forms import first_of, offered, read_chat, values_of
from gptagent.features.dialog.trying.model import (
    MESSAGE_MAX_CHARS,
    TITLE_MAX_CHARS,
    NewChat,
    Played,
    TestChat,
)
from gptagent.features.dialog.trying.streaming import streamed
from gptagent.features.dialog.trying.telling import EVERYTHING
from gptagent.features.dialog.web import REASONS
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound, RateLimited
from gptagent.kernel.http import CurrentScope, QueryText, person_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

HOME = "/test-chat"


@dataclass(frozen=True, slots=True)
class _Typed:
    """What a form held that could not be taken, and why."""

    error: AppError | None = None
    text: str = ""
    new: NewChat | None = None


NOTHING = _Typed()


@dataclass(frozen=True, slots=True)
class TestChatPages:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    __test__ = False

    db: Database
    pages: Pages
    limits: LoginLimits
    llm_model: str | None

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}" + HOME)
        router.get("")(self.home)
        router.post("")(self.create)
        router.get("/new")(self.new)
        router.get("/{chat_id}")(self.chat)
        router.post("/{chat_id}/messages")(self.say)
        router.post("/{chat_id}/regeneration")(self.regenerate)
        router.post("/{chat_id}/settings")(self.change)
        router.post("/{chat_id}/clear")(self.clear)
        router.post("/{chat_id}/delete")(self.delete)
        router.get("/{chat_id}/messages/{played_id}")(self.explain)
        router.get("/{chat_id}/messages/{played_id}/stream")(self.stream)
        return router

    async def home(self, request: Request, scope: CurrentScope, agent: QueryText = "") -> Response:
        """Show the chat used last, or the form of the first one; `agent`: among those with this agent."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            chosen = first_of(await agents.list_agents(session), agent)
            of_agent = chosen.id if chosen and str(chosen.id) == agent else None
            found = await service.list_chats(session, person_of(request), of_agent)
        if found:
            return self.pages.redirect(f"{base_of(request)}{HOME}/{found[0].id}")
        return await self._show(request, scope, None, agent=agent)

    async def new(self, request: Request, scope: CurrentScope, agent: QueryText = "") -> Response:
        require(scope, policy.EDIT_AGENTS)
        return await self._show(request, scope, None, agent=agent)

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_AGENTS)
        new = read_chat(await request.form(), None, {})
        try:
            async with self.db.session(scope) as session:
                chat = await service.create_chat(session, person_of(request), new)
        except (Invalid, Conflict) as error:
            return await self._show(request, scope, None, typed=_Typed(error, new=new))
        return self.pages.redirect(f"{base_of(request)}{HOME}/{chat.id}")

    async def chat(self, request: Request, scope: CurrentScope, chat_id: UUID, part: str = "") -> Response:
        """`part`: the thread alone."""
        require(scope, policy.EDIT_AGENTS)
        return await self._show(request, scope, chat_id, part=part)

    async def say(self, request: Request, scope: CurrentScope, chat_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        text = words(await request.form(), "text")
        try:
            await self.limits.check_test(person_of(request))
            async with self.db.session(scope) as session:
                await service.say(session, person_of(request), chat_id, text)
        except (Invalid, Conflict, RateLimited) as error:
            return await self._show(request, scope, chat_id, typed=_Typed(error, text), part=_part(request))
        return await self._said(request, scope, chat_id)

    async def regenerate(self, request: Request, scope: CurrentScope, chat_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        try:
            await self.limits.check_test(person_of(request))
            async with self.db.session(scope) as session:
                await service.regenerate(session, person_of(request), chat_id)
        except (Conflict, RateLimited) as error:
            return await self._show(request, scope, chat_id, typed=_Typed(error), part=_part(request))
        return await self._said(request, scope, chat_id)

    async def _said(self, request: Request, scope: Scope, chat_id: UUID) -> Response:
        """A script gets the thread with the answer that comes, a form is sent to the page."""
        if part := _part(request):
            return await self._show(request, scope, chat_id, part=part)
        return self._back(request, chat_id)

    async def change(self, request: Request, scope: CurrentScope, chat_id: UUID) -> Response:
        """Save agent, place and what is overridden. Another agent begins with its own settings."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        new: NewChat | None = None
        try:
            async with self.db.session(scope) as session:
                old = await service.get_chat(session, person_of(request), chat_id)
                is_same = words(form, "agent_id") == str(old.agent_id)
                agent = await agents.find_agent(session, old.agent_id) if is_same else None
                new = read_chat(form, agent, old.overrides)
                await service.change_chat(session, person_of(request), chat_id, new)
        except Invalid as error:
            return await self._show(request, scope, chat_id, typed=_Typed(error, new=new))
        return self._back(request, chat_id, Notice("success", "Saved"))

    async def clear(self, request: Request, scope: CurrentScope, chat_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.clear_chat(session, person_of(request), chat_id)
        return self._back(request, chat_id, Notice("success", "The chat is empty"))

    async def delete(self, request: Request, scope: CurrentScope, chat_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.delete_chat(session, person_of(request), chat_id)
        return self.pages.redirect(f"{base_of(request)}{HOME}", Notice("success", "The chat is deleted"))

    async def explain(
        self, request: Request, scope: CurrentScope, chat_id: UUID, played_id: UUID, part: str = ""
    ) -> Response:
        """Show how an answer was made. `part`: what the drawer shows."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            chat = await service.get_chat(session, person_of(request), chat_id)
            played = await service.get_played(session, chat, played_id)
            shell = None if part else await self.pages.shell(request, session)
        if played.result is None:
            raise NotFound
        context: dict[str, Any] = {
            "chat": chat,
            "played": played,
            "result": played.result,
            "reasons": REASONS,
        }
        context |= {"told": played.result.explanation, **shown(scope), **EVERYTHING}
        if part:
            return self.pages.part(request, "dialog/_played.html", **context)
        return self.pages.show(request, "dialog/played.html", shell, **context)

    async def stream(self, request: Request, scope: CurrentScope, chat_id: UUID, played_id: UUID) -> Response:
        """Stream what the model says. It is a draft: nothing has checked it yet."""
        require(scope, policy.EDIT_AGENTS)
        person_id = person_of(request)

        async def read() -> Played:
            async with self.db.session(scope) as session:
                chat = await service.get_chat(session, person_id, chat_id)
                return await service.get_played(session, chat, played_id)

        await read()
        return streamed(read)

    async def _show(
        self,
        request: Request,
        scope: Scope,
        chat_id: UUID | None,
        *,
        agent: str = "",
        part: str = "",
        typed: _Typed = NOTHING,
    ) -> Response:
        person_id, error = person_of(request), typed.error
        async with self.db.session(scope) as session:
            context = await self._context(session, person_id, chat_id, agent, typed.new)
            shell = None if part else await self.pages.shell(request, session)
        context |= {
            "errors": field_errors(request, error) if isinstance(error, Invalid) else {},
            "failure": message_of(request, error) if error and not error.fields else "",
            "typed_text": typed.text,
            "may_read_explanations": True,
            **shown(scope),
            **EVERYTHING,
        }
        if part:
            answer = self.pages.part(request, "dialog/_test_part.html", **context)
            answer.status_code = error.status if error else 200
            return answer
        name = "dialog/test_chat.html"
        return self.pages.show(request, name, shell, status=error.status if error else 200, **context)

    async def _context(
        self, session: Session, person_id: UUID, chat_id: UUID | None, agent: str, new: NewChat | None
    ) -> dict[str, Any]:
        chat = await service.get_chat(session, person_id, chat_id) if chat_id else None
        played = await service.list_played(session, chat) if chat else []
        lists = await offered(session)
        speaker = first_of(lists["all_agents"], str(chat.agent_id) if chat else agent)
        return {
            "chat": chat,
            "chats": await service.list_chats(session, person_id),
            "played": played,
            "suggested": await service.suggest_words(session, chat) if chat and not played else [],
            "speaker": speaker,
            "agent_names": {one.id: one.name for one in lists["all_agents"]},
            "agent_models": {
                one.id: service.tried(one).model or self.llm_model or "" for one in lists["all_agents"]
            },
            "values": values_of(new or _as_new(chat, speaker.id if speaker else None), speaker),
            "message_max": MESSAGE_MAX_CHARS,
            "title_max": TITLE_MAX_CHARS,
            "llm_model": self.llm_model,
            **lists,
        }

    def _back(self, request: Request, chat_id: UUID, notice: Notice | None = None) -> Response:
        return self.pages.redirect(f"{base_of(request)}{HOME}/{chat_id}", notice)


def _part(request: Request) -> str:
    """Whether a script asks, which puts the thread alone into the page it has."""
    return "thread" if request.headers.get("hx-request") else ""


def _as_new(chat: TestChat | None, agent_id: UUID | None) -> NewChat:
    if chat is None:
        return NewChat(agent_id or UUID(int=0), place=Place())
    overrides: Mapping[str, Any] = chat.overrides
    return NewChat(chat.agent_id, chat.title, chat.place, overrides)
