"""Sends webhooks as the vendor does, and as badly as the knobs ask for."""

import asyncio
import itertools
import random
import time
from collections import deque
from dataclasses import asdict, dataclass, field

import httpx2

from gptagent.sandbox.kommo.state import Account, Subscription, new_uuid

USER_AGENT = "amoCRM-Webhooks/3.0"
# Seconds after the attempt before; the two last ones only follow codes that speak of a server in trouble.
RETRY_DELAYS_S = (300, 900, 900, 3600)
RETRIES_AFTER_ANY_FAILURE = 2
INVALID_ANSWERS_WINDOW_S = 7200
LOG_ENTRIES = 50_000
PARALLEL_POSTS = 32  # more only make each other late: the deadline runs from the moment of sending


@dataclass(slots=True)
class Delivery:
    """One attempt, for the log. `status` 0 means no answer in time, None that it has not been made yet."""

    n: int
    event: str
    destination: str
    copy: int
    attempt: int = 1
    outcome: str = "waiting"
    status: int | None = None
    failure: str = ""
    request_id: str = ""
    started_at: float = 0.0
    took_ms: float = 0.0
    body: bytes = field(default=b"", repr=False)

    def as_json(self, *, body: bool) -> dict[str, object]:
        shown: dict[str, object] = asdict(self)
        shown["body"] = self.body.decode() if body else None
        return shown


class Line:
    """The way out that all accounts share: one keep-alive client, and a place for each post under way."""

    def __init__(self) -> None:
        limits = httpx2.Limits(max_connections=PARALLEL_POSTS, max_keepalive_connections=PARALLEL_POSTS)
        self._client = httpx2.AsyncClient(
            limits=limits, timeout=None, trust_env=False
        )  # each post has its own
        del self._client.headers["accept"]
        # The client's own queue would count against the deadline, and slows down with its length.
        self._places = asyncio.Semaphore(PARALLEL_POSTS)

    async def post(self, url: str, body: bytes, headers: dict[str, str], timeout: float) -> tuple[int, str]:
        """Return the status and why there is none: 0 and a reason. `timeout` is in seconds."""
        return await self._send("POST", url, body, headers, timeout)

    async def get(self, url: str, headers: dict[str, str], timeout: float) -> tuple[int, str]:
        """As above."""
        return await self._send("GET", url, None, headers, timeout)

    async def _send(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], timeout: float
    ) -> tuple[int, str]:
        try:
            async with self._places, asyncio.timeout(timeout):
                answer = await self._client.request(method, url, content=body, headers=headers)
                return answer.status_code, ""
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            return 0, type(error).__name__

    async def close(self) -> None:
        await self._client.aclose()


class HookSender:
    """One account's webhooks, each a task of its own, over the shared line."""

    def __init__(self, account: Account, line: Line) -> None:
        self.account = account
        self.log: deque[Delivery] = deque(maxlen=LOG_ENTRIES)
        self.emitted: dict[str, int] = {}
        self.dropped = 0
        self._line = line
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tails: dict[tuple[str, str], asyncio.Event] = {}
        self._held: list[tuple[Subscription, Delivery]] = []
        self.dice = random.Random(account.knobs.seed)  # noqa: S311 - repeatable dice, no secret

    @property
    def under_way(self) -> int:
        return len(self._tasks) + len(self._held)

    def emit(self, setting: str, event: str, body: bytes, *, order_key: str) -> None:
        """Queue the body for every subscription of `setting`; those of one `order_key` leave in order."""
        self.emitted[event] = self.emitted.get(event, 0) + 1
        for subscription in self.account.subscriptions.values():
            if setting in subscription.settings and not subscription.disabled:
                self._queue_copies(subscription, event, body, order_key)

    def emit_thin(self, event: str, body: bytes, *, order_key: str) -> None:
        """Queue the body for every address that the Digital Pipeline has for this trigger."""
        for address, triggers in self.account.pipeline_hooks.items():
            if event.partition("[")[2].removesuffix("]") in triggers:
                moment = int(time.time())
                thin = Subscription(0, address, [event], 1, self.account.main_user, moment, moment)
                self._queue_copies(thin, event, body, order_key)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._held.clear()

    def _queue_copies(self, subscription: Subscription, event: str, body: bytes, order_key: str) -> None:
        knobs = self.account.knobs
        for copy in range(1, self.dice.randint(*knobs.copies) + 1):
            if knobs.drop and self.dice.random() < knobs.drop:
                self.dropped += 1
                continue
            delivery = Delivery(next(self._numbers), event, subscription.destination, copy, body=body)
            self.log.append(delivery)
            if knobs.shuffle_window > 1:
                self._hold(subscription, delivery)
            else:
                self._start(subscription, delivery, order_key if knobs.ordered else None)

    def _hold(self, subscription: Subscription, delivery: Delivery) -> None:
        self._held.append((subscription, delivery))
        if len(self._held) >= self.account.knobs.shuffle_window:
            self._release()
        elif len(self._held) == 1:
            hold = self.account.knobs.shuffle_hold_ms / 1000
            asyncio.get_running_loop().call_later(hold, self._release)

    def _release(self) -> None:
        held, self._held = self._held, []
        self.dice.shuffle(held)
        for subscription, delivery in held:
            self._start(subscription, delivery, None)

    def _start(self, subscription: Subscription, delivery: Delivery, order_key: str | None) -> None:
        before, done = None, asyncio.Event()
        key = (subscription.destination, order_key or "")
        if order_key is not None:
            before = self._tails.get(key)
            self._tails[key] = done
        delay = self.dice.uniform(*self.account.knobs.delay_ms) / 1000
        task = asyncio.create_task(self._deliver(subscription, delivery, before, done, delay))
        self._tasks.add(task)

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            done.set()
            if self._tails.get(key) is done:
                del self._tails[key]

        task.add_done_callback(finished)

    async def _deliver(
        self,
        subscription: Subscription,
        delivery: Delivery,
        before: asyncio.Event | None,
        first_attempt_made: asyncio.Event,
        delay: float,
    ) -> None:
        if before is not None:
            await before.wait()
        await asyncio.sleep(delay)
        code = await self._attempt(subscription, delivery)
        first_attempt_made.set()
        for number, pause in enumerate(RETRY_DELAYS_S, start=1):
            if not self.account.knobs.retries or not _is_retried(code, number):
                return
            delivery.outcome = "retrying"
            await asyncio.sleep(pause * self.account.knobs.retry_scale)
            if subscription.disabled:
                return
            delivery = self._again(delivery)
            code = await self._attempt(subscription, delivery)

    def _again(self, delivery: Delivery) -> Delivery:
        repeated = Delivery(
            next(self._numbers),
            delivery.event,
            delivery.destination,
            delivery.copy,
            attempt=delivery.attempt + 1,
            body=delivery.body,
        )
        self.log.append(repeated)
        return repeated

    async def _attempt(self, subscription: Subscription, delivery: Delivery) -> int:
        delivery.request_id, delivery.started_at = new_uuid(), time.time()
        code = await self._post(delivery)
        delivery.status = code
        delivery.took_ms = round((time.time() - delivery.started_at) * 1000, 1)
        delivery.outcome = "accepted" if _is_valid(code) else "failed"
        self._judge(subscription, valid=_is_valid(code))
        return code

    async def _post(self, delivery: Delivery) -> int:
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept-Encoding": "gzip",
            "X-Amocrm-Requestid": delivery.request_id,
        }
        timeout = self.account.knobs.webhook_timeout_ms / 1000
        code, delivery.failure = await self._line.post(delivery.destination, delivery.body, headers, timeout)
        return code

    def _judge(self, subscription: Subscription, *, valid: bool) -> None:
        """Switch the subscription off after too many invalid answers of which the last is one."""
        if valid:
            return
        scale = self.account.knobs.retry_scale
        answers, moment = subscription.invalid_answers, time.time()
        answers.append(moment)
        while answers[0] < moment - INVALID_ANSWERS_WINDOW_S * scale:
            answers.popleft()
        if len(answers) > self.account.knobs.invalid_answers_until_disabled:
            subscription.disabled = True


def _is_valid(code: int) -> bool:
    return 100 <= code <= 299


def _is_retried(code: int, retry: int) -> bool:
    if _is_valid(code):
        return False
    return retry <= RETRIES_AFTER_ANY_FAILURE or code == 499 or 500 <= code <= 599
