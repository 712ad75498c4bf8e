"""Commands of operators, each with a platform of its own for as long as it runs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from gptagent.bootstrap import app_dsn, build_embedder, build_platform, owner_dsn, search_ways
from gptagent.features.audit.verification import ChainReport, verify_chains
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import Links
from gptagent.features.inference.model import Embedder
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.questions.calibration import Run
from gptagent.features.knowledge.questions.jobs import measure_now
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import Workspace
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel import jobs
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin, Scope
from gptagent.kernel.settings import Settings

if TYPE_CHECKING:
    from gptagent.migrations.rotation import KeyUse, Rotated

VERDICTS = {
    "kept": "kept",
    "more": "MORE: what was stored finds less than its texts (gptagent knowledge rebuild)",
    "less": "WORSE",
}
PLATFORM = "platform"  # what the command line calls the platform's chain


def migrate_database(settings: Settings) -> bool:
    """Migrate the external database, or this home's embedded one (which must be running)."""
    from gptagent.migrations.run import migrate

    return migrate(owner_dsn(settings), app_dsn(settings))


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
    settings: Settings, email: str, names: tuple[str, str], workspace: str, *, password: str, admin: bool
) -> Workspace:
    async with _database(settings) as db:
        command = Register(email, names[0], password, workspace, family_name=names[1])
        _person_id, made = await register(db, command, is_open=True, admin=admin)
    return made


async def reset_link(settings: Settings, email: str) -> str:
    links = Links(settings.base_url, settings.sends_letters)
    async with _database(settings) as db:
        return await identity.make_reset_link(db, email, links, origin=Origin(Actor("operator")))


async def forget_factors(settings: Settings, email: str) -> None:
    async with _database(settings) as db:
        await identity.forget_factors(db, email, origin=Origin(Actor("operator")))


async def verify_audit(settings: Settings, expected: Mapping[UUID, bytes]) -> list[ChainReport]:
    """Read every audit chain as the owner of the tables, whom no application can be."""
    db = await Database.connect(owner_dsn(settings), max_connections=1)
    try:
        async with db.installation() as session:
            return await verify_chains(session, expected)
    finally:
        await db.close()


async def workspaces_of(db: Database, number: int | None = None) -> AsyncIterator[tuple[Scope, int]]:
    """Yield the ticket and number of every workspace, or of the one. Raises NotFound."""
    async with db.installation() as session:
        found = await knowledge.workspaces(session)
    is_known = number is None
    for org_id in found:
        scope = Scope(org_id, Actor("operator"))
        async with db.session(scope) as session:
            own = (await organizations.get_settings(session)).number
        if number in {None, own}:
            is_known = True
            yield scope, own
    if not is_known:
        raise NotFound("workspace_not_found", "There is no such workspace.")


@asynccontextmanager
async def _embedder(settings: Settings) -> AsyncIterator[Embedder | None]:
    egress = Egress(settings.allowed_egress)
    try:
        yield build_embedder(settings, egress)
    finally:
        await egress.aclose()


async def rebuild_knowledge(
    settings: Settings, number: int | None
) -> AsyncIterator[tuple[int, int, knowledge.Proof]]:
    """Make the search of one or all workspaces anew; yield each one's number, how many passages it has, and
    what it found before and finds now.
    """
    async with _database(settings) as db, _embedder(settings) as embedder:
        async for scope, own in workspaces_of(db, number):
            count, proof = await knowledge.rebuild_and_prove(db, scope, embedder)
            yield own, count, proof


async def measure_knowledge(settings: Settings, number: int | None) -> AsyncIterator[tuple[int, Run]]:
    """Ask the bases of one or all workspaces their questions; yield each one's number and what it came to."""
    platform = await build_platform(settings)
    try:
        async for scope, own in workspaces_of(platform.db, number):
            yield own, await measure_now(platform.db, scope, search_ways(platform))
    finally:
        await platform.close()


async def prove_knowledge(settings: Settings) -> AsyncIterator[tuple[int, knowledge.Proof]]:
    """Yield what each workspace's search finds now, and would find if it were made anew. Changes nothing."""
    async with _database(settings) as db, _embedder(settings) as embedder:
        async for scope, own in workspaces_of(db):
            yield own, await knowledge.prove(db, scope, embedder)


def proof_lines(number: int, proof: knowledge.Proof) -> list[str]:
    """Return a line for each way of finding, and one about vectors of which nothing is proved."""
    lines = [
        f"{number}  {leg.before.asked:>4} questions  {leg.way:<7}"
        f"  recall@5 {leg.before.recall:.3f} -> {leg.after.recall:.3f}"
        f"  mrr {leg.before.mrr:.3f} -> {leg.after.mrr:.3f}  {VERDICTS[leg.verdict]}"
        for leg in proof.legs
    ]
    if proof.unproved:
        lines.append(f"{number}  vectors NOT PROVED: {proof.unproved}")
    return lines


def read_head(text: str) -> tuple[UUID, bytes]:
    """Read `CHAIN=HASH` as `report_lines` prints them. Raises Invalid."""
    chain, _, digest = text.partition("=")
    try:
        return PLATFORM_ID if chain == PLATFORM else UUID(chain), bytes.fromhex(digest)
    except ValueError as error:
        raise Invalid.field("--expect", "Write it as CHAIN=HASH, as this command prints them.") from error


def report_lines(report: ChainReport) -> list[str]:
    """Return a line about the chain, which can be noted for `--expect`, and one for each fault."""
    chain = PLATFORM if report.chain == PLATFORM_ID else str(report.chain)
    state = "TAMPERED" if report.faults else "closed" if report.is_closed else "ok"
    head = f"{chain}={report.head.hex()}" if report.head else chain
    return [f"{state:<9}{report.rows:>8} rows  {head}", *(f"         {fault}" for fault in report.faults)]
