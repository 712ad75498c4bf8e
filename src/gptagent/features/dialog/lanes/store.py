"""All SQL of lanes. Locks: connection, conversation, lane, turn - always in this order."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.dialog.model import LaneRow, Turn
from gptagent.kernel.db import Session

STIR = """with before as (
             select conversation_id, wake_at,
                    case when $2::bigint is null then
                           case when done < wanted then clock_timestamp() end
                         else least(clock_timestamp() + $3::interval,
                                    coalesce(burst_started_at, clock_timestamp()) + $4::interval) end as due
               from app.lane where conversation_id = $1 for no key update)
           update app.lane l
              set epoch = l.epoch + case when $2::bigint is not null
                                          and l.burst_started_at + $4::interval <= clock_timestamp()
                                         then 0 else 1 end,
                  wanted = greatest(l.wanted, $2::bigint),
                  burst_started_at = case when $2::bigint is null then l.burst_started_at
                                          else coalesce(l.burst_started_at, clock_timestamp()) end,
                  due_at = coalesce(b.due, l.due_at),
                  wake_at = case when b.due < coalesce(b.wake_at, 'infinity') then b.due else b.wake_at end
             from before b where l.conversation_id = b.conversation_id
        returning case when b.due < coalesce(b.wake_at, 'infinity')
                       then greatest(b.due - clock_timestamp(), interval '0') end as wakes_in"""


@dataclass(frozen=True, slots=True)
class Released:
    """A lane that was given back. `wakes_in`: when to wake it if there is more to do."""

    wakes_in: timedelta | None


async def stir(
    session: Session,
    conversation_id: UUID,
    *,
    wanted: int | None,
    delay: timedelta,
    burst_cap: timedelta,
) -> timedelta | None:
    """Raise the epoch and, if there is something to answer, set when. Returns when to wake, or None.

    A burst that has waited its longest is answered as it is: a further message then leaves the epoch alone
    and gets the next answer, or a customer who never stops writing would never get one.

    `wanted` is the seq of a new customer message; None means only that what is in the making is stale, and
    the lane is due at once if it has work. None is returned as well when an earlier wake-up is queued.
    """
    asked = (conversation_id, wanted, delay, burst_cap)
    row = await session.fetchrow(STIR, *asked)
    if row is None:  # its first message
        await session.execute(
            "insert into app.lane (conversation_id) values ($1) on conflict do nothing", conversation_id
        )
        row = await session.fetchrow(STIR, *asked)
    return row["wakes_in"] if row else None


async def has_waited(session: Session, conversation_id: UUID, burst_cap: timedelta) -> bool:
    """Whether the burst that is gathered there has waited its longest."""
    found: bool = await session.fetchval(
        """select exists (select from app.lane where conversation_id = $1
                             and burst_started_at + $2::interval <= clock_timestamp())""",
        conversation_id,
        burst_cap,
    )
    return found


async def lock_lane(session: Session, conversation_id: UUID, job_id: int) -> LaneRow | None:
    """Lock the lane and note that its wake-up has come."""
    row = await session.fetchrow(
        """update app.lane set wake_at = null where conversation_id = $1
        returning epoch, claim, wanted, done, due_at, clock_timestamp() as now,
                  lease_until > clock_timestamp() and job_id is distinct from $2 as leased_by_other""",
        conversation_id,
        job_id,
    )
    return LaneRow(**dict(row)) if row else None


async def take_lease(session: Session, conversation_id: UUID, job_id: int, lease: timedelta) -> int:
    """Return the new claim, the fence of this worker."""
    claim: int = await session.fetchval(
        """update app.lane set claim = claim + 1, job_id = $2, lease_until = clock_timestamp() + $3::interval
            where conversation_id = $1 returning claim""",
        conversation_id,
        job_id,
        lease,
    )
    return claim


async def renew_lease(session: Session, conversation_id: UUID, claim: int, lease: timedelta) -> bool:
    done = await session.fetchval(
        """update app.lane set lease_until = clock_timestamp() + $3::interval
            where conversation_id = $1 and claim = $2 and job_id is not null returning true""",
        conversation_id,
        claim,
        lease,
    )
    return bool(done)


async def set_idle(session: Session, conversation_id: UUID) -> None:
    await session.execute("update app.lane set due_at = null where conversation_id = $1", conversation_id)


async def set_wake(session: Session, conversation_id: UUID, at: datetime) -> None:
    await session.execute("update app.lane set wake_at = $2 where conversation_id = $1", conversation_id, at)


async def pass_fence(session: Session, turn: Turn, lease: timedelta) -> bool:
    """The compare-and-swap before every effect: this worker still holds the lane, nothing has changed, and
    the workspace is neither suspended nor about to be deleted.
    """
    done = await session.fetchval(
        """update app.lane set lease_until = clock_timestamp() + $4::interval
            where conversation_id = $1 and claim = $2 and epoch = $3
              and exists (select from app.organization where suspended_at is null and delete_at is null)
        returning true""",
        turn.conversation_id,
        turn.claim,
        turn.epoch,
        lease,
    )
    return bool(done)


async def hold_claim(session: Session, turn: Turn) -> bool:
    """Lock the lane if this worker still holds it, whatever the epoch."""
    row = await session.fetchval(
        "select true from app.lane where conversation_id = $1 and claim = $2 for no key update",
        turn.conversation_id,
        turn.claim,
    )
    return bool(row)


async def release_lane(
    session: Session, turn: Turn, *, answered: bool, due_in: timedelta | None = None
) -> Released | None:
    """Give the lane back, if this worker still holds it. `answered`: the turn's messages are done, and what
    came since is answered when it is due, within `due_in` if that is given. Else `due_in`: look again then.

    The caller enqueues the wake-up in the same transaction.
    """
    row = await session.fetchrow(
        """with next as (
             select conversation_id, wake_at, case
                 when $3 and wanted > $4 then greatest(
                   least(coalesce(due_at, clock_timestamp()), clock_timestamp() + $5::interval),
                   clock_timestamp())
                 when $3 then null
                 when $5::interval is not null then clock_timestamp() + $5
                 else greatest(coalesce(due_at, clock_timestamp()), clock_timestamp()) end as due
               from app.lane where conversation_id = $1 and claim = $2 for no key update)
           update app.lane l
              set done = case when $3 then greatest(l.done, $4) else l.done end,
                  lease_until = '-infinity', job_id = null,
                  burst_started_at = case when $3 and l.wanted <= $4 then null
                                          when $3 then clock_timestamp() else l.burst_started_at end,
                  due_at = n.due,
                  wake_at = case when n.due < coalesce(n.wake_at, 'infinity') then n.due else n.wake_at end
             from next n where l.conversation_id = n.conversation_id
        returning case when n.due < coalesce(n.wake_at, 'infinity')
                       then greatest(n.due - clock_timestamp(), interval '0') end as wakes_in""",
        turn.conversation_id,
        turn.claim,
        answered,
        turn.last_seq,
        due_in,
    )
    return Released(row["wakes_in"]) if row else None


async def waiting_lanes(session: Session, connection_id: UUID) -> list[UUID]:
    """Return the chats of a connection whose turn was put off, the longest waiting first.

    A lane whose turn is stale gathers a burst of messages just now; its own delay runs out soon.
    """
    rows = await session.fetch(
        """select l.conversation_id from app.lane l join app.conversation c on c.id = l.conversation_id
            where c.connection_id = $1 and l.due_at is not null
              and exists (select from app.turn t where t.conversation_id = l.conversation_id
                             and (t.state = 'sending' or t.state = 'open' and t.epoch = l.epoch))
            order by coalesce(l.burst_started_at, l.due_at), l.conversation_id""",
        connection_id,
    )
    return [row["conversation_id"] for row in rows]


async def hasten(session: Session, conversation_id: UUID) -> bool:
    """Let a waiting lane be due now; False if a worker holds it."""
    row = await session.fetchrow(
        """select lease_until > clock_timestamp() as is_held from app.lane
            where conversation_id = $1 and due_at is not null for no key update""",
        conversation_id,
    )
    if row is None or row["is_held"]:
        return row is None
    await session.execute(
        """update app.lane set due_at = clock_timestamp(), wake_at = clock_timestamp()
            where conversation_id = $1""",
        conversation_id,
    )
    return True


async def overdue_lanes(session: Session, late: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch("select org_id, conversation_id from app.lanes_overdue($1, $2)", late, limit)
    return [(row["org_id"], row["conversation_id"]) for row in rows]


async def mark_woken(session: Session, conversation_id: UUID, late: timedelta) -> bool:
    """Note that a wake-up is queued now, unless another sweep was first."""
    done = await session.fetchval(
        """update app.lane set wake_at = clock_timestamp()
            where conversation_id = $1 and due_at < clock_timestamp() - $2::interval
              and (wake_at is null or wake_at < clock_timestamp() - $2::interval) returning true""",
        conversation_id,
        late,
    )
    return bool(done)
