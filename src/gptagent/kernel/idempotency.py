"""A creating request that is sent again gets its first answer again.

Kept for a day under workspace, caller and key. What is kept is sealed: an answer may hold a new credential,
and nobody who reads the table may learn it.
"""

import hashlib
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import Access, error_response

KEY_HEADER = "idempotency-key"
KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,255}")
TAKEN_OVER_AFTER = timedelta(seconds=60)  # a request has 30 s: its process was killed
PURPOSE = "idempotency"
READ_BYTES = 1_000_000
# Another try may do better: these are no answers to keep.
_PASSING = frozenset({401, 403, 408, 409, 412, 429})

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class _Claim:
    caller: str
    key: str
    request_hash: bytes
    since: datetime


@dataclass(frozen=True, slots=True)
class Answers:
    db: Database

    async def once(self, request: Request, access: Access, handle: Handler) -> Response:
        """Answer as the first request with this key was answered, or be the first.

        Raises Invalid for a key that is none or stands for another request, Conflict while the first runs.
        """
        key = request.headers[KEY_HEADER]
        if not KEY_PATTERN.fullmatch(key):
            raise Invalid.field("Idempotency-Key", "From 1 to 255 visible ASCII characters.")
        caller = f"{access.scope.actor.kind}:{access.scope.actor.id}"
        digest = await _digest(request)
        async with self.db.session(access.scope) as session:
            claim = await _claim(session, caller, key, digest)
        if isinstance(claim, Response):
            return claim
        return await self._first(request, access, handle, claim)

    async def _first(self, request: Request, access: Access, handle: Handler, claim: _Claim) -> Response:
        kept = False
        try:
            try:
                response = await handle(request)
            except (AppError, HTTPException, RequestValidationError) as error:
                response = error_response(request, error)
            if response.status_code < 500 and response.status_code not in _PASSING:
                async with self.db.session(access.scope) as session:
                    await _keep(session, claim, response)
                kept = True
            return response
        finally:
            if not kept:
                with suppress(AppError):  # without a database the claim grows old by itself
                    async with self.db.session(access.scope) as session:
                        await _forget(session, claim)


async def _digest(request: Request) -> bytes:
    """Hash what is asked. Of a form the values: its boundary is another one each time."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    if not request.headers.get("content-type", "").startswith("multipart/"):
        digest.update(await request.body())
        return digest.digest()
    for name, value in (await request.form()).multi_items():
        digest.update(msgspec.json.encode([name, value if isinstance(value, str) else value.filename]))
        if isinstance(value, UploadFile):
            while part := await value.read(READ_BYTES):
                digest.update(part)
            await value.seek(0)
    return digest.digest()


async def _claim(session: Session, caller: str, key: str, digest: bytes) -> _Claim | Response:
    since = await session.fetchval(
        """insert into app.idempotency_key as i (caller, key, request_hash) values ($1, $2, $3)
           on conflict (org_id, caller, key) do update
              set request_hash = excluded.request_hash, created_at = clock_timestamp()
            where i.status is null and i.request_hash = excluded.request_hash
              and i.created_at < now() - $4::interval
           returning created_at""",
        caller,
        key,
        digest,
        TAKEN_OVER_AFTER,
    )
    if since is not None:
        return _Claim(caller, key, digest, since)
    row = await session.fetchrow(
        "select request_hash, status, headers, body from app.idempotency_key where caller = $1 and key = $2",
        caller,
        key,
    )
    if row is not None and bytes(row["request_hash"]) != digest:
        raise Invalid("idempotency_key_reused", "This Idempotency-Key stands for another request.")
    if row is None or row["status"] is None:
        raise Conflict(
            "idempotency_running", "The first request with this Idempotency-Key still runs.", retry_after=2
        )
    body = session.vault.open(row["body"], org_id=session.scope.org_id, purpose=PURPOSE)
    headers = {**msgspec.json.decode(row["headers"]), "idempotency-replayed": "true"}
    return Response(body.encode(), row["status"], headers)


async def _keep(session: Session, claim: _Claim, response: Response) -> None:
    named = ("content-type", "location", "etag")
    headers = {name: response.headers[name] for name in named if name in response.headers}
    sealed = session.vault.seal(bytes(response.body).decode(), org_id=session.scope.org_id, purpose=PURPOSE)
    await session.execute(
        """update app.idempotency_key set status = $4, headers = $5, body = $6
            where caller = $1 and key = $2 and created_at = $3""",
        claim.caller,
        claim.key,
        claim.since,
        response.status_code,
        msgspec.json.encode(headers).decode(),
        sealed,
    )


async def _forget(session: Session, claim: _Claim) -> None:
    await session.execute(
        """delete from app.idempotency_key
            where caller = $1 and key = $2 and created_at = $3 and status is null""",
        claim.caller,
        claim.key,
        claim.since,
    )
