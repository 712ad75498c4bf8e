"""The sign-in providers of a workspace: its owners add, change, test and remove them."""

from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.sign_in import store
from gptagent.features.sign_in.model import (
    PROVIDERS_MAX,
    SECRET_END_CHARS,
    Listed,
    OidcClient,
    ProviderData,
    check_data,
)
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope

SECRET_PURPOSE = "oidc"  # noqa: S105 - what the vault seals it for


async def list_providers(session: Session) -> list[Listed]:
    return [Listed(**dict(row)) for row in await store.select_providers(session)]


async def get_provider(session: Session, provider_id: UUID) -> Listed:
    """Raise NotFound."""
    row = await store.select_provider(session, provider_id)
    if row is None:
        raise NotFound
    return Listed(**dict(row))


async def add_provider(db: Database, scope: Scope, oidc: OidcClient, data: ProviderData) -> Listed:
    """Add a provider that answers. Raises Invalid naming every wrong field, Conflict for one too many."""
    check_data(data, needs_secret=True)
    await test_issuer(oidc, data.issuer)
    provider_id = new_id()
    async with db.session(scope) as session:
        if len(await store.select_providers(session)) >= PROVIDERS_MAX:
            raise Conflict("too_many_providers", "Remove a provider first: ten are the most.")
        if not await store.insert_provider(session, provider_id, *_values(session, data)):
            raise _known()
        await _record(session, "sign_in_provider.created", provider_id, None, data)
        return await get_provider(session, provider_id)


async def change_provider(
    db: Database, scope: Scope, oidc: OidcClient, provider_id: UUID, data: ProviderData
) -> Listed:
    """Change a provider; an empty secret keeps the one there is, unless the issuer changes.

    What another issuer vouched for would be worth nothing, so its identities go. Raises as `add_provider`,
    and NotFound.
    """
    async with db.session(scope) as session:
        before = await get_provider(session, provider_id)
    is_moved = before.issuer != data.issuer.strip()
    check_data(data, needs_secret=is_moved)
    await test_issuer(oidc, data.issuer)
    async with db.session(scope) as session:
        before = await get_provider(session, provider_id)
        if is_moved:
            await store.delete_provider(session, provider_id)
            done = await store.insert_provider(session, provider_id, *_values(session, data))
        else:
            done = await store.update_provider(session, provider_id, *_values(session, data))
        if not done:
            raise _known()
        await _record(session, "sign_in_provider.changed", provider_id, before, data)
        return await get_provider(session, provider_id)


async def remove_provider(session: Session, provider_id: UUID) -> None:
    """Remove a provider; nobody signs in by it any more. Raises NotFound."""
    if not await store.delete_provider(session, provider_id):
        raise NotFound
    await _record(session, "sign_in_provider.removed", provider_id, None, None)


async def test_issuer(oidc: OidcClient, issuer: str) -> None:
    """Ask the provider for its description. Raises Invalid on `issuer` if it is not one that can be used."""
    try:
        await oidc.check(issuer.strip())
    except AppError as error:
        raise Invalid.field(
            "issuer", "No provider answers there as it should. Check the address; it must be a public one."
        ) from error


def _values(session: Session, data: ProviderData) -> tuple[object, ...]:
    secret = data.secret.strip()
    sealed = session.vault.seal(secret, org_id=session.scope.org_id, purpose=SECRET_PURPOSE)
    kept = (sealed, secret[-SECRET_END_CHARS:]) if secret else (None, None)
    return data.name.strip(), data.issuer.strip(), data.client_id.strip(), data.role, *kept


async def _record(
    session: Session, action: str, provider_id: UUID, before: Listed | None, after: ProviderData | None
) -> None:
    names = ("issuer", "client_id", "role") if after else ()
    changes: dict[str, tuple[object, object] | None] = {
        name: (getattr(before, name, None), getattr(after, name)) for name in names
    }
    if after and after.secret:
        changes["client_secret"] = None
    await audit.record(session, Entry(action, "sign_in_provider", str(provider_id), changes=changes))


def _known() -> Conflict:
    fault = FieldError("client_id", "This client of the provider is here already.")
    return Conflict("provider_known", fault.message, fields=(fault,))
