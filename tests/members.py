"""People with a role in a workspace, and the credentials each of them knocks at the door with."""

from cast import PASSWORD, hash_of
from gptagent.features.identity import service as identity
from gptagent.features.identity import store as identity_store
from gptagent.features.identity.service import NewPerson
from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.features.organizations import store
from gptagent.features.organizations.policy import PERMISSIONS
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Scope


async def add_member(database: Database, workspace: Scope, role: str, *, email: str = "") -> Scope:
    """Make a person with this role in the workspace and return their ticket to it."""
    person_id = new_id()
    scope = Scope(workspace.org_id, Actor("person", person_id), PERMISSIONS[role])
    person = NewPerson(email or f"{person_id.hex}@example.test", "Bob", PASSWORD, "en", family_name="Member")
    async with database.session(scope) as session:
        await identity.create_person(session, person, person_id, "no log-in by password")
        await store.insert_member(session, person_id, role)
    return scope


async def bearer(database: Database, vault: Vault, scope: Scope, *, now=None) -> dict[str, str]:
    """Return the headers of a person who logged in over the API at `now`."""
    async with database.installation(scope.actor.id) as session:
        grant_id, _refresh = await identity.open_grant(session, scope.actor.id, scope.org_id)
    claims = AccessClaims(scope.actor.id, scope.org_id, grant_id)
    token = AccessTokens(vault).issue(claims, now=now or utcnow())
    return {"authorization": f"Bearer {token}"}


async def cookie_of(database: Database, scope: Scope, *, is_strong: bool = False) -> str:
    """Return the cookie's value of a person who logged in with a browser; `is_strong`: by two factors."""
    async with database.installation(scope.actor.id) as session:
        token, _ends = await identity.open_session(
            session, scope.actor.id, remember=False, now=utcnow(), is_strong=is_strong
        )
    return token


async def number_of(database: Database, scope: Scope) -> int:
    """Return the number of the workspace's address."""
    async with database.installation() as session:
        found = await store.memberships_of(session, scope.actor.id)
    return next(row["number"] for row in found if row["org_id"] == scope.org_id)


async def set_password(database: Database, scope: Scope, password: str = PASSWORD) -> None:
    password_hash = await hash_of(password)
    async with database.session(scope) as session:
        await session.execute("delete from app.credential where person_id = $1", scope.actor.id)
        await identity_store.insert_credential(session, scope.actor.id, password_hash)
