"""All SQL of hand-offs."""

from dataclasses import dataclass
from uuid import UUID

from gptagent.features.dialog.handing.model import Handoff, MadeBy, Reason
from gptagent.kernel.db import Session

# `after_seq` is the last message before it.
_HANDOFF = """select h.id, h.made_by, h.by_name, h.assignee_id, h.reason, h.note, h.created_at,
                     coalesce(o.seq - 1, (select max(m.seq) from app.message m
                                           where m.conversation_id = h.conversation_id
                                             and m.created_at <= h.created_at), 0) as after_seq,
                     o.state as message_state, o.reason as message_reason, t.state as task_state,
                     a.state as summary_state
                from app.handoff h
                     left join app.outgoing o on o.id = h.outgoing_id
                     left join app.crm_task t on t.id = h.task_id
                     left join app.crm_action a on a.id = h.action_id"""


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody has put into a hand-off: to whom, with which words to the customer, the colleague."""

    assignee_id: UUID | None
    text: str | None
    note: str


@dataclass(frozen=True, slots=True)
class NewHandoff:
    """What is kept of one; ids of its parts, None where there is none."""

    id: UUID
    conversation_id: UUID
    made_by: MadeBy
    agent_id: UUID | None
    by_name: str
    assignee_id: UUID
    reason: Reason
    note: str
    outgoing_id: UUID | None
    task_id: UUID | None
    action_id: UUID | None


async def insert(session: Session, one: NewHandoff) -> None:
    await session.execute(
        """insert into app.handoff (id, conversation_id, made_by, agent_id, by_name, assignee_id, reason,
                                    note, outgoing_id, task_id, action_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        one.id,
        one.conversation_id,
        one.made_by,
        one.agent_id,
        one.by_name,
        one.assignee_id,
        one.reason,
        one.note,
        one.outgoing_id,
        one.task_id,
        one.action_id,
    )


async def select_of(session: Session, conversation_id: UUID, limit: int) -> list[Handoff]:
    """Return the latest hand-offs, newest first."""
    rows = await session.fetch(
        f"{_HANDOFF} where h.conversation_id = $1 order by h.created_at desc limit $2", conversation_id, limit
    )
    return [Handoff(**dict(row)) for row in rows]


async def select_one(session: Session, conversation_id: UUID, handoff_id: UUID) -> Handoff | None:
    row = await session.fetchrow(
        f"{_HANDOFF} where h.conversation_id = $1 and h.id = $2", conversation_id, handoff_id
    )
    return Handoff(**dict(row)) if row else None


async def find_said(session: Session, handoff_id: UUID) -> Said | None:
    row = await session.fetchrow(
        """select h.assignee_id, m.text, h.note
             from app.handoff h
                  left join app.outgoing o on o.id = h.outgoing_id
                  left join app.message m on m.conversation_id = o.conversation_id and m.seq = o.seq
            where h.id = $1""",
        handoff_id,
    )
    return Said(**dict(row)) if row else None


async def least_busy(session: Session, people: list[UUID]) -> UUID | None:
    """Return who of these has the fewest conversations in hand; of several the one named first."""
    found: UUID | None = await session.fetchval(
        """select p.id from unnest($1::uuid[]) with ordinality as p (id, place)
            order by (select count(*) from app.conversation c
                       where c.assignee_id = p.id and c.taken_over_at is not null), p.place limit 1""",
        people,
    )
    return found
