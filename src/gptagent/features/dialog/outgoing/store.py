"""All SQL of messages owed outside of a turn. Locks: connection, conversation, then the message."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.crm.model import ReplyRoute
from gptagent.features.dialog.model import READ_BACK_SKEW
from gptagent.features.dialog.outgoing.model import Kind, Outgoing
from gptagent.kernel.db import Session

_OUTGOING = """select o.id, o.conversation_id, o.seq, o.kind, o.agent_id, m.text, o.state, o.reason,
                      o.provider_message_id, o.failures, o.sends, o.claim, o.send_started_at, o.send_talk_id,
                      o.send_route, o.send_since,
                      coalesce(clock_timestamp() - o.send_started_at, interval '0') as unknown_for,
                      clock_timestamp() - o.send_accepted_at as accepted_for
                 from app.outgoing o
                      join app.message m on m.conversation_id = o.conversation_id and m.seq = o.seq"""


async def insert(
    session: Session, outgoing_id: UUID, place: tuple[UUID, int], kind: Kind, agent_id: UUID | None
) -> None:
    """`place`: the conversation and the number of the message there."""
    await session.execute(
        "insert into app.outgoing (id, conversation_id, seq, kind, agent_id) values ($1, $2, $3, $4, $5)",
        outgoing_id,
        *place,
        kind,
        agent_id,
    )


async def select_one(session: Session, conversation_id: UUID, outgoing_id: UUID) -> Outgoing | None:
    row = await session.fetchrow(
        f"{_OUTGOING} where o.conversation_id = $1 and o.id = $2", conversation_id, outgoing_id
    )
    return Outgoing(**dict(row)) if row else None


async def is_known(session: Session, outgoing_id: UUID) -> bool:
    found: bool = await session.fetchval(
        "select exists (select from app.outgoing where id = $1)", outgoing_id
    )
    return found


async def take(
    session: Session, conversation_id: UUID, job_id: int, lease: timedelta, last: Outgoing | None
) -> Outgoing | None:
    """Take the first of which it is not known yet what becomes of it, for this run alone.

    None: nothing is owed, it is not time yet, or another job has it. The run of a killed worker's job goes on
    without waiting for its lease to end; what the run before it thinks does not count any more. `last` is
    what this run had before.
    """
    taken = await session.fetchval(
        """with first as (
             select id from app.outgoing where conversation_id = $1 and state in ('waiting', 'sending')
              order by seq limit 1 for update)
           update app.outgoing o
              set claim = o.claim + 1, job_id = $2, lease_until = clock_timestamp() + $3::interval
             from first
            where o.id = first.id and coalesce(o.due_at, '-infinity') <= clock_timestamp()
              and (coalesce(o.lease_until, '-infinity') < clock_timestamp()
                   or (o.job_id = $2 and (o.id is distinct from $4::uuid or o.claim = $5)))
        returning o.id""",
        conversation_id,
        job_id,
        lease,
        last.id if last else None,
        last.claim if last else None,
    )
    return None if taken is None else await select_one(session, conversation_id, taken)


async def hold_claim(session: Session, one: Outgoing) -> bool:
    """Lock the message if it is still this run's, and not on its way."""
    row = await session.fetchval(
        """select true from app.outgoing where id = $1 and claim = $2 and state = 'waiting'
              for no key update""",
        one.id,
        one.claim,
    )
    return bool(row)


async def put_off(session: Session, one: Outgoing, pause: timedelta) -> bool:
    """Give it back until later; False if another run has it. A job queued in this transaction with the same
    pause is not too early: both count from its beginning.
    """
    done = await session.fetchval(
        """update app.outgoing set lease_until = null, job_id = null, due_at = now() + $3::interval
            where id = $1 and claim = $2 returning true""",
        one.id,
        one.claim,
        pause,
    )
    return bool(done)


async def hasten_follow_ups(session: Session, conversation_id: UUID) -> None:
    """Let those be looked at now that wait for their hours: nothing newer is to wait behind them. Of one that
    a run has just now, that run is told by `hasten_overtaken`.
    """
    await session.execute(
        """update app.outgoing set due_at = null
            where conversation_id = $1 and kind = 'followup' and state = 'waiting'""",
        conversation_id,
    )


async def hasten_overtaken(session: Session, one: Outgoing) -> bool:
    """Do so for a follow-up that was just put off, if something newer was owed meanwhile."""
    done = await session.fetchval(
        """update app.outgoing o set due_at = null
            where id = $1 and kind = 'followup' and state = 'waiting'
              and exists (select from app.outgoing n
                           where n.conversation_id = o.conversation_id and n.seq > o.seq
                             and n.state in ('waiting', 'sending'))
        returning true""",
        one.id,
    )
    return bool(done)


async def overdue(session: Session, late: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch(
        "select org_id, conversation_id from app.outgoing_overdue($1, $2)", late, limit
    )
    return [(row["org_id"], row["conversation_id"]) for row in rows]


async def mark_woken(session: Session, conversation_id: UUID, late: timedelta) -> bool:
    """Note that a job is queued now, unless another sweep was first, or a run has it."""
    done = await session.fetchval(
        """update app.outgoing o set due_at = now()
            where conversation_id = $1 and state in ('waiting', 'sending')
              and coalesce(due_at, created_at) < clock_timestamp() - $2::interval
              and coalesce(lease_until, '-infinity') < clock_timestamp()
              and not exists (select from app.outgoing e
                               where e.conversation_id = $1 and e.seq < o.seq
                                 and e.state in ('waiting', 'sending'))
        returning true""",
        conversation_id,
        late,
    )
    return bool(done)


async def select_open(session: Session, conversation_id: UUID, job_id: int) -> list[Outgoing]:
    """Return those of which it is not known yet what becomes of them and that no other job has at hand."""
    rows = await session.fetch(
        f"""{_OUTGOING} where o.conversation_id = $1 and o.state in ('waiting', 'sending')
               and (o.job_id = $2 or coalesce(o.lease_until, '-infinity') < clock_timestamp())
             order by o.seq""",
        conversation_id,
        job_id,
    )
    return [Outgoing(**dict(row)) for row in rows]


async def select_of(session: Session, conversation_id: UUID, from_seq: int) -> list[Outgoing]:
    rows = await session.fetch(
        f"{_OUTGOING} where o.conversation_id = $1 and o.seq >= $2 order by o.seq", conversation_id, from_seq
    )
    return [Outgoing(**dict(row)) for row in rows]


async def start_sending(
    session: Session, one: Outgoing, route: ReplyRoute, talk_id: int | None, since: datetime | None
) -> bool:
    """The message's fence: only the run that has it passes, and only once for each send."""
    done = await session.fetchval(
        """update app.outgoing set state = 'sending', sends = sends + 1, send_talk_id = $3, send_route = $4,
                  send_since = $5, send_started_at = clock_timestamp(), send_accepted_at = null
            where id = $1 and state = 'waiting' and sends = $2 and claim = $6 returning true""",
        one.id,
        one.sends,
        talk_id,
        route,
        since,
        one.claim,
    )
    return bool(done)


async def note_accepted(session: Session, one: Outgoing) -> None:
    await session.execute(
        """update app.outgoing set send_accepted_at = clock_timestamp()
            where id = $1 and state = 'sending' and sends = $2""",
        one.id,
        one.sends,
    )


async def settle_sent(session: Session, outgoing_id: UUID, message_id: str | None) -> bool:
    """Note that it left, whatever was thought of it. False if that is no news."""
    row = await session.fetchrow(
        """update app.outgoing set state = 'sent', reason = null, settled_at = clock_timestamp(),
                  provider_message_id = coalesce(provider_message_id, $2)
            where id = $1 and (state <> 'sent' or (provider_message_id is null and $2::text is not null))
        returning conversation_id, seq, provider_message_id""",
        outgoing_id,
        message_id,
    )
    if row is None:
        return False
    await session.execute(
        """update app.message set provider_id = coalesce(provider_id, $3),
                  delivery_status = case when delivery_status = 'failed' then null else delivery_status end
            where conversation_id = $1 and seq = $2
              and ($3::text is null
                   or not exists (select from app.message m
                                   where m.conversation_id = $1 and m.provider_id = $3))""",
        row["conversation_id"],
        row["seq"],
        row["provider_message_id"],
    )
    return True


async def settle(session: Session, one: Outgoing, state: str, reason: str) -> bool:
    """End it unsent, or unknown; False if it left meanwhile, or another run has it."""
    done = await session.fetchval(
        """update app.outgoing set state = $4, reason = $5, settled_at = clock_timestamp()
            where id = $1 and state = $2 and sends = $3 and claim = $6 returning true""",
        one.id,
        one.state,
        one.sends,
        state,
        reason,
        one.claim,
    )
    if done and state == "not_sent":
        await session.execute(
            "update app.message set delivery_status = 'failed' where conversation_id = $1 and seq = $2",
            one.conversation_id,
            one.seq,
        )
    return bool(done)


async def reopen(session: Session, one: Outgoing) -> bool:
    """Its request certainly had no effect: it may pass the fence again, unless another run has."""
    done = await session.fetchval(
        """update app.outgoing set state = 'waiting', failures = failures + 1
            where id = $1 and state = $2 and sends = $3 and claim = $4 and failures = $5 returning true""",
        one.id,
        one.state,
        one.sends,
        one.claim,
        one.failures,
    )
    return bool(done)


async def known_ids(session: Session, conversation_id: UUID, ids: Sequence[str]) -> set[str]:
    """Return which of these messages the conversation has accounted for, or another chat of its deal: the log
    of a deal shows those of all.
    """
    rows = await session.fetch(
        """with chats as (
             select $1::uuid as id
             union
             select c.id
               from app.conversation o
                    join app.conversation c on (c.connection_id, c.lead_id) = (o.connection_id, o.lead_id)
              where o.id = $1)
           select provider_id as id from app.message where conversation_id = $1 and provider_id = any($2)
           union all
           select t.provider_message_id from chats join app.turn t on t.conversation_id = chats.id
            where t.provider_message_id = any($2)
           union all
           select o.provider_message_id from chats join app.outgoing o on o.conversation_id = chats.id
            where o.provider_message_id = any($2)""",
        conversation_id,
        list(ids),
    )
    return {row["id"] for row in rows}


# `by_bot`: a bot of the CRM says it; `since`: not before then, by the CRM's clock.
_NAMELESS = """select o.id, o.conversation_id, m.text, o.send_route <> 'talk' as by_bot,
                      o.send_accepted_at is not null as is_taken,
                      coalesce(o.send_since, o.send_started_at - $2::interval) as since
                 from app.outgoing o
                      join app.message m on m.conversation_id = o.conversation_id and m.seq = o.seq
                where o.conversation_id = $1 and o.sends > 0 and o.provider_message_id is null"""


async def under_way(session: Session, conversation_id: UUID) -> list[Record]:
    """Return those that may have left, of which that is not known yet, the oldest first."""
    return await session.fetch(
        f"{_NAMELESS} and o.state in ('waiting', 'sending') order by o.seq", conversation_id, READ_BACK_SKEW
    )


async def without_id(session: Session, conversation_id: UUID) -> list[Record]:
    """Return those that left, or may have, whose message the CRM has not named yet, the oldest first."""
    return await session.fetch(
        f"""{_NAMELESS} and o.state in ('sent', 'unknown') and o.settled_at > now() - interval '1 hour'
             order by o.seq""",
        conversation_id,
        READ_BACK_SKEW,
    )


async def awaited_of_leads(session: Session, connection_id: UUID, lead_ids: Sequence[int]) -> list[Record]:
    """Return those that await a message of a bot on one of these deals, the oldest first."""
    return await session.fetch(
        """select o.id, o.conversation_id, c.lead_id,
                  coalesce(o.send_since, o.send_started_at - $3::interval) as since
             from app.conversation c join app.outgoing o on o.conversation_id = c.id
            where c.connection_id = $1 and c.lead_id = any($2) and o.state = 'sending'
              and o.send_accepted_at is not null and o.send_route <> 'talk' and o.provider_message_id is null
            order by o.send_started_at""",
        connection_id,
        list(lead_ids),
        READ_BACK_SKEW,
    )
