"""All SQL of acting. Locks come after connection and conversation, as those of turns do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.conversations.model import Conversation
from gptagent.features.dialog.acting.model import (
    ACTION_NAMES,
    UNKNOWN,
    Called,
    KeptProposal,
    NewContact,
    Plan,
    Proposal,
    Run,
)
from gptagent.features.dialog.model import Answer
from gptagent.features.dialog.store import read_answer
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

_calls = msgspec.json.Decoder(tuple[Called, ...])
_fields = msgspec.json.Decoder(dict[str, Any])

_PROPOSAL = """select p.id, p.conversation_id, c.connection_id, p.turn_id, p.lead_id, p.contact_id, p.action,
                      p.fields, p.degree, p.confidence, p.shown, p.reason, p.state, p.action_id,
                      case o.state when 'sent' then 'done' when 'not_sent' then 'failed'
                                   when 'waiting' then 'pending' else coalesce(o.state, a.state) end
                        as action_state,
                      coalesce(p.error_code, a.error_code, o.reason) as error_code,
                      p.decided_by, p.decided_at, p.created_at, c.customer_name
                 from app.action_proposal p
                      join app.conversation c on c.id = p.conversation_id
                      left join app.crm_action a on a.id = p.action_id
                      left join app.outgoing o on o.id = p.id"""


@dataclass(frozen=True, slots=True)
class EndedTurn:
    """A turn that is over. `is_stale`: its draft was taken back or rejected."""

    conversation_id: UUID
    agent_id: UUID | None
    first_seq: int
    last_seq: int
    answer: Answer | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Lately:
    """Within which time the same is not proposed again. Of actions in `single` only the newest one counts."""

    within: timedelta
    single: Sequence[str]


async def insert_run(session: Session, turn_id: UUID, conversation_id: UUID) -> bool:
    """Return False if the turn is looked at already."""
    return bool(
        await session.fetchval(
            """insert into app.action_run (turn_id, conversation_id) values ($1, $2)
               on conflict do nothing returning true""",
            turn_id,
            conversation_id,
        )
    )


async def pending_turn(session: Session, turn_id: UUID) -> EndedTurn | None:
    """Return the turn that is still to be looked at."""
    row = await session.fetchrow(
        """select t.conversation_id, t.agent_id, t.first_seq, t.last_seq, t.answer,
                  coalesce(t.draft_state in ('outdated', 'rejected'), false) as is_stale
             from app.action_run r join app.turn t on t.id = r.turn_id
            where r.turn_id = $1 and r.state = 'pending'""",
        turn_id,
    )
    return EndedTurn(**{**row, "answer": read_answer(row["answer"])}) if row else None


async def end_run(
    session: Session, turn_id: UUID, state: str, plan: Plan, error_code: str | None = None
) -> bool:
    """Return False if another has ended it: then nothing of the plan may be done."""
    return bool(
        await session.fetchval(
            """update app.action_run set state = $2, intent = $3, intent_confidence = $4, calls = $5,
                      error_code = $6, ended_at = now()
                where turn_id = $1 and state = 'pending' returning true""",
            turn_id,
            state,
            plan.intent,
            plan.intent_confidence,
            msgspec.json.encode(plan.calls).decode(),
            error_code,
        )
    )


async def note_calls(session: Session, turn_id: UUID, calls: Sequence[Called]) -> None:
    await session.execute(
        "update app.action_run set calls = $2 where turn_id = $1",
        turn_id,
        msgspec.json.encode(calls).decode(),
    )


async def select_runs(session: Session, turn_ids: Sequence[UUID]) -> dict[UUID, Run]:
    rows = await session.fetch(
        """select turn_id, state, intent, intent_confidence, error_code, calls from app.action_run
            where turn_id = any($1)""",
        list(turn_ids),
    )
    return {row["turn_id"]: Run(**{**row, "calls": _calls.decode(row["calls"])}) for row in rows}


async def latest_run(session: Session, conversation_id: UUID) -> Run | None:
    """Return the run of the latest turn that has been looked at."""
    row = await session.fetchrow(
        """select turn_id, state, intent, intent_confidence, error_code, calls from app.action_run
            where conversation_id = $1 and state <> 'pending' order by created_at desc limit 1""",
        conversation_id,
    )
    return Run(**{**row, "calls": _calls.decode(row["calls"])}) if row else None


async def insert_proposal(
    session: Session, conversation: Conversation, turn_id: UUID, proposal: Proposal, lately: Lately
) -> UUID | None:
    """Return its id; None if the same waits already or was decided lately. A turn's keep their order."""
    proposal_id = new_id()
    done: UUID | None = await session.fetchval(
        """insert into app.action_proposal
             (id, conversation_id, turn_id, action, fields, shown, reason, degree, confidence, key, lead_id,
              contact_id, created_at)
           select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, clock_timestamp()
            where not exists (
              select from app.action_proposal p
               where p.conversation_id = $2 and p.key = $10
                 and (p.state = 'waiting'
                      or (p.state in ('done', 'rejected') and p.created_at > clock_timestamp() - $13::interval
                          and ($4 <> all($14)
                               or not exists (select from app.action_proposal later
                                               where later.conversation_id = $2 and later.action = $4
                                                 and later.state = 'done' and later.id > p.id)))))
           returning id""",
        proposal_id,
        conversation.id,
        turn_id,
        proposal.action,
        msgspec.json.encode(proposal.fields).decode(),
        proposal.shown,
        proposal.reason,
        proposal.degree,
        proposal.confidence,
        proposal.key,
        conversation.lead_id,
        conversation.contact_id,
        lately.within,
        list(lately.single),
    )
    return done


async def outdate(
    session: Session, conversation_id: UUID, actions: Sequence[str], kept: Sequence[str]
) -> None:
    """Take back suggestions that nobody followed, and what waits for approval of these actions, unless it is
    proposed again.
    """
    await session.execute(
        """update app.action_proposal set state = 'outdated', decided_at = clock_timestamp()
            where conversation_id = $1 and state = 'waiting' and key <> all($3)
              and (degree = 'suggest' or action = any($2))""",
        conversation_id,
        list(actions),
        list(kept),
    )


async def outdate_answered(session: Session, conversation_id: UUID) -> None:
    """Take back a prepared message once a person has written since the answer it follows."""
    await session.execute(
        """update app.action_proposal p set state = 'outdated', decided_at = clock_timestamp()
            where p.conversation_id = $1 and p.state = 'waiting' and p.action = 'send_message'
              and exists (select from app.turn t join app.message m on m.conversation_id = t.conversation_id
                           where t.id = p.turn_id and m.seq > t.last_seq and m.author = 'human')""",
        conversation_id,
    )


async def customer_waits(session: Session, conversation_id: UUID) -> bool:
    """Whether an answer to the customer is in the making, or waits as a draft."""
    found: bool = await session.fetchval(
        """select exists (select from app.lane where conversation_id = $1 and done < wanted)
               or exists (select from app.turn where conversation_id = $1 and draft_state = 'waiting')""",
        conversation_id,
    )
    return found


async def decide(
    session: Session, conversation_id: UUID, proposal_id: UUID, state: str, by: str | None
) -> bool:
    """Return False if it does not wait any more."""
    return bool(
        await session.fetchval(
            """update app.action_proposal set state = $3, decided_by = $4, decided_at = clock_timestamp()
                where conversation_id = $1 and id = $2 and state = 'waiting' returning true""",
            conversation_id,
            proposal_id,
            state,
            by,
        )
    )


async def set_action(session: Session, proposal_id: UUID, action_id: UUID) -> None:
    await session.execute(
        "update app.action_proposal set action_id = $2 where id = $1", proposal_id, action_id
    )


async def reword(session: Session, proposal: KeptProposal) -> None:
    """Keep what a person has made of a proposal that was done."""
    await session.execute(
        "update app.action_proposal set fields = $2, shown = $3 where id = $1",
        proposal.id,
        msgspec.json.encode(proposal.fields).decode(),
        proposal.shown,
    )


async def ask_instead(session: Session, proposal_id: UUID, error_code: str | None) -> None:
    """Let an action wait for a person that the agent was to do alone."""
    await session.execute(
        """update app.action_proposal set degree = 'approve', error_code = $2
            where id = $1 and state = 'waiting'""",
        proposal_id,
        error_code,
    )


async def count_alone(session: Session, conversation_id: UUID, within: timedelta) -> int:
    """Return how much the agent has done alone in a conversation lately."""
    found: int = await session.fetchval(
        """select count(*) from app.action_proposal
            where conversation_id = $1 and degree = 'alone' and state = 'done'
              and created_at > clock_timestamp() - $2::interval""",
        conversation_id,
        within,
    )
    return found


async def new_contact(session: Session, conversation_id: UUID) -> NewContact:
    """Return what there is of a contact from a conversation. `made`: or it is being made, or was and the
    deal did not get it. A suggestion that a newer answer takes back does not count.
    """
    found: NewContact = await session.fetchval(
        """select case when bool_or(a.state <> 'failed' or a.external_id is not null) then 'made'
                       when bool_or(p.state = 'waiting' and p.degree = 'approve') then 'waiting'
                       else 'none' end
             from app.action_proposal p left join app.crm_action a on a.id = p.action_id
            where p.conversation_id = $1 and p.action = 'create_contact'""",
        conversation_id,
    )
    return found


async def select_proposal(session: Session, conversation_id: UUID, proposal_id: UUID) -> KeptProposal | None:
    row = await session.fetchrow(
        f"{_PROPOSAL} where p.conversation_id = $1 and p.id = $2", conversation_id, proposal_id
    )
    return _proposal(row) if row else None


async def select_latest(session: Session, conversation_id: UUID, limit: int) -> list[KeptProposal]:
    """Return those that wait, and the latest that were decided."""
    rows = await session.fetch(
        f"""{_PROPOSAL} where p.conversation_id = $1 and p.state <> 'outdated'
             order by (p.state = 'waiting') desc, p.created_at desc, p.id desc limit $2""",
        conversation_id,
        limit,
    )
    return [_proposal(row) for row in rows]


async def select_page(
    session: Session, page: Page, conversation_id: UUID | None, state: str | None, degree: str | None
) -> list[KeptProposal]:
    """Return a page of those of one conversation, or of all."""
    rows = await session.fetch(
        f"""select * from ({_PROPOSAL}) proposals
             where ($1::uuid is null or conversation_id = $1) and ($2::text is null or state = $2)
               and ($3::text is null or degree = $3) and {page.clause(4)}""",  # noqa: S608 - of this file
        conversation_id,
        state,
        degree,
        *page.args,
    )
    return [_proposal(row) for row in rows]


async def count_queue(session: Session) -> int:
    found: int = await session.fetchval(
        "select count(*) from app.action_proposal where state = 'waiting' and degree = 'approve'"
    )
    return found


def _proposal(row: Record) -> KeptProposal:
    action = row["action"] if row["action"] in ACTION_NAMES else UNKNOWN
    return KeptProposal(**{**row, "action": action, "fields": _fields.decode(row["fields"])})
