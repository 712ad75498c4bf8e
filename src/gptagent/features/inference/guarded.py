"""The one door to a language model: within budgets, and without what a workspace keeps to itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

import msgspec

from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.model import Amount
from gptagent.features.inference.masking.service import Cover, get_masking
from gptagent.features.inference.model import Hear, LanguageModel, ModelReply, ModelRequest, PriceList, Use
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError

# No known tokeniser makes more of a text: of Russian one for each letter, of English one for two.
BYTES_PER_TOKEN = 2
PICTURE_TOKENS = 3_000  # more than known models make of one


@dataclass(frozen=True, slots=True)
class GuardedModel:
    """Implements `LanguageModel` around another one. Holds no transaction while that one thinks.

    `names`: the models that may answer where a request names none, the fallback among them; by their
    `prices` what a call may come to is held.
    """

    db: Database
    model: LanguageModel
    prices: PriceList = field(default_factory=PriceList)
    names: tuple[str, ...] = ()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """See `LanguageModel`. The provider sees marks where the workspace masks, the caller real values.

        Raises BudgetExhausted before anything is asked.
        """
        return await self._guarded(request, lambda covered, _cover: self.model.complete(covered))

    async def stream(self, request: ModelRequest, hear: Hear) -> ModelReply:
        """See `LanguageModel`. What is heard has the values too: it comes in whole words."""

        async def ask(covered: ModelRequest, cover: Cover) -> ModelReply:
            words = _Words(hear, cover)
            reply = await self.model.stream(covered, words.hear)
            await words.end()
            return reply

        return await self._guarded(request, ask)

    async def _guarded(
        self, request: ModelRequest, ask: Callable[[ModelRequest, Cover], Awaitable[ModelReply]]
    ) -> ModelReply:
        use = request.use
        if use is None:
            raise TypeError("a request to a model says whose it is, by `use`")
        most = self._most(request)
        async with self.db.session(use.scope) as session:
            masking = await get_masking(session)
            hold_id = await budgets.reserve(session, use, most, now=utcnow())
        cover = Cover(masking.kinds)
        try:
            reply = await ask(cover.request(request), cover)
        except AppError:
            await self._release(use, hold_id)
            raise
        used = Amount(reply.cost_micro_usd or 0, reply.tokens_in + reply.tokens_out)
        if not used.tokens:  # a provider that tells nothing must not be without any limit
            used = most
        async with self.db.session(use.scope) as session:
            await budgets.settle(session, use, hold_id, used, now=utcnow())
        return replace(cover.reply(reply), masked=cover.counts())

    async def _release(self, use: Use, hold_id: UUID | None) -> None:
        if hold_id is not None:
            async with self.db.session(use.scope) as session:
                await budgets.release(session, hold_id)

    def _most(self, request: ModelRequest) -> Amount:
        """Return what the call may come to at most, by the dearest model that may answer."""
        size = len(request.system.encode()) + sum(len(turn.text.encode()) for turn in request.turns)
        size += sum(len(msgspec.json.encode(tool)) for tool in request.tools)
        pictures = sum(len(turn.pictures) for turn in request.turns)
        tokens_in = -(-size // BYTES_PER_TOKEN) + pictures * PICTURE_TOKENS
        names = (request.model, *self.names) if request.model else self.names
        costs = [self.prices.cost((name,), tokens_in, request.max_tokens) or 0 for name in names]
        return Amount(max(costs, default=0), tokens_in + request.max_tokens)


@dataclass(slots=True)
class _Words:
    """Passes on what a model says as far as words are whole: a mark has no space in it."""

    to: Hear
    cover: Cover
    waiting: str = ""

    async def hear(self, piece: str | None) -> None:
        if piece is None:  # another attempt begins
            self.waiting = ""
            await self.to(None)
            return
        self.waiting += piece
        end = max(self.waiting.rfind(space) for space in " \n\t") + 1
        whole, self.waiting = self.waiting[:end], self.waiting[end:]
        if whole:
            await self.to(self.cover.uncover(whole))

    async def end(self) -> None:
        if self.waiting:
            await self.to(self.cover.uncover(self.waiting))
