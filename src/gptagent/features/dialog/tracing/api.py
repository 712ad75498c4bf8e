"""Explanations over REST."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.conversations import service as conversations
from gptagent.features.dialog.tracing import service
from gptagent.features.dialog.tracing.model import Explanation
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.rest import api_router


class GateOut(Wire):
    """A check, in the order of the turn. One that was closed has the turn's reason for a name."""

    name: str
    is_passed: bool
    detail: str


class BlockOut(Wire):
    """A piece of the prompt, `chars` long. `text` is null for those who may not read prompts, and where it is
    not kept: what is remembered of the customer.
    """

    kind: str
    title: str
    chars: int
    text: str | None


class FoundOut(Wire):
    """A passage: `by_words` and `by_meaning` are its places in the two searches, from 1. `support` and
    `coverage` are shares of the question (0-1); `is_related` came along with what was found.
    """

    kind: str
    source_id: UUID
    title: str
    heading: str
    page: int | None
    score: float
    coverage: float
    support: float
    by_words: int | None
    by_meaning: int | None
    is_related: bool


class ModelCallOut(Wire):
    """`error`: the code of a call that failed. `cost_micro_usd`: millionths of a US dollar, if known."""

    purpose: str
    model: str
    calls: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_micro_usd: int | None
    duration_ms: int
    error: str | None


class RewriteOut(Wire):
    """`facts` of the model's `text` had no source; `text` is null for those who may not read prompts."""

    facts: list[str]
    text: str | None
    outcome: Literal["rewritten", "blocked"]


class ToolUseOut(Wire):
    """`arguments` are null for those who may not read prompts."""

    name: str
    arguments: dict[str, Any] | None
    state: Literal["done", "planned", "refused"]
    result: str


class NoteOut(Wire):
    kind: str
    detail: str


class StepOut(Wire):
    """Milliseconds after the turn's beginning, and how long it took."""

    name: str
    at_ms: int
    took_ms: int


class ExplanationOut(Wire):
    """What a turn did. `tokens_in`, `tokens_out` and `cost_micro_usd` are those of all its calls together."""

    agent_id: UUID | None
    agent_name: str
    agent_version: int | None
    gates: list[GateOut]
    blocks: list[BlockOut]
    passages: list[FoundOut]
    calls: list[ModelCallOut]
    rewrites: list[RewriteOut]
    tools: list[ToolUseOut]
    notes: list[NoteOut]
    steps: list[StepOut]
    prompt_chars: int
    tokens_in: int
    tokens_out: int
    cost_micro_usd: int | None


@dataclass(frozen=True, slots=True)
class ExplanationsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/conversations/{conversation_id}/turns/{turn_id}", tags=["explanations"])
        router.get("/explanation", summary="Explain how a message was answered")(self.get)
        return router

    async def get(self, scope: CurrentScope, conversation_id: UUID, turn_id: UUID) -> ExplanationOut:
        """404 as well for a turn of before explanations, or past the period they are kept for. A further part
        of a reply is explained by the answer it belongs to.
        """
        require(scope, policy.READ_EXPLANATIONS)
        async with self.db.session(scope) as session:
            await conversations.get_conversation(session, conversation_id)
            told = await service.find_explanation(session, conversation_id, turn_id)
        if told is None:
            raise NotFound
        return explanation_out(told, with_prompts=policy.READ_PROMPTS in scope.permissions)


def explanation_out(told: Explanation, *, with_prompts: bool) -> ExplanationOut:
    tokens_in, tokens_out = told.tokens
    return ExplanationOut(
        agent_id=told.agent_id,
        agent_name=told.agent_name,
        agent_version=told.agent_version,
        gates=[GateOut.model_validate(one) for one in told.gates],
        blocks=[
            BlockOut(
                kind=one.kind,
                title=one.title,
                chars=one.chars,
                text=one.text if with_prompts and one.is_kept else None,
            )
            for one in told.blocks
        ],
        passages=[FoundOut.model_validate(one) for one in told.passages],
        calls=[ModelCallOut.model_validate(one) for one in told.calls],
        rewrites=[
            RewriteOut(facts=list(one.facts), text=one.text if with_prompts else None, outcome=one.outcome)
            for one in told.rewrites
        ],
        tools=[
            ToolUseOut(
                name=one.name,
                arguments=one.arguments if with_prompts else None,
                state=one.state,
                result=one.result,
            )
            for one in told.tools
        ],
        notes=[NoteOut.model_validate(one) for one in told.notes],
        steps=[StepOut.model_validate(one) for one in told.steps],
        prompt_chars=told.prompt_chars,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_micro_usd=told.cost_micro_usd,
    )
