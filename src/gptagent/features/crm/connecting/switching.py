"""Switching a connection off and on, and its daily reading."""

from collections.abc import Mapping
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import store as crm_store
from gptagent.features.crm.connecting import store
from gptagent.features.crm.connecting.accounts import to_connection
from gptagent.features.crm.model import Connection
from gptagent.kernel.db import Session
from gptagent.kernel.errors import NotFound

SWITCHES = ("is_active", "reads_daily")


async def change_connection(session: Session, connection_id: UUID, changes: Mapping[str, bool]) -> Connection:
    """Set switches of SWITCHES; those that are left out stay. Raises NotFound.

    While `is_active` is off nothing is answered there and the account is not called, except to settle a reply
    that had begun and to renew the token; what the CRM reports is stored. Switched on again, the next message
    is answered, and none that came before.
    """
    row = await crm_store.lock_connection(session, connection_id)
    if row is None:
        raise NotFound
    wanted = {name: changes.get(name, row[name]) for name in SWITCHES}
    changed = {name: (row[name], value) for name, value in wanted.items() if row[name] != value}
    if changed:
        await store.update_switches(session, connection_id, **wanted)
        await session.publish("connections", "changed", {"connection_id": str(connection_id)})
        await audit.record(session, Entry("connection.switched", "connection", str(connection_id), changed))
        row = await crm_store.lock_connection(session, connection_id) or row
    return to_connection(row)
