"""Talks and their messages in Kommo."""

from datetime import datetime

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import LARGEST_PAGE, Call, KommoClient, no_answer, unavailable
from gptagent.adapters.kommo.tree import as_flag, as_id, as_text
from gptagent.features.crm.model import CallPriority, ChatMessage, CrmLink, Talk


class KommoChats:
    """Implements `ChatsPort`."""

    _client: KommoClient

    async def find_open_talk(self, link: CrmLink, contact_id: int, chat_id: str) -> int | None:
        """Return the chat's talk that is in work: a chat gets a new one after each closing."""
        query = (
            ("filter[contact_id][]", contact_id),
            ("filter[only_in_work]", 1),
            ("limit", LARGEST_PAGE),
        )
        rows = self._client.rows(link, Call("find_open_talk", "/talks", query=query), "talks")
        found = [
            as_id(row.get("talk_id"))
            async for row in rows
            if as_text(row.get("chat_id")) == chat_id and as_flag(row.get("is_in_work")) is not False
        ]
        return max(filter(None, found), default=None)

    async def fetch_talk(self, link: CrmLink, talk_id: int) -> Talk:
        body = await self._client.fetch(link, Call("fetch_talk", f"/talks/{talk_id}"))
        talk = wire.read_talk(body)
        if talk is None:
            raise unavailable()
        return talk

    async def list_messages(
        self, link: CrmLink, talk_id: int, since: datetime, priority: CallPriority = CallPriority.READ
    ) -> tuple[ChatMessage, ...]:
        """Return the talk's messages from the second of `since` on, oldest first."""
        query = (("filter[created_at][from]", int(since.timestamp())), ("limit", LARGEST_PAGE))
        call = Call("list_messages", f"/talks/{talk_id}/messages", query=query, priority=priority)
        rows = [row async for row in self._client.rows(link, call, "messages")]
        found = [message for row in rows if (message := wire.read_message(row)) is not None]
        # Times are whole seconds. Unless they rise, the list is newest first, also within a second.
        if found and found[0].sent_at >= found[-1].sent_at:
            found.reverse()
        return tuple(sorted(found, key=lambda message: message.sent_at))

    async def send_message(
        self, link: CrmLink, talk_id: int, text: str, *, drive_uuid: str | None = None
    ) -> str:
        # How a file is nested is not documented publicly (spec: not verified); this is the shape of notes.
        json: dict[str, object] = {"text": text}
        if drive_uuid is not None:
            json["attachment"] = {"drive_uuid": drive_uuid}
        call = Call("send_message", f"/talks/{talk_id}/send_message", "POST", json=json, priority=None)
        message_id = wire.read_id(await self._client.fetch(link, call))
        if message_id is None:
            raise no_answer(is_write=True)
        return message_id

    async def reserve_send(self, link: CrmLink) -> None:
        await self._client.reserve(link, CallPriority.SEND)
