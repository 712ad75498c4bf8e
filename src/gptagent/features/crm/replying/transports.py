"""The three ways of a reply. Whoever sends passes the dialog's fence between `prepare` and `send`."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from gptagent.features.crm.model import CrmLink, ReplyRoute, brand_of, same_words
from gptagent.features.crm.ports import CrmPort, ReplyTransport, Still
from gptagent.features.crm.replying import store
from gptagent.features.crm.replying.model import (
    SLOT_LASTS,
    Reply,
    ReplySetup,
    Sighting,
)
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import (
    AppError,
    Conflict,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    UpstreamUnavailable,
)
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

SLOT_PURPOSE = "crm-reply-slot"
# Writing the field, and waiting for a place in the rate, take less; a dead worker's deal waits so long.
PREPARING_LASTS = timedelta(seconds=60)
# From the fence until nobody can say any more whether the message will come (dialog: Pace).
SENDING_LASTS = timedelta(minutes=3)
# A field whose writing was not confirmed may still be written so much later.
LATE_WRITE = timedelta(seconds=45)
BUSY_SECONDS = 1.0
CLOCK_SKEW = timedelta(minutes=2)


class _Unconfirmed(Exception):  # noqa: N818 - it states what happened
    """Nobody knows whether the field was written, or will be."""


@dataclass(frozen=True, slots=True)
class TalkTransport:
    """Straight into the talk. Kommo only; needs its scope, its plan and a quota of messages."""

    crm: CrmPort
    route: ReplyRoute = "talk"

    async def prepare(self, link: CrmLink, reply: Reply, still: Still) -> datetime | None:
        del reply, still
        await self.crm.reserve_send(link)
        return None

    async def begin(self, session: Session, reply: Reply) -> None:
        """A talk takes any number of messages."""

    async def send(self, link: CrmLink, reply: Reply) -> str | None:
        return await self.crm.send_message(link, _talk_of(reply), reply.text)

    async def look(self, link: CrmLink, reply: Reply, since: datetime) -> tuple[Sighting, ...]:
        shown = await _in_talk(self.crm, link, _talk_of(reply), since)
        # As whose the CRM shows what came by its interface is nowhere documented.
        return tuple(replace(one, by_person=False) for one in shown)


@dataclass(frozen=True, slots=True)
class SalesbotTransport:
    """Into a field of the deal, and a bot sends what it holds. The deal is claimed from before the field is
    written until the message was seen: replies to two chats of one deal would else be swapped.
    """

    db: Database
    scope: Scope
    crm: CrmPort
    setup: ReplySetup
    route: ReplyRoute = "salesbot"

    async def prepare(self, link: CrmLink, reply: Reply, still: Still) -> datetime | None:
        self._needs(reply)
        async with self.db.session(self.scope) as session:
            await _claim(session, reply, still, PREPARING_LASTS)
        try:
            await self.crm.reserve_send(link)
            # Nothing is waited for after this: a worker that was frozen meanwhile has a successor, which has
            # written the field, and the deal may be another reply's by now.
            async with self.db.session(self.scope) as session:
                await _claim(session, reply, still, PREPARING_LASTS)
            written_at = await self._write(link, reply, still)
            await self.crm.reserve_send(link)
        except _Unconfirmed as error:  # the deal stays ours until the write cannot come late any more
            raise UpstreamUnavailable(
                "crm_unavailable", "The CRM does not answer. Try again shortly."
            ) from error
        except AppError:
            async with self.db.session(self.scope) as session:
                if await still(session):  # else the deal is its successor's
                    await store.release_lead(session, reply.turn_id)
            raise
        return written_at

    async def begin(self, session: Session, reply: Reply) -> None:
        await _hold(session, reply)

    async def send(self, link: CrmLink, reply: Reply) -> str | None:
        lead_id, _, bot_id = self._needs(reply)
        await self.crm.run_bot(link, bot_id, lead_id)
        return None

    async def look(self, link: CrmLink, reply: Reply, since: datetime) -> tuple[Sighting, ...]:
        return await _by_bot(self.crm, link, reply, since)

    async def _write(self, link: CrmLink, reply: Reply, still: Still) -> datetime:
        """Write the field; what the CRM does not confirm is read. Raises _Unconfirmed if it is not there."""
        lead_id, field_id, _ = self._needs(reply)
        try:
            return await self.crm.write_field(link, lead_id, field_id, reply.text)
        except OutcomeUnknown:
            log.info("reply_field_unconfirmed", turn_id=str(reply.turn_id))
        async with self.db.session(self.scope) as session:
            await _claim(session, reply, still, LATE_WRITE + PREPARING_LASTS)
        try:
            found = await self.crm.read_field(link, lead_id, field_id)
        except AppError as error:
            raise _Unconfirmed from error
        if not same_words(found.text or "", reply.text):
            raise _Unconfirmed
        return found.changed_at

    def _needs(self, reply: Reply) -> tuple[int, int, int]:
        """Return deal, field and bot."""
        if reply.lead_id is None or self.setup.field_id is None or self.setup.bot_id is None:
            raise Conflict("crm_route_not_set_up", "This way of replying is not set up.")
        return reply.lead_id, self.setup.field_id, self.setup.bot_id


@dataclass(slots=True)
class WidgetTransport:
    """As the answer to a bot of the account that waits for it. Each such slot is used once."""

    db: Database
    scope: Scope
    crm: CrmPort
    vault: Vault
    setup: ReplySetup
    route: ReplyRoute = "widget"
    return_url: str = field(default="", repr=False)  # of the slot taken in the fence

    async def prepare(self, link: CrmLink, reply: Reply, still: Still) -> datetime | None:
        lead_id = _lead_of(reply)
        async with self.db.session(self.scope) as session:
            place = (reply.connection_id, lead_id, reply.talk_id)
            slot = await store.waiting_slot(session, *place, lasts=SLOT_LASTS)
            if slot is None:
                raise _no_slot()
            await _claim(session, reply, still, PREPARING_LASTS)
        since: datetime | None = slot["crm_now"]
        if since is None and brand_of(link.host) == "amocrm":  # its log has neither words nor, then, a time
            since = await self._newest(link, lead_id)
        await self.crm.reserve_send(link)
        return since

    async def begin(self, session: Session, reply: Reply) -> None:
        await _hold(session, reply)
        place = (reply.connection_id, _lead_of(reply), reply.talk_id)
        sealed = await store.use_slot(session, *place, turn_id=reply.turn_id, lasts=SLOT_LASTS)
        if sealed is None:
            raise _no_slot()
        self.return_url = self.vault.open(sealed, org_id=self.scope.org_id, purpose=SLOT_PURPOSE)

    async def send(self, link: CrmLink, reply: Reply) -> str | None:
        try:
            await self.crm.continue_bot(link, self.return_url, reply.text, self.setup.widget_step)
        except NotFound as error:  # ended by somebody, or it has its answer: the chat tells which
            raise OutcomeUnknown(error.code, error.message) from error
        except (RateLimited, UpstreamUnavailable):  # certainly not carried out: the bot still waits
            async with self.db.session(self.scope) as session:
                await store.return_slot(session, reply.turn_id)
            raise
        return None

    async def look(self, link: CrmLink, reply: Reply, since: datetime) -> tuple[Sighting, ...]:
        return await _by_bot(self.crm, link, reply, since)

    async def _newest(self, link: CrmLink, lead_id: int) -> datetime:
        """Return a time, by the CRM's clock, after all that bots have sent to the deal before."""
        start = utcnow() - CLOCK_SKEW
        try:
            before = await self.crm.list_bot_messages(link, lead_id, start)
        except AppError as error:
            if not is_unreadable(error):
                raise
            before = ()
        return before[-1].sent_at + timedelta(seconds=1) if before else start


def build_transport(
    route: ReplyRoute, setup: ReplySetup, *, db: Database, scope: Scope, crm: CrmPort, vault: Vault
) -> ReplyTransport:
    if route == "salesbot":
        return SalesbotTransport(db, scope, crm, setup)
    if route == "widget":
        return WidgetTransport(db, scope, crm, vault, setup)
    return TalkTransport(crm)


def is_unreadable(error: AppError) -> bool:
    """Whether the account lets nobody look: asking again is useless, unlike for a token that was refused."""
    return error.code in {"crm_scope", "crm_payment_required", "crm_not_found", "crm_rejected"}


async def _claim(session: Session, reply: Reply, still: Still, lasts: timedelta) -> None:
    """Take or keep the deal, if the reply is still this worker's to send."""
    place = (reply.connection_id, _lead_of(reply))
    if not await still(session) or not await store.claim_lead(session, *place, reply.turn_id, lasts):
        raise _busy()


async def _hold(session: Session, reply: Reply) -> None:
    lead_id = _lead_of(reply)
    if not await store.hold_lead(session, reply.connection_id, lead_id, reply.turn_id, SENDING_LASTS):
        raise _busy()


async def _in_talk(crm: CrmPort, link: CrmLink, talk_id: int, since: datetime) -> tuple[Sighting, ...]:
    listed = await crm.list_messages(link, talk_id, since)
    return tuple(
        Sighting(message.id, message.text, message.author == "human")
        for message in listed
        if message.direction == "outgoing"
    )


async def _by_bot(crm: CrmPort, link: CrmLink, reply: Reply, since: datetime) -> tuple[Sighting, ...]:
    """Return what left for the deal's chats: with its words where the account shows them.

    The bot chooses the chat by rules of its own, so all talks of the deal are looked at.
    """
    shows_words = brand_of(link.host) == "kommo"
    found: list[Sighting] = []
    if shows_words and reply.talk_id is not None:
        own = await _shown(crm, link, reply.talk_id, since)
        shows_words = own is not None
        found += own or ()
        if any(not one.by_person and same_words(one.text or "", reply.text) for one in found):
            return tuple(found)
    seen = {reply.talk_id}
    for message in await crm.list_bot_messages(link, _lead_of(reply), since):
        others: tuple[Sighting, ...] | None = None
        if shows_words and message.talk_id is not None and message.talk_id not in seen:
            seen.add(message.talk_id)
            others = await _shown(crm, link, message.talk_id, since)
            found += others or ()
        if not shows_words or (others is None and message.talk_id is None):
            found.append(Sighting(message.id, None))
    return tuple(found)


async def _shown(crm: CrmPort, link: CrmLink, talk_id: int, since: datetime) -> tuple[Sighting, ...] | None:
    """Return a talk's outgoing messages, None if the account lets nobody read them."""
    try:
        return await _in_talk(crm, link, talk_id, since)
    except AppError as error:
        if not is_unreadable(error):
            raise
        return None


def _talk_of(reply: Reply) -> int:
    if reply.talk_id is None:
        raise NotFound("crm_no_open_talk", "The customer's chat has no open talk.")
    return reply.talk_id


def _lead_of(reply: Reply) -> int:
    if reply.lead_id is None:
        raise Conflict("crm_route_not_set_up", "This way of replying is not set up.")
    return reply.lead_id


def _busy() -> RateLimited:
    return RateLimited("crm_lead_busy", "Another reply to this deal is on its way.", retry_after=BUSY_SECONDS)


def _no_slot() -> UpstreamUnavailable:
    return UpstreamUnavailable("crm_no_reply_slot", "No bot of the CRM waits for a reply to this deal.")


async def release(session: Session, turn_id: UUID) -> None:
    """Let the next reply to the deal go on."""
    await store.release_lead(session, turn_id)
    await store.close_slot(session, turn_id)
