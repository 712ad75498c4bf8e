"""The cast of the tests: people with workspaces of their own."""

from gptagent.features.identity import service as identity
from gptagent.features.identity.service import NewPerson
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.policy import PERMISSIONS
from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Scope

PASSWORD = "correct horse battery"
_hashes: dict[str, str] = {}


async def hash_of(password: str) -> str:
    """Hash each password once: a hash is slow on purpose, and thousands of people share these few."""
    if password not in _hashes:
        _hashes[password] = await identity.hash_password(password)
    return _hashes[password]


async def make_scope(database: Database, name: str = "Acme") -> Scope:
    """Make a workspace with its owner, as registering does, and return the owner's ticket to it."""
    email = f"{new_id().hex}@example.test"
    return await make_owner(database, NewPerson(email, "Alice", PASSWORD, "en"), name)


async def make_owner(database: Database, person: NewPerson, name: str, locale: str = "en") -> Scope:
    scope = Scope(new_id(), Actor("person", new_id()), PERMISSIONS["owner"])
    password_hash = await hash_of(person.password)
    async with database.session(scope) as session:
        await identity.create_person(session, person, scope.actor.id, password_hash)
        await organizations.create_workspace(session, name, owner_id=scope.actor.id, locale=locale)
    return scope
