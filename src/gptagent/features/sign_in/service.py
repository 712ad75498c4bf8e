"""Verbs of signing in: begin at a provider, come back, and become who the provider vouches for.

An identity is a provider and its subject, never an e-mail address alone. A workspace's provider lets in
people linked to it, and new ones; it never reaches an account that exists. The installation's provider may
also find an account by an address that both sides have confirmed.
"""

import hmac
from dataclasses import dataclass
from uuid import UUID

import msgspec

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import NAME_MAX_CHARS as PERSON_NAME_MAX_CHARS
from gptagent.features.organizations import service as organizations
from gptagent.features.sign_in import store
from gptagent.features.sign_in.model import (
    STATE_LIFE,
    Attempt,
    Claims,
    OidcClient,
    Provider,
    ReturnedCode,
)
from gptagent.features.sign_in.providers import SECRET_PURPOSE, list_providers
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Forbidden, NotFound
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin, Scope

CALLBACK = "/sign-in/callback"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What signing in needs: `platform` is the installation's provider, if there is one."""

    db: Database
    oidc: OidcClient
    base_url: str
    is_open: bool
    platform: Provider | None = None

    @property
    def button(self) -> tuple[str, str] | None:
        """Where the installation's button on the log-in page leads, and the name on it."""
        return (f"/sign-in/{self.platform.id}", self.platform.name) if self.platform else None

    @property
    def redirect_uri(self) -> str:
        return self.base_url + CALLBACK


@dataclass(frozen=True, slots=True)
class Begun:
    """`cookie` stays in the browser: only there can the sign-in be finished."""

    address: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What the provider sent the browser back with, and the browser's own cookie and person."""

    state: str
    code: str
    issuer: str
    cookie: str
    person_id: UUID | None


@dataclass(frozen=True, slots=True)
class Arrived:
    """Who signed in. `workspace_id`: all the session may enter. `is_link`: was logged in before."""

    person_id: UUID
    workspace_id: UUID | None
    is_link: bool = False


async def begin(door: SignIn, provider_id: UUID, *, cookie: str, person_id: UUID | None = None) -> Begun:
    """Return where the browser goes. With `person_id` the identity gets linked to that account."""
    provider = await find_provider(door, provider_id)
    cookie = cookie or new_token()
    attempt = Attempt(provider_id, new_token(), new_token(48), _digest(cookie), person_id)
    state = new_token()
    address = await door.oidc.authorization_url(
        provider, state=state, attempt=attempt, redirect_uri=door.redirect_uri
    )
    async with door.db.installation() as session:
        packed = msgspec.json.encode(attempt).decode()
        sealed = session.vault.seal(packed, org_id=PLATFORM_ID, purpose="oidc-state")
        await store.offer_state(session, identity.hash_token(state), sealed, STATE_LIFE)
    return Begun(address, cookie)


async def finish(door: SignIn, returned: Returned, *, origin: Origin) -> Arrived:
    """Check what came back and say who it is. Raises Forbidden, Conflict or NotFound with what to do."""
    async with door.db.installation() as session:
        sealed = await store.use_state(session, identity.hash_token(returned.state))
        packed = (
            session.vault.open(bytes(sealed), org_id=PLATFORM_ID, purpose="oidc-state") if sealed else None
        )
    if packed is None:
        raise _expired()
    attempt = msgspec.json.decode(packed, type=Attempt)
    # The state was used up just now: whoever tries it in another browser has spoilt it, nothing else.
    if not hmac.compare_digest(_digest(returned.cookie), attempt.browser) or not returned.code:
        raise _expired()
    if attempt.person_id != returned.person_id and attempt.person_id is not None:
        raise _expired()
    provider = await find_provider(door, attempt.provider_id)
    code = ReturnedCode(returned.code, returned.issuer, door.redirect_uri)
    claims = await door.oidc.exchange(provider, attempt, code)
    if attempt.person_id is not None:
        await _link(door, provider, claims, attempt.person_id, origin)
        return Arrived(attempt.person_id, None, is_link=True)
    person_id = await _resolve(door, provider, claims, origin)
    return Arrived(person_id, None if provider.is_platforms else provider.org_id)


async def find_provider(door: SignIn, provider_id: UUID) -> Provider:
    """Return a provider with its secret. Raises NotFound."""
    if door.platform is not None and provider_id == door.platform.id:
        return door.platform
    async with door.db.installation() as session:
        row = await store.provider_by_id(session, provider_id)
        if row is None:
            raise NotFound
        known = dict(row)
        sealed = bytes(known.pop("secret_sealed"))
        secret = session.vault.open(sealed, org_id=row["org_id"], purpose=SECRET_PURPOSE)
    return Provider(**known, secret=secret)


async def list_buttons(session: Session, number: int) -> list[tuple[UUID, str]]:
    """Return id and name of the providers of the workspace with this number."""
    return [(row["id"], row["name"]) for row in await store.providers_of(session, number)]


async def list_offered(door: SignIn, session: Session) -> list[tuple[UUID, str]]:
    """Return id and name of the installation's provider and of those of the scope's workspace."""
    found = await list_providers(session)
    own = [(door.platform.id, door.platform.name)] if door.platform else []
    return own + [(one.id, one.name) for one in found]


async def require_offered(door: SignIn, session: Session, provider_id: UUID) -> None:
    """Raise NotFound for a provider of another workspace, as for one of none."""
    if provider_id not in {offered for offered, _name in await list_offered(door, session)}:
        raise NotFound


async def list_linked(session: Session) -> list[UUID]:
    """Return the providers the transaction's person may sign in by."""
    return await store.select_identities(session)


async def unlink(session: Session, provider_id: UUID, person_id: UUID, *, origin: Origin) -> None:
    """Forget the person's identity at a provider, if there is one."""
    if await store.delete_identities(session, provider_id):
        await _record(session, "identity.unlinked", person_id, provider_id, origin)


async def _link(door: SignIn, provider: Provider, claims: Claims, person_id: UUID, origin: Origin) -> None:
    async with door.db.installation() as session:
        holder = await store.person_of_identity(session, provider.id, claims.subject)
    if holder == person_id:
        return
    async with door.db.installation(person_id) as session:
        if holder or not await store.insert_identity(session, provider.id, claims.subject, person_id):
            raise Conflict(
                "identity_taken", "The provider knows you as somebody who has another account here."
            )
        await _record(session, "identity.linked", person_id, provider.id, origin)


async def _resolve(door: SignIn, provider: Provider, claims: Claims, origin: Origin) -> UUID:
    async with door.db.installation() as session:
        person_id = await store.person_of_identity(session, provider.id, claims.subject)
        workspaces = await organizations.list_workspaces(session, person_id) if person_id else []
    if person_id is None:
        arrive = _arrive_on_platform if provider.is_platforms else _arrive_in_workspace
        return await arrive(door, provider, claims, origin)
    if not provider.is_platforms and provider.org_id not in {one.org_id for one in workspaces}:
        raise Forbidden("not_a_member", "You are no member of this workspace any more. Ask its owner.")
    async with door.db.installation(person_id) as session:
        await store.touch_identity(session, provider.id, claims.subject)
    return person_id


async def _arrive_in_workspace(door: SignIn, provider: Provider, claims: Claims, origin: Origin) -> UUID:
    """Make a new member: by an open invitation to the address, or with the provider's own role."""
    await _require_new_address(door, claims)
    person_id = new_id()
    actor = Actor("person", person_id)
    scope = Scope(provider.org_id, actor, request_id=origin.request_id, address=origin.address)
    async with door.db.session(scope) as session:
        await _create(session, provider, claims, person_id, origin)
        await organizations.enter_by_address(session, person_id, claims.email, provider.role)
    return person_id


async def _arrive_on_platform(door: SignIn, provider: Provider, claims: Claims, origin: Origin) -> UUID:
    """Find an account by an address confirmed on both sides, or make a new one where anybody may register."""
    if not claims.email_verified:
        raise _unverified()
    async with door.db.installation() as session:
        person_id = await identity.find_person(session, claims.email)
    if person_id is not None:
        async with door.db.installation(person_id) as session:
            if not (await identity.get_person(session, person_id)).is_verified:
                raise _exists()
            if not await store.insert_identity(session, provider.id, claims.subject, person_id):
                raise _expired()
            await _record(session, "identity.linked", person_id, provider.id, origin)
        return person_id
    if not door.is_open:
        raise Forbidden(
            "registration_closed", "Registration is by invitation. Ask the owner of the platform."
        )
    await _require_new_address(door, claims)
    person_id = new_id()
    async with door.db.session(Scope(new_id(), Actor("person", person_id))) as session:
        await _create(session, provider, claims, person_id, origin)
        name = " ".join(_names(claims)).strip()
        await organizations.create_workspace(session, name, owner_id=person_id, locale="ru")
    return person_id


async def _require_new_address(door: SignIn, claims: Claims) -> None:
    if not claims.email_verified or not claims.email:
        raise _unverified()
    async with door.db.installation() as session:
        if await identity.find_person(session, claims.email) is not None:
            raise _exists()


async def _create(
    session: Session, provider: Provider, claims: Claims, person_id: UUID, origin: Origin
) -> None:
    """Create a person who has no password. Raises Conflict for an address that is taken meanwhile."""
    await identity.create_vouched_person(
        session, person_id, claims.email, _names(claims), is_verified=provider.is_platforms
    )
    if not await store.insert_identity(session, provider.id, claims.subject, person_id):
        raise _expired()
    await _record(session, "identity.linked", person_id, provider.id, origin)


async def _record(session: Session, action: str, person_id: UUID, provider_id: UUID, origin: Origin) -> None:
    entry = Entry(action, "sign_in_provider", str(provider_id))
    by = Origin(Actor("person", person_id), origin.request_id, origin.address)
    await audit.record(session, entry, origin=by, on_platform=True)


def _names(claims: Claims) -> tuple[str, str]:
    """Return given and family name; who has told none is called as their mailbox is."""
    given = claims.given_name or claims.email.partition("@")[0]
    return given[:PERSON_NAME_MAX_CHARS].strip(), claims.family_name[:PERSON_NAME_MAX_CHARS].strip()


def _digest(cookie: str) -> str:
    return identity.hash_token(cookie).hex()


def _expired() -> Forbidden:
    return Forbidden(
        "sign_in_expired", "The sign-in took too long, or began in another browser. Begin again."
    )


def _unverified() -> Forbidden:
    return Forbidden("sign_in_unverified", "The provider does not vouch for an e-mail address of yours.")


def _exists() -> Forbidden:
    return Forbidden(
        "sign_in_not_linked",
        "There is an account with your address already. Log in, and link the provider in its settings.",
    )
