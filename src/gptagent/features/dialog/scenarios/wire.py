"""Scenarios, runs and replays as the API tells them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

from gptagent.features.dialog.model import Outcome
from gptagent.features.dialog.replaying.model import Replayed
from gptagent.features.dialog.scenario_runs.model import (
    BUDGET_MAX_MICRO_USD,
    BUDGET_MICRO_USD,
    REPLAY_DAYS_MAX,
    REPLAY_TURNS_MAX,
    Attempt,
    Kind,
    Refusal,
    Run,
    State,
    Target,
    Verdict,
)
from gptagent.features.dialog.scenarios.model import (
    CHECKS_MAX,
    MESSAGES_MAX,
    REPEATS_MAX,
    Check,
    Condition,
    Customer,
    Failure,
    NewScenario,
    Play,
    Scenario,
    Subject,
    Where,
)
from gptagent.features.dialog.scenarios.saying import failure_said, said
from gptagent.kernel.http import Body, Wire, example

Small = Annotated[int, Field(ge=0, le=10_000)]
Repeats = Annotated[int, Field(ge=1, le=REPEATS_MAX)]
Budget = Annotated[int, Field(ge=1, le=BUDGET_MAX_MICRO_USD)]
CrmId = Annotated[int, Field(ge=1, lt=2**63)]


class CheckBody(Body):
    """What must, or must not, be in the answer to the message `at`; 0: in any of the answers.

    `value` by the subject: `contains` a part of the text; `words`, of which one that ends in * stands for all
    that begin so; the name of an `action`; a `field` or `field = value`; the code of a `language`; an
    `outcome`: reply, not_found, handed_off, refused; a part of a `source`'s title.
    """

    subject: Subject
    value: str
    must: bool = True
    at: Small = 0


class WhereBody(Body):
    """Where the customer writes; what is not said is left open."""

    channel: str = ""
    connection_id: UUID | None = None
    pipeline_id: CrmId | None = None
    stage_id: CrmId | None = None


class ScenarioBody(Body):
    """Without `agent_id` every agent of the workspace is run against it.

    A `fixed` customer writes `messages`; a `played` one, by a model, up to `turns` messages as `persona` who
    wants `goal`.
    """

    model_config = example(
        {
            "name": "Opening hours",
            "messages": ["When are you open?"],
            "checks": [{"subject": "contains", "value": "9:00"}],
        }
    )

    name: str
    agent_id: UUID | None = None
    customer: Customer = "fixed"
    messages: list[str] = Field(default_factory=list, max_length=10 * MESSAGES_MAX)
    persona: str = ""
    goal: str = ""
    turns: Small = 4
    where: WhereBody = Field(default_factory=WhereBody)
    checks: list[CheckBody] = Field(max_length=10 * CHECKS_MAX)


class ScenarioPatch(Body):
    """Fields left out stay as they are; `version` refuses the change if another one came first."""

    model_config = example({"name": "Opening hours", "version": 3})

    name: str | None = None
    agent_id: UUID | None = None
    customer: Customer | None = None
    messages: list[str] | None = Field(default=None, max_length=10 * MESSAGES_MAX)
    persona: str | None = None
    goal: str | None = None
    turns: Small | None = None
    where: WhereBody | None = None
    checks: list[CheckBody] | None = Field(default=None, max_length=10 * CHECKS_MAX)
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None


class CheckOut(Wire):
    subject: Subject
    value: str
    must: bool
    at: int


class WhereOut(Wire):
    channel: str
    connection_id: UUID | None
    pipeline_id: int | None
    stage_id: int | None


class ScenarioOut(Wire):
    id: UUID
    agent_id: UUID | None
    name: str
    customer: Customer
    messages: list[str]
    persona: str
    goal: str
    turns: int
    where: WhereOut
    checks: list[CheckOut]
    version: int
    created_at: datetime
    updated_at: datetime


class ScenariosOut(Wire):
    items: list[ScenarioOut]
    next_cursor: str | None


class ScenariosImported(Wire):
    """`changed` ones had the name of one of the file and have its content now."""

    created: int
    changed: int


class RunBody(Body):
    """`scenarios` are ids; without them all of the agent's are run. `target`: its draft or what is published.

    Each is played `repeats` times. The run stops when it has cost `budget_micro_usd` millionths of a US
    dollar; tokens without a known price count half of one each.
    """

    model_config = example({"agent_id": "0198c0de-0000-7000-8000-000000000001", "repeats": 3})

    agent_id: UUID
    target: Target = "draft"
    repeats: Repeats = 1
    budget_micro_usd: Budget = BUDGET_MICRO_USD
    scenarios: list[UUID] | None = Field(default=None, max_length=1_000)


class ReplayBody(Body):
    """Up to `most` turns of the last `days` days are answered anew."""

    model_config = example({"agent_id": "0198c0de-0000-7000-8000-000000000001", "days": 7, "most": 20})

    agent_id: UUID
    target: Target = "draft"
    days: Annotated[int, Field(ge=1, le=REPLAY_DAYS_MAX)] = 7
    most: Annotated[int, Field(ge=1, le=REPLAY_TURNS_MAX)] = 20
    budget_micro_usd: Budget = BUDGET_MICRO_USD


class ForecastOut(Wire):
    """`turns` there are in the period, `answers` are given anew. Without turns of a known price there is no
    `cost_micro_usd`.
    """

    turns: int
    answers: int
    cost_micro_usd: int | None
    tokens: int


class RunOut(Wire):
    """`total`, `done`, `passed` count attempts; of a replay turns, and those that stayed the same.
    `left_out`: turns that were erased before they could be answered anew, once the replay has ended.

    `is_passed` is pass^k: every scenario passed every time. `cost_micro_usd` leaves out calls without a price
    unless `is_priced`. `is_whole`: all scenarios of the agent were run.
    """

    moving: ClassVar[frozenset[str]] = frozenset(
        {
            "state",
            "done",
            "passed",
            "left_out",
            "is_passed",
            "cost_micro_usd",
            "is_priced",
            "tokens_in",
            "tokens_out",
            "began_at",
            "ended_at",
        }
    )

    id: UUID
    kind: Kind
    agent_id: UUID
    target: Target
    state: State
    repeats: int
    total: int
    done: int
    passed: int
    left_out: int
    is_passed: bool
    is_whole: bool
    since: datetime | None
    until: datetime | None
    budget_micro_usd: int
    cost_micro_usd: int
    is_priced: bool
    tokens_in: int
    tokens_out: int
    asked_at: datetime
    began_at: datetime | None
    ended_at: datetime | None


class RunsOut(Wire):
    items: list[RunOut]
    next_cursor: str | None


class FailureOut(Wire):
    """`sentence` is in the language of whoever asks."""

    code: str
    value: str
    at: int
    sentence: str


class LineOut(Wire):
    author: str
    text: str
    outcome: Outcome | None
    reason: str | None
    actions: list[str]
    fields: list[tuple[str, str]]
    sources: list[str]


class AttemptOut(Wire):
    """`cost_micro_usd` is null where a call had no known price."""

    scenario_id: UUID
    scenario: str
    number: int
    is_passed: bool
    failures: list[FailureOut]
    transcript: list[LineOut]
    cost_micro_usd: int | None
    tokens_in: int
    tokens_out: int
    millis: int


class AttemptsOut(Wire):
    items: list[AttemptOut]
    next_cursor: str | None


class SaidOut(Wire):
    """`error` is the code of what kept the model from answering."""

    text: str
    outcome: Outcome | None
    reason: str | None
    sources: list[str]
    actions: list[str]
    error: str | None


class PieceOut(Wire):
    """`kind`: in both answers, or only in the earlier one (gone) or the new one."""

    kind: str
    text: str


class ReplayedOut(Wire):
    turn_id: UUID
    conversation_id: UUID
    verdict: Verdict
    question: str
    then_text: str
    then_outcome: Outcome
    then_sources: list[str]
    then_cost_micro_usd: int | None
    now: SaidOut
    pieces: list[PieceOut]
    cost_micro_usd: int | None
    asked_at: datetime
    created_at: datetime


class ReplayedPageOut(Wire):
    items: list[ReplayedOut]
    next_cursor: str | None


class ConditionBody(Body):
    """Publish only if every scenario passed `repeats` times out of `repeats`."""

    model_config = example({"is_on": True, "repeats": 3})

    is_on: bool
    repeats: Repeats = 3


class ConditionOut(Wire):
    """`reason` says why the draft may not be published now, `run_id` in which run to look; null: it may."""

    moving: ClassVar[frozenset[str]] = frozenset({"reason", "sentence", "run_id"})

    is_on: bool
    repeats: int
    reason: str | None
    sentence: str | None
    run_id: UUID | None


def new_of(body: ScenarioBody) -> NewScenario:
    """Return what is to be kept."""
    play = Play(
        customer=body.customer,
        messages=tuple(body.messages),
        persona=body.persona,
        goal=body.goal,
        turns=body.turns,
        where=_where(body.where),
        checks=_checks(body.checks),
    )
    return NewScenario(body.name, play, body.agent_id)


def merged(old: Scenario, body: ScenarioPatch) -> NewScenario:
    """Return the scenario with what the patch names."""
    now = {name: getattr(body, name) for name in body.model_fields_set}
    play = Play(
        customer=now.get("customer") or old.play.customer,
        messages=tuple(_given(now, "messages", old.play.messages)),
        persona=_given(now, "persona", old.play.persona),
        goal=_given(now, "goal", old.play.goal),
        turns=_given(now, "turns", old.play.turns),
        where=_where(body.where) if body.where is not None else old.play.where,
        checks=_checks(body.checks) if body.checks is not None else old.play.checks,
    )
    return NewScenario(_given(now, "name", old.name), play, now.get("agent_id", old.agent_id))


def scenario_out(one: Scenario) -> ScenarioOut:
    play = one.play
    return ScenarioOut(
        id=one.id,
        agent_id=one.agent_id,
        name=one.name,
        customer=play.customer,
        messages=list(play.messages),
        persona=play.persona,
        goal=play.goal,
        turns=play.turns,
        where=WhereOut.model_validate(play.where),
        checks=[CheckOut.model_validate(check) for check in play.checks],
        version=one.version,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def run_out(run: Run) -> RunOut:
    return RunOut.model_validate(run)


def attempt_out(attempt: Attempt, named: tuple[UUID, str], locale: str) -> AttemptOut:
    return AttemptOut(
        scenario_id=named[0],
        scenario=named[1],
        number=attempt.number,
        is_passed=attempt.is_passed,
        failures=[_failure(one, locale) for one in attempt.failures],
        transcript=[
            LineOut(
                author=line.author,
                text=line.text,
                outcome=line.outcome,
                reason=line.reason,
                actions=list(line.actions),
                fields=list(line.fields),
                sources=list(line.sources),
            )
            for line in attempt.transcript
        ],
        cost_micro_usd=attempt.cost.micro_usd,
        tokens_in=attempt.cost.tokens_in,
        tokens_out=attempt.cost.tokens_out,
        millis=attempt.cost.millis,
    )


def replayed_out(one: Replayed) -> ReplayedOut:
    return ReplayedOut(
        turn_id=one.turn_id,
        conversation_id=one.conversation_id,
        verdict=one.verdict,
        question=one.question,
        then_text=one.then_text,
        then_outcome=one.then_outcome,
        then_sources=list(one.then_sources),
        then_cost_micro_usd=one.then_cost_micro_usd,
        now=SaidOut.model_validate(one.now),
        pieces=[PieceOut.model_validate(piece) for piece in one.pieces],
        cost_micro_usd=one.cost.micro_usd,
        asked_at=one.asked_at,
        created_at=one.created_at,
    )


def condition_out(condition: Condition, refusal: Refusal | None, locale: str) -> ConditionOut:
    return ConditionOut(
        is_on=condition.is_on,
        repeats=condition.repeats,
        reason=refusal.reason if refusal else None,
        sentence=said(locale, refusal.sentence, refusal.params) if refusal else None,
        run_id=refusal.run_id if refusal else None,
    )


def _failure(one: Failure, locale: str) -> FailureOut:
    return FailureOut(code=one.code, value=one.value, at=one.at, sentence=failure_said(locale, one))


def _given(now: Mapping[str, object], name: str, old: object) -> Any:
    value = now.get(name)
    return old if value is None else value


def _where(body: WhereBody) -> Where:
    return Where(body.channel, body.connection_id, body.pipeline_id, body.stage_id)


def _checks(found: list[CheckBody]) -> tuple[Check, ...]:
    return tuple(Check(one.subject, one.value, one.must, one.at) for one in found)
