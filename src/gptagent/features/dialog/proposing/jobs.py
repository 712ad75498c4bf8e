"""Making a draft of what a person answered: claim, ask without a connection, keep."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from gptagent.features.dialog.proposing import service
from gptagent.features.dialog.proposing.service import Taken
from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.model import LanguageModel, ModelReply, ModelRequest, Use
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import DraftText
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid
from gptagent.kernel.jobs import JobContext

BUSY = timedelta(seconds=30)
# One that waited here would hold a place of the worker's, which replies need.
_SLOTS = asyncio.Semaphore(2)


@dataclass(frozen=True, slots=True)
class ProposingJobs:
    """Handlers with the model they ask; without one a draft is the words themselves."""

    model: LanguageModel | None

    async def propose(self, ctx: JobContext, /, conversation_id: str) -> None:
        """Make a draft if the person is done and there is one to be made. Done again it changes nothing."""
        if _SLOTS.locked():
            async with ctx.db.session(ctx.scope) as session:
                await service.queue(session, UUID(conversation_id), delay=BUSY)
            return
        async with _SLOTS:
            taken = await _take(ctx, conversation_id)
            if taken is None:
                return
            text = None
            if self.model is not None and taken.may_ask_model:
                text = await self._ask(ctx, self.model, taken)
            await _keep(ctx, taken, text)

    async def give_up(self, ctx: JobContext, /, conversation_id: str) -> None:
        """The model has failed for good: the draft is made of the words themselves."""
        taken = await _take(ctx, conversation_id)
        if taken is not None:
            await _keep(ctx, taken, None)

    async def _ask(self, ctx: JobContext, model: LanguageModel, taken: Taken) -> DraftText | None:
        """Return the model's article as far as it holds; None if nothing of it does, or it refuses."""
        request = replace(knowledge.draft_request(taken.material, taken.model), use=Use(ctx.scope))
        try:
            reply = await _complete(model, request)
        except (Invalid, BudgetExhausted):
            return None
        async with ctx.db.session(ctx.scope) as session:
            await inference.record_usage(session, None, reply, "draft")
        return knowledge.read_draft(reply.text, taken.material)


async def _complete(model: LanguageModel, request: ModelRequest) -> ModelReply:
    try:
        return await model.complete(request)
    except Invalid:  # an endpoint that knows no schemas may know JSON
        return await model.complete(replace(request, schema=None))


async def _take(ctx: JobContext, conversation_id: str) -> Taken | None:
    async with ctx.db.session(ctx.scope) as session:
        return await service.take(session, UUID(conversation_id), now=utcnow())


async def _keep(ctx: JobContext, taken: Taken, text: DraftText | None) -> None:
    async with ctx.db.session(ctx.scope) as session:
        await service.keep(session, taken, text or knowledge.draft_from_words(taken.material), now=utcnow())
