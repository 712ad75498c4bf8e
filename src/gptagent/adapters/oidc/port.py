"""OpenID Connect: authorization code with PKCE (RFC 7636), and the checks of OpenID Connect Core, 3.1.3.7."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gptagent.features.sign_in.model import SUBJECT_MAX_CHARS, Attempt, Claims, Provider, ReturnedCode
from gptagent.kernel.egress import Egress, Response
from gptagent.kernel.errors import Forbidden, OutcomeUnknown, UpstreamUnavailable

CALL_SECONDS = 10.0
ANSWER_MAX_BYTES = 256 * 1024
METADATA_SECONDS = 600.0
KEYS_SECONDS = 3600.0
NEW_KEYS_SECONDS = 60.0  # an unknown key is looked for at most this often
CACHED_ISSUERS = 200
LEEWAY_SECONDS = 60
# Never `none`, never a shared secret: whoever has the public key could sign with it.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
SCOPE = "openid email profile"
Shape = TypeVar("Shape")


class _Metadata(msgspec.Struct):
    """The part of a provider's description that is used (OpenID Connect Discovery, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(msgspec.Struct):
    id_token: str
    access_token: str = ""


class _Keys(msgspec.Struct):
    keys: list[dict[str, object]]


@dataclass
class _Known:
    """What is remembered of an issuer, and when it was fetched (monotonic seconds)."""

    metadata: _Metadata
    fetched: float
    keys: KeySet | None = None
    keys_fetched: float = 0.0


@dataclass
class OidcOverEgress:
    """`known` forgets the oldest issuer when it is full."""

    egress: Egress
    known: dict[str, _Known] = field(default_factory=dict)

    async def check(self, issuer: str) -> None:
        """Raise Forbidden for an address that may not be called or an answer that is not acceptable."""
        self.known.pop(issuer, None)
        known = await self._describe(issuer)
        await self._keys(known)

    async def authorization_url(
        self, provider: Provider, *, state: str, attempt: Attempt, redirect_uri: str
    ) -> str:
        known = await self._describe(provider.issuer)
        return str(
            prepare_grant_uri(  # type: ignore[no-untyped-call]  # the package declares no types
                known.metadata.authorization_endpoint,
                provider.client_id,
                "code",
                redirect_uri,
                SCOPE,
                state,
                nonce=attempt.nonce,
                code_challenge=create_s256_code_challenge(attempt.verifier),  # type: ignore[no-untyped-call]  # as above
                code_challenge_method="S256",
            )
        )

    async def exchange(self, provider: Provider, attempt: Attempt, returned: ReturnedCode) -> Claims:
        known = await self._describe(provider.issuer)
        if returned.issuer != provider.issuer and (
            returned.issuer or known.metadata.authorization_response_iss_parameter_supported
        ):
            raise _refused()  # RFC 9207: the answer is another provider's
        tokens = await self._tokens(known.metadata, provider, attempt, returned)
        claims = await self._verified(known, provider, attempt.nonce, tokens.id_token)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_MAX_CHARS:
            raise _refused()
        if "email" not in claims and known.metadata.userinfo_endpoint and tokens.access_token:
            told = await self._userinfo(known.metadata.userinfo_endpoint, tokens.access_token)
            if told.get("sub") != subject:
                raise _refused()
            claims = {**told, **claims}
        email = claims.get("email")
        return Claims(
            subject=subject,
            email=email.strip().lower() if isinstance(email, str) else "",
            email_verified=claims.get("email_verified") is True,
            given_name=_text(claims, "given_name") or _text(claims, "name"),
            family_name=_text(claims, "family_name") if _text(claims, "given_name") else "",
        )

    async def _describe(self, issuer: str) -> _Known:
        known = self.known.get(issuer)
        if known is not None and time.monotonic() - known.fetched < METADATA_SECONDS:
            return known
        answer = await self._call("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        metadata = _decode(answer, _Metadata)
        if metadata.issuer != issuer or not _is_like(metadata.authorization_endpoint, issuer):
            raise _refused()
        while len(self.known) >= CACHED_ISSUERS:
            self.known.pop(next(iter(self.known)))
        self.known[issuer] = fresh = _Known(metadata, time.monotonic())
        return fresh

    async def _keys(self, known: _Known, *, is_missing: bool = False) -> KeySet:
        age = time.monotonic() - known.keys_fetched
        if known.keys is None or age > (NEW_KEYS_SECONDS if is_missing else KEYS_SECONDS):
            found = _decode(await self._call("GET", known.metadata.jwks_uri), _Keys)
            usable = [
                key for key in found.keys if key.get("kty") in KEY_TYPES and key.get("use", "sig") == "sig"
            ]
            try:
                known.keys = KeySet.import_key_set({"keys": usable})  # type: ignore[typeddict-item]  # as it came
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise _refused() from error
            known.keys_fetched = time.monotonic()
        return known.keys

    async def _tokens(
        self, metadata: _Metadata, provider: Provider, attempt: Attempt, returned: ReturnedCode
    ) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": returned.code,
            "redirect_uri": returned.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers = {"accept": "application/json"}
        methods = metadata.token_endpoint_auth_methods_supported or ["client_secret_basic"]
        if "client_secret_basic" in methods:
            pair = f"{quote(provider.client_id, safe='')}:{quote(provider.secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": provider.client_id, "client_secret": provider.secret}
        return _decode(await self._call("POST", metadata.token_endpoint, headers, form), _Tokens)

    async def _userinfo(self, url: str, access_token: str) -> dict[str, object]:
        answer = await self._call("GET", url, {"authorization": f"Bearer {access_token}"})
        return _decode(answer, dict[str, object])

    async def _verified(
        self, known: _Known, provider: Provider, nonce: str, id_token: str
    ) -> dict[str, object]:
        try:
            kid = jws.extract_compact(id_token.encode()).headers().get("kid")
            keys = await self._keys(known)
            if kid not in {key.kid for key in keys.keys}:
                keys = await self._keys(known, is_missing=True)
            claims = jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": provider.issuer},
                aud={"essential": True, "value": provider.client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused() from error
        is_shared = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if is_shared else provider.client_id) != provider.client_id:
            raise _refused()
        return dict(claims)

    async def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        try:
            answer = await self.egress.request(
                method, url, deadline=CALL_SECONDS, max_bytes=ANSWER_MAX_BYTES, headers=headers, data=form
            )
        except OutcomeUnknown as error:
            raise _away() from error
        if answer.status >= 500:
            raise _away()
        if answer.status != 200:
            raise _refused()
        return answer


def _decode(answer: Response, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused() from error


def _is_like(address: str, issuer: str) -> bool:
    """Whether people may be sent there: as safe a scheme as the issuer's own."""
    url = urlsplit(address)
    return bool(url.hostname) and url.scheme in {"https", urlsplit(issuer).scheme}


def _refused() -> Forbidden:
    return Forbidden("sign_in_refused", "The provider's answer was not accepted. Begin again.")


def _away() -> UpstreamUnavailable:
    return UpstreamUnavailable("sign_in_unavailable", "The sign-in provider does not answer now.")


def _text(claims: Mapping[str, object], name: str) -> str:
    found = claims.get(name)
    return found.strip() if isinstance(found, str) else ""
