"""The token with which a bot of the CRM proves who asks: a JWT signed with the integration's secret."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gptagent.features.crm.replying.model import is_same_account
from gptagent.kernel.errors import Forbidden

# The vendor's documentation says HS256, its SDK checks HS512; nothing else is a signature to us.
HASHES = {"HS256": "sha256", "HS512": "sha512"}
MAX_TOKEN_CHARS = 8_000
LEEWAY = timedelta(seconds=60)
CLOCKS_DIFFER = 300.0
LEAD_KINDS = frozenset({"2", "lead", "leads"})


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say: it is for us, from this account, and of now. `client_uuid` if it is known."""

    secret: str
    audience: str
    host: str
    account_id: int
    now: datetime
    client_uuid: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a believed token says. `lead_id` None: the bot runs on something else than a deal.

    `at`: when the CRM made it, by its own clock, if the token says so.
    """

    lead_id: int | None
    at: datetime | None


def read_token(token: str, expected: Expected) -> Asked:
    """Raises Forbidden."""
    head, payload, signature = _parts(token)
    hash_name = HASHES.get(str(_object(head).get("alg")))
    if hash_name is None:
        raise _refused()
    signed = token.rpartition(".")[0].encode()
    if not hmac.compare_digest(hmac.new(expected.secret.encode(), signed, hash_name).digest(), signature):
        raise _refused()
    claims = _object(payload)
    if not (_is_current(claims, expected.now) and _is_of_account(claims, expected)):
        raise _refused()
    return Asked(_lead_of(claims), _made_at(claims, expected.now))


def _lead_of(claims: dict[str, Any]) -> int | None:
    entity_id = claims.get("entity_id")
    if str(claims.get("entity_type")).lower() not in LEAD_KINDS or not str(entity_id).isdecimal():
        return None
    return int(str(entity_id)[:18])


def _made_at(claims: dict[str, Any], now: datetime) -> datetime | None:
    made = _number(claims.get("iat"))
    if made is None or not -CLOCKS_DIFFER < made - now.timestamp() < CLOCKS_DIFFER:
        return None  # an old token that was kept, or a clock that is of no use
    return datetime.fromtimestamp(made, UTC)


def _is_current(claims: dict[str, Any], now: datetime) -> bool:
    expires, begins = _number(claims.get("exp")), _number(claims.get("nbf", claims.get("iat")))
    if expires is None or expires < (now - LEEWAY).timestamp():
        return False
    return begins is None or begins <= (now + LEEWAY).timestamp()


def _is_of_account(claims: dict[str, Any], expected: Expected) -> bool:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    client = claims.get("client_uuid", claims.get("client_uid"))
    return (
        str(claims.get("account_id")) == str(expected.account_id)
        and is_same_account(_host(claims.get("iss")), expected.host)
        and any(str(one).rstrip("/").lower() == expected.audience.lower() for one in audiences)
        and expected.client_uuid in {None, client}
    )


def _host(issuer: object) -> str:
    try:
        return urlsplit(str(issuer)).hostname or ""
    except ValueError:
        return ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _parts(token: str) -> tuple[bytes, bytes, bytes]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise _refused()
    try:
        head, payload, signature = (
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True) for part in parts
        )
    except (binascii.Error, ValueError) as error:
        raise _refused() from error
    return head, payload, signature


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused() from error
    if not isinstance(found, dict):
        raise _refused()
    return found


def _refused() -> Forbidden:
    return Forbidden("crm_token_refused", "The CRM's token does not fit this connection.")
