"""Rows of the estate: put in plainly, and those of what is played without any effect."""

import json
from uuid import UUID

from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id


async def insert(session: Session, table: str, **values: object) -> None:
    columns, marks = ", ".join(values), ", ".join(f"${number}" for number in range(1, len(values) + 1))
    statement = f"insert into app.{table} ({columns}) values ({marks})"  # noqa: S608 - names of this file
    await session.execute(statement, *values.values())


async def rehearsed(session: Session, canary: str, agent_id: UUID, turn: dict[str, UUID]) -> dict[str, UUID]:
    """A scenario, a run that has ended, what it found, and a turn that was answered anew."""
    scenario_id, run_id, now = new_id(), new_id(), utcnow()
    play = json.dumps({"messages": [canary], "checks": [{"subject": "contains", "value": canary}]})
    made_at = {"created_at": now, "updated_at": now}
    await insert(session, "scenario", id=scenario_id, agent_id=agent_id, name=canary, play=play, **made_at)
    await insert(session, "publish_condition", agent_id=agent_id, is_on=False, repeats=1)
    suite = json.dumps(
        [{"id": str(scenario_id), "version": 1, "name": canary, "play": {"messages": [canary]}}]
    )
    frozen = {"settings": json.dumps({"goal": canary}), "fingerprint": canary, "suite": suite}
    about = {"kind": "scenarios", "agent_id": agent_id, "target": "draft", "suite_fingerprint": canary}
    bounds = {"is_whole": False, "repeats": 1, "total": 1, "done": 1, "budget_micro_usd": 1}
    times = {"state": "done", "asked_at": now, "ended_at": now, "updated_at": now}
    await insert(session, "scenario_run", id=run_id, **about, **frozen, **bounds, **times)
    used = {"run_id": run_id, "tokens_in": 1, "tokens_out": 1, "millis": 1}
    failures = json.dumps([{"code": "contains", "value": canary}])
    transcript = json.dumps([{"author": "customer", "text": canary}])
    found = {"is_passed": False, "failures": failures, "transcript": transcript}
    await insert(session, "scenario_attempt", position=0, number=1, **used, **found)
    said = json.dumps({"text": canary, "outcome": "reply"})
    await insert(session, "replayed_turn", **turn, verdict="differs", answer=said, created_at=now, **used)
    return {"scenario_id": scenario_id, "scenario_run_id": run_id}
