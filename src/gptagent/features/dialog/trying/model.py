"""Test chats and what is played in them; turns that are played again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from gptagent.features.agents.model import HISTORY_MAX_MESSAGES
from gptagent.features.dialog.rehearsing.model import Place, Rehearsed

TITLE_MAX_CHARS = 255
MESSAGE_MAX_CHARS = 5_000  # of the test chat (the table of limits)
WORDS_SUGGESTED = 4  # where nothing was said yet
CHATS_MAX = 100  # of one person in a workspace
EXCHANGES_MAX = 100  # of one chat; a talk with a customer is rarely a tenth of it
HISTORY_EXCHANGES = HISTORY_MAX_MESSAGES // 2  # of which the setting says how many are told

# `waiting` for a worker, `speaking` while the model does, then for good `done` or `failed`.
State = Literal["waiting", "speaking", "done", "failed"]


@dataclass(frozen=True, slots=True)
class TestChat:
    """A chat of one person with one agent, which nobody else sees. `overrides` change the agent's settings
    in this chat only.
    """

    __test__ = False  # for the runner of tests, which takes the name for one

    id: UUID
    agent_id: UUID
    title: str
    place: Place
    overrides: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    first_text: str = ""


@dataclass(frozen=True, slots=True)
class NewChat:
    agent_id: UUID
    title: str = ""
    place: Place = field(default_factory=Place)
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Played:
    """A message that was played, in a chat or as a turn again, and what came of it.

    `draft` is what the model has said so far: nothing has checked it yet, it is no answer.
    """

    id: UUID
    chat_id: UUID | None
    turn_id: UUID | None
    seq: int
    question: str
    overrides: Mapping[str, Any]
    state: State
    draft: str
    result: Rehearsed | None
    error_code: str | None
    created_at: datetime

    @property
    def is_over(self) -> bool:
        return self.state in {"done", "failed"}
