"""The verbs of runs: ask for one, how far it is, cancel it, what it came to; and whether an agent may be
published by them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Settings
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.dialog.scenario_runs import store
from gptagent.features.dialog.scenario_runs.candidates import candidate_of, fingerprint_of
from gptagent.features.dialog.scenario_runs.model import (
    BUDGET_MAX_MICRO_USD,
    BUDGET_MICRO_USD,
    LOST_AFTER,
    RUNS_KEPT,
    Attempt,
    Candidate,
    Kind,
    Planned,
    Refusal,
    Run,
    State,
    Tally,
    Target,
    Work,
)
from gptagent.features.dialog.scenarios import service as scenarios
from gptagent.features.dialog.scenarios.checking import checked_repeats
from gptagent.features.dialog.scenarios.model import Condition, Scenario
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

RUN = "dialog.run_scenarios"
BEHIND_REPLIES = -1
TOPIC = "scenario-runs"
ORDERS = store.ORDERS
ATTEMPT_ORDERS = store.ATTEMPT_ORDERS
LATEST_SHOWN = 10
MEASURED_OVER = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class AskedRun:
    """`scenarios` None: all of the agent's. `by_itself`: a job does it; else whoever asked."""

    agent_id: UUID
    target: Target = "draft"
    repeats: int = 1
    budget_micro_usd: int = BUDGET_MICRO_USD
    scenarios: tuple[UUID, ...] | None = None
    by_itself: bool = True


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will cost, by the agent's turns of the last weeks; None where none has a price."""

    answers: int
    micro_usd: int | None
    tokens: int


async def request_run(session: Session, asked: AskedRun, *, now: datetime) -> Run:
    """Ask for a run of scenarios. Raises NotFound, Invalid, and Conflict while another run goes on."""
    repeats = checked_repeats(asked.repeats)
    candidate = await candidate_of(session, asked.agent_id, asked.target)
    known = await scenarios.list_scenarios(session, asked.agent_id)
    chosen = _chosen(known, asked.scenarios)
    suite = [Planned(one.id, one.version, one.name, one.play) for one in chosen]
    run = replace(
        blank_run("scenarios", candidate, asked.target, asked.budget_micro_usd, now),
        suite_fingerprint=_suite_fingerprint(chosen),
        is_whole=len(chosen) == len(known),
        repeats=repeats,
        total=len(suite) * repeats,
    )
    return await begin(session, run, candidate.settings, suite=suite, by_itself=asked.by_itself)


def blank_run(kind: Kind, candidate: Candidate, target: Target, budget: int, now: datetime) -> Run:
    """Return a run of nothing. Raises Invalid on the budget."""
    if not 0 < budget <= BUDGET_MAX_MICRO_USD:
        raise Invalid.field("budget_micro_usd", "From {low} to {high}.", low=1, high=BUDGET_MAX_MICRO_USD)
    return Run(
        id=new_id(),
        kind=kind,
        agent_id=candidate.agent.id,
        target=target,
        fingerprint=candidate.fingerprint,
        suite_fingerprint="",
        is_whole=False,
        since=None,
        until=None,
        repeats=1,
        state="queued",
        total=0,
        done=0,
        passed=0,
        budget_micro_usd=budget,
        cost_micro_usd=0,
        is_priced=True,
        tokens_in=0,
        tokens_out=0,
        asked_at=now,
        began_at=None,
        ended_at=None,
    )


async def begin(
    session: Session,
    run: Run,
    settings: Settings,
    *,
    suite: Sequence[Planned] = (),
    turns: Sequence[UUID] = (),
    by_itself: bool = True,
) -> Run:
    """Keep the run with all it needs and have it done. Raises Conflict while another one goes on."""
    await store.drop_lost(session, run.asked_at, LOST_AFTER)
    if not await store.insert_run(session, run, settings, suite, turns):
        raise Conflict(
            "run_going_on", "A run of this workspace is still going on. Wait for its end or cancel it."
        )
    await store.forget_runs(session, run.agent_id, RUNS_KEPT)
    if by_itself:
        await queue(session, run.id)
    counted = {
        "agent_id": (None, str(run.agent_id)),
        "target": (None, run.target),
        "total": (None, run.total),
    }
    entry = Entry(
        "scenario_run.requested" if run.kind == "scenarios" else "replay.requested",
        "scenario_run",
        str(run.id),
        counted,
    )
    await audit.record(session, entry)
    await tell(session)
    return run


async def queue(session: Session, run_id: UUID, delay: timedelta | None = None) -> None:
    """Have a job go on with the run."""
    await session.enqueue(RUN, {"run_id": str(run_id)}, delay=delay or timedelta(0), priority=BEHIND_REPLIES)


async def take_run(session: Session, run_id: UUID, *, now: datetime) -> Work | None:
    """Take a run that goes on; whoever had it before records nothing more. None if there is nothing to do."""
    taken = await store.take(session, run_id, now)
    if taken is None:
        return None
    run, row = taken
    agent = await agents.find_agent(session, run.agent_id)
    if agent is None:
        return None
    settings, suite, turns = store.frozen_of(row)
    await tell(session)
    return Work(run, row["claim"], replace(agent, settings=settings), suite, turns)


async def is_wanted(session: Session, work: Work) -> bool:
    """Whether the run goes on, and with this worker."""
    return await store.is_held(session, work.run.id, work.claim)


async def made_attempts(session: Session, run_id: UUID) -> set[tuple[int, int]]:
    """Return which attempts are there, as (position, number)."""
    return await store.made_attempts(session, run_id)


async def keep_attempt(session: Session, work: Work, attempt: Attempt, *, now: datetime) -> Run | None:
    """Record an attempt and return how far the run is; None if it is not this worker's any more."""
    if not await store.is_held(session, work.run.id, work.claim, lock=True):
        return None
    if await store.insert_attempt(session, work.run.id, attempt):
        await store.add_result(session, work.run.id, attempt.cost, now, passed=int(attempt.is_passed))
    await tell(session)
    return await get_run(session, work.run.id)


async def end_run(session: Session, run_id: UUID, state: State, *, now: datetime) -> None:
    """End a run that goes on. One that has ended stays as it is."""
    if await store.end(session, run_id, state, now):
        await tell(session)


async def cancel_run(session: Session, run_id: UUID, *, now: datetime) -> Run:
    """Stop a run; what it found so far stays. One that has ended stays as it is. Raises NotFound."""
    await get_run(session, run_id, lock=True)
    if await store.end(session, run_id, "cancelled", now):
        await audit.record(session, Entry("scenario_run.cancelled", "scenario_run", str(run_id)))
        await tell(session)
    return await get_run(session, run_id)


async def get_run(session: Session, run_id: UUID, *, lock: bool = False) -> Run:
    """Raises NotFound."""
    run = await store.fetch_run(session, run_id, lock=lock)
    if run is None:
        raise NotFound("run_not_found", "There is no such run.")
    return run


async def latest_runs(session: Session, agent_id: UUID | None = None) -> list[Run]:
    """Return the latest runs, of an agent or of all, newest first."""
    return await store.latest_runs(session, agent_id, LATEST_SHOWN)


async def find_going_on(session: Session) -> Run | None:
    """Return the workspace's run that goes on."""
    return await store.going_on(session)


async def page_runs(
    session: Session, page: Page, agent_id: UUID | None = None, kind: Kind | None = None
) -> tuple[list[Run], str | None]:
    """Return a page of runs, and the cursor of the next one if there is more."""
    found = await store.page_runs(session, page, agent_id, kind)
    return page.cut(found, lambda one: (one.asked_at, one.id))


async def page_attempts(session: Session, run_id: UUID, page: Page) -> tuple[list[Attempt], str | None]:
    """Return a page of a run's attempts, scenario by scenario, and the next cursor. Raises NotFound."""
    await get_run(session, run_id)
    found = await store.page_attempts(session, run_id, page)
    return page.cut(found, lambda one: (place := one.position * 100 + one.number, place))


async def suite_of(session: Session, run_id: UUID) -> tuple[Planned, ...]:
    """Return a run's scenarios as they were."""
    return await store.suite_of(session, run_id)


async def tallies(session: Session, run: Run) -> list[Tally]:
    """Return how each scenario of a run has done so far, with its attempts, those that failed first."""
    attempts = await store.list_attempts(session, run.id)
    found = []
    for position, planned in enumerate(await store.suite_of(session, run.id)):
        own = tuple(one for one in attempts if one.position == position)
        passed = sum(one.is_passed for one in own)
        found.append(Tally(position, planned.id, planned.name, run.repeats, len(own), passed, own))
    return sorted(found, key=lambda one: (not one.is_failed, one.position))


async def estimate(session: Session, agent_id: UUID, answers: int, *, now: datetime) -> Estimate:
    """Return what so many answers will cost, by what the agent's turns of the last weeks have used."""
    turns, cost, tokens = await store.average_cost(session, agent_id, now - MEASURED_OVER)
    known = turns > 0 and cost is not None
    return Estimate(answers, (cost or 0) * answers if known else None, round(tokens * answers))


async def answers_of(session: Session, agent_id: UUID, repeats: int) -> int:
    """Return how many answers all of an agent's scenarios take at most."""
    found = await scenarios.list_scenarios(session, agent_id)
    return repeats * sum(one.play.most_turns for one in found)


async def why_not_published(session: Session, agent_id: UUID, settings: Settings) -> Refusal | None:
    """Return why these settings may not be published yet; None if they may. Raises NotFound."""
    condition = await scenarios.get_condition(session, agent_id)
    if not condition.is_on:
        return None
    known = await scenarios.list_scenarios(session, agent_id)
    run = await store.latest_whole(session, agent_id)
    if not known or run is None:
        return Refusal("never" if known else "none")
    if (run.fingerprint, run.suite_fingerprint) != (fingerprint_of(settings), _suite_fingerprint(known)):
        return Refusal("changed", run_id=run.id)
    return _refusal_of(run, condition)


def _refusal_of(run: Run, condition: Condition) -> Refusal | None:
    """Return what a run of the very draft and scenarios lacks."""
    if run.is_going_on or run.state != "done":
        return Refusal("going_on" if run.is_going_on else "unfinished", run_id=run.id)
    if not run.is_passed:
        return Refusal("failed", {"passed": run.passed, "total": run.total}, run.id)
    if run.repeats < condition.repeats:
        return Refusal("few", {"repeats": run.repeats, "wanted": condition.repeats}, run.id)
    return None


async def tell(session: Session) -> None:
    await session.publish(TOPIC, "changed", {})


def _chosen(known: Sequence[Scenario], wanted: Sequence[UUID] | None) -> list[Scenario]:
    if wanted is None:
        if not known:
            raise Conflict("no_scenarios", "There are no scenarios yet that it could be run against.")
        return list(known)
    chosen = [one for one in known if one.id in set(wanted)]
    if not chosen or len(chosen) != len(set(wanted)):
        raise Invalid.field("scenarios", "There is no such scenario of this agent.")
    return chosen


def _suite_fingerprint(found: Sequence[Scenario]) -> str:
    named = sorted(f"{one.id}:{one.version}" for one in found)
    return hashlib.sha256("\n".join(named).encode()).hexdigest()
