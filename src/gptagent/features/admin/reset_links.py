"""A link to a new password for somebody who forgot theirs: handed over by an administrator, or sent."""

from uuid import UUID

from gptagent.features.admin.impersonation import check_target
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import Links
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Forbidden
from gptagent.kernel.scope import Scope


async def make_reset_link(
    db: Database, scope: Scope, person_id: UUID, links: Links, *, by_letter: bool
) -> str | None:
    """Return the link, shown this once; None if a letter takes it along, which nobody but the person sees.

    It makes older ones void, works once and for an hour, and does not go around the second step.

    Raises Forbidden for an administrator's account and for a program, NotFound for somebody who may not log
    in, Conflict where no letters are sent.
    """
    if scope.actor.kind != "person":
        raise Forbidden
    async with db.session(scope) as session:
        await check_target(session, person_id)
    async with db.installation(person_id) as session:
        if by_letter:
            await identity.send_reset(session, person_id, links, origin=scope.origin)
            return None
        return await identity.offer_reset(session, person_id, links, origin=scope.origin)
