"""Salesbots of Kommo and amoCRM: a field they send, their run, and the bot that waits for an answer."""

from datetime import datetime
from urllib.parse import urlsplit

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import Call, KommoClient, no_answer
from gptagent.adapters.kommo.tree import as_id, as_list, as_map, as_text, malformed, parse_body
from gptagent.features.crm.model import (
    BotMessage,
    CallPriority,
    CrmLink,
    FieldText,
    NamedId,
    WidgetRequest,
    brand_of,
)
from gptagent.features.crm.replying.model import is_return_address
from gptagent.kernel.errors import Invalid, NotFound

LEAD_ENTITY_TYPE = 2  # the numbers of v2
LARGEST_EVENTS_PAGE = 100
ROBOT = 0  # who created what no person did
LEAD_KINDS = frozenset({"2", "lead", "leads"})


class KommoBots:
    """Implements `BotsPort`."""

    _client: KommoClient

    async def create_text_field(self, link: CrmLink, name: str) -> NamedId:
        call = Call(
            "create_text_field", "/leads/custom_fields", "POST", json=[{"name": name, "type": "textarea"}]
        )
        for row in wire.embedded(await self._client.fetch(link, call), "custom_fields"):
            if (field_id := as_id(row.get("id"))) is not None:
                return NamedId(field_id, as_text(row.get("name")) or name)
        raise no_answer(is_write=True)

    async def write_field(self, link: CrmLink, lead_id: int, field_id: int, text: str) -> datetime:
        values = [{"field_id": field_id, "values": [{"value": text}]}]
        json = {"custom_fields_values": values}
        call = Call("write_field", f"/leads/{lead_id}", "PATCH", json=json, priority=CallPriority.SEND)
        body = as_map(await self._client.fetch(link, call))
        if as_id(body.get("id")) is None:
            raise no_answer(is_write=True)
        return wire.moment(body.get("updated_at"))

    async def read_field(self, link: CrmLink, lead_id: int, field_id: int) -> FieldText:
        call = Call("read_field", f"/leads/{lead_id}", priority=CallPriority.SEND)
        body = as_map(await self._client.fetch(link, call))
        if as_id(body.get("id")) is None:
            raise NotFound("crm_not_found", "There is nothing here.")
        for value in as_list(body.get("custom_fields_values")):
            if as_id(as_map(value).get("field_id")) == field_id:
                first = next(iter(as_list(as_map(value).get("values"))), None)
                return FieldText(
                    as_text(as_map(first).get("value")) or None, wire.moment(body.get("updated_at"))
                )
        return FieldText(None, wire.moment(body.get("updated_at")))

    async def run_bot(self, link: CrmLink, bot_id: int, lead_id: int) -> None:
        """Use v4 where it exists; accounts without it, and amoCRM, know v2 (spec: field and bot launch)."""
        if brand_of(link.host) == "kommo":
            json = [{"bot_id": bot_id, "entity_id": lead_id, "entity_type": "leads"}]
            try:
                await self._client.fetch(link, Call("run_bot", "/bots/run", "POST", json=json, priority=None))
            except NotFound:
                pass
            else:
                return
        older = [{"bot_id": bot_id, "entity_id": lead_id, "entity_type": LEAD_ENTITY_TYPE}]
        call = Call("run_bot", "/salesbot/run", "POST", json=older, priority=None, root="/api/v2")
        await self._client.fetch(link, call)

    async def continue_bot(self, link: CrmLink, return_url: str, reply: str, step: int) -> None:
        path = _return_path(link, return_url)
        handlers = [{"handler": "goto", "params": {"type": "question", "step": step}}]
        json = {"data": {"reply": reply, "status": "success"}, "execute_handlers": handlers}
        call = Call("continue_bot", path, "POST", json=json, priority=None)
        try:
            await self._client.fetch(link, call)
        except NotFound as error:
            raise NotFound("crm_slot_gone", "No bot of the CRM waits for this reply any more.") from error

    async def list_bot_messages(self, link: CrmLink, lead_id: int, since: datetime) -> tuple[BotMessage, ...]:
        query = (
            ("filter[type][]", "outgoing_chat_message"),
            ("filter[entity][]", "lead"),
            ("filter[entity_id][]", lead_id),
            ("filter[created_at][from]", int(since.timestamp())),
            ("limit", LARGEST_EVENTS_PAGE),
        )
        found = []
        async for row in self._client.rows(link, Call("list_bot_messages", "/events", query=query), "events"):
            message = _bot_message(row)
            if message is not None:
                found.append(message)
        return tuple(sorted(found, key=lambda message: message.sent_at))

    def read_widget_request(self, content_type: str, body: bytes) -> WidgetRequest:
        """Both JSON and forms are delivered in practice; our own block sends message, lead and talk."""
        tree = parse_body(content_type, body)
        data = as_map(tree.get("data"))
        token, return_url = as_text(tree.get("token")), as_text(tree.get("return_url"))
        if not token or not return_url:
            raise malformed()
        return WidgetRequest(
            token=token,
            return_url=return_url,
            lead_id=as_id(data.get("lead")),
            talk_id=as_id(data.get("talk")),
            text=as_text(data.get("message")),
        )


def _bot_message(row: object) -> BotMessage | None:
    """Read an event. Messages of people are none: only a robot's may be ours."""
    fields = as_map(row)
    if as_text(fields.get("created_by")) != str(ROBOT):
        return None
    for value in as_list(fields.get("value_after")):
        message = as_map(as_map(value).get("message"))
        if message_id := as_text(message.get("id")):
            return BotMessage(
                message_id, as_id(message.get("talk_id")), wire.moment(fields.get("created_at"))
            )
    return None


def _return_path(link: CrmLink, return_url: str) -> str:
    """Return the path below /api/v4. The address came over the wire: it must be this account's own."""
    if not is_return_address(return_url, link.host):
        raise Invalid("crm_host_refused", "This is no address of a Kommo or amoCRM account.")
    return urlsplit(return_url).path.removeprefix("/api/v4")
