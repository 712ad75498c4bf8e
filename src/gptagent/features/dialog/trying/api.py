"""Test chats and replays over REST. They are a person's own: a key has none."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from gptagent.features.dialog.api import SourceOut
from gptagent.features.dialog.rehearsing.model import Place, Rehearsed
from gptagent.features.dialog.tracing.api import ExplanationOut, explanation_out
from gptagent.features.dialog.trying import service
from gptagent.features.dialog.trying.model import NewChat, Played, State, TestChat
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, Wire, example, person_of
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router

MAX_BIGINT = 2**63 - 1
BASIS = r"^(draft|[1-9][0-9]{0,8})$"
CrmNumber = Annotated[int, Field(ge=1, le=MAX_BIGINT)]


def _storable(changes: dict[str, Any]) -> dict[str, Any]:
    if "\\u0000" in json.dumps(changes):
        raise PydanticCustomError("not_storable", "The text holds a character that cannot be stored.")
    return changes


# Settings as in `PATCH /agents/{agent_id}`, by the same rules.
Overrides = Annotated[dict[str, Any], AfterValidator(_storable)]


class PlaceOut(Wire):
    """Where the customer is taken to write; numbers are the CRM's, of what its copy here has."""

    channel: str
    connection_id: UUID | None
    pipeline_id: int | None
    stage_id: int | None
    lead_id: int | None
    contact_id: int | None


class PlaceBody(Body):
    """`connection_id` is needed once anything of the CRM is named; a stage comes with its pipeline."""

    channel: Annotated[str, Field(max_length=100)] = ""
    connection_id: UUID | None = None
    pipeline_id: CrmNumber | None = None
    stage_id: CrmNumber | None = None
    lead_id: CrmNumber | None = None
    contact_id: CrmNumber | None = None


class TestChatBody(Body):
    """`overrides` are settings of the agent as in its PATCH, for this chat only. Without a `title` it
    is called by its first message.
    """

    __test__ = False
    model_config = example(
        {
            "agent_id": "0197a1b2-0000-7000-8000-000000000001",
            "title": "Delivery",
            "place": {"channel": "waba"},
            "overrides": {"creativity": "precise"},
        }
    )

    agent_id: UUID
    title: str = ""
    place: PlaceBody = Field(default_factory=PlaceBody)
    overrides: Overrides = Field(default_factory=dict)


class TestChatOut(Wire):
    __test__ = False

    id: UUID
    agent_id: UUID
    title: str
    place: PlaceOut
    overrides: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class TestChatsOut(Wire):
    """A person has 100 at most."""

    __test__ = False

    items: list[TestChatOut]
    next_cursor: str | None


class SuggestionsOut(Wire):
    """Texts of the base: saved questions, then headings; none where the base is empty."""

    items: list[str]


class TestMessageBody(Body):
    __test__ = False
    model_config = example({"text": "What does delivery cost?"})

    text: str


class PlanOut(Wire):
    """What would be done, and was not: `send_reply`, `put_down_draft`, `create_task`, `send_file`, a tool."""

    kind: str
    text: str
    arguments: dict[str, Any]


class RehearsedOut(Wire):
    """An answer that reached nobody. `silence` names the gate at which a real message would have stopped.

    `cost_micro_usd`: millionths of a US dollar, nothing if the price of a model is not known.
    """

    text: str
    outcome: str
    reason: str | None
    by: str
    sources: list[SourceOut]
    plans: list[PlanOut]
    tokens_in: int
    tokens_out: int
    cost_micro_usd: int | None
    millis: int
    silence: str | None
    explanation: ExplanationOut | None


class PlayedOut(Wire):
    """`state`: waiting, speaking, done or failed. `draft` is what the model has said so far, unchecked.

    `result` has its `explanation` where one message alone is asked for.
    """

    id: UUID
    seq: int
    question: str
    overrides: dict[str, Any]
    state: State
    draft: str
    error_code: str | None
    created_at: datetime
    result: RehearsedOut | None


class PlayedPageOut(Wire):
    items: list[PlayedOut]
    next_cursor: str | None


class ReplayBody(Body):
    """`basis`: the settings of now if it is null, those of the agent's `draft`, or of the version with this
    number. `overrides`: settings as in the agent's PATCH in their place, which are saved nowhere.
    """

    model_config = example({"basis": "draft", "overrides": {"instructions": "Answer in one sentence."}})

    basis: Annotated[str, Field(pattern=BASIS)] | None = None
    overrides: Overrides = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TestChatsApi:
    __test__ = False

    db: Database
    limits: LoginLimits

    def router(self) -> APIRouter:
        router = api_router("/test-chats", tags=["test chats"])
        one = "/{chat_id}"
        router.get("", summary="List your test chats")(self.list)
        router.post("", status_code=201, summary="Begin a test chat")(self.create)
        router.get(one, summary="Get a test chat")(self.get)
        router.put(one, summary="Change a test chat")(self.change)
        router.delete(one, status_code=204, summary="Delete a test chat")(self.delete)
        router.get(f"{one}/suggestions", summary="Suggest what to say in a test chat")(self.suggestions)
        router.get(f"{one}/messages", summary="List what was said in a test chat")(self.messages)
        router.post(f"{one}/messages", status_code=201, summary="Say something to the agent")(self.say)
        router.delete(f"{one}/messages", status_code=204, summary="Clear a test chat")(self.clear)
        router.get(f"{one}/messages/{{played_id}}", summary="Get an answer, explained")(self.message)
        router.post(f"{one}/regeneration", status_code=201, summary="Have the last message answered anew")(
            self.regenerate
        )
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.CHAT_ORDERS, "-updated_at")],
    ) -> TestChatsOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            found, after = await service.page_chats(session, person_of(request), page)
        return TestChatsOut(items=[_chat(one) for one in found], next_cursor=after)

    async def create(self, request: Request, scope: CurrentScope, body: TestChatBody) -> TestChatOut:
        """409 once you have 100."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            return _chat(await service.create_chat(session, person_of(request), _new(body)))

    async def get(self, request: Request, scope: CurrentScope, chat_id: UUID) -> TestChatOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            return _chat(await service.get_chat(session, person_of(request), chat_id))

    async def change(
        self, request: Request, scope: CurrentScope, match: CurrentMatch, chat_id: UUID, body: TestChatBody
    ) -> TestChatOut:
        """What was said stays, also with another agent; as another customer the chat begins anew."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await self._check(session, match, request, chat_id)
            return _chat(await service.change_chat(session, person_of(request), chat_id, _new(body)))

    async def delete(self, request: Request, scope: CurrentScope, match: CurrentMatch, chat_id: UUID) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await self._check(session, match, request, chat_id)
            await service.delete_chat(session, person_of(request), chat_id)

    async def suggestions(self, request: Request, scope: CurrentScope, chat_id: UUID) -> SuggestionsOut:
        """What the chat's agent could be asked, from what it answers from."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            chat = await service.get_chat(session, person_of(request), chat_id)
            return SuggestionsOut(items=await service.suggest_words(session, chat))

    async def messages(
        self,
        request: Request,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.PLAYED_ORDERS, "seq")],
        chat_id: UUID,
    ) -> PlayedPageOut:
        """A chat has 100 at most."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            chat = await service.get_chat(session, person_of(request), chat_id)
            found, after = await service.page_played(session, chat, page)
        return PlayedPageOut(items=[played_out(one) for one in found], next_cursor=after)

    async def message(
        self, request: Request, scope: CurrentScope, chat_id: UUID, played_id: UUID
    ) -> PlayedOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            chat = await service.get_chat(session, person_of(request), chat_id)
            found = await service.get_played(session, chat, played_id)
        return played_out(found, explained=True, with_prompts=policy.READ_PROMPTS in scope.permissions)

    async def say(
        self, request: Request, scope: CurrentScope, chat_id: UUID, body: TestMessageBody
    ) -> PlayedOut:
        """Its answer comes later: ask for the message until it is `done`. Ten a minute, one at a time."""
        require(scope, policy.EDIT_AGENTS)
        await self.limits.check_test(person_of(request))
        async with self.db.session(scope) as session:
            return played_out(await service.say(session, person_of(request), chat_id, body.text))

    async def clear(self, request: Request, scope: CurrentScope, match: CurrentMatch, chat_id: UUID) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await self._check(session, match, request, chat_id)
            await service.clear_chat(session, person_of(request), chat_id)

    async def regenerate(self, request: Request, scope: CurrentScope, chat_id: UUID) -> PlayedOut:
        """With the settings of now. 404 if nothing was said yet."""
        require(scope, policy.EDIT_AGENTS)
        await self.limits.check_test(person_of(request))
        async with self.db.session(scope) as session:
            return played_out(await service.regenerate(session, person_of(request), chat_id))

    async def _check(self, session: Session, match: Match, request: Request, chat_id: UUID) -> None:
        if match:
            match.check(_chat(await service.get_chat(session, person_of(request), chat_id, lock=True)))


@dataclass(frozen=True, slots=True)
class ReplaysApi:
    db: Database
    limits: LoginLimits

    def router(self) -> APIRouter:
        router = api_router("/conversations/{conversation_id}/turns/{turn_id}/replays", tags=["replays"])
        router.get("", summary="List how a turn was played again")(self.list)
        router.post("", status_code=201, summary="Play a turn again")(self.create)
        router.get("/{played_id}", summary="Get how a turn was played again")(self.get)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.REPLAY_ORDERS, "-created_at")],
        conversation_id: UUID,
        turn_id: UUID,
    ) -> PlayedPageOut:
        require(scope, policy.READ_EXPLANATIONS)
        async with self.db.session(scope) as session:
            found, after = await service.page_replays(session, conversation_id, turn_id, page)
        return PlayedPageOut(items=[played_out(one) for one in found], next_cursor=after)

    async def create(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, turn_id: UUID, body: ReplayBody
    ) -> PlayedOut:
        """With the agent's settings of now, and `overrides` in their place. Nothing reaches the customer."""
        require(scope, policy.EDIT_AGENTS)
        person_id = person_of(request)
        await self.limits.check_test(person_id)
        async with self.db.session(scope) as session:
            return played_out(
                await service.replay_turn(
                    session,
                    person_id,
                    conversation_id,
                    turn_id,
                    body.overrides,
                    service.read_basis(body.basis),
                )
            )

    async def get(
        self, scope: CurrentScope, conversation_id: UUID, turn_id: UUID, played_id: UUID
    ) -> PlayedOut:
        require(scope, policy.READ_EXPLANATIONS)
        async with self.db.session(scope) as session:
            found = await service.get_replay(session, conversation_id, turn_id, played_id)
        return played_out(found, explained=True, with_prompts=policy.READ_PROMPTS in scope.permissions)


def played_out(one: Played, *, explained: bool = False, with_prompts: bool = False) -> PlayedOut:
    told = None
    if one.result is not None:
        explanation = None
        if explained:
            explanation = explanation_out(one.result.explanation, with_prompts=with_prompts)
        told = _rehearsed(one.result, explanation)
    shown = {name: getattr(one, name) for name in PlayedOut.model_fields if name != "result"}
    return PlayedOut(**shown, result=told)


def _rehearsed(result: Rehearsed, explanation: ExplanationOut | None) -> RehearsedOut:
    simple = set(RehearsedOut.model_fields) - {"sources", "plans", "explanation"}
    return RehearsedOut(
        **{name: getattr(result, name) for name in simple},
        sources=[SourceOut.model_validate(source) for source in result.sources],
        plans=[
            PlanOut(kind=plan.kind, text=plan.text, arguments=dict(plan.arguments)) for plan in result.plans
        ],
        explanation=explanation,
    )


def _chat(chat: TestChat) -> TestChatOut:
    return TestChatOut(
        id=chat.id,
        agent_id=chat.agent_id,
        title=chat.title,
        place=PlaceOut.model_validate(chat.place),
        overrides=dict(chat.overrides),
        created_at=chat.created_at,
        updated_at=chat.updated_at,
    )


def _new(body: TestChatBody) -> NewChat:
    place = Place(**body.place.model_dump())
    return NewChat(body.agent_id, body.title.strip(), place, body.overrides)
