"""Reading a person."""

from uuid import UUID

from gptagent.features.identity import store
from gptagent.features.identity.model import Person
from gptagent.kernel.db import Session
from gptagent.kernel.errors import NotFound


async def get_person(session: Session, person_id: UUID) -> Person:
    """Raise NotFound for a person that is gone. Needs a transaction that sees the person."""
    row = await store.select_person(session, person_id)
    if row is None:
        raise NotFound
    return Person(**dict(row))
