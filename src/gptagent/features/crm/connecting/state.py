"""What is known of how a connection gets in: for its page, and for whoever has to mend it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.crm.connecting import store
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.connecting.model import lacking
from gptagent.features.crm.model import Connection
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session

SOON = timedelta(days=14)  # a long-lived token has to be replaced by hand: say so in time


@dataclass(frozen=True, slots=True)
class AccessState:
    """`integration_id`: by whose consent page it is connected again; None if its keys are not here.

    `renew_at`: when the token is renewed next; None for one that is not. `missing` are codes of scopes.
    """

    integration_id: UUID | None
    renew_at: datetime | None
    missing: tuple[str, ...]
    ends_soon: bool


async def get_access_state(session: Session, keys: Keys, connection: Connection) -> AccessState:
    """Return how a connection of this workspace gets in."""
    usable = await keys.usable(session)
    grant = await store.select_grant(session, connection.id)
    ends = connection.access_expires_at
    return AccessState(
        integration_id=next(
            (
                one.id
                for one in usable
                if one.brand == connection.brand and one.client_id == connection.client_id
            ),
            None,
        ),
        renew_at=grant["renew_at"] if grant else None,
        missing=lacking(tuple(connection.scopes) if connection.scopes is not None else None),
        ends_soon=grant is None and ends is not None and ends < utcnow() + SOON,
    )
