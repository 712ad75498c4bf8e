"""Commands of operators, each with a platform of its own for as long as it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gptagent.bootstrap import app_dsn
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import Links
from gptagent.features.organizations.model import Workspace
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel import jobs
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.scope import Actor, Origin
from gptagent.kernel.settings import Settings


def migrate_database(settings: Settings) -> bool:
    """Migrate the external database, or this home's embedded one (which must be running)."""
    from gptagent.migrations.run import migrate

    if settings.database_url is not None:
        if settings.database_owner_url is None:
            raise Misconfigured(
                "database_owner_missing", "Set DATABASE_OWNER_URL to the role that owns the tables."
            )
        return migrate(
            settings.database_owner_url.get_secret_value(), settings.database_url.get_secret_value()
        )
    from gptagent.kernel.postgres import read_roles

    app_dsn(settings)
    roles = read_roles(settings.home)
    return roles is not None and migrate(roles.owner_dsn, roles.app_dsn)


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


async def reset_link(settings: Settings, email: str) -> str:
    links = Links(settings.base_url, settings.sends_letters)
    async with _database(settings) as db:
        return await identity.make_reset_link(db, email, links, origin=Origin(Actor("operator")))
