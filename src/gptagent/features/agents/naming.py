"""What an agent may be called."""

from uuid import UUID

from gptagent.features.agents import store
from gptagent.features.agents.table import NAME_MAX_CHARS
from gptagent.kernel.db import Session
from gptagent.kernel.errors import FieldError

NAME_TAKEN = "An agent with this name exists already."


async def check_name(session: Session, name: object, agent_id: UUID | None) -> tuple[str, list[FieldError]]:
    """Return the name as it is kept, and what is wrong with it; None names no agent yet."""
    clean = name.strip() if isinstance(name, str) else ""
    if not 1 <= len(clean) <= NAME_MAX_CHARS:
        limits = {"low": 1, "high": NAME_MAX_CHARS}
        return clean, [FieldError("name", "From {low} to {high} characters.", limits)]
    if await store.name_taken(session, clean, agent_id):
        return clean, [FieldError("name", NAME_TAKEN)]
    return clean, []
