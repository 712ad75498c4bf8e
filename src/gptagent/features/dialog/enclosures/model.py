"""What becomes of the files that belong to a reply."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.dialog.model import Answer

FileState = Literal["waiting", "sending", "sent", "not_sent", "unknown"]

# A customer who comes back after so long gets the file once more; within it the chat above has it.
AGAIN_AFTER = timedelta(days=30)
FAILURES_MAX = 8  # with growing pauses: some ten minutes of a CRM in trouble
SENDS_MAX = 2  # a send that certainly never arrived is repeated once
NO_ROUTE = "text_only_route"  # this way of replying holds text only


@dataclass(frozen=True, slots=True)
class ReplyFile:
    """A file of a reply. `unknown_for` is how long its send has been without an answer."""

    turn_id: UUID
    file_id: UUID
    conversation_id: UUID
    name: str
    size_bytes: int
    state: FileState
    reason: str | None
    drive_uuid: str | None
    provider_message_id: str | None
    failures: int
    sends: int
    send_started_at: datetime | None
    send_talk_id: int | None
    unknown_for: timedelta


def article_of(answer: Answer) -> UUID | None:
    """Return the most relevant of the articles that a reply was drawn from."""
    articles = [source for source in answer.sources if source.kind == "article"]
    best = min(articles, key=lambda source: source.rank, default=None)
    return best.source_id if best and answer.outcome == "reply" else None


def is_same_file(name: str, uuid: str | None, seen_name: str | None, seen_url: str | None) -> bool:
    """Tell whether a message's attachment is this file: by where it lies in the drive, or by its name."""
    if uuid and seen_url and uuid in seen_url:
        return True
    return bool(seen_name) and _plain(seen_name or "") == _plain(name)


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def pause_after(failures: int, first: timedelta, cap: timedelta) -> timedelta:
    """Return how long to wait after so many failures to send a file."""
    return min(first * (1 << min(max(failures - 1, 0), 20)), cap)


def names_of(files: Sequence[ReplyFile]) -> str:
    return ", ".join(file.name for file in files)
