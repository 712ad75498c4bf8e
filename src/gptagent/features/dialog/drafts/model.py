"""A reply that waits for a person's word, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.dialog.model import Answer

DraftState = Literal["waiting", "approved", "rejected", "outdated"]
TEXT_MAX_CHARS = 4_000  # what the widest of the channels takes in one message
NOTE_MAX_CHARS = 500


@dataclass(frozen=True, slots=True)
class Draft:
    """The id is its turn's. It answers the customer's messages from `first_seq` to `last_seq`."""

    id: UUID
    agent_id: UUID | None
    state: DraftState
    answer: Answer
    first_seq: int
    last_seq: int
    waits_since: datetime
    decided_at: datetime | None
    decided_by: str | None
    is_edited: bool
    note: str | None

    @property
    def text(self) -> str:
        return self.answer.text
