"""Ways of replying, what each needs, and the choice between them."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from gptagent.features.crm.model import Brand, Letter, ReplyRoute

ReplyMode = Literal["automatic", "talk", "salesbot", "widget"]
MODES: tuple[ReplyMode, ...] = ("automatic", "talk", "salesbot", "widget")

# A quota may be filled up and a plan changed: after so long the straight way is tried again.
REFUSAL_LASTS = timedelta(hours=1)
# Channels in which a business may write only so long after the customer's last message: Meta's rule.
WINDOW = timedelta(hours=24)
WINDOWED_ORIGINS = frozenset({"waba", "instagram_business", "facebook"})
# A bot that waits longer than this for its answer has been ended by its author or by another bot.
SLOT_LASTS = timedelta(hours=24)
STEP_MIN, STEP_MAX = 1, 100
SECRET_MIN_CHARS, SECRET_MAX_CHARS = 16, 200
FIELD_NAME = "AI reply"
# The CRM's code of reports on outgoing messages: Kommo has it since July 2026, not every account knows it.
OUTGOING_CODE = "add_outgoing_message"
# How soon the log of an account that reports none is looked at after a reply was taken: a bot needs a moment.
LOOK_SOON = timedelta(seconds=2)

_RETURN_PATH = re.compile(r"/api/v4/(salesbot|marketingbot)/[0-9]{1,18}/continue/[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReplySetup:
    """How a connection replies, without its secret. `reads_letters`: e-mail becomes conversations too."""

    connection_id: UUID
    mode: ReplyMode = "automatic"
    field_id: int | None = None
    field_name: str | None = None
    bot_id: int | None = None
    bot_name: str | None = None
    widget_step: int = 1
    has_widget_secret: bool = False
    refused_reason: str | None = None
    refused_at: datetime | None = None
    reads_letters: bool = False

    @property
    def salesbot_is_set(self) -> bool:
        return self.field_id is not None and self.bot_id is not None

    def refuses(self, now: datetime) -> bool:
        """Whether the CRM has lately taken no message straight into a talk."""
        return self.refused_at is not None and now - self.refused_at < REFUSAL_LASTS


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the choice depends on besides the setup. `slot_waits`: a bot of the account waits for a reply.

    `bots_ask`: bots of the account have asked lately, so another will.
    """

    brand: Brand
    token_may_send: bool
    has_lead: bool
    slot_waits: bool
    now: datetime
    bots_ask: bool = False


def choose_route(setup: ReplySetup, about: Circumstances) -> ReplyRoute:
    """Return the way a reply goes now.

    Where nothing is set up it is the straight one: the CRM itself says whether it takes it.
    """
    if setup.mode != "automatic":
        return setup.mode
    if about.brand == "kommo" and about.token_may_send and not setup.refuses(about.now):
        return "talk"
    if setup.salesbot_is_set and about.has_lead:
        return "salesbot"
    may_ask = about.has_lead and (setup.has_widget_secret or about.bots_ask)
    return "widget" if about.slot_waits or may_ask else "talk"


def window_is_closed(origin: str, last_customer_message: datetime, now: datetime) -> bool:
    """Whether the channel would refuse a reply because the customer's last message is too old."""
    return origin in WINDOWED_ORIGINS and now - last_customer_message >= WINDOW


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply on its way. `talk_id` is None where the chat's talk is not known, as on amoCRM.

    `letter`: it answers e-mail; `is_prepared`: an agent has written it.
    """

    turn_id: UUID
    connection_id: UUID
    lead_id: int | None
    talk_id: int | None
    text: str
    letter: Letter | None = None
    is_prepared: bool = True


@dataclass(frozen=True, slots=True)
class Sighting:
    """An outgoing message the CRM shows. `text` None: it tells of the message, not of its words.

    `by_person`: of a way by a bot, a person has written it.
    """

    id: str
    text: str | None
    by_person: bool = False


def is_return_address(url: str, host: str) -> bool:
    """Whether this is where a waiting bot of the account at `host` takes its answer, and nothing else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and port in {None, 443}
        and parts.username is None
        and not (parts.query or parts.fragment or "?" in url or "#" in url)
        and is_same_account(parts.hostname or "", host)
        and _RETURN_PATH.fullmatch(parts.path) is not None
    )


def is_same_account(one: str, other: str) -> bool:
    """Compare two hosts of accounts. Kommo's answer at `amocrm.com` as well, and call themselves so."""
    return _canonical(one) == _canonical(other)


def _canonical(host: str) -> str:
    label, _, domain = host.lower().partition(".")
    return f"{label}.{'kommo.com' if domain == 'amocrm.com' else domain}"
