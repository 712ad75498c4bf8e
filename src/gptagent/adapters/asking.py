"""How providers of models are asked: again after a pause, by another model, never one that is left alone."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from gptagent.features.inference.model import Breaker
from gptagent.kernel import observe
from gptagent.kernel.errors import AppError, Invalid, UpstreamUnavailable

log = structlog.get_logger(__name__)

LEAST_CALL_SECONDS = 1.0
RETRY_AFTER_MAX_SECONDS = 3_600.0
JITTER = 1.3  # the longest a pause becomes
UNKNOWN_MODEL = 404  # of OpenAI's and OpenRouter's endpoints
TRANSIENT = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for one call and for all its attempts together; pauses double from the first one.

    Of all the time `spare` is kept for the fallback model, if there is one.
    """

    call: float = 20.0
    total: float = 30.0  # a reply or a hand-off comes within half a minute
    attempts: int = 3
    first_pause: float = 0.5
    spare: float = 10.0

    def call_seconds(self, passed: float, total: float | None = None) -> float:
        """Return how long the next call may take, of `total` seconds if that is less than its own."""
        left = (self.total if total is None else total) - passed
        return min(self.call, max(left, LEAST_CALL_SECONDS))

    def pause(self, error: AppError, attempt: int, passed: float, total: float | None = None) -> float | None:
        """Return how long to wait before the next attempt, with jitter; None if there is none.

        A provider that says when it is to be asked again is waited for, if there is time.
        """
        pause = max(error.retry_after or 0, self.first_pause * 2 ** (attempt - 1))
        pause *= random.uniform(1, JITTER)  # noqa: S311 - jitter
        late = passed + pause > (self.total if total is None else total)
        return None if late or attempt == self.attempts or not error.retryable else pause


class UnknownModelError(Invalid):
    """The provider has no model of this name: another may do."""


@dataclass(slots=True)
class Effort:
    """One request's attempts, at whichever model: `total` seconds from `started` on."""

    started: float
    total: float
    calls: int = 0

    @property
    def passed(self) -> float:
        return time.monotonic() - self.started


T = TypeVar("T")
Call = Callable[[str, Effort], Awaitable[T]]


async def _pass() -> None:
    """Nothing has to be looked at."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One endpoint's ways. `kind` begins its error codes: `KIND_unavailable`, `KIND_busy`, `KIND_rejected`.

    `took` and `fallbacks` are its metrics, by the code it ended with. `check` is looked at before each call,
    and raises if there must be none.
    """

    kind: Literal["llm", "speech"]
    patience: Patience
    took: Histogram
    breaker: Breaker | None = None
    fallbacks: Counter = observe.LLM_FALLBACKS
    check: Callable[[], Awaitable[None]] = _pass

    async def ask(self, chosen: str, fallback: str | None, call: Call[T], within: float | None = None) -> T:
        """Return what the chosen model answers, or the fallback if that one is away or unknown.

        The fallback has the time that is kept for it. Raises what `call` raises in the end.
        """
        total = self.patience.total if within is None else min(within, self.patience.total)
        effort = Effort(time.monotonic(), total)
        if fallback is None or fallback == chosen:
            return await self._persist(chosen, effort, call)
        effort.total -= min(self.patience.spare, total / 2)
        try:
            return await self._persist(chosen, effort, call)
        except (UpstreamUnavailable, UnknownModelError) as error:
            if error.code == f"{self.kind}_busy":  # the address's own limit: it is the fallback's too
                raise
            self.fallbacks.labels(error.code).inc()
            log.warning("llm_fallback", reason=error.code)
        effort.total = total
        return await self._persist(fallback, effort, call)

    async def _persist(self, name: str, effort: Effort, call: Call[T]) -> T:
        """Ask one model until it answers or there is no use."""
        attempt = 1
        while True:
            try:
                # In this order: who may look whether the model is back must not be held up then.
                await self.check()
                await self._check_circuit(name)
                effort.calls += 1
                answer = await call(name, effort)
            except AppError as error:
                if error.code == f"{self.kind}_circuit_open":
                    raise
                self.took.labels(error.code).observe(effort.passed)
                await self._note(name, error)
                pause = self.patience.pause(error, attempt, effort.passed, effort.total)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                attempt += 1
            else:
                await self._tell(name, failed=False)
                self.took.labels("ok").observe(effort.passed)
                return answer

    async def _check_circuit(self, name: str) -> None:
        open_for = 0.0 if self.breaker is None else await self.breaker.ask(name)
        if open_for > 0:
            code = "llm_circuit_open" if self.kind == "llm" else "speech_circuit_open"
            raise UpstreamUnavailable(
                code,
                "The model has not answered for a while. It is tried again shortly.",
                retry_after=open_for,
            )

    async def _note(self, name: str, error: AppError) -> None:
        """Count a failure; a refusal is an answer of a provider that is there."""
        if error.code == f"{self.kind}_unavailable":
            await self._tell(name, failed=True)
        elif error.code in {f"{self.kind}_unauthorized", f"{self.kind}_rejected"}:
            await self._tell(name, failed=False)

    async def _tell(self, name: str, *, failed: bool) -> None:
        if self.breaker is not None:
            await self.breaker.tell(name, failed=failed)


def seconds_of(text: str) -> float | None:
    """Return what a header `Retry-After` says in seconds, bounded; None for a date or anything else."""
    is_number = text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 10
    return min(float(text), RETRY_AFTER_MAX_SECONDS) if is_number else None
