"""Sending the files of a reply, one after the other: upload, fence, request, record; and reading back."""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import CallPriority, CrmLink
from gptagent.features.crm.ports import CrmPort
from gptagent.features.dialog.enclosures import store
from gptagent.features.dialog.enclosures.model import (
    FAILURES_MAX,
    SENDS_MAX,
    ReplyFile,
    is_same_file,
    pause_after,
)
from gptagent.features.dialog.enclosures.service import SEND, tell
from gptagent.features.dialog.ending import owe_task
from gptagent.features.dialog.model import READ_BACK_SKEW, SEND_WINDOW_SECONDS, Pace
from gptagent.features.knowledge import service as knowledge
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import AppError, Conflict, NotFound, OutcomeUnknown
from gptagent.kernel.jobs import JobContext

log = structlog.get_logger(__name__)

FILE_TASK = (
    "A file that belongs to the agent's reply was not sent ({reason}). Please send it to the customer: {name}"
)
UNKNOWN_TASK = (
    "It is not known whether a file of the agent's reply reached the customer: {name}. Please look, and send "
    "it if it did not."
)
Step = Literal["next"] | timedelta


@dataclass(frozen=True, slots=True)
class EnclosureJobs:
    """Handlers with what they call.

    A file has the same fence as a reply, one of its own: a compare-and-swap takes it from `waiting` to
    `sending`, once, in a transaction that sees whether the agent may still speak here. After that its outcome
    is known, or read back from the chat; it is sent once more only if it certainly did not arrive. The reply
    itself has ended before and is never touched.
    """

    crm: CrmPort
    vault: Vault
    pace: Pace

    async def send(self, ctx: JobContext, /, turn_id: str) -> None:
        """Send what is owed with a reply; again it changes nothing. Looks again later at what must wait."""
        while True:
            async with ctx.db.session(ctx.scope) as session:
                files = await store.open_files(session, UUID(turn_id))
            if not files:
                return
            take = self._settle if files[0].state == "sending" else self._send
            step = await take(ctx, files[0])
            if isinstance(step, timedelta):
                async with ctx.db.session(ctx.scope) as session:
                    await session.enqueue(SEND, {"turn_id": turn_id}, delay=step)
                return

    async def give_up(self, ctx: JobContext, /, turn_id: str) -> None:
        """The job failed for good: a person is asked to look after the files."""
        async with ctx.db.session(ctx.scope) as session:
            for file in await store.open_files(session, UUID(turn_id)):
                state: Literal["unknown", "not_sent"] = "unknown" if file.state == "sending" else "not_sent"
                await self._end(session, file, state, "failed", asks=True)

    async def _send(self, ctx: JobContext, file: ReplyFile) -> Step:
        """Take one file up to its request. Whatever fails before the fence, the customer has seen nothing."""
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, file.conversation_id)
            closed = await _closed(session, conversation, file)
            link = await self._open(session, conversation) if closed is None else None
        if closed is not None or link is None:
            return await self._not_sent(ctx, file, closed or "connection_off", asks=False)
        try:
            talk_id = conversation.talk_id or await self._find_talk(link, conversation)
            uuid = file.drive_uuid or await self._upload(ctx, link, file)
            await self.crm.reserve_send(link)
        except AppError as error:
            return await self._failed(ctx, link, file, error)
        placed = replace(file, drive_uuid=uuid, send_talk_id=talk_id)
        return await self._request(ctx, link, conversation, placed)

    async def _request(
        self, ctx: JobContext, link: CrmLink, conversation: Conversation, file: ReplyFile
    ) -> Step:
        """Pass the fence and make the one request the customer sees something of."""
        talk_id = file.send_talk_id or 0
        began = time.monotonic()
        if not await self._pass_fence(ctx, file, talk_id):
            return "next"  # it has ended, or another run has it: looked at anew
        file = replace(file, state="sending", sends=file.sends + 1)
        if time.monotonic() - began > SEND_WINDOW_SECONDS:
            return self.pace.read_back_every
        try:
            message_id = await self.crm.send_message(link, talk_id, "", drive_uuid=file.drive_uuid)
        except OutcomeUnknown:
            return self.pace.read_back_every
        except AppError as error:
            if error.code == "crm_talk_closed":
                await self._move_talk(ctx, link, conversation)
            return await self._failed(ctx, link, file, error)
        await self._record(ctx, file, message_id)
        return "next"

    async def _upload(self, ctx: JobContext, link: CrmLink, file: ReplyFile) -> str:
        """Put the file into the account's drive; nobody sees it there. Raises NotFound if it was removed."""
        async with ctx.db.session(ctx.scope) as session:
            path = await knowledge.path_of(session, ctx.files, file.file_id)
        content = await asyncio.to_thread(path.read_bytes)
        uuid = await self.crm.upload_file(link, file.name, content)
        async with ctx.db.session(ctx.scope) as session:
            await store.note_uploaded(session, file, uuid)
        return uuid

    async def _pass_fence(self, ctx: JobContext, file: ReplyFile, talk_id: int) -> bool:
        """Whether this run, and no other, sends the file now: a takeover before this commit forbids it."""
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, file.conversation_id, lock=True)
            closed = await _closed(session, conversation, file)
            if closed is not None:
                await self._end(session, file, "not_sent", closed, asks=False)
                return False
            return await store.start_sending(session, file, talk_id)

    async def _settle(self, ctx: JobContext, file: ReplyFile) -> Step:
        """A request may have left and its outcome is unknown: the chat is read before anything else."""
        try:
            found = await self._read_back(ctx, file)
        except AppError as error:
            if file.unknown_for <= self.pace.unknown_gives_up_after:
                log.info("file_not_read_back", error=error.code)
                return self.pace.read_back_every
            async with ctx.db.session(ctx.scope) as session:
                await self._end(session, file, "unknown", error.code, asks=True)
            return "next"
        if found is not None:
            await self._record(ctx, file, found)
        elif file.unknown_for <= self.pace.absence_certain_after:
            return self.pace.read_back_every
        elif file.sends < SENDS_MAX:
            async with ctx.db.session(ctx.scope) as session:
                await store.reopen(session, file)
        else:
            return await self._not_sent(ctx, file, "crm_unavailable", asks=True)
        return "next"

    async def _read_back(self, ctx: JobContext, file: ReplyFile) -> str | None:
        """Return the id under which the chat has the file, if it has it."""
        async with ctx.db.session(ctx.scope) as session:
            conversation = await conversations.get_conversation(session, file.conversation_id)
            link = await crm_service.open_link(
                session, conversation.connection_id, self.vault, while_off=True
            )
        since = (file.send_started_at or utcnow()) - READ_BACK_SKEW
        shown = await self.crm.list_messages(link, file.send_talk_id or 0, since, CallPriority.READ)
        sent = [one for one in shown if one.direction == "outgoing"]
        async with ctx.db.session(ctx.scope) as session:
            known = await store.known_ids(session, file.conversation_id, [one.id for one in sent])
        fitting = (
            one.id
            for one in sent
            if one.id not in known
            and is_same_file(file.name, file.drive_uuid, one.attachment_name, one.attachment_url)
        )
        return next(fitting, None)

    async def _failed(self, ctx: JobContext, link: CrmLink, file: ReplyFile, error: AppError) -> Step:
        """The CRM certainly did not carry it out: again, after a pause that grows, or a person is asked."""
        log.warning("file_not_sent", error=error.code, turn_id=str(file.turn_id))
        is_revoked = error.code == "crm_unauthorized"
        may_mend = error.retryable or is_revoked or error.code == "crm_talk_closed"
        if isinstance(error, NotFound) and error.code == "file_not_found":
            return await self._not_sent(ctx, file, "file_removed", asks=False)
        if not may_mend or file.failures + 1 >= FAILURES_MAX:
            return await self._not_sent(ctx, file, error.code, asks=True)
        async with ctx.db.session(ctx.scope) as session:
            if is_revoked:
                await crm_service.mark_broken(session, link, self.vault, error.code)
            await store.reopen(session, file)
        pause = pause_after(file.failures + 1, self.pace.send_retry_first, self.pace.send_retry_cap)
        return max(pause, timedelta(seconds=error.retry_after or 0))

    async def _record(self, ctx: JobContext, file: ReplyFile, message_id: str) -> None:
        async with ctx.db.session(ctx.scope) as session:
            await store.settle(session, file, "sent", message_id=message_id)
            await tell(session, file.conversation_id)

    async def _not_sent(self, ctx: JobContext, file: ReplyFile, reason: str, *, asks: bool) -> Step:
        async with ctx.db.session(ctx.scope) as session:
            await self._end(session, file, "not_sent", reason, asks=asks)
        return "next"

    async def _end(
        self,
        session: Session,
        file: ReplyFile,
        state: Literal["not_sent", "unknown"],
        reason: str,
        *,
        asks: bool,
    ) -> None:
        """End a file's way without a message; `asks` a person, unless the CRM has reported it meanwhile."""
        conversation = await conversations.get_conversation(session, file.conversation_id)
        if asks:
            await crm_service.hold_connection(session, conversation.connection_id)
        if await store.settle(session, file, state, reason=reason) and asks:
            template = UNKNOWN_TASK if state == "unknown" else FILE_TASK
            await owe_task(session, conversation, template, name=file.name, reason=reason)
        await tell(session, file.conversation_id)

    async def _open(self, session: Session, conversation: Conversation) -> CrmLink | None:
        try:
            return await crm_service.open_link(session, conversation.connection_id, self.vault)
        except Conflict:  # switched off
            return None

    async def _find_talk(self, link: CrmLink, conversation: Conversation) -> int:
        talk_id = None
        if conversation.contact_id is not None:
            talk_id = await self.crm.find_open_talk(link, conversation.contact_id, conversation.chat_id)
        if talk_id is None:
            raise NotFound("crm_no_open_talk", "The customer's chat has no open talk.")
        return talk_id

    async def _move_talk(self, ctx: JobContext, link: CrmLink, conversation: Conversation) -> None:
        """A closed talk is followed by another with the same chat."""
        try:
            talk_id = await self._find_talk(link, conversation)
        except AppError as error:
            log.info("talk_not_found", error=error.code)
            return
        async with ctx.db.session(ctx.scope) as session:
            await conversations.move_to_talk(session, conversation.id, talk_id)


async def _closed(session: Session, conversation: Conversation, file: ReplyFile) -> str | None:
    """Return why nothing may be sent here now. What the customer has written since is no reason."""
    if conversation.held_by_person:
        return "taken_over"
    silence = await organizations.find_silence(session)
    if silence is not None:
        return silence
    if not (await crm_service.get_connection(session, conversation.connection_id)).is_active:
        return "connection_off"
    agent = await agents.find_agent(session, await store.agent_of(session, file))
    return None if agent is not None and agent.is_active else "no_active_agent"
