"""Webhooks of Kommo: what they are subscribed to, and how they are read."""

import re
from collections.abc import Mapping
from contextlib import suppress

from gptagent.adapters.kommo.client import Call, KommoClient
from gptagent.adapters.kommo.deliveries import read_delivery
from gptagent.adapters.kommo.fields import read_hook_fields
from gptagent.adapters.kommo.tree import as_flag, as_list, as_text, parse_body
from gptagent.adapters.kommo.wire import embedded
from gptagent.features.crm.deliveries.model import HookSubscription
from gptagent.features.crm.model import CrmLink, Webhook, brand_of
from gptagent.features.crm.values import FieldValue
from gptagent.kernel.errors import Invalid, NotFound

_RECORDS = tuple(
    f"{verb}_{noun}"
    for noun in ("lead", "contact", "company")
    for verb in ("add", "update", "delete", "restore", "responsible", "note")
)
_COMMON = (
    "add_message",
    "add_talk",
    "update_talk",
    "status_lead",
    *_RECORDS,
    *(f"{verb}_task" for verb in ("add", "update", "delete", "responsible")),
    *(f"{verb}_unsorted" for verb in ("add", "update", "delete")),
)
# Codes of one brand only.
WEBHOOK_EVENTS: Mapping[str, tuple[str, ...]] = {
    "kommo": (*_COMMON, "add_outgoing_message"),
    "amocrm": (
        *_COMMON,
        *(f"{verb}_customer" for verb in ("add", "update", "delete", "responsible", "note")),
    ),
}
# Without these there is nothing to answer: an account that refuses one of them is not connected.
_NEEDED = frozenset({"add_message", "add_talk"})
_PLACE = re.compile(r"settings\.(\d+)")


class KommoHooks:
    """Implements `HooksPort`."""

    _client: KommoClient

    async def register_webhook(self, link: CrmLink, destination: str) -> tuple[str, ...]:
        """Subscribe. Kommo knows a subscription by its address: a second call changes or revives it.

        A code that this account does not know is named in its refusal, and left out then.
        """
        codes = list(WEBHOOK_EVENTS[brand_of(link.host)])
        while True:
            json = {"destination": _address(destination), "settings": codes, "sort": 10}
            try:
                await self._client.fetch(link, Call("register_webhook", "/webhooks", "POST", json=json))
            except Invalid as error:
                refused = _refused(codes, str(error.params.get("detail", "")))
                if refused is None or refused in _NEEDED:
                    raise
                codes.remove(refused)
            else:
                return tuple(codes)

    async def fetch_webhook(self, link: CrmLink, destination: str) -> HookSubscription | None:
        query = (("filter[destination]", _address(destination)),)
        body = await self._client.fetch(link, Call("fetch_webhook", "/webhooks", query=query))
        for row in embedded(body, "webhooks"):
            if as_text(row.get("destination")) == _address(destination):
                codes = frozenset(map(as_text, as_list(row.get("settings"))))
                return HookSubscription(codes, as_flag(row.get("disabled")) is True)
        return None

    def webhook_codes(self, link: CrmLink) -> frozenset[str]:
        return frozenset(WEBHOOK_EVENTS[brand_of(link.host)])

    async def unregister_webhook(self, link: CrmLink, destination: str) -> None:
        json = {"destination": _address(destination)}
        with suppress(NotFound):
            await self._client.fetch(link, Call("unregister_webhook", "/webhooks", "DELETE", json=json))

    def read_webhook(self, content_type: str, body: bytes) -> Webhook:
        return read_delivery(parse_body(content_type, body))

    def read_hook_fields(self, listed: object, types: Mapping[int, str]) -> tuple[FieldValue, ...]:
        return read_hook_fields(listed, types)

    def read_stored(self, payload: Mapping[str, object]) -> Webhook:
        return read_delivery(dict(payload))


def _address(destination: str) -> str:
    """Some accounts call an address without a slash at its end invalid."""
    return destination.rstrip("/") + "/"


def _refused(codes: list[str], detail: str) -> str | None:
    """Return the code a refusal points at: `... settings.12: The value is not a valid choice.`"""
    found = _PLACE.search(detail)
    place = int(found.group(1)) if found else len(codes)
    return codes[place] if place < len(codes) else None
