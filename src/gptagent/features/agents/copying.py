"""What a copy of an agent is called."""

from gptagent.features.agents import store
from gptagent.features.agents.model import Agent
from gptagent.features.agents.table import NAME_MAX_CHARS
from gptagent.kernel.db import Session
from gptagent.kernel.i18n import translate

COPY = "{name} (copy)"
COPY_NUMBERED = "{name} (copy {number})"


async def free_name(session: Session, agent: Agent, *, locale: str) -> str:
    """Return a name for a copy that no agent of the workspace has, in the reader's language."""
    number = 1
    while True:
        form = COPY if number == 1 else COPY_NUMBERED
        room = NAME_MAX_CHARS - len(translate(locale, form, name="", number=number))
        name = translate(locale, form, name=agent.name[:room].rstrip(), number=number)
        if not await store.name_taken(session, name, None):
            return name
        number += 1
