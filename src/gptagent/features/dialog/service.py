"""Lanes: what stirs them, who may take them, how they are given back."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.events import CustomerWrote, HoldChanged, StageChanged
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.crm.events import RobotsWrote
from gptagent.features.crm.model import InboundMessage, ReplyRoute
from gptagent.features.dialog import store
from gptagent.features.dialog.acting.store import outdate_answered
from gptagent.features.dialog.drafts import store as drafts
from gptagent.features.dialog.enclosures import service as enclosures
from gptagent.features.dialog.hearing.window import silence
from gptagent.features.dialog.lanes import store as lane_store
from gptagent.features.dialog.model import (
    BURST_CAP_FACTOR,
    BURST_MIN_CAP,
    OVERDUE_AFTER,
    Turn,
    TurnRecord,
)
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.proposing import service as proposing
from gptagent.features.dialog.reports import service as reports
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import NotFound, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

ADVANCE = "dialog.advance"
RESUME = "dialog.resume"
RESUME_TRIES = 4  # below the job's attempts: a lane that is busy for so long looks after itself
SWEEP_BATCH = 500
TURNS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Lanes:
    """In-transaction subscriber of conversations' events, and the answer to "did we send this?"."""

    async def on_customer_wrote(self, session: Session, event: CustomerWrote) -> None:
        """Gather the burst: each new message restarts the wait for silence, up to the cap."""
        delay = timedelta(seconds=await speaking.find_delay(session, event.conversation_id))
        wait = silence(delay, event.text, has_file=event.has_file)
        await _stir(session, event.conversation_id, wanted=event.seq, delay=wait, cap=burst_cap(delay))

    async def on_hold_changed(self, session: Session, event: HoldChanged) -> None:
        """A person took the chat or gave it back: a reply in the making is stale from this commit on."""
        if event.outdates:
            await _stir(session, event.conversation_id)
        await outdate_answered(session, event.conversation_id)
        await proposing.note_hold(session, event.conversation_id, is_given_back=event.is_given_back)

    async def on_stage_changed(self, session: Session, event: StageChanged) -> None:
        """The deal moved: what is in the making was made for another stage."""
        await _stir(session, event.conversation_id)

    async def claim(self, session: Session, conversation_id: UUID, message: InboundMessage) -> bool:
        """Implements `OwnMessages`; settles a send whose outcome was unknown.

        By its id first; then what is on its way, and only then what is known to have left without an id.
        """
        if await enclosures.claim(session, conversation_id, message):
            return True
        is_a_turns = await reports.is_known(session, conversation_id, message)
        if not is_a_turns and await outgoing.claim(session, conversation_id, message):
            return True
        state = await reports.claim(session, conversation_id, message)
        if state is None and await outgoing.claim_settled(session, conversation_id, message):
            return True
        if state is None:
            elsewhere = await reports.claim_elsewhere(session, conversation_id, message)
            if elsewhere is not None:
                await session.enqueue(ADVANCE, {"conversation_id": str(elsewhere)})
            return False
        if state != "ended":  # mostly the sender was faster and has recorded the end: nobody need be woken
            await session.enqueue(ADVANCE, {"conversation_id": str(conversation_id)})
        return True

    async def on_robots_wrote(self, session: Session, event: RobotsWrote) -> None:
        """Settle the replies that the CRM's log shows. Conversations are locked before lanes."""
        for conversation_id in await outgoing.settle_seen(session, event):
            await session.enqueue(outgoing.SEND, {"conversation_id": str(conversation_id)})
        for conversation_id in await reports.settle_seen(session, event):
            await session.enqueue(ADVANCE, {"conversation_id": str(conversation_id)})


def burst_cap(delay: timedelta) -> timedelta:
    """Return how long a burst waits at most, from its first message on."""
    return max(BURST_MIN_CAP, BURST_CAP_FACTOR * delay)


async def _stir(
    session: Session,
    conversation_id: UUID,
    *,
    wanted: int | None = None,
    delay: timedelta = timedelta(0),
    cap: timedelta = BURST_MIN_CAP,
) -> None:
    """Whatever stirs a lane outdates the draft that waits: its messages are to be answered anew."""
    wait = await lane_store.stir(session, conversation_id, wanted=wanted, delay=delay, burst_cap=cap)
    if await drafts.take_back(session, conversation_id) is not None and wanted is None:
        later = await lane_store.stir(session, conversation_id, wanted=None, delay=delay, burst_cap=cap)
        wait = wait if later is None else later  # None: the wake-up that was asked for first is earlier
    if wait is not None:
        await session.enqueue(ADVANCE, {"conversation_id": str(conversation_id)}, delay=wait)


async def claim_lane(session: Session, conversation_id: UUID, job_id: int, lease: timedelta) -> Turn | None:
    """Take the lane and its live turn, or return None: nothing is due, or another worker is at it.

    A busy lane needs no retry: its holder looks again when it gives the lane back, and the sweep looks
    after a holder that died. `job_id` lets the re-run of a killed worker's job go on without waiting for
    the lease to end.
    """
    await conversations.pin_conversation(session, conversation_id)
    lane = await lane_store.lock_lane(session, conversation_id, job_id)
    if lane is None or lane.leased_by_other:
        return None
    turn = await store.live_turn(session, conversation_id, lane.claim)
    is_part = turn is not None and turn.part > 0 and turn.epoch == lane.epoch
    if (turn is None or turn.state == "open") and lane.done >= lane.wanted and not is_part:
        if turn is not None:
            await store.supersede_turn(session, turn.id)
        await lane_store.set_idle(session, conversation_id)
        return None
    settling = turn is not None and turn.state == "sending"
    if lane.due_at is not None and lane.due_at > lane.now and not settling:
        await lane_store.set_wake(session, conversation_id, lane.due_at)
        delay = lane.due_at - lane.now
        await session.enqueue(ADVANCE, {"conversation_id": str(conversation_id)}, delay=delay)
        return None
    claim = await lane_store.take_lease(session, conversation_id, job_id, lease)
    if turn is not None and turn.state == "open" and turn.epoch != lane.epoch:
        await store.supersede_turn(session, turn.id)
        turn = None
    if turn is None:
        first = await drafts.take_back(session, conversation_id)
        if first is not None:  # the customer never stopped writing: one answer covers the draft's messages
            lane = replace(lane, done=min(lane.done, first - 1))
        return await store.insert_turn(session, conversation_id, lane, claim)
    return replace(turn, claim=claim)


class StaleClaim(Exception):  # noqa: N818 - it states what happened
    """This worker no longer holds the lane; its transaction is rolled back and nothing else is to be done."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """By which way a reply leaves; `since`: the CRM shows it with this time or a later one."""

    route: ReplyRoute
    talk_id: int | None
    since: datetime | None


async def begin_send(session: Session, turn: Turn, leaving: Leaving, lease: timedelta) -> bool:
    """Pass the fence and mark the turn as leaving, in one transaction. False: it is stale, send nothing.

    Between this commit and the request nothing is waited for; whatever happens after it is settled by
    reading back.
    """
    if not await lane_store.pass_fence(session, turn, lease):
        return False
    return await store.start_sending(session, turn.id, leaving.route, leaving.talk_id, leaving.since)


async def note_accepted(session: Session, turn: Turn) -> str | None:
    """Note that the CRM has taken the reply. Returns the message's id if it was reported before.

    Raises StaleClaim.
    """
    if not await lane_store.hold_claim(session, turn):
        raise StaleClaim
    return await store.note_accepted(session, turn.id)


async def give_back(
    session: Session, turn: Turn, *, answered: bool = False, due_in: timedelta | None = None
) -> None:
    """Release the lane and queue its next wake-up, if there is more to do. Raises StaleClaim."""
    released = await lane_store.release_lane(session, turn, answered=answered, due_in=due_in)
    if released is None:
        raise StaleClaim
    if released.wakes_in is not None:
        ids = {"conversation_id": str(turn.conversation_id)}
        await session.enqueue(ADVANCE, ids, delay=released.wakes_in)


async def sweep_lanes(db: Database, *, late: timedelta = OVERDUE_AFTER) -> int:
    """Wake lanes that are due for so long and that no queued wake-up reaches. Returns how many."""
    async with db.installation() as session:
        lanes = await lane_store.overdue_lanes(session, late, SWEEP_BATCH)
    woken = 0
    for org_id, conversation_id in lanes:
        async with db.session(Scope(org_id)) as session:
            if await lane_store.mark_woken(session, conversation_id, late):
                await session.enqueue(ADVANCE, {"conversation_id": str(conversation_id)})
                woken += 1
    return woken


async def resume_lanes(ctx: JobContext, /, connection_id: str) -> None:
    """An account works again: wake the chats that wait for it, now, those first that have waited longest.

    A lane that a worker holds may be about to be put off for a minute, by what that worker has read before:
    it is looked at again shortly.
    """
    async with ctx.db.session(ctx.scope) as session:
        waiting = await lane_store.waiting_lanes(session, UUID(connection_id))
    is_busy = False
    for conversation_id in waiting:
        async with ctx.db.session(ctx.scope) as session:
            if await lane_store.hasten(session, conversation_id):
                await session.enqueue(ADVANCE, {"conversation_id": str(conversation_id)})
            else:
                is_busy = True
    if is_busy and ctx.attempt < RESUME_TRIES:
        raise UpstreamUnavailable("lanes_busy", "Some conversations are being answered.")


async def list_turns(
    session: Session, conversation_id: UUID, seqs: tuple[int, int] | None = None
) -> list[TurnRecord]:
    """Return how past messages were answered, and from which sources, latest first.

    `seqs`: only those that belong to messages with a number between these two.
    """
    return await store.select_turns(session, conversation_id, TURNS_SHOWN, seqs)


async def get_turn(session: Session, conversation_id: UUID, turn_id: UUID) -> TurnRecord:
    """Raise NotFound if the conversation has no such turn that has ended."""
    found = await store.select_turn(session, conversation_id, turn_id)
    if found is None:
        raise NotFound
    return found
