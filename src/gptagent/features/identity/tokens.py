"""Access tokens of the API: JWT (RFC 9068 claims), ten minutes, one algorithm, one workspace."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OctKey

from gptagent.features.identity.model import ACCESS_TOKEN_LIFE
from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import Unauthenticated

ALGORITHM = "HS256"
ISSUER = "gptagent"
AUDIENCE = "gptagent-api"
TYPE = "at+jwt"  # RFC 9068: so that no other token we may once sign is taken for one


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """`grant_id` is the log-in the token comes from: once that is revoked, so is the token.

    `impersonator_id` is the administrator of the platform who looks through the person's eyes; the log-in is
    then theirs. The token says so in `act` (RFC 8693, section 4.1).
    """

    person_id: UUID
    org_id: UUID
    grant_id: UUID
    impersonator_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Issues and reads access tokens with keys derived from the installation's own.

    `kid` names the key, so that tokens of an older one of SECRET_KEYS are good until they expire.
    """

    vault: Vault

    def _key(self, token: GuestProtocol) -> OctKey:
        """Return the key a token names. The algorithm is never taken from it."""
        kid = token.headers().get("kid")
        return self._key_of(None if kid is None else str(kid))

    def _key_of(self, fingerprint: str | None) -> OctKey:
        return OctKey.import_key(self.vault.derive("access-token", fingerprint))

    def issue(self, claims: AccessClaims, *, now: datetime, life: timedelta = ACCESS_TOKEN_LIFE) -> str:
        issued = int(now.timestamp())
        payload: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(claims.person_id),
            "org": str(claims.org_id),
            "sid": str(claims.grant_id),
            "iat": issued,
            "exp": issued + int(life.total_seconds()),
        }
        if claims.impersonator_id is not None:
            payload["act"] = {"sub": str(claims.impersonator_id)}
        kid = self.vault.fingerprint
        return jwt.encode({"alg": ALGORITHM, "typ": TYPE, "kid": kid}, payload, self._key_of(kid))

    def read(self, token: str, *, now: datetime) -> AccessClaims:
        """Raise Unauthenticated for a token that is not ours, was changed, or has expired."""
        try:
            read = jwt.decode(token, self._key, algorithms=[ALGORITHM])
            claims = read.claims
            if (read.header.get("typ"), claims["aud"]) != (TYPE, AUDIENCE):
                raise Unauthenticated("token_invalid", "The access token is not valid. Log in again.")
            if claims["iss"] != ISSUER or int(claims["exp"]) <= now.timestamp():
                raise Unauthenticated("token_expired", "The access token has expired. Log in again.")
            by = UUID(claims["act"]["sub"]) if "act" in claims else None
            return AccessClaims(UUID(claims["sub"]), UUID(claims["org"]), UUID(claims["sid"]), by)
        except (JoseError, KeyError, ValueError, TypeError) as error:
            raise Unauthenticated("token_invalid", "The access token is not valid. Log in again.") from error
