"""The verbs of real turns answered anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.agents.model import HISTORY_MAX_MESSAGES
from gptagent.features.conversations import service as conversations
from gptagent.features.dialog.context import QUESTION_MAX_CHARS
from gptagent.features.dialog.replaying import store
from gptagent.features.dialog.replaying.model import Judged, Original, Replayed
from gptagent.features.dialog.scenario_runs import service as runs
from gptagent.features.dialog.scenario_runs import store as running
from gptagent.features.dialog.scenario_runs.candidates import candidate_of
from gptagent.features.dialog.scenario_runs.model import (
    BUDGET_MICRO_USD,
    REPLAY_DAYS_MAX,
    REPLAY_TURNS_MAX,
    VERDICTS,
    Cost,
    Run,
    Target,
    Verdict,
    Work,
)
from gptagent.features.dialog.tracing import service as tracing
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid
from gptagent.kernel.paging import Page

ORDERS = store.ORDERS


@dataclass(frozen=True, slots=True)
class AskedReplay:
    """Up to `most` turns of the agent from the last `days` days."""

    agent_id: UUID
    days: int = 7
    most: int = 20
    target: Target = "draft"
    budget_micro_usd: int = BUDGET_MICRO_USD


@dataclass(frozen=True, slots=True)
class Forecast:
    """`turns`: how many real ones of the period there are; of these `estimate.answers` are answered anew."""

    turns: int
    estimate: runs.Estimate


async def forecast(session: Session, asked: AskedReplay, *, now: datetime) -> Forecast:
    """Return what a replay will come to. Raises NotFound, Invalid."""
    _check(asked)
    await candidate_of(session, asked.agent_id, asked.target)
    turns = await store.count_turns(session, asked.agent_id, now - timedelta(days=asked.days), now)
    answers = min(turns, asked.most)
    return Forecast(turns, await runs.estimate(session, asked.agent_id, answers, now=now))


async def request_replay(session: Session, asked: AskedReplay, *, now: datetime) -> Run:
    """Have real turns answered anew. Raises NotFound, Invalid, and Conflict while another run goes on, or if
    there are no turns.
    """
    _check(asked)
    candidate = await candidate_of(session, asked.agent_id, asked.target)
    since = now - timedelta(days=asked.days)
    turns = await store.choose_turns(session, asked.agent_id, since, now, asked.most)
    if not turns:
        raise Conflict("no_turns", "In this period the agent has answered nobody.")
    blank = runs.blank_run("replay", candidate, asked.target, asked.budget_micro_usd, now)
    run = replace(blank, since=since, until=now, total=len(turns))
    return await runs.begin(session, run, candidate.settings, turns=turns)


async def open_turns(session: Session, work: Work) -> list[UUID]:
    """Return the turns of a run that were not answered anew yet."""
    done = await store.replayed_of(session, work.run.id)
    return [one for one in work.turns if one not in done]


async def read_turn(session: Session, turn_id: UUID) -> Original | None:
    """Return a turn with the talk as it was then; None if it is gone."""
    row = await store.fetch_turn(session, turn_id)
    if row is None:
        return None
    messages = await conversations.list_messages(
        session,
        row["conversation_id"],
        from_seq=max(1, row["first_seq"] - HISTORY_MAX_MESSAGES),
        to_seq=row["last_seq"],
    )
    explained = await tracing.find_explanation(session, row["conversation_id"], turn_id)
    frozen = explained.input if explained else None
    asked = [one for one in messages if one.seq >= row["first_seq"] and one.author == "customer"]
    if frozen is not None and frozen.unanswered:
        asked = [one for one in messages if one.seq in frozen.unanswered]
    # A turn begins after the message answered last: what lies between is our answer to that.
    first = asked[0].seq if asked else row["first_seq"]
    before = [one for one in messages if one.seq < first]
    return Original(
        turn_id=turn_id,
        conversation_id=row["conversation_id"],
        connection_id=row["connection_id"],
        channel=row["channel"],
        lead_id=row["lead_id"],
        contact_id=row["contact_id"],
        customer_name=row["customer_name"],
        outcome=row["outcome"],
        text=store.text_of(row["answer"]),
        history=tuple(before[-HISTORY_MAX_MESSAGES:]),
        question="\n".join(filter(None, (one.told for one in asked)))[:QUESTION_MAX_CHARS],
        lead=frozen.lead if frozen else None,
        contact=frozen.contact if frozen else None,
    )


async def keep(
    session: Session, work: Work, turn_id: UUID, said: Judged | None, *, cost: Cost, now: datetime
) -> Run | None:
    """Record an answer given anew. A turn that is gone meanwhile is left out; what it has cost counts.

    Return how far the run is; None if it is not this worker's any more.
    """
    if not await running.is_held(session, work.run.id, work.claim, lock=True):
        return None
    if said is not None:
        await conversations.pin_conversation(session, said.conversation_id)
        if not await store.pin_turn(session, turn_id):
            await running.add_cost(session, work.run.id, cost, now)
        elif await store.insert_replayed(session, work.run.id, turn_id, said, cost=cost, now=now):
            is_same = said.verdict == "same"
            await running.add_result(session, work.run.id, cost, now, passed=int(is_same))
    await runs.tell(session)
    return await runs.get_run(session, work.run.id)


async def list_replayed(
    session: Session, run_id: UUID, verdict: Verdict | None, *, limit: int, offset: int = 0
) -> list[Replayed]:
    """Return turns of a run, or those of one verdict; what stayed the same comes last."""
    wanted: Sequence[Verdict] = VERDICTS if verdict is None else (verdict,)
    return await store.list_replayed(session, run_id, wanted, limit, offset)


async def page_replayed(session: Session, run_id: UUID, page: Page) -> tuple[list[Replayed], str | None]:
    """Return a page of a run's turns, and the cursor of the next one. Raises NotFound."""
    await runs.get_run(session, run_id)
    found = await store.page_replayed(session, run_id, page)
    return page.cut(found, lambda one: (one.created_at, one.turn_id))


async def count_verdicts(session: Session, run_id: UUID) -> dict[str, int]:
    """Return how many turns there are of each verdict."""
    return await store.count_verdicts(session, run_id)


def _check(asked: AskedReplay) -> None:
    faults = []
    for name, value, high in (("days", asked.days, REPLAY_DAYS_MAX), ("most", asked.most, REPLAY_TURNS_MAX)):
        if not 1 <= value <= high:
            faults.append(FieldError(name, "From {low} to {high}.", {"low": 1, "high": high}))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
