"""Sending what is owed outside of a turn: prepare, fence, request, record; and reading back."""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal
from uuid import UUID

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations import writing
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import CrmLink, same_words
from gptagent.features.crm.ports import CrmPort, ReplyTransport
from gptagent.features.crm.replying import service as replying
from gptagent.features.crm.replying.service import CrmRoutes, Reply
from gptagent.features.dialog.ending import TASK_REPLY_CHARS, UNKNOWN_TASK, owe_task
from gptagent.features.dialog.model import READ_BACK_SKEW, SEND_WINDOW_SECONDS, Pace
from gptagent.features.dialog.outgoing import store
from gptagent.features.dialog.outgoing.model import FAILURES_MAX, LEASE, Outgoing
from gptagent.features.dialog.outgoing.service import SEND, window_is_closed
from gptagent.features.mail.model import Mailer
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import AppError, Forbidden, NotFound, OutcomeUnknown
from gptagent.kernel.jobs import JobContext

log = structlog.get_logger(__name__)

NOT_SENT_TASK = (
    "A message to the customer was not sent ({reason}). Please look after the customer. It was: “{reply}”"
)
ANSWERED_SINCE = "answered_since"
Step = Literal["next"] | timedelta


@dataclass(frozen=True, slots=True)
class OutgoingJobs:
    """Handlers with what they call.

    One run at a time has a message, by a lease: preparing a send is not to be done twice at once. Each has a
    fence like a reply's: a compare-and-swap takes it from `waiting` to `sending`, once for each send. After
    that its outcome is known, or read back; it is sent again only if it certainly did not arrive. What the
    customer writes meanwhile keeps no colleague's words back.
    """

    crm: CrmPort
    vault: Vault
    pace: Pace
    mailer: Mailer | None = None

    async def send(self, ctx: JobContext, /, conversation_id: str) -> None:
        """Send what is owed to a chat, one after the other; again it changes nothing."""
        one: Outgoing | None = None
        while True:
            async with ctx.db.session(ctx.scope) as session:
                one = await store.take(session, UUID(conversation_id), ctx.job_id, LEASE, one)
            if one is None:  # whoever has the first goes on to the others
                return
            step = await (self._settle if one.state == "sending" else self._send)(ctx, one)
            if isinstance(step, timedelta):
                async with ctx.db.session(ctx.scope) as session:
                    if await store.put_off(session, one, step):
                        is_overtaken = await store.hasten_overtaken(session, one)
                        delay = timedelta(0) if is_overtaken else step
                        await session.enqueue(SEND, {"conversation_id": conversation_id}, delay=delay)
                return

    async def give_up(self, ctx: JobContext, /, conversation_id: str) -> None:
        """The job failed for good: a colleague is asked to look after the customer."""
        async with ctx.db.session(ctx.scope) as session:
            owed = await store.select_open(session, UUID(conversation_id), ctx.job_id)
        for one in owed:
            await self._end(ctx, one, "unknown" if one.state == "sending" else "not_sent", "failed")

    async def _send(self, ctx: JobContext, one: Outgoing) -> Step:
        """Take it up to its request. Whatever fails before the fence, the customer has seen nothing."""
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, one.conversation_id)
            closed = await _closed(session, conversation, one)
            shut_for = await self._shut_for(session, one) if closed is None else None
            if shut_for is not None:
                await replying.release(session, one.id)
            elif closed is None:
                link = await crm_service.open_link(session, conversation.connection_id, self.vault)
                reply = _reply(one, conversation, conversation.talk_id)
                transport = await self._routes(ctx).choose(session, link, reply)
        if closed is not None:
            return await self._end(ctx, one, "not_sent", closed)
        if shut_for is not None:
            return shut_for
        try:
            if reply.talk_id is None and transport.route == "talk":
                reply = replace(reply, talk_id=await self._find_talk(link, conversation))
            since = await transport.prepare(link, reply, partial(store.hold_claim, one=one))
            began = time.monotonic()
            if not await self._pass_fence(ctx, one, transport, reply, since):
                return "next"  # it has ended, or another run has it: looked at anew
        except AppError as error:
            return await self._failed(ctx, link, replace(one, send_route=transport.route), reply, error)
        one = replace(one, state="sending", sends=one.sends + 1, send_route=transport.route)
        if time.monotonic() - began > SEND_WINDOW_SECONDS:
            return self.pace.read_back_every
        return await self._request(ctx, link, transport, reply, one)

    async def _pass_fence(
        self, ctx: JobContext, one: Outgoing, transport: ReplyTransport, reply: Reply, since: datetime | None
    ) -> bool:
        """Whether this run, and no other, sends it now."""
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, one.conversation_id, lock=True)
            if await _closed(session, conversation, one) or await self._shut_for(session, one):
                return False
            current = await store.start_sending(session, one, transport.route, reply.talk_id, since)
            if current:
                await transport.begin(session, reply)
            return current

    async def _shut_for(self, session: Session, one: Outgoing) -> timedelta | None:
        """Return how long a follow-up waits for its agent's working hours, which may have ended while the CRM
        was away; they may be changed, so it is looked at again before. An answer is not held back by them.
        """
        agent = await agents.find_agent(session, one.agent_id) if one.kind == "followup" else None
        wait = None if agent is None else agents.wait_until_open(agent.settings.hours, utcnow())
        return None if wait is None else min(wait, self.pace.closed_retry)

    async def _request(
        self, ctx: JobContext, link: CrmLink, transport: ReplyTransport, reply: Reply, one: Outgoing
    ) -> Step:
        """Make the one request the customer sees something of."""
        try:
            message_id = await transport.send(link, reply)
        except OutcomeUnknown:
            return self.pace.read_back_every
        except AppError as error:
            return await self._failed(ctx, link, one, reply, error)
        if message_id is not None:
            return await self._sent(ctx, one, message_id)
        async with ctx.db.session(ctx.scope) as session:
            await replying.look_soon(session, link)  # locks the connection, which comes before the message
            await store.note_accepted(session, one)
            return await self._first_look(session, link.connection_id)

    async def _first_look(self, session: Session, connection_id: UUID) -> timedelta:
        reports = await replying.reports_replies(session, connection_id)
        return self.pace.first_look_after if reports else self.pace.unreported_look_after

    async def _settle(self, ctx: JobContext, one: Outgoing) -> Step:
        """A request may have left and its outcome is unknown: the chat is read before anything else."""
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, one.conversation_id)
            wait = await self._first_look(session, conversation.connection_id)
        if one.accepted_for is not None and one.accepted_for < wait:
            return wait - one.accepted_for  # its report may still come
        gives_up = one.unknown_for > self.pace.unknown_gives_up_after
        try:
            found = await self._read_back(
                ctx, one, conversation, only_robots=one.is_accepted and not gives_up
            )
        except AppError as error:
            return await self._not_read(ctx, one, error, gives_up=gives_up)
        if found is not None:
            return await self._sent(ctx, one, found)
        if one.is_accepted and gives_up:  # a second run might send it twice
            return await self._end(ctx, one, "unknown", "delivery_unknown")
        if one.is_accepted or one.unknown_for <= self.pace.absence_certain_after:
            return self.pace.read_back_every
        await self._reopen(ctx, one)
        return "next"

    async def _not_read(self, ctx: JobContext, one: Outgoing, error: AppError, *, gives_up: bool) -> Step:
        if one.is_accepted and replying.is_unreadable(error):
            return await self._sent(ctx, one, None)  # taken, and this account lets nobody see more
        if gives_up:
            return await self._end(ctx, one, "unknown", "delivery_unknown")
        log.info("outgoing_not_read_back", error=error.code)
        return self.pace.read_back_every

    async def _read_back(
        self, ctx: JobContext, one: Outgoing, conversation: Conversation, *, only_robots: bool
    ) -> str | None:
        """Return the id under which the CRM has it, if it has it."""
        reply = _reply(one, conversation, one.send_talk_id)
        since = one.send_since or (one.send_started_at or utcnow()) - READ_BACK_SKEW
        async with ctx.db.session(ctx.scope) as session:
            link = await crm_service.open_link(session, reply.connection_id, self.vault, while_off=True)
            transport = await self._routes(ctx).resume(session, link, one.send_route or "talk")
        shown = await transport.look(link, reply, since)
        async with ctx.db.session(ctx.scope) as session:
            known = await store.known_ids(session, conversation.id, [seen.id for seen in shown])
        fitting = [
            seen
            for seen in shown
            if seen.id not in known and (seen.text is None or same_words(seen.text, one.text))
        ]
        said = [seen.id for seen in fitting if not seen.by_person]
        return next(iter(said or [seen.id for seen in fitting if not only_robots]), None)

    async def _failed(
        self, ctx: JobContext, link: CrmLink, one: Outgoing, reply: Reply, error: AppError
    ) -> Step:
        """The CRM certainly did not carry it out: another way, again later, or a colleague is asked."""
        if error.code == "crm_lead_busy":
            return self.pace.busy_deal_retry
        log.warning("outgoing_not_sent", error=error.code, outgoing_id=str(one.id))
        if isinstance(error, Forbidden) and error.code == "crm_unauthorized":
            async with ctx.db.session(ctx.scope) as session:
                await crm_service.mark_broken(session, link, self.vault, error.code)
            await self._reopen(ctx, one)
            return self.pace.broken_connection_retry
        if one.send_route == "talk":
            async with ctx.db.session(ctx.scope) as session:
                gives_way = await self._routes(ctx).gives_way(session, link, reply, error)
            if gives_way:
                await self._reopen(ctx, one)
                return "next"
        is_closed = error.code == "crm_talk_closed"
        if is_closed:
            await self._move_talk(ctx, link, one)
        if (error.retryable or is_closed) and one.failures + 1 < self._attempts(error):
            await self._reopen(ctx, one)
            pause = self.pace.slot_retry if error.code == "crm_no_reply_slot" else self._pause(one)
            return max(pause, timedelta(seconds=error.retry_after or 0))
        return await self._end(ctx, one, "not_sent", error.code)

    def _attempts(self, error: AppError) -> int:
        return self.pace.slot_waits_max if error.code == "crm_no_reply_slot" else FAILURES_MAX

    def _pause(self, one: Outgoing) -> timedelta:
        return self.pace.send_retry_delay(one.failures + 1)

    async def _reopen(self, ctx: JobContext, one: Outgoing) -> None:
        async with ctx.db.session(ctx.scope) as session:
            if await store.reopen(session, one) and one.state == "sending":
                await replying.release(session, one.id)

    async def _sent(self, ctx: JobContext, one: Outgoing, message_id: str | None) -> Step:
        async with ctx.db.session(ctx.scope) as session:
            await conversations.get_conversation(session, one.conversation_id, lock=True)
            if await store.settle_sent(session, one.id, message_id):
                await replying.release(session, one.id)
                if message_id is not None:
                    await writing.watch_delivery(session, one.conversation_id)
                await conversations.tell(session, one.conversation_id)
        return "next"

    async def _end(
        self, ctx: JobContext, one: Outgoing, state: Literal["not_sent", "unknown"], reason: str
    ) -> Step:
        """End its way, and ask a colleague by a task; unless the CRM has reported it meanwhile, or it is a
        follow-up that somebody was faster than.
        """
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, one.conversation_id)
            await crm_service.hold_connection(session, conversation.connection_id)
            await conversations.get_conversation(session, one.conversation_id, lock=True)
            if await store.settle(session, one, state, reason):
                await replying.release(session, one.id)
                if reason != ANSWERED_SINCE:
                    task, text = UNKNOWN_TASK if state == "unknown" else NOT_SENT_TASK, one.text
                    await owe_task(session, conversation, task, reason=reason, reply=text[:TASK_REPLY_CHARS])
            await conversations.tell(session, one.conversation_id)
        return "next"

    async def _find_talk(self, link: CrmLink, conversation: Conversation) -> int:
        talk_id = None
        if conversation.contact_id is not None:
            talk_id = await self.crm.find_open_talk(link, conversation.contact_id, conversation.chat_id)
        if talk_id is None:
            raise NotFound("crm_no_open_talk", "The customer's chat has no open talk.")
        return talk_id

    async def _move_talk(self, ctx: JobContext, link: CrmLink, one: Outgoing) -> None:
        """A closed talk is followed by another with the same chat."""
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, one.conversation_id)
        try:
            talk_id = await self._find_talk(link, conversation)
        except AppError as error:
            log.info("talk_not_found", error=error.code)
            return
        async with ctx.db.session(ctx.scope) as session:
            await conversations.move_to_talk(session, conversation.id, talk_id)

    def _routes(self, ctx: JobContext) -> CrmRoutes:
        return CrmRoutes(ctx.db, ctx.scope, self.crm, self.vault, self.mailer)


def _reply(one: Outgoing, conversation: Conversation, talk_id: int | None) -> Reply:
    place = (conversation.connection_id, conversation.lead_id, talk_id)
    return Reply(one.id, *place, one.text, conversation.letter, is_prepared=False)


async def _closed(session: Session, conversation: Conversation, one: Outgoing) -> str | None:
    """Return why it may not be sent now."""
    silence = await organizations.find_silence(session)
    if silence is not None:
        return silence
    if not (await crm_service.get_connection(session, conversation.connection_id)).is_active:
        return "connection_off"
    if await window_is_closed(session, conversation):
        return "window_closed"
    if one.kind != "followup":
        return None
    if conversation.held_by_person or conversation.last_seq != one.seq:
        return ANSWERED_SINCE
    agent = await agents.find_agent(session, one.agent_id)
    return None if agent is not None and agent.is_active else "no_active_agent"
