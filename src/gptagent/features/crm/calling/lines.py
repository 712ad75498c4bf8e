"""Who of one process asks next for a slot at one egress address: a send before a read before a sync, and the
accounts by turns.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from gptagent.features.crm.model import CallPriority

# Asking again right before the slot comes into reach: a clock that is a little late costs no slot.
LEAST_PAUSE_SECONDS = 0.005
# Told to those who have waited in vain.
AGAIN_AFTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What the database said. Times are in seconds from now.

    `wait` is how far the slot is off, `account_wait` as far as the account is the reason; `failures` in a row
    the account has had; it is left alone for `open_for`. `due`: the slot by the loop's clock, a bit early.
    """

    granted: bool
    wait: float
    account_wait: float = 0.0
    failures: int = 0
    open_for: float = 0.0
    due: float = 0.0


def _new_future() -> "asyncio.Future[Claim]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Ticket:
    """One call that waits, until `ends` of the loop's clock at the latest."""

    account: str
    priority: CallPriority
    horizon: timedelta
    ends: float
    answer: "asyncio.Future[Claim]" = field(default_factory=_new_future)


ClaimSlot = Callable[[str, str, timedelta], Awaitable[Claim]]
Accounts = OrderedDict[str, deque[Ticket]]


class Line:
    """The calls of one process that wait at one address. A task asks for the first of them."""

    def __init__(self, claim: ClaimSlot, address: str) -> None:
        self._claim = claim
        self._address = address
        self._waiting: dict[CallPriority, Accounts] = {priority: OrderedDict() for priority in CallPriority}
        self._resting: dict[tuple[str, CallPriority], float] = {}
        self._arrived = asyncio.Event()
        self._server: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        return not any(self._waiting.values())

    async def wait(self, ticket: Ticket) -> Claim:
        """Return the slot that was taken, or why there is none within the ticket's time."""
        self._waiting[ticket.priority].setdefault(ticket.account, deque()).append(ticket)
        self._arrived.set()
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        return await ticket.answer

    async def _serve(self) -> None:
        while not self.is_empty:
            self._arrived.clear()
            self._dismiss()
            ticket = self._first()
            if ticket is not None:
                await self._ask(ticket)
            elif not self.is_empty:
                await self._pause(min(self._resting.values()) - self._now())

    async def _ask(self, ticket: Ticket) -> None:
        try:
            claim = await self._claim(ticket.account, self._address, ticket.horizon)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the waiting call's
            self._leave(ticket)
            if not ticket.answer.done():
                ticket.answer.set_exception(error)
            return
        if claim.granted or claim.open_for or claim.due > ticket.ends:
            self._answer(ticket, claim)
            return
        # reckoned from when it was asked: after a late answer it would come behind who reaches less far
        pause = max(claim.due - ticket.horizon.total_seconds() - self._now(), LEAST_PAUSE_SECONDS)
        if claim.account_wait >= claim.wait and ticket.account != self._address:
            self._resting[ticket.account, ticket.priority] = self._now() + pause
        else:
            await self._pause(pause)

    def _answer(self, ticket: Ticket, claim: Claim) -> None:
        self._leave(ticket)
        if not ticket.answer.done():
            ticket.answer.set_result(claim)

    def _leave(self, ticket: Ticket) -> None:
        """Take a ticket out; its account stands behind the others now."""
        accounts = self._waiting[ticket.priority]
        tickets = accounts[ticket.account]
        tickets.remove(ticket)
        if tickets:
            accounts.move_to_end(ticket.account)
        else:
            del accounts[ticket.account]

    def _first(self) -> Ticket | None:
        """Return the ticket to ask for; None if all accounts that wait must rest."""
        moment = self._now()
        self._resting = {key: until for key, until in self._resting.items() if until > moment}
        for priority, accounts in self._waiting.items():
            for account, tickets in accounts.items():
                if (account, priority) not in self._resting:
                    return tickets[0]
        return None

    def _dismiss(self) -> None:
        """Let those go who were given up, or have waited long enough."""
        moment = self._now()
        for accounts in self._waiting.values():
            for ticket in [ticket for tickets in accounts.values() for ticket in tickets]:
                if ticket.answer.done() or ticket.ends <= moment:
                    self._answer(ticket, Claim(granted=False, wait=AGAIN_AFTER_SECONDS))

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until somebody else has come."""
        try:
            async with asyncio.timeout(max(seconds, LEAST_PAUSE_SECONDS)):
                await self._arrived.wait()
        except TimeoutError:
            pass

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
