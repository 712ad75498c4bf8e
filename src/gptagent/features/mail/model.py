"""Letters, and the port they leave through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

ADDRESS_MAX_CHARS = 254
SUBJECT_MAX_CHARS = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """What a feature asks to be written.

    `template` is `feature/name`, the file `features/<feature>/letters/<name>.html`; `values` are what it
    shows, escaped there. `to` is a bare address.
    """

    template: str
    to: str = field(repr=False)
    locale: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Written:
    """A letter in somebody's own words, in the name of `sender`. `id` is what a copy is known by.

    `is_markdown`: the words' marks make the HTML. `reply_to` is where an answer goes, `footer` stands below.
    """

    id: UUID
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    locale: str
    sender: str = field(repr=False)
    reply_to: str = field(default="", repr=False)
    footer: str = field(default="", repr=False)
    is_markdown: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A letter as it is sent. `id` stays the same when it is sent again, so that servers know a copy."""

    id: UUID
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    sender_name: str = ""  # in place of the platform's own
    reply_to: str = field(default="", repr=False)


class Mailer(Protocol):
    """Hands a message to the server that delivers it."""

    async def send(self, message: Message) -> None:
        """Raise UpstreamUnavailable if it was not taken and may be tried again, Conflict if the server
        refuses for good, OutcomeUnknown if it was handed over and no answer came.
        """
        ...
