"""People and their sessions."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from gptagent.features.identity.guessable import is_guessable
from gptagent.kernel.errors import FieldError

PASSWORD_MIN_CHARS = 12
PASSWORD_MAX_CHARS = 200  # argon2 reads all of it: a limit bounds the work of a stranger's request
NAME_MAX_CHARS = 99  # of the first or last name: what others see, both, has up to 199
EMAIL_MAX_CHARS = 254
SESSION_LIFE = timedelta(hours=24)
REMEMBERED_SESSION_LIFE = timedelta(days=30)
SESSION_IDLE = timedelta(hours=8)  # a working day at an unlocked desk; a night is longer
REMEMBERED_SESSION_IDLE = timedelta(days=7)
ACCESS_TOKEN_LIFE = timedelta(minutes=10)
REFRESH_TOKEN_LIFE = timedelta(days=7)
CONFIRMATION_LIFE = timedelta(minutes=15)
SECOND_STEP_LIFE = timedelta(minutes=5)  # from the right password to the code
RESET_LIFE = timedelta(minutes=60)
PASSKEY_CHALLENGE_LIFE = timedelta(minutes=5)
PASSKEY_NAME_MAX_CHARS = 100
PASSKEYS_MAX = 20
RECOVERY_CODES = 10
TOTP_STEP_SECONDS = 30
AVATAR_MAX_BYTES = 5_000_000
AVATAR_MAX_PIXELS = 50_000_000  # a small file can hold a picture that fills the memory
AVATAR_SIDE_PIXELS = 256
LogInKind = Literal["browser", "api"]
# Ways of logging in that show two factors. How many a workspace's own provider asks for is its choice.
STRONG_METHODS = frozenset({"totp", "recovery_code", "passkey"})
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]+\.[^@\s,;<>\".]{2,63}")


@dataclass(frozen=True, slots=True)
class Person:
    """`full_name` is what others see: the given name and, if there is one, the family name."""

    id: UUID
    email: str = field(repr=False)
    full_name: str = field(repr=False)
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)
    locale: str
    is_platform_admin: bool
    avatar_key: str | None = field(default=None, repr=False)
    is_verified: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Links for people, made of the configured address, never of a request's.

    `sends_letters`: whether there is a mail server, without which nobody can be sent one.
    """

    base_url: str
    sends_letters: bool

    def to(self, path: str, token: str) -> str:
        return f"{self.base_url}/{path}/{token}"


@dataclass(frozen=True, slots=True)
class WebSession:
    """A browser's log-in. The token itself is only in the cookie; the database has its hash.

    `confirmed_at`: when the password or another factor was last given. `workspace_id`: the only workspace the
    session enters, because that one's own sign-in provider vouched for the person. `impersonator_id`: the
    administrator of the platform who looks through this person's eyes. `is_strong`: a second factor was shown
    in this log-in, when it began or later.
    """

    id: UUID
    person_id: UUID
    expires_at: datetime
    confirmed_at: datetime
    workspace_id: UUID | None = None
    impersonator_id: UUID | None = None
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """What a log-in came from: the browser and system by name, and the network address."""

    name: str = ""
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CurrentLogIn:
    """The log-in a request came by: a browser's session or a grant of the API."""

    session_id: UUID | None = None
    grant_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class LogIn:
    """A log-in as its person sees it. `is_impersonation`: an administrator of the platform uses it."""

    id: UUID
    kind: LogInKind
    device: str
    address: str = field(repr=False)
    created_at: datetime
    last_seen_at: datetime
    is_current: bool
    is_impersonation: bool = False


@dataclass(frozen=True, slots=True)
class Renewed:
    """A session's new token; the old one is dead."""

    token: str = field(repr=False)
    remembered: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that the person is still who logged in: the password, and a code where one is asked for."""

    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Passkey:
    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom a passkey is made for. From the settings, never from a request."""

    id: str
    origin: str
    name: str = "GPT Agent"

    @classmethod
    def at(cls, base_url: str) -> "RelyingParty":
        url = urlsplit(base_url)
        return cls(url.hostname or "", f"{url.scheme}://{url.netloc}")


def is_confirmed(confirmed_at: datetime, now: datetime) -> bool:
    """Whether the person was asked who they are so lately that a sensitive change may go ahead."""
    return now - confirmed_at < CONFIRMATION_LIFE


def normalise_email(text: str) -> str | None:
    """Return the address trimmed and in lower case, or None if it is none."""
    email = text.strip().lower()
    return email if len(email) <= EMAIL_MAX_CHARS and _EMAIL.fullmatch(email) else None


def name_faults(given: str | None, family: str | None) -> list[FieldError]:
    """Return what is wrong with the names; None is not looked at. Not everybody has a family name."""
    faults = []
    if given is not None and not 1 <= len(given.strip()) <= NAME_MAX_CHARS:
        faults.append(FieldError("given_name", "Enter your first name."))
    if family is not None and len(family.strip()) > NAME_MAX_CHARS:
        faults.append(FieldError("family_name", "At most {limit} characters.", {"limit": NAME_MAX_CHARS}))
    return faults


def is_weak_password(password: str) -> bool:
    """Whether the password is too short, too uniform, or on the shipped list of common ones."""
    return (
        not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS
        or len(set(password.lower())) < 5
        or is_guessable(password)
    )


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("YaBrowser/", "Yandex Browser"), ("Firefox/", "Firefox"),
             ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"))  # fmt: skip
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("Mac OS", "macOS"), ("Linux", "Linux"))  # fmt: skip


def name_device(user_agent: str) -> str:
    """Return browser and system as people call them, like `Firefox, Windows`; empty if neither is known."""
    names = (
        next((name for mark, name in marks if mark in user_agent), "") for marks in (_BROWSERS, _SYSTEMS)
    )
    return ", ".join(filter(None, names))
