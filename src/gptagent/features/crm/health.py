"""How a connection is: the panel of its page, and asking the CRM itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.crm import service as crm
from gptagent.features.crm import store as crm_store
from gptagent.features.crm.connecting.links import UNAUTHORIZED
from gptagent.features.crm.connecting.service import AccessState, Connecting, get_access_state
from gptagent.features.crm.deliveries.jobs import CHECK
from gptagent.features.crm.deliveries.model import HookHealth
from gptagent.features.crm.model import Connection
from gptagent.features.crm.replying.service import Standing, get_standing
from gptagent.features.crm.syncing.model import Sync
from gptagent.features.crm.syncing.service import list_syncs
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Forbidden
from gptagent.kernel.scope import Scope

UNPAID = "crm_payment_required"
# What is recommended after connecting, as msgids: what, and what it is good for.
STEPS: Mapping[str, tuple[str, str]] = {
    "rights": ("Give the token all its rights", "Without them the agent reads but cannot answer."),
    "webhooks": ("Let the CRM report to us", "Otherwise new messages are looked for once a minute only."),
    "read": ("Have the account read", "The agent then knows pipelines, fields and people by name."),
    "replies": ("Choose the way of replies", "Until it is set up, replies become tasks for a person."),
    "heard": ("Write into a chat from your own phone", "You see the message come in, and what is answered."),
}


@dataclass(frozen=True, slots=True)
class Step:
    """`path` leads to where it is done, below the connection's own page."""

    name: str
    is_done: bool
    path: str


@dataclass(frozen=True, slots=True)
class Panel:
    """What the page of a connection tells. `latest`: the last run of reading the account."""

    access: AccessState
    health: HookHealth
    standing: Standing
    latest: Sync | None

    @property
    def is_unpaid(self) -> bool:
        """Whether the CRM has refused something because of the account's plan or quota."""
        return UNPAID in {self.health.error, self.standing.setup.refused_reason}


async def get_panel(session: Session, door: Connecting, connection: Connection) -> Panel:
    runs, _ = await list_syncs(session, connection.id, offset=0, limit=1)
    return Panel(
        access=await get_access_state(session, door.keys, connection),
        health=await crm.get_health(session, connection.id),
        standing=await get_standing(session, connection.id, door.keys),
        latest=runs[0] if runs else None,
    )


def steps_of(connection: Connection, panel: Panel) -> list[Step]:
    """Return what is recommended and whether it is done, in the order it is done in."""
    standing, latest = panel.standing, panel.latest
    way_is_open = {
        "talk": standing.token_may_send and standing.setup.refused_reason is None,
        "salesbot": standing.setup.salesbot_is_set,
        "widget": standing.widget_key != "missing",
    }[standing.route]
    return [
        Step("rights", not panel.access.missing, ""),
        Step("webhooks", panel.health.state == "subscribed", "/webhooks"),
        Step("read", latest is not None and latest.state == "completed" and not latest.has_failures, "/sync"),
        Step("replies", way_is_open, "/replies"),
        Step("heard", connection.last_webhook_at is not None, "/webhooks"),
    ]


async def check_account(door: Connecting, scope: Scope, connection_id: UUID) -> Connection:
    """Ask the CRM whether it knows us still, and have its webhook looked at; returns how the connection is.

    A refused token breaks it, as anywhere. One that is switched off is asked too: a person wants to know, but
    its webhook is left alone. Raises NotFound, Conflict for one that is broken already, or what
    keeps the CRM from answering.
    """
    async with door.db.session(scope) as session:
        connection = await crm.get_connection(session, connection_id)
        if connection.status != "connected":
            raise Conflict(
                "connection_broken", "The connection does not work. Connect the account again first."
            )
        link = await crm.open_link(session, connection_id, door.vault, while_off=True)
    try:
        account = await door.crm.fetch_account(link)
    except Forbidden as error:
        if error.code != UNAUTHORIZED:
            raise
        async with door.db.session(scope) as session:
            await crm.mark_broken(session, link, door.vault, error.code)
    else:
        async with door.db.session(scope) as session:
            await crm_store.update_account(session, connection_id, account.name, account.currency)
    async with door.db.session(scope) as session:
        checked = await crm.get_connection(session, connection_id)
        if checked.status == "connected" and checked.is_active:
            await session.enqueue(CHECK, {"connection_id": str(connection_id)})
        return checked
