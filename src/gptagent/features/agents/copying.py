"""What a copy of an agent is called."""

from gptagent.features.agents import store
from gptagent.features.agents.table import NAME_MAX_CHARS
from gptagent.kernel.db import Session
from gptagent.kernel.i18n import translate

COPY = "{name} (copy)"
COPY_NUMBERED = "{name} (copy {number})"


async def free_name(session: Session, name: str, *, locale: str) -> str:
    """Return a name, in the reader's language, for a copy of what is called so: no agent has it."""
    number = 1
    while True:
        form = COPY if number == 1 else COPY_NUMBERED
        room = NAME_MAX_CHARS - len(translate(locale, form, name="", number=number))
        free = translate(locale, form, name=name[:room].rstrip(), number=number)
        if not await store.name_taken(session, free, None):
            return free
        number += 1
