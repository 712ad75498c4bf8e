"""Providers, what they say about a person, and the port that asks them."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol, get_args
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from gptagent.kernel.errors import FieldError, Invalid
from gptagent.kernel.scope import PLATFORM_ID

NAME_MAX_CHARS = 100
TEXT_MAX_CHARS = 500
SUBJECT_MAX_CHARS = 255  # OpenID Connect Core, section 2
PROVIDERS_MAX = 10
STATE_LIFE = timedelta(minutes=10)
SECRET_END_CHARS = 4
NewcomerRole = Literal["admin", "member", "viewer"]
ROLES: tuple[NewcomerRole, ...] = get_args(NewcomerRole)


@dataclass(frozen=True, slots=True)
class Provider:
    """`org_id` is PLATFORM_ID for the installation's one. `role`: of new people; None: only invited ones."""

    org_id: UUID
    id: UUID
    name: str
    issuer: str
    client_id: str
    secret: str = field(repr=False)
    role: NewcomerRole | None = None

    @property
    def is_platforms(self) -> bool:
        return self.org_id == PLATFORM_ID


@dataclass(frozen=True, slots=True)
class Listed:
    """A provider as its owners see it: of the secret only the last characters."""

    id: UUID
    name: str
    issuer: str
    client_id: str
    secret_end: str
    role: NewcomerRole | None


@dataclass(frozen=True, slots=True)
class ProviderData:
    """What an owner enters. An empty secret keeps the one there is."""

    name: str
    issuer: str
    client_id: str
    secret: str = field(repr=False)
    role: NewcomerRole | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a provider vouches for. `email` is in lower case, empty if it is none, like either name."""

    subject: str = field(repr=False)
    email: str = field(repr=False)
    email_verified: bool
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in on its way, sealed in its state. `browser` is the hash of this browser's cookie.

    `person_id`: who is logged in and wants the identity linked to their account.
    """

    provider_id: UUID
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    browser: str = field(repr=False)
    person_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ReturnedCode:
    """What the provider sent the browser back with. `issuer` is RFC 9207's `iss`, empty if there is none."""

    code: str = field(repr=False)
    issuer: str
    redirect_uri: str


class OidcClient(Protocol):
    """Speaks with providers. All calls leave through the guarded client."""

    async def check(self, issuer: str) -> None:
        """Fetch the provider's description. Raises an AppError that says what is wrong."""
        ...

    async def authorization_url(
        self, provider: Provider, *, state: str, attempt: Attempt, redirect_uri: str
    ) -> str:
        """Return where the browser goes to sign in."""
        ...

    async def exchange(self, provider: Provider, attempt: Attempt, returned: ReturnedCode) -> Claims:
        """Exchange the code and check what comes. Raises Forbidden("sign_in_refused") if anything is off."""
        ...


def platform_provider(issuer: str, client_id: str, secret: str, name: str) -> Provider:
    """Return the installation's provider; its id is the same after every start."""
    return Provider(
        PLATFORM_ID, uuid5(NAMESPACE_URL, f"{issuer}|{client_id}"), name, issuer, client_id, secret
    )


def check_data(data: ProviderData, *, needs_secret: bool) -> None:
    """Raise Invalid naming every wrong field."""
    faults = []
    if not 1 <= len(data.name.strip()) <= NAME_MAX_CHARS:
        faults.append(FieldError("name", "Enter a name of up to 100 characters."))
    url = urlsplit(data.issuer)
    if url.scheme not in {"https", "http"} or not url.hostname or url.query or url.fragment or url.username:
        faults.append(FieldError("issuer", "Enter the provider's address, such as https://id.example.com."))
    if not 1 <= len(data.client_id.strip()) <= TEXT_MAX_CHARS:
        faults.append(FieldError("client_id", "Enter the client's id, as the provider shows it."))
    if len(data.secret) > TEXT_MAX_CHARS or (needs_secret and not data.secret.strip()):
        faults.append(FieldError("client_secret", "Enter the client's secret, as the provider shows it."))
    if data.role is not None and data.role not in ROLES:
        faults.append(FieldError("role", "Choose one of the roles."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
