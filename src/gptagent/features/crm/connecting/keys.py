"""Verbs of integrations: a workspace's own ones, and those of the installation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm.connecting import store
from gptagent.features.crm.connecting.model import (
    INTEGRATIONS_MAX,
    SECRET_END_CHARS,
    Credentials,
    Integration,
    NewIntegration,
    read_integration,
    shared_integration,
)
from gptagent.features.crm.model import Brand
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.ids import new_id

INTEGRATION_PURPOSE = "crm-integration"


@dataclass(frozen=True, slots=True)
class Keys:
    """Opens integrations. `shared` are the installation's, by brand."""

    vault: Vault
    shared: Mapping[Brand, Credentials] = field(default_factory=dict)

    async def find(self, session: Session, brand: Brand, client_id: str) -> Credentials | None:
        """Return the integration with this id: the workspace's own, or else the installation's."""
        sealed = await store.select_secret(session, brand, client_id)
        if sealed is not None:
            org_id = session.scope.org_id
            return Credentials(
                brand, client_id, self.vault.open(sealed, org_id=org_id, purpose=INTEGRATION_PURPOSE)
            )
        shared = self.shared.get(brand)
        return shared if shared is not None and shared.client_id == client_id else None

    async def usable(self, session: Session) -> list[Integration]:
        """Return the workspace's own integrations, and the installation's of brands it has none of."""
        own = await list_integrations(session)
        brands = {one.brand for one in own}
        return own + [shared_integration(one) for brand, one in self.shared.items() if brand not in brands]


async def list_integrations(session: Session) -> list[Integration]:
    return [Integration(**dict(row)) for row in await store.select_integrations(session)]


async def get_integration(session: Session, integration_id: UUID, *, lock: bool = False) -> Integration:
    """Raise NotFound if the workspace has no such integration."""
    row = await store.select_integration(session, integration_id, lock=lock)
    if row is None:
        raise NotFound
    return Integration(**dict(row))


async def add_integration(session: Session, new: NewIntegration, vault: Vault) -> Integration:
    """Keep an integration's keys, the secret sealed. Raises Invalid, Conflict if it is there already."""
    keys = read_integration(new)
    if len(await store.select_integrations(session)) >= INTEGRATIONS_MAX:
        raise Conflict("crm_too_many_integrations", "There are enough integrations here. Remove one first.")
    integration_id, sealed = new_id(), _seal(session, keys, vault)
    end = keys.secret[-SECRET_END_CHARS:]
    if not await store.insert_integration(session, integration_id, keys.brand, keys.client_id, sealed, end):
        raise Conflict("crm_integration_exists", "The keys of this integration are here already.")
    await _record(session, Entry("integration.added", "integration", str(integration_id)))
    return await get_integration(session, integration_id)


async def change_integration(
    session: Session, integration_id: UUID, secret: str, vault: Vault
) -> Integration:
    """Replace the secret. Raises NotFound, Invalid on `client_secret`."""
    held = await get_integration(session, integration_id, lock=True)
    keys = read_integration(NewIntegration(held.brand, held.client_id, secret))
    end = keys.secret[-SECRET_END_CHARS:]
    await store.update_secret(session, integration_id, _seal(session, keys, vault), end)
    await _record(session, Entry("integration.changed", "integration", str(integration_id)))
    return await get_integration(session, integration_id)


async def remove_integration(session: Session, integration_id: UUID) -> None:
    """Forget an integration's keys. Raises NotFound, Conflict while a connection is renewed with them."""
    held = await get_integration(session, integration_id, lock=True)
    if await store.count_granted(session, held.brand, held.client_id):
        raise Conflict(
            "crm_integration_in_use", "An account is connected with it. Disconnect that account first."
        )
    await store.delete_integration(session, integration_id)
    await _record(session, Entry("integration.removed", "integration", str(integration_id)))


def _seal(session: Session, keys: Credentials, vault: Vault) -> bytes:
    return vault.seal(keys.secret, org_id=session.scope.org_id, purpose=INTEGRATION_PURPOSE)


async def _record(session: Session, entry: Entry) -> None:
    await session.publish("connections", "changed", {"integration_id": entry.target_id})
    await audit.record(session, entry)
