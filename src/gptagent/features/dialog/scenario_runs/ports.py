"""What a run stands on: the agent's own answering, without any effect."""

from typing import Protocol

from gptagent.features.dialog.scenario_runs.model import Rehearsed, Wanted
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope


class Rehearser(Protocol):
    """Answers as the agent would, with no effect outside. Raises AppError if the model is away."""

    async def __call__(self, db: Database, scope: Scope, wanted: Wanted) -> Rehearsed: ...
