"""The one door to a language model: within budgets, and without what a workspace keeps to itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import msgspec

from gptagent.features.inference.budgets.model import Amount
from gptagent.features.inference.masking.service import Cover, get_masking
from gptagent.features.inference.model import Hear, LanguageModel, ModelReply, ModelRequest, PriceList
from gptagent.features.inference.paying import counted, pay, tokens_of
from gptagent.kernel.db import Database

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
        async with self.db.session(use.scope) as session:
            masking = await get_masking(session)
        cover = Cover(masking.kinds)
        most = self._most(request)
        reply = await pay(
            self.db,
            use,
            most,
            lambda: ask(cover.request(request), cover),
            lambda reply: counted(reply.cost_micro_usd, reply.tokens_in + reply.tokens_out, most),
        )
        return replace(cover.reply(reply), masked=cover.counts())

    def _most(self, request: ModelRequest) -> Amount:
        """Return what the call may come to at most, by the dearest model that may answer."""
        tools = (msgspec.json.encode(tool).decode() for tool in request.tools)
        pictures = sum(len(turn.pictures) for turn in request.turns)
        tokens_in = tokens_of(request.system, *(turn.text for turn in request.turns), *tools)
        tokens_in += pictures * PICTURE_TOKENS
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
