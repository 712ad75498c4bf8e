"""What the inbox is asked for, and its lines."""

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from gptagent.features.conversations.model import Conversation

View = Literal["all", "mine", "unassigned", "unread", "drafts", "held"]
VIEWS: tuple[View, ...] = get_args(View)
SEARCH_MAX_CHARS = 100
# Words are looked for in the latest messages of the latest conversations; names in all.
SEARCHED_CONVERSATIONS, SEARCHED_MESSAGES = 500, 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversations; None or empty: any. `person_id` is whose `mine` and `unread` are meant."""

    view: View = "all"
    person_id: UUID | None = None
    connection_id: UUID | None = None
    taken_over: bool | None = None
    agent_id: UUID | None = None
    channel: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    conversation: Conversation
    is_unread: bool
    has_draft: bool
