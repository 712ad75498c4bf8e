"""Accounts, deals and contacts of Kommo."""

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import Call, KommoClient, Query, unavailable
from gptagent.features.crm.model import CallPriority, Contact, CrmAccount, CrmLink, Lead, Pipeline


class KommoRecords:
    """Implements `RecordsPort`."""

    _client: KommoClient

    async def fetch_account(self, link: CrmLink, priority: CallPriority = CallPriority.READ) -> CrmAccount:
        """Return the account. Lists take filters; at amoCRM that is an option accounts pay for."""
        query: Query = (("with", "is_api_filter_enabled"),)
        body = await self._client.fetch(
            link, Call("fetch_account", "/account", query=query, priority=priority)
        )
        account = wire.read_account(body, link)
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
