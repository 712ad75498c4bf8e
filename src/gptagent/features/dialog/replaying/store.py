"""All SQL of real turns answered anew."""
# ruff: noqa: S608 - what is put into statements are this module's constants

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.conversations.model import Message
from gptagent.features.dialog.replaying.model import Judged, NowSaid, Replayed
from gptagent.features.dialog.scenario_runs.model import Cost, Verdict
from gptagent.features.dialog.scenarios.store import packed
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Order, Page

ORDERS = {
    "-created_at": Order("-created_at", "created_at", descending=True, id_column="turn_id"),
    "created_at": Order("created_at", "created_at", id_column="turn_id"),
}
# Turns of an agent in which something was said of the base, or that it says nothing.
_TURNS = """from app.turn t where t.agent_id = $1 and t.state = 'ended'
              and t.outcome in ('reply', 'not_found') and t.answer is not null
              and t.ended_at >= $2 and t.ended_at < $3"""
_REPLAYED = """
select p.turn_id, p.conversation_id, p.verdict, p.answer as now, p.cost_micro_usd, p.tokens_in, p.tokens_out,
       p.millis, p.created_at, t.outcome as then_outcome, t.answer as said,
       (select string_agg(m.text, E'\\n' order by m.seq) from app.message m
         where m.conversation_id = t.conversation_id and m.author = 'customer'
           and m.seq between t.first_seq and t.last_seq) as question,
       (select max(m.sent_at) from app.message m
         where m.conversation_id = t.conversation_id and m.seq <= t.last_seq
           and m.author = 'customer') as asked_at,
       (select case when bool_and(u.cost_micro_usd is not null) then sum(u.cost_micro_usd)::bigint end
          from app.llm_usage u where u.turn_id = t.id) as then_cost, p.run_id
  from app.replayed_turn p join app.turn t on t.id = p.turn_id and t.answer is not null"""
_nows = msgspec.json.Decoder(NowSaid)


class _Source(msgspec.Struct):
    title: str


class _Said(msgspec.Struct):
    """What is read of a turn's answer."""

    text: str
    sources: tuple[_Source, ...] = ()


_answers = msgspec.json.Decoder(_Said)


async def count_turns(session: Session, agent_id: UUID, since: datetime, until: datetime) -> int:
    count: int = await session.fetchval(f"select count(*) {_TURNS}", agent_id, since, until)
    return count


async def choose_turns(
    session: Session, agent_id: UUID, since: datetime, until: datetime, limit: int
) -> list[UUID]:
    """Return turns from anywhere in the period, the same ones while it has the same."""
    rows = await session.fetch(
        f"select t.id {_TURNS} order by md5(t.id::text), t.id limit $4", agent_id, since, until, limit
    )
    return [row["id"] for row in rows]


async def replayed_of(session: Session, run_id: UUID) -> set[UUID]:
    rows = await session.fetch("select turn_id from app.replayed_turn where run_id = $1", run_id)
    return {row["turn_id"] for row in rows}


async def fetch_turn(session: Session, turn_id: UUID) -> Record | None:
    return await session.fetchrow(
        """select t.conversation_id, t.first_seq, t.last_seq, t.outcome, t.answer, c.connection_id, c.channel,
                  c.lead_id, c.contact_id, c.customer_name
             from app.turn t join app.conversation c on c.id = t.conversation_id
            where t.id = $1 and t.answer is not null""",
        turn_id,
    )


async def messages_until(session: Session, conversation_id: UUID, seq: int, limit: int) -> list[Message]:
    rows = await session.fetch(
        """select * from (select seq, author, author_name, text, attachment_type, turn_id, sent_at,
                                 delivery_status from app.message where conversation_id = $1 and seq <= $2
                           order by seq desc limit $3) latest order by seq""",
        conversation_id,
        seq,
        limit,
    )
    return [Message(**row) for row in rows]


async def pin_turn(session: Session, turn_id: UUID) -> bool:
    """Keep the turn until the commit. Return False if it is gone."""
    row = await session.fetchrow("select from app.turn where id = $1 for key share", turn_id)
    return row is not None


async def insert_replayed(
    session: Session, run_id: UUID, turn_id: UUID, said: Judged, *, cost: Cost, now: datetime
) -> bool:
    """Return False if it is there already."""
    done = await session.fetchval(
        """insert into app.replayed_turn (run_id, turn_id, conversation_id, verdict, answer, cost_micro_usd,
                  tokens_in, tokens_out, millis, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning true""",
        run_id,
        turn_id,
        said.conversation_id,
        said.verdict,
        packed(said.now),
        cost.micro_usd,
        cost.tokens_in,
        cost.tokens_out,
        cost.millis,
        now,
    )
    return bool(done)


async def list_replayed(
    session: Session, run_id: UUID, verdicts: Sequence[Verdict], limit: int, offset: int
) -> list[Replayed]:
    rows = await session.fetch(
        f"""{_REPLAYED} where p.run_id = $1 and p.verdict = any($2)
             order by p.verdict = 'same', p.created_at, p.turn_id limit $3 offset $4""",
        run_id,
        list(verdicts),
        limit,
        offset,
    )
    return [_replayed(row) for row in rows]


async def page_replayed(session: Session, run_id: UUID, page: Page) -> list[Replayed]:
    rows = await session.fetch(
        f"select * from ({_REPLAYED}) replayed where run_id = $1 and {page.clause(2)}", run_id, *page.args
    )
    return [_replayed(row) for row in rows]


async def count_verdicts(session: Session, run_id: UUID) -> dict[str, int]:
    rows = await session.fetch(
        "select verdict, count(*) as n from app.replayed_turn where run_id = $1 group by verdict", run_id
    )
    return {row["verdict"]: row["n"] for row in rows}


def text_of(answer: str) -> str:
    """Return the text of a turn's answer as it is stored."""
    return _answers.decode(answer).text


def _replayed(row: Record) -> Replayed:
    said = _answers.decode(row["said"])
    return Replayed(
        turn_id=row["turn_id"],
        conversation_id=row["conversation_id"],
        verdict=row["verdict"],
        question=row["question"] or "",
        then_text=said.text,
        then_outcome=row["then_outcome"],
        then_sources=tuple(dict.fromkeys(one.title for one in said.sources)),
        then_cost_micro_usd=row["then_cost"],
        now=_nows.decode(row["now"]),
        cost=Cost(row["cost_micro_usd"], row["tokens_in"], row["tokens_out"], row["millis"]),
        asked_at=row["asked_at"] or row["created_at"],
        created_at=row["created_at"],
    )
