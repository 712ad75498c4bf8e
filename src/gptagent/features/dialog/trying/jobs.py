"""The job that plays a message, and lets its words be seen while the model says them."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import as_spoken
from gptagent.features.dialog.rehearsing.model import Rehearsed
from gptagent.features.dialog.rehearsing.service import rehearse
from gptagent.features.dialog.trying import service, store
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

# Words are written down so often at most: a reader sees them flow, the database hardly notices.
WRITE_EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RehearsalJobs:
    generation: Generation

    async def rehearse(self, ctx: JobContext, /, rehearsal_id: str) -> None:
        """Play it once. A worker that takes over from a killed one begins anew; what is over stays."""
        played_id = UUID(rehearsal_id)
        try:
            async with ctx.db.session(ctx.scope) as session:
                played = await store.select_rehearsal(session, played_id)
                if played is None or await store.begin(session, played_id) is None:
                    return
                wanted = await service.rehearsal_of(session, played)
            if wanted is None:
                return
            voice = _Voice(ctx.db, ctx.scope, played_id)
            done = await rehearse(ctx.db, ctx.scope, self.generation, wanted, hear=voice.hear)
        except (NotFound, Invalid) as error:  # its agent is gone, or what is overridden does not fit any more
            await _end(ctx, played_id, None, "agent_gone" if isinstance(error, NotFound) else error.code)
        else:
            await _end(ctx, played_id, done, None)

    async def give_up(self, ctx: JobContext, /, rehearsal_id: str) -> None:
        """Whoever waits learns that no answer will come."""
        await _end(ctx, UUID(rehearsal_id), None, "failed")


async def _end(ctx: JobContext, played_id: UUID, done: Rehearsed | None, error: str | None) -> None:
    async with ctx.db.session(ctx.scope) as session:
        await store.end(session, played_id, done, error)


@dataclass(slots=True)
class _Voice:
    """Writes down what is said, not at every piece of it."""

    db: Database
    scope: Scope
    played_id: UUID
    said: list[str] = field(default_factory=list)
    written_at: float = 0.0

    async def hear(self, piece: str | None) -> None:
        if piece is None:
            self.said.clear()
        else:
            self.said.append(piece)
        now = time.monotonic()
        if piece is not None and now - self.written_at < WRITE_EVERY_SECONDS:
            return
        self.written_at = now
        async with self.db.session(self.scope) as session:
            await store.say(session, self.played_id, as_spoken("".join(self.said)))
