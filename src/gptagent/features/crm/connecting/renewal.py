"""Renewing tokens: one refresh at a time over all processes, and what to do when it is refused."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from asyncpg import Record

from gptagent.features.crm import store as crm_store
from gptagent.features.crm.connecting import store
from gptagent.features.crm.connecting.accounts import REFRESH_PURPOSE, keep_pair
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.connecting.links import TOKEN_PURPOSE, UNAUTHORIZED, break_connection
from gptagent.features.crm.connecting.model import Credentials, TokenPair
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.ports import GrantsPort
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Forbidden, NotFound, OutcomeUnknown, UpstreamUnavailable
from gptagent.kernel.scope import SYSTEM, Scope

RENEW = "crm.renew_token"
SWEEP_BATCH = 500
# The CRM is asked three times at most while the row is locked; all of it has to end before others give up.
EXCHANGE_SECONDS = 20.0
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.1
# A token this young that is refused will not get better by another refresh.
YOUNG = timedelta(seconds=60)

Why = Literal["refused", "moved", "due"]
log = structlog.get_logger(__name__)


class _Busy(Exception):  # noqa: N818 - it states what is so
    """Another worker renews this token just now."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A locked grant, opened. `link` is what its connection says now."""

    link: CrmLink
    row: Record
    refresh: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenRenewal:
    """Implements `TokenSource`. `redirect_uri` is what the integrations are set up with."""

    db: Database
    crm: GrantsPort
    vault: Vault
    keys: Keys
    redirect_uri: str
    _turns: "set[asyncio.Task[CrmLink | None]]" = field(default_factory=set, repr=False)
    _locks: "WeakValueDictionary[UUID, asyncio.Lock]" = field(default_factory=WeakValueDictionary, repr=False)

    async def renew(self, link: CrmLink) -> CrmLink | None:
        """Return the connection with a token that is not the refused one; None if it cannot be renewed."""
        return await self._renew(link, "refused")

    async def follow(self, link: CrmLink) -> CrmLink | None:
        """The CRM does not know something: return the connection at its new address, if it has moved."""
        async with self.db.session(Scope(link.org_id, SYSTEM)) as session:
            row = await store.select_grant(session, link.connection_id)
        if row is None or (row["host"] == link.host and not await self.crm.has_moved(link)):
            return None
        return await self._renew(link, "moved")

    async def renew_due(self, org_id: UUID, connection_id: UUID) -> None:
        """Renew the token if it is time."""
        await self._renew(CrmLink(org_id, connection_id, "", ""), "due")

    async def _renew(self, link: CrmLink, why: Why) -> CrmLink | None:
        """Wait for our turn and take it. No connection to the database is held while waiting.

        Within this process a lock in memory lets one ask; among processes the row's lock does. A turn that
        was begun is brought to its end, whoever stops waiting for it: the CRM's answer must not be lost.
        """
        lock = self._locks.setdefault(link.connection_id, asyncio.Lock())
        try:
            async with asyncio.timeout(WAIT_SECONDS), lock:
                while True:
                    try:
                        return await asyncio.shield(self._begin_turn(link, why))
                    except _Busy:
                        await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise _unavailable() from error

    def _begin_turn(self, link: CrmLink, why: Why) -> "asyncio.Task[CrmLink | None]":
        turn = asyncio.create_task(self._take_turn(link, why))
        self._turns.add(turn)  # the loop itself keeps no task alive
        turn.add_done_callback(self._turns.discard)
        turn.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return turn

    async def _take_turn(self, link: CrmLink, why: Why) -> CrmLink | None:
        """Lock, read again, ask, store: all in one transaction.

        This is the one place that calls out inside a transaction, and it must. A refresh token works once: if
        the lock ended before the new pair is stored, another worker would use the old one again and the CRM
        would take it for stolen. Only the grant's own row is locked meanwhile, which nothing else touches.
        """
        async with self.db.session(Scope(link.org_id, SYSTEM)) as session:
            if not await store.try_lock_grant(session, link.connection_id):
                if await store.has_grant(session, link.connection_id):
                    raise _Busy
                return None
            held = await self._read(session, link)
            if held is None:
                return None
            if why == "due" and not _is_due(held.row):
                return None
            if why == "refused" and held.link.token != link.token:
                return held.link
            if why == "moved" and held.link.host != link.host:
                return held.link
            return await self._exchange(session, held, why)

    async def _read(self, session: Session, link: CrmLink) -> _Held | None:
        row = await store.select_grant(session, link.connection_id)
        if row is None:
            return None
        token = self.vault.open(row["token_sealed"], org_id=link.org_id, purpose=TOKEN_PURPOSE)
        refresh = self.vault.open(row["refresh_sealed"], org_id=link.org_id, purpose=REFRESH_PURPOSE)
        now = CrmLink(link.org_id, link.connection_id, row["host"], token, row["account_id"])
        return _Held(now, row, refresh)

    async def _exchange(self, session: Session, held: _Held, why: Why) -> CrmLink | None:
        link, row = held.link, held.row
        keys = await self.keys.find(session, row["brand"], row["client_id"])
        is_young = why == "refused" and utcnow() - row["renewed_at"] < YOUNG
        if keys is None or row["renew_at"] is None or is_young:
            await self._give_up(session, link, UNAUTHORIZED if keys else "crm_keys_missing")
            return None
        try:
            async with asyncio.timeout(EXCHANGE_SECONDS):
                host, pair = await self._ask(held, keys)
        except (Forbidden, NotFound):
            await self._give_up(session, link, UNAUTHORIZED)
            return None
        except (OutcomeUnknown, TimeoutError) as error:
            raise _unavailable() from error
        facts = self.crm.read_token(pair.access)
        await keep_pair(session, link.connection_id, pair, self.vault)
        await store.update_token(
            session,
            link.connection_id,
            host=host,
            sealed=self.vault.seal(pair.access, org_id=link.org_id, purpose=TOKEN_PURPOSE),
            expires_at=utcnow() + pair.life,
            scopes=facts.scopes,
        )
        log.info("token_renewed", connection_id=str(link.connection_id), moved=host != link.host)
        return replace(link, host=host, token=pair.access)

    async def _ask(self, held: _Held, keys: Credentials) -> tuple[str, TokenPair]:
        """Return the account's host and its next tokens.

        A renamed account answers at its new address only: before the refusal is believed, the CRM is asked
        where the token's account is now.
        """
        try:
            return held.link.host, await self.crm.renew_pair(held.link, keys, held.refresh, self.redirect_uri)
        except (Forbidden, NotFound):
            host = await self.crm.find_host(held.link, held.refresh)
            if host is None or host == held.link.host:
                raise
        moved = replace(held.link, host=host)
        return host, await self.crm.renew_pair(moved, keys, held.refresh, self.redirect_uri)

    async def _give_up(self, session: Session, link: CrmLink, reason: str) -> None:
        """The CRM refuses for good: only the owner can mend that."""
        await store.refuse_grant(session, link.connection_id)
        if await crm_store.lock_connection(session, link.connection_id) is not None:
            await break_connection(session, link.connection_id, reason)


def _is_due(row: Record) -> bool:
    return row["renew_at"] is not None and row["renew_at"] <= utcnow()


def _unavailable() -> UpstreamUnavailable:
    return UpstreamUnavailable("crm_unavailable", "The CRM does not answer. Try again shortly.")


async def queue_renewals(db: Database) -> int:
    """Queue the renewal of every token that is near its end. Returns how many."""
    async with db.installation() as session:
        due = await store.grants_due(session, SWEEP_BATCH)
    queued = 0
    for org_id, connection_id in due:
        async with db.session(Scope(org_id)) as session:
            if await store.mark_queued(session, connection_id):
                await session.enqueue(RENEW, {"connection_id": str(connection_id)})
                queued += 1
    return queued
