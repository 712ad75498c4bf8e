"""The send: fence, request, record; and reading back what became of a request whose answer never came."""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import CrmLink, same_words
from gptagent.features.crm.ports import CrmPort, ReplyTransport
from gptagent.features.crm.replying import service as replying
from gptagent.features.crm.replying.service import CrmRoutes, Reply
from gptagent.features.dialog import service, store
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.ending import WINDOW_CLOSED, Sent, finish
from gptagent.features.dialog.lanes import store as lane_store
from gptagent.features.dialog.model import READ_BACK_SKEW, SEND_WINDOW_SECONDS, Answer, Pace, Turn
from gptagent.features.mail.model import Mailer
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Forbidden, NotFound, OutcomeUnknown
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends one turn's answer. Raises StaleClaim when this worker has lost the lane."""

    db: Database
    scope: Scope
    crm: CrmPort
    vault: Vault
    pace: Pace
    mailer: Mailer | None = None

    async def send(self, turn: Turn, context: TurnContext) -> None:
        """Choose the way, prepare it, pass the fence, send, record. A stale turn sends nothing."""
        conversation = context.conversation
        if _is_too_late(context):
            await self._hand_off(turn, WINDOW_CLOSED)
            return
        reply = _reply(turn, conversation, conversation.talk_id)
        async with self.db.session(self.scope) as session:
            try:
                link = await crm_service.open_link(session, conversation.connection_id, self.vault)
            except Conflict:  # switched off since the answer was made
                await self._drop(session, turn)
                return
            transport = await self._routes.choose(session, link, reply)
        turn = replace(turn, send_route=transport.route)
        try:
            if reply.talk_id is None and transport.route == "talk":
                reply = replace(reply, talk_id=await self._find_talk(link, conversation))
            since = await transport.prepare(link, reply, partial(lane_store.hold_claim, turn=turn))
        except AppError as error:
            await self._held_back(turn, link, reply, error)
            return
        fenced_at = time.monotonic()
        try:
            current = await self._pass_fence(turn, transport, reply, since)
        except AppError as error:  # what only one reply can have went to another
            await self._held_back(turn, link, reply, error)
            return
        if not current:
            observe.TURNS.labels("superseded").inc()
        elif time.monotonic() - fenced_at > SEND_WINDOW_SECONDS:
            await self._wait(turn, self.pace.read_back_every)
        else:
            await self._request(turn, link, transport, reply, conversation)

    async def _pass_fence(
        self, turn: Turn, transport: ReplyTransport, reply: Reply, since: datetime | None
    ) -> bool:
        """The one place where a send begins: still this worker, this state of the chat, this agent?"""
        async with self.db.session(self.scope) as session:
            leaving = service.Leaving(transport.route, reply.talk_id, since)
            speaks = await self._still_speaks(session, turn, reply)
            current = speaks and await service.begin_send(session, turn, leaving, self.pace.lease)
            if current:
                await transport.begin(session, reply)
            else:
                await self._drop(session, turn)
        return current

    async def drop(self, turn: Turn) -> None:
        """The answer is another's to give by now. Raises StaleClaim."""
        async with self.db.session(self.scope) as session:
            await self._drop(session, turn)

    async def _drop(self, session: Session, turn: Turn) -> None:
        """This answer is not sent; the lane looks anew at what is to be done."""
        await service.give_back(session, turn)
        await store.supersede_turn(session, turn.id)
        await self._release(session, turn)

    async def _still_speaks(self, session: Session, turn: Turn, reply: Reply) -> bool:
        """An agent or an account that was switched off, or a deal that has left the agent's stages, since the
        answer was made: it is silent at once.
        """
        if not (await crm_service.get_connection(session, reply.connection_id)).is_active:
            return False
        agent = await speaking.find_speaker(session, turn.conversation_id)
        if agent is None or agent.id != turn.agent_id:
            return False
        return turn.is_approved or not (agent.settings.check_before_sending or reply.letter)

    async def _request(
        self, turn: Turn, link: CrmLink, transport: ReplyTransport, reply: Reply, conversation: Conversation
    ) -> None:
        sending = replace(turn, state="sending", send_attempts=turn.send_attempts + 1)
        try:
            message_id = await transport.send(link, reply)
        except OutcomeUnknown:
            await self._wait(sending, self.pace.read_back_every)
        except Conflict as error:
            if error.code == "crm_talk_closed" and reply.talk_id is not None:
                await self._move_talk(link, conversation, reply.talk_id)
            await self._not_sent(sending, link, reply, error)
        except AppError as error:
            await self._not_sent(sending, link, reply, error)
        else:
            if message_id is None:
                await self._accepted(sending, link)
            else:
                await self._sent(sending, message_id)

    async def settle(self, turn: Turn) -> None:
        """A send was begun and its outcome is unknown: read back before anything else.

        So also in an account that was switched off meanwhile: a reply must be known to have left, or it might
        be given once more.
        """
        if turn.provider_message_id is not None:
            await self._sent(turn, turn.provider_message_id)
            return
        async with self.db.session(self.scope) as session:
            conversation = await conversations.get_conversation(session, turn.conversation_id)
            wait = await self._first_look(session, conversation.connection_id)
        if turn.accepted_for is not None and turn.accepted_for < wait:
            await self._wait(turn, wait - turn.accepted_for)  # woken early: its report may still come
            return
        reply = _reply(turn, conversation, turn.send_talk_id)
        gives_up = turn.unknown_for > self.pace.unknown_gives_up_after
        try:
            found = await self._read_back(turn, reply, only_robots=turn.is_accepted and not gives_up)
        except AppError as error:
            await self._not_read(turn, conversation, error)
            return
        if found is not None:
            await self._sent(turn, found)
        elif turn.is_accepted and gives_up:  # a second run might send it twice
            await self._hand_off(turn, "delivery_unknown")
        elif not turn.is_accepted and turn.unknown_for > self.pace.absence_certain_after:
            await self._reopen(turn, timedelta(0))
        else:
            await self._wait(turn, self.pace.read_back_every)

    async def _not_read(self, turn: Turn, conversation: Conversation, error: AppError) -> None:
        if _is_revoked(error):
            await self._wait_for_owner(turn, conversation, error)
        elif turn.is_accepted and replying.is_unreadable(error):
            await self._sent(turn, None)  # taken, and this account lets nobody see what became of it
        elif turn.unknown_for > self.pace.unknown_gives_up_after:
            await self._hand_off(turn, "delivery_unknown")
        else:
            log.info("read_back_failed", error=error.code)
            await self._wait(turn, self.pace.read_back_every)

    async def _read_back(self, turn: Turn, reply: Reply, *, only_robots: bool) -> str | None:
        """Return the id under which the CRM has the reply, if it has it.

        `only_robots`: a bot says it, and there is time to wait for that; a person with the same words is a
        person. Otherwise words that reached the customer are not said again, whoever said them.
        """
        since = turn.send_since or (turn.send_started_at or utcnow()) - READ_BACK_SKEW
        if turn.answer is None:
            raise NotFound("crm_no_open_talk", "The customer's chat has no open talk.")
        async with self.db.session(self.scope) as session:
            link = await crm_service.open_link(session, reply.connection_id, self.vault, while_off=True)
            transport = await self._routes.resume(session, link, turn.send_route or "talk")
        shown = await transport.look(link, reply, since)
        async with self.db.session(self.scope) as session:
            known = await store.ids_of_other_turns(session, turn, [one.id for one in shown])
        fitting = [
            one
            for one in shown
            if one.id not in known and (one.text is None or same_words(one.text, reply.text))
        ]
        said = [one.id for one in fitting if not one.by_person]
        return next(iter(said or [one.id for one in fitting if not only_robots]), None)

    async def _accepted(self, turn: Turn, link: CrmLink) -> None:
        """The CRM has taken the reply, and reports it by itself; else it is looked for after a while."""
        async with self.db.session(self.scope) as session:
            reported = await service.note_accepted(session, turn)
            if reported is None:
                wait = await self._first_look(session, link.connection_id)
                await service.give_back(session, turn, due_in=wait)
        if reported is not None:
            await self._sent(turn, reported)
            return
        async with self.db.session(self.scope) as session:
            await replying.look_soon(session, link)

    async def _first_look(self, session: Session, connection_id: UUID) -> timedelta:
        reports = await replying.reports_replies(session, connection_id)
        return self.pace.first_look_after if reports else self.pace.unreported_look_after

    async def _sent(self, turn: Turn, message_id: str | None) -> None:
        try:
            await finish(self.db, self.scope, turn, turn.answer or Answer("", "reply", ""), Sent(message_id))
        except service.StaleClaim:
            if message_id is not None:
                async with self.db.session(self.scope) as session:
                    await store.note_sent(session, turn.id, message_id)
            raise

    async def _held_back(self, turn: Turn, link: CrmLink, reply: Reply, error: AppError) -> None:
        """The send could not begin. A deal that another reply has is waited for: that is no failure."""
        if error.code == "crm_lead_busy":
            await self._wait(turn, self.pace.busy_deal_retry)
            return
        async with self.db.session(self.scope) as session:
            await store.count_held_back(session, turn.id)
        await self._not_sent(replace(turn, held_back=turn.held_back + 1), link, reply, error)

    async def _not_sent(self, turn: Turn, link: CrmLink, reply: Reply, error: AppError) -> None:
        """The CRM certainly did not carry it out: another way, again, wait for the owner, or ask a person."""
        log.warning("reply_not_sent", error=error.code, turn_id=str(turn.id), attempt=turn.send_attempts)
        failures = turn.send_attempts + turn.held_back
        if _is_revoked(error):
            async with self.db.session(self.scope) as session:
                await crm_service.mark_broken(session, link, self.vault, error.code)
            await self._reopen(turn, self.pace.broken_connection_retry)
        elif turn.send_route == "talk" and await self._gives_way(link, reply, error):
            await self._reopen(turn, timedelta(0))
        elif error.retryable and failures < self._attempts(error):
            wait = self._pause(error, failures)
            await self._reopen(turn, max(wait, timedelta(seconds=error.retry_after or 0)))
        elif error.code == "crm_talk_closed" and turn.send_attempts < 3:
            await self._reopen(turn, timedelta(0))
        else:
            await self._hand_off(turn, error.code)

    def _pause(self, error: AppError, failures: int) -> timedelta:
        """A bot of the CRM asks any moment; a CRM in trouble is given more time each time."""
        is_slot = error.code == "crm_no_reply_slot"
        return self.pace.slot_retry if is_slot else self.pace.send_retry_delay(failures)

    def _attempts(self, error: AppError) -> int:
        return self.pace.slot_waits_max if error.code == "crm_no_reply_slot" else self.pace.send_attempts_max

    async def _gives_way(self, link: CrmLink, reply: Reply, error: AppError) -> bool:
        async with self.db.session(self.scope) as session:
            return await self._routes.gives_way(session, link, reply, error)

    async def _wait_for_owner(self, turn: Turn, conversation: Conversation, error: AppError) -> None:
        """The chat can be read again once the owner has connected anew; until then nobody knows more."""
        place = conversation.connection_id
        async with self.db.session(self.scope) as session:
            link = await crm_service.open_link(session, place, self.vault, while_off=True)
            await crm_service.mark_broken(session, link, self.vault, error.code)
        await self._wait(turn, self.pace.broken_connection_retry)

    async def _hand_off(self, turn: Turn, reason: str) -> None:
        answer = turn.answer or Answer("", "handed_off", "gate")
        await finish(self.db, self.scope, turn, replace(answer, outcome="handed_off", reason=reason))

    async def _reopen(self, turn: Turn, due_in: timedelta) -> None:
        async with self.db.session(self.scope) as session:
            await service.give_back(session, turn, due_in=due_in)
            await store.reopen_turn(session, turn.id)
            if turn.state == "sending":  # what a failed preparation leaves behind is the transport's to say
                await self._release(session, turn)

    async def _release(self, session: Session, turn: Turn) -> None:
        if turn.send_route not in {None, "talk"}:
            await replying.release(session, turn.id)

    async def _wait(self, turn: Turn, due_in: timedelta) -> None:
        async with self.db.session(self.scope) as session:
            await service.give_back(session, turn, due_in=due_in)

    async def _move_talk(self, link: CrmLink, conversation: Conversation, closed: int) -> None:
        """Find the chat's current talk: a closed one is followed by another with the same chat."""
        try:
            talk_id = await self._find_talk(link, conversation)
        except AppError as error:
            log.info("talk_not_found", error=error.code, talk_id=closed)
            return
        async with self.db.session(self.scope) as session:
            await conversations.move_to_talk(session, conversation.id, talk_id)

    async def _find_talk(self, link: CrmLink, conversation: Conversation) -> int:
        talk_id = None
        if conversation.contact_id is not None:
            talk_id = await self.crm.find_open_talk(link, conversation.contact_id, conversation.chat_id)
        if talk_id is None:
            raise NotFound("crm_no_open_talk", "The customer's chat has no open talk.")
        return talk_id

    @property
    def _routes(self) -> CrmRoutes:
        return CrmRoutes(self.db, self.scope, self.crm, self.vault, self.mailer)


def _reply(turn: Turn, conversation: Conversation, talk_id: int | None) -> Reply:
    text = turn.answer.text if turn.answer else ""
    place = (conversation.connection_id, conversation.lead_id, talk_id)
    return Reply(turn.id, *place, text, conversation.letter)


def _is_too_late(context: TurnContext) -> bool:
    last = max((message.sent_at for message in context.unanswered), default=None)
    channel = context.conversation.channel
    return last is not None and replying.window_is_closed(channel, last, utcnow())


def _is_revoked(error: AppError) -> bool:
    """Whether the CRM no longer accepts the token: only the owner can mend that."""
    return isinstance(error, Forbidden) and error.code == "crm_unauthorized"
