"""What of a chat was said between the two sides, for those who tell a model of it."""

from collections.abc import Sequence

from gptagent.features.conversations.model import Message
from gptagent.features.organizations import service as organizations
from gptagent.kernel.db import Session


async def reached(session: Session, messages: Sequence[Message]) -> list[Message]:
    """Return those that reached the other side: neither lost on the way, nor a person's command to us."""
    rules = await organizations.get_stopping(session)
    return [
        one
        for one in messages
        if one.delivery_status != "failed" and not (one.author == "human" and rules.is_command(one.text))
    ]
