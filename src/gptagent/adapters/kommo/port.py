"""Kommo and amoCRM as the platform's CRM."""

from contextlib import suppress
from datetime import datetime

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import Call, Deadlines, KommoClient, no_answer, unavailable
from gptagent.adapters.kommo.tree import as_flag, as_id, as_text, parse_body
from gptagent.features.crm.model import (
    CallLimiter,
    CallPriority,
    ChatMessage,
    Contact,
    CrmAccount,
    CrmLink,
    Lead,
    NewTask,
    Pipeline,
    Webhook,
)
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import NotFound

DEADLINES = Deadlines()
LARGEST_PAGE = 250
FOLLOW_UP_TASK = 1
WEBHOOK_EVENTS = (
    "add_message",
    "add_outgoing_message",
    "add_talk",
    "update_talk",
    "add_lead",
    "update_lead",
    "status_lead",
    "responsible_lead",
    "delete_lead",
)


class KommoCrm:
    """Implements `CrmPort`. `sandbox_url` lets accounts under `*.kommo.test` in and answers for them.

    Replies and what people wait for go before reads, those before the copying of the account.
    """

    def __init__(
        self,
        egress: Egress,
        limiter: CallLimiter,
        *,
        sandbox_url: str | None = None,
        egress_address: str = "default",
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        self._client = KommoClient(
            egress, limiter, sandbox_url=sandbox_url, egress_address=egress_address, deadlines=deadlines
        )

    async def fetch_account(self, link: CrmLink) -> CrmAccount:
        body = await self._client.fetch(link, Call("fetch_account", "/account"))
        account = wire.read_account(body, link.token)
        if account is None:
            raise unavailable()
        return account

    async def fetch_pipelines(self, link: CrmLink) -> tuple[Pipeline, ...]:
        call = Call("fetch_pipelines", "/leads/pipelines", priority=CallPriority.SYNC)
        return wire.read_pipelines(await self._client.fetch(link, call))

    async def fetch_lead(self, link: CrmLink, lead_id: int) -> Lead | None:
        call = Call("fetch_lead", f"/leads/{lead_id}", query=(("with", "contacts"),))
        return wire.read_lead(await self._client.fetch(link, call))

    async def fetch_contact(self, link: CrmLink, contact_id: int) -> Contact | None:
        return wire.read_contact(
            await self._client.fetch(link, Call("fetch_contact", f"/contacts/{contact_id}"))
        )

    async def create_task(self, link: CrmLink, task: NewTask) -> int:
        item: dict[str, object] = {
            "text": task.text,
            "complete_till": int(task.due_at.timestamp()),
            "task_type_id": FOLLOW_UP_TASK,
            "entity_type": "leads",
            "entity_id": task.lead_id,
        }
        if task.responsible_user_id is not None:
            item["responsible_user_id"] = task.responsible_user_id
        body = await self._client.fetch(link, Call("create_task", "/tasks", "POST", json=[item]))
        for row in wire.embedded(body, "tasks"):
            if (task_id := as_id(row.get("id"))) is not None:
                return task_id
        raise no_answer(is_write=True)

    async def find_task(self, link: CrmLink, lead_id: int, text: str, since: datetime) -> int | None:
        """Return the lead's newest task of exactly this text, created in the second of `since` or later."""
        query = (
            ("filter[entity_type]", "leads"),
            ("filter[entity_id][]", lead_id),
            ("order[created_at]", "desc"),
            ("limit", LARGEST_PAGE),
        )
        async for row in self._client.rows(link, Call("find_task", "/tasks", query=query), "tasks"):
            if row.get("text") == text and wire.moment(row.get("created_at")) >= since.replace(microsecond=0):
                return as_id(row.get("id"))
        return None

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

    async def list_messages(self, link: CrmLink, talk_id: int, since: datetime) -> tuple[ChatMessage, ...]:
        """Return the talk's messages from the second of `since` on, oldest first."""
        query = (("filter[created_at][from]", int(since.timestamp())), ("limit", LARGEST_PAGE))
        call = Call("list_messages", f"/talks/{talk_id}/messages", query=query)
        rows = [row async for row in self._client.rows(link, call, "messages")]
        found = [message for row in rows if (message := wire.read_message(row)) is not None]
        # Times are whole seconds. Unless they rise, the list is newest first, also within a second.
        if found and found[0].sent_at >= found[-1].sent_at:
            found.reverse()
        return tuple(sorted(found, key=lambda message: message.sent_at))

    async def send_message(self, link: CrmLink, talk_id: int, text: str) -> str:
        call = Call(
            "send_message", f"/talks/{talk_id}/send_message", "POST", json={"text": text}, priority=None
        )
        message_id = wire.read_id(await self._client.fetch(link, call))
        if message_id is None:
            raise no_answer(is_write=True)
        return message_id

    async def reserve_send(self, link: CrmLink) -> None:
        await self._client.reserve(link, CallPriority.SEND)

    async def register_webhook(self, link: CrmLink, destination: str) -> None:
        """Subscribe. Kommo knows a subscription by its address: a second call changes nothing."""
        json = {"destination": destination.rstrip("/") + "/", "settings": list(WEBHOOK_EVENTS), "sort": 10}
        await self._client.fetch(link, Call("register_webhook", "/webhooks", "POST", json=json))

    async def unregister_webhook(self, link: CrmLink, destination: str) -> None:
        json = {"destination": destination.rstrip("/") + "/"}
        with suppress(NotFound):
            await self._client.fetch(link, Call("unregister_webhook", "/webhooks", "DELETE", json=json))

    def read_webhook(self, content_type: str, body: bytes) -> Webhook:
        return wire.read_delivery(parse_body(content_type, body))
