"""What a call needs of a connection, and what happens once the CRM refuses it."""

from dataclasses import dataclass
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import store as crm_store
from gptagent.features.crm.connecting import store
from gptagent.features.crm.connecting.model import OTHER_REASON, REASONS
from gptagent.features.crm.model import Connection, CrmLink
from gptagent.features.identity.model import Links
from gptagent.features.mail.model import Letter
from gptagent.features.mail.service import send_letter
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.policy import MANAGE_CONNECTIONS, PERMISSIONS
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, NotFound

TOKEN_PURPOSE = "crm-token"  # noqa: S105 - names what is sealed
TELL_BROKEN = "crm.tell_broken"
UNAUTHORIZED = "crm_unauthorized"
OFF = "crm_connection_off"


@dataclass(frozen=True, slots=True)
class BrokenConnection:
    """A connection that needs a person. `reason` is an English msgid."""

    id: UUID
    name: str
    reason: str


async def open_link(
    session: Session, connection_id: UUID, vault: Vault, *, while_off: bool = False
) -> CrmLink:
    """Return what a call needs, with the token opened. Raises NotFound, Conflict(OFF) if it is switched off.

    `while_off` is for what is done to an account that is switched off all the same: reading back a reply that
    had begun, removing the webhook, and a person's asking whether the token works. Its token is renewed too,
    not by this: without that the access itself would be lost.
    """
    row = await crm_store.select_connection(session, connection_id)
    if row is None:
        raise NotFound
    if not (row["is_active"] or while_off):
        raise _off()
    org_id = session.scope.org_id
    token = vault.open(row["token_sealed"], org_id=org_id, purpose=TOKEN_PURPOSE)
    return CrmLink(org_id, connection_id, row["host"], token, row["account_id"])


def check_works(connection: Connection) -> None:
    """Raise Conflict for a connection that nothing can be asked of: switched off, or broken."""
    if not connection.is_active:
        raise _off()
    if connection.status != "connected":
        raise Conflict("connection_broken", "The connection does not work. Connect the account again first.")


def _off() -> Conflict:
    return Conflict("crm_connection_off", "This connection is switched off. Switch it on first.")


async def mark_broken(session: Session, link: CrmLink, vault: Vault, reason: str) -> None:
    """Note that the CRM refuses this link's token; the queue waits until the owner connects again.

    A token that was renewed since the link was opened is another one, and not refused.
    """
    row = await crm_store.lock_connection(session, link.connection_id)
    if row is None:
        return
    token = vault.open(row["token_sealed"], org_id=session.scope.org_id, purpose=TOKEN_PURPOSE)
    if token == link.token:
        await break_connection(session, link.connection_id, reason)


async def break_connection(session: Session, connection_id: UUID, reason: str) -> None:
    """Mark it broken and let those know who can mend it: on their pages, in the record, by letter."""
    if not await store.break_connection(session, connection_id, reason):
        return
    await session.publish("connections/health", "changed", {"connection_id": str(connection_id)})
    await session.enqueue(TELL_BROKEN, {"connection_id": str(connection_id)})
    entry = Entry("connection.broken", "connection", str(connection_id), {"reason": (None, reason)})
    await audit.record(session, entry)


async def list_broken(session: Session) -> list[BrokenConnection]:
    """Return the connections of the workspace that do not work, the oldest first."""
    return [
        BrokenConnection(row["id"], row["name"], REASONS.get(row["status_reason"], OTHER_REASON))
        for row in await store.select_broken(session)
    ]


async def tell_broken(session: Session, connection_id: UUID, links: Links) -> int:
    """Write to all who may mend a broken connection, once for each time it breaks. Returns to how many."""
    if not links.sends_letters:
        return 0
    row = await store.take_untold(session, connection_id)
    if row is None:
        return 0
    place = await organizations.get_settings(session)
    values = {
        "account": row["name"],
        "workspace": place.name,
        "reason": REASONS.get(row["status_reason"], OTHER_REASON),
        "link": f"{links.base_url}/manage/{place.number}-{place.slug}/integrations/{connection_id}",
    }
    told = 0
    for member in await organizations.list_members(session):
        if member.status == "active" and MANAGE_CONNECTIONS in PERMISSIONS[member.role]:
            await send_letter(session, Letter("crm/connection_broken", member.email, place.locale, values))
            told += 1
    return told
