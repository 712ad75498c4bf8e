"""Scenarios on the command line, for continuous integration: no worker is needed for them."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from gptagent.bootstrap import build_platform, build_scenario_jobs
from gptagent.entrypoints.operations import workspaces_of
from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent
from gptagent.features.dialog.scenario_runs import service
from gptagent.features.dialog.scenario_runs.model import MICRO, Run, Tally, Target
from gptagent.features.dialog.scenario_runs.service import AskedRun
from gptagent.features.dialog.scenarios.saying import failure_said
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.scope import Scope
from gptagent.kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """`agent` is a name or an id; `budget` is in US dollars."""

    agent: str
    workspace: int | None
    repeats: int
    target: Target
    budget: float


@dataclass(frozen=True, slots=True)
class Report:
    agent: Agent
    run: Run
    tallies: Sequence[Tally]


@dataclass(frozen=True, slots=True)
class _Here:
    """A run outside of a worker."""

    db: Database
    scope: Scope


async def run_scenarios(settings: Settings, asked: Asked, told: Callable[[str], None] | None) -> Report:
    """Play an agent's scenarios here and now. Raises NotFound, and Conflict while another run goes on."""
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )  # the report alone is printed
    platform = await build_platform(settings)
    try:
        scope, agent = await _find(platform.db, asked)
        wanted = AskedRun(agent.id, asked.target, asked.repeats, round(asked.budget * MICRO), by_itself=False)
        async with platform.db.session(scope) as session:
            run = await service.request_run(session, wanted, now=utcnow())
        try:
            await build_scenario_jobs(platform).advance(
                _Here(platform.db, scope), run.id, told=None if told is None else lambda now: told(_line(now))
            )
        finally:  # a run that was interrupted here is nobody's: it keeps no other one waiting
            async with platform.db.session(scope) as session:
                await service.end_run(session, run.id, "cancelled", now=utcnow())
        async with platform.db.session(scope) as session:
            run = await service.get_run(session, run.id)
            tallies = await service.tallies(session, run)
        return Report(agent, run, sorted(tallies, key=lambda one: one.position))
    finally:
        await platform.close()


def summary(report: Report) -> str:
    """Return what a person reads at the end."""
    lines = []
    for one in report.tallies:
        mark = "passed" if one.is_passed else "FAILED" if one.is_failed else "not played"
        lines.append(f"{mark:<11}{one.passed}/{one.repeats}  {one.name}")
        for attempt in one.attempts:
            lines += [f"    {attempt.number}: {failure_said('en', each)}" for each in attempt.failures]
    run = report.run
    cost = (
        f"${run.cost_micro_usd / MICRO:.6f}" if run.is_priced else f"{run.tokens_in + run.tokens_out} tokens"
    )
    state = "passed" if run.is_passed else "FAILED" if run.state == "done" else run.state.upper()
    return "\n".join([*lines, f"{state}: {run.passed} of {run.total} attempts passed, {cost}"])


def as_json(report: Report) -> str:
    """Return the same for a program."""
    run = report.run
    document = {
        "agent": {"id": str(report.agent.id), "name": report.agent.name},
        "run": str(run.id),
        "state": run.state,
        "passed": run.is_passed,
        "repeats": run.repeats,
        "attempts": {"total": run.total, "done": run.done, "passed": run.passed},
        "cost_micro_usd": run.cost_micro_usd if run.is_priced else None,
        "tokens": {"in": run.tokens_in, "out": run.tokens_out},
        "scenarios": [
            {
                "id": str(one.scenario_id),
                "name": one.name,
                "passed": one.is_passed,
                "attempts": [
                    {
                        "number": attempt.number,
                        "passed": attempt.is_passed,
                        "failures": [failure_said("en", each) for each in attempt.failures],
                    }
                    for attempt in one.attempts
                ],
            }
            for one in report.tallies
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


async def _find(db: Database, asked: Asked) -> tuple[Scope, Agent]:
    """Return the one agent with this name or id. Raises NotFound, Conflict if there are several."""
    found: list[tuple[Scope, Agent]] = []
    async for scope, _number in workspaces_of(db, asked.workspace):
        async with db.session(scope) as session:
            found += [
                (scope, one) for one in await agents.list_agents(session) if _is_meant(one, asked.agent)
            ]
    if not found:
        raise NotFound("agent_not_found", "There is no such agent.")
    if len(found) > 1:
        raise Conflict(
            "agent_ambiguous", "Several workspaces have an agent of this name. Name one with --workspace."
        )
    return found[0]


def _is_meant(agent: Agent, text: str) -> bool:
    try:
        return agent.id == UUID(text)
    except ValueError:
        return agent.name.casefold() == text.casefold()


def _line(run: Run) -> str:
    return f"{run.done}/{run.total}  {run.passed} passed"
