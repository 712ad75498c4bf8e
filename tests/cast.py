"""The cast of the tests: people with workspaces of their own."""

from gptagent.features.organizations.policy import PERMISSIONS
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Scope


async def make_scope(database: Database, name: str = "Acme") -> Scope:
    """Make a workspace with its owner and return the owner's ticket to it."""
    email = f"{new_id().hex}@example.test"
    command = Register(email, "Alice", "correct horse battery", name, "en")
    person_id, workspace = await register(database, command, is_open=True)
    return Scope(workspace.org_id, Actor("person", person_id), PERMISSIONS["owner"])
