"""Looking at ended turns: claimed, the model asked without a transaction, kept in one."""

from dataclasses import dataclass, replace
from uuid import UUID

from gptagent.features.dialog.acting import service
from gptagent.features.dialog.acting.prompting import plan
from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.model import LanguageModel
from gptagent.kernel.errors import Forbidden, Invalid
from gptagent.kernel.jobs import JobContext

NO_MODEL = "no_model"


@dataclass(frozen=True, slots=True)
class ActingJobs:
    """Handlers with the model they ask; without one an agent writes and does nothing. `sends_letters`:
    whether the platform has a mail server.
    """

    model: LanguageModel | None
    sends_letters: bool = False

    async def act(self, ctx: JobContext, /, turn_id: str) -> None:
        """Look at a turn once. The job of a killed worker asks again, and does nothing twice."""
        async with ctx.db.session(ctx.scope) as session:
            taken = await service.take(session, UUID(turn_id))
            if taken is not None and self.model is None:
                await service.fail(session, taken.turn_id, NO_MODEL)
        if taken is None or self.model is None:
            return
        try:
            considered = replace(taken.considered, sends_letters=self.sends_letters)
            found, reply = await plan(self.model, ctx.scope, considered)
        except (Invalid, Forbidden, BudgetExhausted) as error:  # no tools, a key refused, no money left
            async with ctx.db.session(ctx.scope) as session:
                await service.fail(session, taken.turn_id, error.code)
            return
        async with ctx.db.session(ctx.scope) as session:
            if reply is not None:
                await inference.record_usage(session, taken.turn_id, reply, "actions")
            if found.error is None:
                await service.keep(session, taken, found, reply)
            else:
                await service.fail(session, taken.turn_id, found.error)

    async def give_up(self, ctx: JobContext, /, turn_id: str) -> None:
        """The model has failed for good: what the customer wants stays for a person to see to."""
        async with ctx.db.session(ctx.scope) as session:
            await service.fail(session, UUID(turn_id), "llm_unavailable")
