"""Every call that costs something: held before it, counted after it, let go if it came to nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.model import Amount
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.model import (
    Embedder,
    EmbeddingModel,
    Embeddings,
    ModelReply,
    Recording,
    SpeechModel,
    Use,
)
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import CONNECTION_LOST, Database
from gptagent.kernel.errors import UpstreamUnavailable

# No known tokeniser makes more of a text: of Russian one for each letter, of English one for two.
BYTES_PER_TOKEN = 2
# What a second of speech counts as where tokens are limited and the provider tells none: as OpenAI counts.
TOKENS_PER_SECOND = 10
SPOKEN_PER_SECOND = 5  # tokens that are written down of a second, at most
LEAST_BYTES_PER_SECOND = 1_000  # of a recording: messengers send twice as many

T = TypeVar("T")
_ending: set["asyncio.Task[None]"] = set()


async def pay(
    db: Database, use: Use, most: Amount, ask: Callable[[], Awaitable[T]], used: Callable[[T], Amount]
) -> T:
    """Hold `most`, ask, and count what was `used` instead. Holds no transaction meanwhile.

    Raises BudgetExhausted before anything is asked. However a call ends that has no answer, it lets go of
    what it held; the hold of a process that was killed counts as used once it has expired.
    """
    async with db.session(use.scope) as session:
        hold_id = await budgets.reserve(session, use, most, now=utcnow())
    if isinstance(hold_id, BudgetExhausted):  # only now: what was found of killed processes stays counted
        raise hold_id
    try:
        answer = await ask()
    except BaseException:
        await _to_its_end(_release(db, use, hold_id))
        raise
    await _to_its_end(_settle(db, use, hold_id, used(answer)))
    return answer


async def embed(
    db: Database,
    use: Use,
    embedder: Embedder,
    texts: Sequence[str],
    *,
    model: EmbeddingModel | None = None,
    deadline: float | None = None,
) -> Embeddings:
    """Embed within the budgets. Raises BudgetExhausted, and what `Embedder.embed` raises."""
    tokens = tokens_of(*texts)
    cost = embedder.prices.cost(((model or embedder.model).name,), tokens, 0)
    most = Amount(cost or 0, tokens)
    return await pay(
        db,
        use,
        most,
        lambda: embedder.embed(texts, model=model, deadline=deadline),
        lambda answer: counted(answer.cost_micro_usd, answer.tokens, most),
    )


async def transcribe(db: Database, use: Use, speech: SpeechModel, recording: Recording) -> ModelReply:
    """Write down within the budgets. Raises BudgetExhausted, and what `SpeechModel.transcribe` raises."""
    most = _most_of(speech, recording)
    return await pay(
        db,
        use,
        most,
        lambda: speech.transcribe(recording),
        lambda reply: counted(
            reply.cost_micro_usd,
            reply.tokens_in + reply.tokens_out or reply.seconds * TOKENS_PER_SECOND,
            most,
        ),
    )


def tokens_of(*texts: str) -> int:
    """Return how many tokens texts can be at most."""
    return -(-sum(len(text.encode(errors="replace")) for text in texts) // BYTES_PER_TOKEN)


def counted(cost_micro_usd: int | None, tokens: int, most: Amount) -> Amount:
    """Return what a call has used. Of a provider that tells nothing it is what was held: nobody is without
    any limit.
    """
    if cost_micro_usd is None:
        return Amount(0 if tokens else most.micro_usd, tokens or most.tokens)
    return Amount(cost_micro_usd, tokens or most.tokens)


def _most_of(speech: SpeechModel, recording: Recording) -> Amount:
    """Return what a recording may come to: how long it is nobody knows before it was heard."""
    seconds = -(-len(recording.content) // LEAST_BYTES_PER_SECOND)
    heard, spoken = seconds * TOKENS_PER_SECOND, seconds * SPOKEN_PER_SECOND
    costs = [
        cost or 0
        for name in speech.names
        for cost in (
            speech.prices.cost((name,), heard, spoken),
            speech.prices.cost_of_speech((name,), seconds),
        )
    ]
    return Amount(max(costs, default=0), heard + spoken)


async def _release(db: Database, use: Use, hold_id: UUID | None) -> None:
    if hold_id is None:
        return
    with suppress(UpstreamUnavailable, *CONNECTION_LOST):  # then it counts once it has expired
        async with db.session(use.scope) as session:
            await budgets.release(session, hold_id)


async def _settle(db: Database, use: Use, hold_id: UUID | None, amount: Amount) -> None:
    async with db.session(use.scope) as session:
        await budgets.settle(session, use, hold_id, amount, now=utcnow())


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Wait for work that goes on even if whoever waits is cancelled."""
    task = asyncio.create_task(work)
    _ending.add(task)
    task.add_done_callback(_ending.discard)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
