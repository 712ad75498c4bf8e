"""The agent's own answering, for runs: the way of every turn, as a rehearsal."""

from dataclasses import dataclass
from typing import Literal

from gptagent.features.conversations.model import Message
from gptagent.features.dialog.extractive import BY as EXTRACTIVE
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.rehearsing import service as rehearsing
from gptagent.features.dialog.rehearsing.model import Place, Rehearsal, Said
from gptagent.features.dialog.rehearsing.model import Rehearsed as Answered
from gptagent.features.dialog.scenario_runs.model import Cost, Rehearsed, Unanswered, Wanted
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

# Gates at which another agent, or nobody, would have the message. Hours are not among them: a run at night is
# no other than one by day.
NOT_ITS_OWN = frozenset({"channel", "stage"})


@dataclass(frozen=True, slots=True)
class Answering:
    """Implements `Rehearser`. A model that is away is told, not covered up by quotations."""

    generation: Generation

    async def __call__(self, db: Database, scope: Scope, wanted: Wanted) -> Rehearsed:
        done = await rehearsing.rehearse(db, scope, self.generation, _rehearsal(wanted))
        if done.by == EXTRACTIVE and any(call.error for call in done.explanation.calls):
            raise Unanswered(_cost(done))
        if done.silence in NOT_ITS_OWN:
            return Rehearsed("", "refused", done.silence, cost=_cost(done))
        return Rehearsed(
            text=done.text,
            outcome=done.outcome,
            reason=done.reason,
            sources=done.sources,
            actions=tuple(plan.kind for plan in done.plans),
            fields=done.fields,
            cost=_cost(done),
        )


def _rehearsal(wanted: Wanted) -> Rehearsal:
    where = wanted.where
    place = Place(
        channel=where.channel,
        connection_id=where.connection_id,
        pipeline_id=where.pipeline_id,
        stage_id=where.stage_id,
        lead_id=wanted.lead_id,
        contact_id=wanted.contact_id,
        customer_name=wanted.customer_name,
    )
    return Rehearsal(
        agent=wanted.agent,
        message=wanted.text,
        history=tuple(_said(message) for message in wanted.history),
        place=place,
        lead=None if wanted.lead is None else dict(wanted.lead),
        contact=None if wanted.contact is None else dict(wanted.contact),
    )


def _said(message: Message) -> Said:
    authors: dict[str, Literal["customer", "agent"]] = {"customer": "customer", "agent": "agent"}
    return Said(authors.get(message.author, "human"), message.told)


def _cost(done: Answered) -> Cost:
    return Cost(done.cost_micro_usd, done.tokens_in, done.tokens_out, done.millis)
