"""Reading messages for what is to be remembered: after the turn, so no answer waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.memory import extraction, service, store
from gptagent.features.conversations.memory.model import Found, Memory, MemoryAuthor
from gptagent.features.conversations.memory.patterns import found_in
from gptagent.features.conversations.model import Message
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets.model import Limits
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.model import LanguageModel, ModelReply, ModelRequest, Use
from gptagent.features.organizations import service as organizations
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.jobs import JobContext

BATCH_MESSAGES = 40  # the latest; of a longer talk nobody has read, what is older is left out
UNREADABLE = "memory_unreadable"


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is new in a conversation, and what is known of its customer."""

    read_seq: int
    messages: tuple[Message, ...]
    known: tuple[Memory, ...]
    model: str | None
    customer: UUID
    agent_id: UUID
    limits: Limits

    @property
    def last_seq(self) -> int:
        return self.messages[-1].seq


@dataclass(frozen=True, slots=True)
class MemoryJobs:
    """Handlers with the model they ask; without one they go by patterns."""

    model: LanguageModel | None

    async def read(self, ctx: JobContext, /, conversation_id: str) -> None:
        """Remember what is new. What was read once is not read again, whatever runs twice."""
        batch = await _claim(ctx, UUID(conversation_id))
        if batch is None:
            return
        if self.model is None:
            await _keep(ctx, UUID(conversation_id), batch, by_patterns(batch.messages), "pattern")
            return
        request = extraction.request(batch.messages, batch.known, batch.model)
        use = Use(ctx.scope, batch.customer, batch.agent_id, batch.limits)
        try:
            reply = await self._ask(ctx, replace(request, use=use))
        except BudgetExhausted:  # patterns cost nothing
            await _keep(ctx, UUID(conversation_id), batch, by_patterns(batch.messages), "pattern")
            return
        found = extraction.read(reply.text, batch.messages, batch.known)
        await _keep(ctx, UUID(conversation_id), batch, found, "model")

    async def give_up(self, ctx: JobContext, /, conversation_id: str) -> None:
        """The model has failed for good: patterns read what it did not, and the conversation says so."""
        batch = await _claim(ctx, UUID(conversation_id))
        if batch is not None:
            found = by_patterns(batch.messages)
            await _keep(ctx, UUID(conversation_id), batch, found, "pattern", UNREADABLE)

    async def _ask(self, ctx: JobContext, request: ModelRequest) -> ModelReply:
        assert self.model is not None
        try:
            reply = await self.model.complete(request)
        except Invalid:  # an endpoint that knows no schemas may know JSON
            reply = await self.model.complete(replace(request, schema=None))
        async with ctx.db.session(ctx.scope) as session:
            await inference.record_usage(session, None, reply, "memory")
        return reply


def by_patterns(messages: Sequence[Message]) -> list[Found]:
    """Return what the customer's messages say by patterns."""
    return [
        found
        for one in messages
        if one.author == "customer"
        for found in found_in(one.said[: extraction.MESSAGE_MAX_CHARS], one.seq, one.sent_at)
        if not extraction.is_about_company(found.text)
    ]


async def _claim(ctx: JobContext, conversation_id: UUID) -> _Batch | None:
    """Return what is to be read: None if nothing is, or nobody wants it remembered any more."""
    async with ctx.db.session(ctx.scope) as session:
        try:
            conversation = await conversations.get_conversation(session, conversation_id)
        except NotFound:  # erased meanwhile
            return None
        await conversations.pin_conversation(session, conversation_id)
        reading = await service.get_reading(session, conversation_id)
        await store.clear_due(session, conversation_id)
        agent = await speaking.find_speaker(session, conversation_id)
        messages = await conversations.list_messages(
            session, conversation_id, from_seq=reading.read_seq + 1, limit=BATCH_MESSAGES
        )
        if not messages:
            return None
        has_words = any(one.author == "customer" and one.said for one in messages)
        is_silent = await organizations.find_silence(session) is not None
        if agent is None and not is_silent:
            return None
        remembers = agent is not None and agent.settings.remembers_customers
        if agent is None or is_silent or not remembers or not has_words:
            # What came just now is for another reading, which is queued with it.
            await store.pass_over(session, conversation_id, messages[-1].seq)
            return None
        known = await service.known_of(session, conversation_id)
    return _Batch(
        reading.read_seq,
        tuple(messages),
        tuple(known),
        agent.settings.model,
        conversation.customer,
        agent.id,
        agent.settings.budget,
    )


async def _keep(  # noqa: PLR0917 - all that one reading has come to
    ctx: JobContext,
    conversation_id: UUID,
    batch: _Batch,
    found: Sequence[Found],
    author: MemoryAuthor,
    error_code: str | None = None,
) -> None:
    async with ctx.db.session(ctx.scope) as session:
        await conversations.pin_conversation(session, conversation_id)
        is_silent = await organizations.find_silence(session) is not None
        if not await store.advance_reading(
            session, conversation_id, batch.read_seq, batch.last_seq, error_code
        ):
            return  # another has read the same, or the customer was erased
        agent = await speaking.find_speaker(session, conversation_id)
        # Neither switched off nor suspended while the model thought.
        if agent is not None and agent.settings.remembers_customers and not is_silent:
            await service.keep_found(session, conversation_id, found, author)
        await service.tell(session, conversation_id)
