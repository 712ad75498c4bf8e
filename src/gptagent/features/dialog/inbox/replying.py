"""What stands below a thread: the forms of a colleague who writes or hands over, and what became of words."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from gptagent.features.agents.model import DEFAULT_HANDOFF
from gptagent.features.conversations import assigning
from gptagent.features.conversations.model import Message
from gptagent.features.dialog.handing.model import NOTE_MAX_CHARS
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.model import TEXT_MAX_CHARS
from gptagent.features.dialog.suggesting import service as suggesting
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id


async def reply_box(session: Session, conversation_id: UUID, messages: Sequence[Message]) -> dict[str, Any]:
    """Return the context of the forms; what was typed into them is put over it by whoever refuses it."""
    return {
        "outgoing": await outgoing.outgoing_by_seq(
            session, conversation_id, messages[0].seq if messages else 0
        ),
        "reply_id": new_id(),
        "reply_typed": "",
        "is_draft_taken": False,
        "reply_errors": {},
        "reply_failure": "",
        "handoff_id": new_id(),
        "handoff_typed": {},
        "handoff_errors": {},
        "handoff_limits": {"text": TEXT_MAX_CHARS, "note": NOTE_MAX_CHARS},
        "handoff_default": DEFAULT_HANDOFF,
        "suggestion": await suggesting.find_suggestion(session, conversation_id),
        "assignable": await assigning.list_assignable(session),
    }
