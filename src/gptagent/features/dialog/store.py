"""All SQL of turns. Locks: connection, conversation, lane, turn - always in this order."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.agents.model import Agent
from gptagent.features.crm.model import ReplyRoute
from gptagent.features.dialog.context import Spent
from gptagent.features.dialog.model import Answer, Decision, LaneRow, Turn, TurnRecord
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id

_encode = msgspec.json.encode
_answer = msgspec.json.Decoder(Answer)
_TURN = """select id, conversation_id, agent_id, epoch, first_seq, last_seq, state, answer,
                  provider_message_id, send_attempts, held_back, send_started_at, send_talk_id, send_route,
                  send_since, coalesce(draft_state = 'approved', false) as is_approved, part,
                  clock_timestamp() - send_accepted_at as accepted_for,
                  clock_timestamp() - send_started_at as unknown_for from app.turn"""


async def live_turn(session: Session, conversation_id: UUID, claim: int) -> Turn | None:
    row = await session.fetchrow(
        f"{_TURN} where conversation_id = $1 and state in ('open', 'sending')", conversation_id
    )
    return _turn(row, claim) if row else None


async def insert_turn(session: Session, conversation_id: UUID, lane: LaneRow, claim: int) -> Turn:
    turn_id = new_id()
    await session.execute(
        """insert into app.turn (id, conversation_id, epoch, first_seq, last_seq)
           values ($1, $2, $3, $4, $5)""",
        turn_id,
        conversation_id,
        lane.epoch,
        lane.done + 1,
        lane.wanted,
    )
    return Turn(turn_id, conversation_id, lane.epoch, claim, lane.done + 1, lane.wanted, "open")


async def supersede_turn(session: Session, turn_id: UUID) -> None:
    await session.execute(
        """update app.turn set state = 'superseded', ended_at = now(),
                  outcome = case when part > 0 then 'refused' else outcome end,
                  reason = case when part > 0 then 'rest_outdated' else reason end,
                  draft_state = case when draft_state = 'approved' then 'outdated' else draft_state end
            where id = $1 and state = 'open'""",
        turn_id,
    )


async def forget_turn(session: Session, turn_id: UUID) -> None:
    """Delete a turn that has done nothing yet."""
    await session.execute("delete from app.turn where id = $1 and state = 'open' and answer is null", turn_id)


async def record_answer(session: Session, turn: Turn, agent: Agent, answer: Answer, spent: Spent) -> bool:
    """Keep the generated answer, so that it is never generated twice, which version of the agent gave it, and
    what it has cost. False if the turn is no longer ours.
    """
    done = await session.fetchval(
        """update app.turn t set answer = $3, agent_id = $4, agent_version = $5,
                  model_calls = model_calls + $6, tokens_in = tokens_in + $7, tokens_out = tokens_out + $8
             from app.lane l
            where t.id = $1 and t.state = 'open' and l.conversation_id = t.conversation_id and l.claim = $2
        returning true""",
        turn.id,
        turn.claim,
        _encode(answer).decode(),
        agent.id,
        agent.published,
        spent.calls,
        spent.tokens_in,
        spent.tokens_out,
    )
    return bool(done)


async def outdated_turns(session: Session, conversation_id: UUID, first_seq: int) -> list[UUID]:
    """Return those whose draft was taken back and that answered messages from this one on."""
    rows = await session.fetch(
        """select id from app.turn
            where conversation_id = $1 and draft_state = 'outdated' and last_seq >= $2""",
        conversation_id,
        first_seq,
    )
    return [row["id"] for row in rows]


async def start_sending(
    session: Session, turn_id: UUID, route: ReplyRoute, talk_id: int | None, since: datetime | None
) -> bool:
    done = await session.fetchval(
        """update app.turn set state = 'sending', send_started_at = clock_timestamp(),
                  send_attempts = send_attempts + 1, send_talk_id = $2, send_route = $3, send_since = $4,
                  send_accepted_at = null
            where id = $1 and state = 'open' returning true""",
        turn_id,
        talk_id,
        route,
        since,
    )
    return bool(done)


async def note_accepted(session: Session, turn_id: UUID) -> str | None:
    """Return the message's id if the CRM has reported it already."""
    reported: str | None = await session.fetchval(
        """update app.turn set send_accepted_at = clock_timestamp()
            where id = $1 and state = 'sending' returning provider_message_id""",
        turn_id,
    )
    return reported


async def count_held_back(session: Session, turn_id: UUID) -> None:
    """The send could not even begin; so it is not counted as one."""
    await session.execute("update app.turn set held_back = held_back + 1 where id = $1", turn_id)


async def reopen_turn(session: Session, turn_id: UUID) -> None:
    """The CRM certainly did not carry the send out: the turn may send again if it is still current.

    Not if the CRM has reported the message meanwhile: then it is settled by its id.
    """
    await session.execute(
        """update app.turn set state = 'open', send_started_at = null
            where id = $1 and state = 'sending' and provider_message_id is null""",
        turn_id,
    )


async def end_turn(
    session: Session, turn: Turn, outcome: str, reason: str | None, provider_message_id: str | None
) -> Record | None:
    """End a live turn; return its message's id and whether the CRM itself has told of it.

    None as well if it is to end unsent, but the CRM has reported its message.
    """
    return await session.fetchrow(
        """update app.turn set state = 'ended', outcome = $2, reason = $3, ended_at = now(),
                  provider_message_id = coalesce($4, provider_message_id)
            where id = $1 and state in ('open', 'sending')
              and ($4::text is not null or provider_message_id is null)
        returning provider_message_id, reported_at is not null as is_reported""",
        turn.id,
        outcome,
        reason,
        provider_message_id,
    )


async def note_sent(session: Session, turn_id: UUID, provider_message_id: str) -> None:
    """A worker that lost the lane while sending still tells the id, so that read-back is not needed."""
    await session.execute(
        """update app.turn set provider_message_id = coalesce(provider_message_id, $2)
            where id = $1 and state = 'sending'""",
        turn_id,
        provider_message_id,
    )


async def ids_of_other_turns(session: Session, turn: Turn, ids: list[str]) -> set[str]:
    """Return which of these messages other turns have accounted for, or what is owed outside of turns: of the
    conversation, or of another chat of its deal, as the log of a deal shows those of all.
    """
    rows = await session.fetch(
        """with chats as (
             select $1::uuid as id
             union
             select c.id
               from app.conversation o
                    join app.conversation c on (c.connection_id, c.lead_id) = (o.connection_id, o.lead_id)
              where o.id = $1)
           select t.provider_message_id from chats join app.turn t on t.conversation_id = chats.id
            where t.id <> $2 and t.provider_message_id = any($3)
           union all
           select o.provider_message_id from chats join app.outgoing o on o.conversation_id = chats.id
            where o.provider_message_id = any($3)""",
        turn.conversation_id,
        turn.id,
        ids,
    )
    return {row["provider_message_id"] for row in rows}


async def count_recent_replies(session: Session, conversation_id: UUID, within: timedelta) -> int:
    """Count what was answered; a reply in parts is one."""
    found: int = await session.fetchval(
        """select count(*) from app.turn
            where conversation_id = $1 and state = 'ended' and outcome in ('reply', 'not_found') and part = 0
              and created_at > clock_timestamp() - $2::interval - interval '1 hour'
              and ended_at > clock_timestamp() - $2::interval""",
        conversation_id,
        within,
    )
    return found


async def deliveries_due(session: Session, per_connection: int, limit: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch(
        "select org_id, conversation_id from app.deliveries_due($1, $2)", per_connection, limit
    )
    return [(row["org_id"], row["conversation_id"]) for row in rows]


async def talks_of(session: Session, turn_ids: list[UUID]) -> dict[UUID, int | None]:
    rows = await session.fetch(
        """select id, send_talk_id from app.turn where id = any($1)
           union all
           select id, send_talk_id from app.outgoing where id = any($1)""",
        turn_ids,
    )
    return {row["id"]: row["send_talk_id"] for row in rows}


async def select_turns(
    session: Session, conversation_id: UUID, limit: int, seqs: tuple[int, int] | None = None
) -> list[TurnRecord]:
    """Return the latest turns, or those that answered or wrote a message with a number between these."""
    low, high = seqs or (None, None)
    rows = await session.fetch(
        """select id, outcome, reason, answer, first_seq, last_seq, ended_at, draft_state, draft_by,
                  draft_note, draft_is_edited from app.turn t
            where conversation_id = $1 and (state = 'ended' or reason = 'rest_outdated')
              and ($3::bigint is null or (t.last_seq >= $3 and t.first_seq <= $4::bigint)
                   or exists (select from app.message m where m.conversation_id = $1
                               and m.seq between $3 and $4 and m.turn_id = t.id))
            order by created_at desc limit $2""",
        conversation_id,
        limit,
        low,
        high,
    )
    return [_record(row) for row in rows]


async def select_turn(session: Session, conversation_id: UUID, turn_id: UUID) -> TurnRecord | None:
    row = await session.fetchrow(
        """select id, outcome, reason, answer, first_seq, last_seq, ended_at, draft_state, draft_by,
                  draft_note, draft_is_edited from app.turn
            where conversation_id = $1 and id = $2 and state = 'ended'""",
        conversation_id,
        turn_id,
    )
    return _record(row) if row else None


def _record(row: Record) -> TurnRecord:
    return TurnRecord(
        row["id"],
        row["outcome"],
        row["reason"],
        read_answer(row["answer"]),
        row["first_seq"],
        row["last_seq"],
        row["ended_at"],
        Decision(row["draft_state"], row["draft_by"], row["draft_note"], row["draft_is_edited"])
        if row["draft_state"]
        else None,
    )


def read_answer(value: Any) -> Answer | None:
    """Return a turn's recorded answer as it stands in the column."""
    return _answer.decode(value) if value else None


def _turn(row: Record, claim: int) -> Turn:
    state: Literal["open", "sending"] = row["state"]
    return Turn(
        id=row["id"],
        conversation_id=row["conversation_id"],
        epoch=row["epoch"],
        claim=claim,
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        state=state,
        answer=read_answer(row["answer"]),
        provider_message_id=row["provider_message_id"],
        send_attempts=row["send_attempts"],
        held_back=row["held_back"],
        send_started_at=row["send_started_at"],
        send_talk_id=row["send_talk_id"],
        agent_id=row["agent_id"],
        unknown_for=row["unknown_for"] or timedelta(0),
        send_route=row["send_route"],
        send_since=row["send_since"],
        accepted_for=row["accepted_for"],
        is_approved=row["is_approved"],
        part=row["part"],
    )
