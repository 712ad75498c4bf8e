"""Log-ins of a person: begun, listed, renewed, ended. A browser has a session, the API a grant."""

from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import store
from gptagent.features.identity.factors import store as factors
from gptagent.features.identity.hashes import hash_token
from gptagent.features.identity.model import (
    REFRESH_TOKEN_LIFE,
    REMEMBERED_SESSION_IDLE,
    REMEMBERED_SESSION_LIFE,
    SESSION_IDLE,
    SESSION_LIFE,
    CurrentLogIn,
    Device,
    LogIn,
    Renewed,
    WebSession,
    is_confirmed,
)
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Forbidden, NotFound
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import Origin

UNKNOWN_DEVICE = Device()


async def open_session(
    session: Session,
    person_id: UUID,
    *,
    remember: bool,
    now: datetime,
    device: Device = UNKNOWN_DEVICE,
    workspace_id: UUID | None = None,
    is_strong: bool = False,
) -> tuple[str, datetime]:
    """Return the cookie's token and when it ends. Needs a transaction opened for the person.

    A session of one workspace counts as never confirmed: its provider's word opens that workspace, and does
    not change what the person logs in with. `is_strong`: two factors were shown.
    """
    token = new_token()
    expires_at = now + (REMEMBERED_SESSION_LIFE if remember else SESSION_LIFE)
    await store.insert_session(
        session,
        new_id(),
        person_id,
        hash_token(token),
        expires_at,
        remembered=remember,
        device=device.name,
        address=device.address,
        workspace_id=workspace_id,
        idle_life=REMEMBERED_SESSION_IDLE if remember else SESSION_IDLE,
        is_strong=is_strong,
    )
    return token, expires_at


async def find_session(session: Session, token: str, *, is_use: bool = True) -> WebSession | None:
    """Return the log-in this token opens. Unless it `is_use`, it is not kept alive by that."""
    row = await store.session_by_hash(session, hash_token(token), is_use=is_use)
    return WebSession(**dict(row)) if row else None


async def record_log_in(session: Session, person_id: UUID, method: str, *, origin: Origin) -> None:
    """Record that the person got in, and how: `password`, `totp`, `recovery_code`, `passkey`, `provider`."""
    entry = Entry("login.succeeded", "person", str(person_id), changes={"method": (None, method)})
    await audit.record(session, entry, origin=origin, on_platform=True)


async def renew_session(
    session: Session, session_id: UUID, *, confirms: bool = True, is_strong: bool = False
) -> Renewed:
    """Exchange the session's token; by default because its person has shown who they are.

    `is_strong`: by two factors. Raises NotFound if it ended.
    """
    token = new_token()
    hashed = hash_token(token)
    row = await store.renew_session(session, session_id, hashed, confirms=confirms, is_strong=is_strong)
    if row is None:
        raise NotFound
    return Renewed(token, row["remembered"], row["expires_at"])


async def list_log_ins(session: Session, current: CurrentLogIn) -> list[LogIn]:
    """Return every log-in of the transaction's person, browsers first, the last used first."""
    browsers = [
        LogIn(**dict(row), kind="browser", is_current=row["id"] == current.session_id)
        for row in await store.select_sessions(session)
    ]
    grants = [
        LogIn(**dict(row), kind="api", is_current=row["id"] == current.grant_id)
        for row in await store.select_grants(session, REFRESH_TOKEN_LIFE)
    ]
    return browsers + grants


async def revoke_session(session: Session, session_id: UUID, *, origin: Origin) -> None:
    """End a log-in of a browser of the transaction's person. Raises NotFound."""
    if not await store.revoke_session(session, session_id):
        raise NotFound
    await _record_end(session, "session", session_id, origin)


async def revoke_grant(session: Session, grant_id: UUID, *, origin: Origin) -> None:
    """End a log-in over the API of the transaction's person. Raises NotFound."""
    if not await store.revoke_grant(session, grant_id):
        raise NotFound
    await _record_end(session, "grant", grant_id, origin)


async def end_other_log_ins(
    session: Session, person_id: UUID, current: CurrentLogIn, *, origin: Origin
) -> int:
    """End every log-in of the transaction's person but the current one; return how many there were."""
    ended = await store.end_others(session, current.session_id, current.grant_id)
    entry = Entry("session.revoked", "person", str(person_id), changes={"other_log_ins": (ended, 0)})
    await audit.record(session, entry, origin=origin, on_platform=True)
    return ended


async def require_confirmed_grant(session: Session, grant_id: UUID, *, now: datetime) -> None:
    """Raise Forbidden unless the person behind a log-in over the API was asked who they are lately."""
    await _require_confirmed(session, CurrentLogIn(grant_id=grant_id), now)


async def require_all_factors(
    session: Session, person_id: UUID, current: CurrentLogIn, *, now: datetime
) -> None:
    """Raise Forbidden where a password is not all the person can show, unless they lately showed the rest.

    For changes that ask for the password themselves. Needs a transaction opened for the person.
    """
    if await factors.has_second_factor(session, person_id) or await factors.must_show_factor(
        session, person_id
    ):
        await _require_confirmed(session, current, now)


async def _require_confirmed(session: Session, current: CurrentLogIn, now: datetime) -> None:
    confirmed_at = await store.confirmed_at(session, current.session_id, current.grant_id)
    if confirmed_at is None or not is_confirmed(confirmed_at, now):
        raise confirmation_needed()


def confirmation_needed() -> Forbidden:
    return Forbidden(
        "confirmation_needed", "Confirm first that it is you: with your password, and a code if you use one."
    )


def second_factor_required() -> Forbidden:
    return Forbidden(
        "second_factor_required", "This asks for a second factor: log in with a code or a passkey."
    )


async def _record_end(session: Session, kind: str, log_in_id: UUID, origin: Origin) -> None:
    entry = Entry("session.revoked", kind, str(log_in_id))
    await audit.record(session, entry, origin=origin, on_platform=True)
