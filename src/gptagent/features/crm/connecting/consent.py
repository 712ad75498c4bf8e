"""Verbs of OAuth: send somebody to the CRM's consent page, and take what they come back with."""

import hashlib
from uuid import UUID

from gptagent.features.crm.connecting import store
from gptagent.features.crm.connecting.accounts import Connecting, Granted, keep_account
from gptagent.features.crm.connecting.model import CONSENT_LIFE, Consent, Returned
from gptagent.features.crm.model import Connection, CrmLink
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import Scope


async def begin_consent(
    door: Connecting, scope: Scope, integration_id: UUID, *, person_id: UUID | None, session_id: UUID | None
) -> str:
    """Return the address of the CRM's consent page for one of the integrations.

    What comes back is taken once, within ten minutes, for this workspace, from this person's own browser:
    from the log-in `session_id`, or from any of the person's where it was asked over the API. Raises
    NotFound.
    """
    state = new_token()
    async with door.db.session(scope) as session:
        for one in await door.keys.usable(session):
            if one.id == integration_id:
                break
        else:
            raise NotFound
        keys = await door.keys.find(session, one.brand, one.client_id)
        if keys is None:
            raise NotFound
        await store.insert_consent(
            session, _hash(state), CONSENT_LIFE, person_id, session_id, one.brand, one.client_id
        )
    return door.crm.consent_url(keys.brand, keys.client_id, state)


async def use_consent(
    door: Connecting, state: str, *, person_id: UUID | None, session_id: UUID | None
) -> Consent:
    """Return what was asked for. It is used up, whoever comes with it.

    Raises Forbidden if it is unknown, too old, was used before, or began in another browser.
    """
    async with door.db.installation() as session:
        row = await store.use_consent(session, _hash(state))
    if row is None:
        raise _expired()
    consent = Consent(**dict(row))
    is_same = consent.person_id in {None, person_id} and consent.session_id in {None, session_id}
    if not is_same:
        raise _expired()
    return consent


async def finish_consent(door: Connecting, scope: Scope, consent: Consent, returned: Returned) -> Connection:
    """Exchange the code at the account it came from, and connect that account.

    The host is the referer's, and only one of the vendor's; nobody typed it. Raises Invalid, Forbidden,
    Conflict or what the CRM answered.
    """
    if scope.org_id != consent.org_id or returned.client_id not in {"", consent.client_id}:
        raise _expired()
    host = door.crm.account_host(returned.referer, consent.brand)
    if not returned.code:
        raise Invalid("crm_code_missing", "The CRM sent no code. Begin again.")
    async with door.db.session(scope) as session:
        keys = await door.keys.find(session, consent.brand, consent.client_id)
    if keys is None:
        raise Conflict("crm_keys_missing", "The keys of this integration were removed meanwhile.")
    link = CrmLink(scope.org_id, new_id(), host, "")
    pair = await door.crm.exchange_code(link, keys, returned.code, door.redirect_uri)
    granted = CrmLink(link.org_id, link.connection_id, host, pair.access)
    account = await door.crm.fetch_account(granted)
    return await keep_account(door, scope, granted, account, Granted(keys, pair))


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()


def _expired() -> Forbidden:
    return Forbidden(
        "crm_consent_expired", "This took too long, or began in another browser. Begin again here."
    )
