"""Commands of operators, each with a platform of its own for as long as it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gptagent.bootstrap import app_dsn
from gptagent.features.identity import service as identity
from gptagent.features.organizations.model import Workspace
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel import jobs
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.settings import Settings

if TYPE_CHECKING:
    from gptagent.migrations.rotation import KeyUse, Rotated


def migrate_database(settings: Settings) -> bool:
    """Migrate the external database, or this home's embedded one (which must be running)."""
    from gptagent.migrations.run import migrate

    return migrate(owner_dsn(settings), app_dsn(settings))


def owner_dsn(settings: Settings) -> str:
    """Return where the owner of the tables connects: DATABASE_OWNER_URL, or this home's embedded server."""
    if settings.database_url is not None:
        if settings.database_owner_url is None:
            raise Misconfigured(
                "database_owner_missing", "Set DATABASE_OWNER_URL to the role that owns the tables."
            )
        return settings.database_owner_url.get_secret_value()
    from gptagent.kernel.postgres import read_roles

    app_dsn(settings)  # says it if no database runs
    roles = read_roles(settings.home)
    return roles.owner_dsn if roles else ""


def secret_use(settings: Settings) -> "list[KeyUse]":
    """Return how many stored secrets each key has sealed."""
    from gptagent.migrations.rotation import key_use

    return key_use(owner_dsn(settings), load_vault(settings))


def rotate_secrets(settings: Settings) -> "Rotated":
    """Seal every stored secret anew with the first of SECRET_KEYS."""
    from gptagent.migrations.rotation import rotate_keys

    return rotate_keys(owner_dsn(settings), load_vault(settings))


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    db = await Database.connect(app_dsn(settings), load_vault(settings), max_connections=2)
    try:
        yield db
    finally:
        await db.close()


async def setup_link(settings: Settings) -> str | None:
    """Return a fresh link for the first account, or None if somebody has one."""
    async with _database(settings) as db, db.installation() as session:
        token = await identity.offer_setup(session)
    return f"{settings.base_url}/setup/{token}" if token else None


async def list_jobs(settings: Settings, *, dead: bool) -> list[jobs.JobRow]:
    async with _database(settings) as db, db.installation() as session:
        return await jobs.list_jobs(session, dead=dead)


async def replay_job(settings: Settings, job_id: int) -> bool:
    async with _database(settings) as db, db.installation() as session:
        return await jobs.replay_job(session, job_id)


async def create_user(
    settings: Settings, email: str, name: str, workspace: str, *, password: str, admin: bool
) -> Workspace:
    async with _database(settings) as db:
        command = Register(email, name, password, workspace)
        _person_id, made = await register(db, command, is_open=True, admin=admin)
    return made
