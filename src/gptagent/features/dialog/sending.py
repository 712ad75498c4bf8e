"""The send: fence, request, record; and reading back what became of a request whose answer never came."""

import time
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import CrmLink, NewTask
from gptagent.features.crm.ports import CrmPort
from gptagent.features.dialog import service, store
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.model import (
    READ_BACK_SKEW,
    SEND_WINDOW_SECONDS,
    Answer,
    Pace,
    Turn,
    same_words,
)
from gptagent.features.organizations import service as organizations
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Forbidden, NotFound, OutcomeUnknown
from gptagent.kernel.i18n import translate
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

TASK_DUE_IN = timedelta(hours=1)
TASK_QUESTION_CHARS = 500
NOT_FOUND_TASK = (
    "The knowledge base has no answer to the customer's question: “{question}”. Please answer it."
)
NOT_SENT_TASK = (
    "The agent's reply could not be delivered ({reason}). Please answer the customer: “{question}”"
)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends one turn's answer. Raises StaleClaim when this worker has lost the lane."""

    db: Database
    scope: Scope
    crm: CrmPort
    vault: Vault
    pace: Pace

    async def send(self, turn: Turn, context: TurnContext) -> None:
        """Reserve a slot, pass the fence, send, record. A stale turn sends nothing."""
        link = await self._link(context.conversation)
        talk_id = context.conversation.talk_id
        try:
            if talk_id is None:
                talk_id = await self._find_talk(link, context.conversation)
            await self.crm.reserve_send(link)
        except AppError as error:
            async with self.db.session(self.scope) as session:
                await store.count_held_back(session, turn.id)
            await self._not_sent(replace(turn, held_back=turn.held_back + 1), link, error)
            return
        fenced_at = time.monotonic()
        async with self.db.session(self.scope) as session:
            current = await self._still_speaks(session, turn) and await service.begin_send(
                session, turn, talk_id, self.pace.lease
            )
            if not current:
                await service.give_back(session, turn)
                await store.supersede_turn(session, turn.id)
        if not current:
            observe.TURNS.labels("superseded").inc()
            return
        if time.monotonic() - fenced_at > SEND_WINDOW_SECONDS:
            await self._wait(turn, self.pace.read_back_every)
            return
        await self._request(turn, link, talk_id, context.conversation)

    async def _still_speaks(self, session: Session, turn: Turn) -> bool:
        """An agent switched off since the answer was made is silent at once."""
        agent = await agents.choose_agent(session)
        return agent is not None and agent.id == turn.agent_id

    async def _request(self, turn: Turn, link: CrmLink, talk_id: int, conversation: Conversation) -> None:
        text = turn.answer.text if turn.answer else ""
        sending = replace(turn, state="sending", send_attempts=turn.send_attempts + 1)
        try:
            message_id = await self.crm.send_message(link, talk_id, text)
        except OutcomeUnknown:
            await self._wait(sending, self.pace.read_back_every)
        except Conflict as error:
            if error.code == "crm_talk_closed":
                await self._move_talk(link, conversation, talk_id)
            await self._not_sent(sending, link, error)
        except AppError as error:
            await self._not_sent(sending, link, error)
        else:
            await self._sent(sending, message_id)

    async def settle(self, turn: Turn) -> None:
        """A send was begun and its outcome is unknown: read back before anything else."""
        if turn.provider_message_id is not None:
            await self._sent(turn, turn.provider_message_id)
            return
        async with self.db.session(self.scope) as session:
            conversation = await conversations.get_conversation(session, turn.conversation_id)
        try:
            found = await self._read_back(turn, conversation)
        except AppError as error:
            if _is_revoked(error):
                await self._wait_for_owner(turn, conversation, error)
            elif turn.unknown_for > self.pace.unknown_gives_up_after:
                await self._hand_off(turn, "delivery_unknown")
            else:
                log.info("read_back_failed", error=error.code)
                await self._wait(turn, self.pace.read_back_every)
            return
        if found is not None:
            await self._sent(turn, found)
        elif turn.unknown_for > self.pace.absence_certain_after:
            await self._reopen(turn, timedelta(0))
        else:
            await self._wait(turn, self.pace.read_back_every)

    async def _read_back(self, turn: Turn, conversation: Conversation) -> str | None:
        """Return the id under which the CRM has the reply, if it has it."""
        started = turn.send_started_at or utcnow()
        if turn.send_talk_id is None or turn.answer is None:
            raise NotFound("crm_no_open_talk", "The customer's chat has no open talk.")
        link = await self._link(conversation)
        since = started - READ_BACK_SKEW
        listed = await self.crm.list_messages(link, turn.send_talk_id, since)
        async with self.db.session(self.scope) as session:
            known = await store.ids_of_other_turns(session, turn, [message.id for message in listed])
        for message in listed:
            if (
                message.direction == "outgoing"
                and message.id not in known
                and same_words(message.text, turn.answer.text)
            ):
                return message.id
        return None

    async def _sent(self, turn: Turn, message_id: str) -> None:
        try:
            await self.finish(turn, turn.answer or Answer("", "reply", ""), provider_message_id=message_id)
        except service.StaleClaim:
            async with self.db.session(self.scope) as session:
                await store.note_sent(session, turn.id, message_id)
            raise

    async def finish(self, turn: Turn, answer: Answer, *, provider_message_id: str | None = None) -> None:
        """End the turn and everything that follows from it, in one transaction."""
        async with self.db.session(self.scope) as session:
            conversation = await conversations.get_conversation(session, turn.conversation_id)
            await crm_service.hold_connection(session, conversation.connection_id)
            if provider_message_id is not None:
                await self._record_reply(session, turn, answer, provider_message_id)
            await service.give_back(session, turn, answered=True)
            if not await store.end_turn(session, turn, answer.outcome, answer.reason, provider_message_id):
                raise service.StaleClaim
            if answer.outcome == "not_found":
                agent = await agents.find_agent(session, turn.agent_id)
                if agent is not None and agent.not_found_task:
                    await self._owe_task(session, turn, conversation, NOT_FOUND_TASK)
            elif answer.outcome == "handed_off":
                await self._owe_task(session, turn, conversation, NOT_SENT_TASK, reason=answer.reason or "")
        observe.TURNS.labels(answer.outcome).inc()

    async def _record_reply(
        self, session: Session, turn: Turn, answer: Answer, provider_message_id: str
    ) -> None:
        agent = await agents.find_agent(session, turn.agent_id)
        await conversations.record_reply(
            session,
            turn.conversation_id,
            turn_id=turn.id,
            agent_name=agent.name if agent else "",
            text=answer.text,
            provider_id=provider_message_id,
            now=utcnow(),
        )

    async def _owe_task(
        self, session: Session, turn: Turn, conversation: Conversation, template: str, **params: str
    ) -> None:
        if conversation.lead_id is None:
            return
        asked = await conversations.list_messages(session, conversation.id, from_seq=turn.first_seq)
        question = " ".join(m.text for m in asked if m.author == "customer" and m.seq <= turn.last_seq)
        locale = await organizations.get_locale(session)
        text = translate(locale, template, question=question[:TASK_QUESTION_CHARS], **params)
        task = NewTask(conversation.lead_id, text, utcnow() + TASK_DUE_IN)
        await crm_service.owe_task(session, conversation.connection_id, task)

    async def _not_sent(self, turn: Turn, link: CrmLink, error: AppError) -> None:
        """The CRM certainly did not carry the send out: try again, wait for the owner, or ask a person."""
        log.warning("reply_not_sent", error=error.code, turn_id=str(turn.id), attempt=turn.send_attempts)
        failures = turn.send_attempts + turn.held_back
        if _is_revoked(error):
            async with self.db.session(self.scope) as session:
                await crm_service.mark_broken(session, link, self.vault, error.code)
            await self._reopen(turn, self.pace.broken_connection_retry)
        elif error.retryable and failures < self.pace.send_attempts_max:
            wait = self.pace.send_retry_delay(failures)
            await self._reopen(turn, max(wait, timedelta(seconds=error.retry_after or 0)))
        elif error.code == "crm_talk_closed" and turn.send_attempts < 3:
            await self._reopen(turn, timedelta(0))
        else:
            await self._hand_off(turn, error.code)

    async def _wait_for_owner(self, turn: Turn, conversation: Conversation, error: AppError) -> None:
        """The chat can be read again once the owner has connected anew; until then nobody knows more."""
        link = await self._link(conversation)
        async with self.db.session(self.scope) as session:
            await crm_service.mark_broken(session, link, self.vault, error.code)
        await self._wait(turn, self.pace.broken_connection_retry)

    async def _hand_off(self, turn: Turn, reason: str) -> None:
        answer = turn.answer or Answer("", "handed_off", "gate")
        await self.finish(turn, replace(answer, outcome="handed_off", reason=reason))

    async def _reopen(self, turn: Turn, due_in: timedelta) -> None:
        async with self.db.session(self.scope) as session:
            await service.give_back(session, turn, due_in=due_in)
            await store.reopen_turn(session, turn.id)

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

    async def _link(self, conversation: Conversation) -> CrmLink:
        async with self.db.session(self.scope) as session:
            return await crm_service.open_link(session, conversation.connection_id, self.vault)


def _is_revoked(error: AppError) -> bool:
    """Whether the CRM no longer accepts the token: only the owner can mend that."""
    return isinstance(error, Forbidden) and error.code == "crm_unauthorized"
