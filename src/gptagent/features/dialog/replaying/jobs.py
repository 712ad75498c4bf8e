"""Answering a real turn anew."""

from uuid import UUID

from gptagent.features.dialog.replaying import service
from gptagent.features.dialog.replaying.model import Judged, NowSaid, Original, verdict_of
from gptagent.features.dialog.scenario_runs.model import Cost, Rehearsed, Run, Unanswered, Wanted, Work
from gptagent.features.dialog.scenario_runs.playing import Interrupted, Stage
from gptagent.features.dialog.scenarios.model import Where
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import AppError


async def replay_turn(stage: Stage, *, work: Work, turn_id: UUID) -> Run | None:
    """Answer one turn anew and record it beside the old answer. None if the run is another worker's.

    Raises Interrupted.
    """
    if not await stage.goes(Cost()):
        raise Interrupted
    async with stage.db.session(stage.scope) as session:
        turn = await service.read_turn(session, turn_id)
    said: Judged | None = None
    cost = Cost()
    if turn is not None:
        said, cost = await _answered(stage, work, turn)
    async with stage.db.session(stage.scope) as session:
        return await service.keep(session, work, turn_id, said, cost=cost, now=utcnow())


async def _answered(stage: Stage, work: Work, turn: Original) -> tuple[Judged, Cost]:
    where = Where(turn.channel, turn.connection_id)
    wanted = Wanted(
        agent=work.agent,
        history=turn.history,
        text=turn.question,
        where=where,
        lead_id=turn.lead_id,
        contact_id=turn.contact_id,
        customer_name=turn.customer_name,
        lead=turn.lead,
        contact=turn.contact,
    )
    try:
        done = await stage.rehearser(stage.db, stage.scope, wanted)
    except AppError as error:
        cost = error.cost if isinstance(error, Unanswered) else Cost()
        return Judged(turn.conversation_id, "failed", NowSaid("", None, error=error.code)), cost
    verdict = verdict_of(turn.outcome, turn.text, done)
    return Judged(turn.conversation_id, verdict, _kept(done)), done.cost


def _kept(done: Rehearsed) -> NowSaid:
    titles = tuple(dict.fromkeys(source.title for source in done.sources))
    return NowSaid(done.text, done.outcome, done.reason, titles, done.actions)
