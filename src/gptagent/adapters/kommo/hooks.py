"""Webhooks of Kommo."""

from contextlib import suppress

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import Call, KommoClient
from gptagent.adapters.kommo.tree import parse_body
from gptagent.features.crm.model import CrmLink, Webhook
from gptagent.kernel.errors import NotFound

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


class KommoHooks:
    """Implements `HooksPort`."""

    _client: KommoClient

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
