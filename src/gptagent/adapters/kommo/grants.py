"""OAuth of Kommo and amoCRM: the consent page, the token endpoint, and where an account is.

The token endpoint stands on the account's own host (amocrm.ru/developers, oauth/step-by-step). That host
comes from the vendor's redirect or from a token; both are checked like anything from the wire.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import Call, KommoClient, no_answer
from gptagent.adapters.kommo.tree import as_int, as_map, as_text
from gptagent.features.crm.connecting.model import Credentials, TokenFacts, TokenPair
from gptagent.features.crm.model import Brand, CrmLink, brand_of
from gptagent.kernel.errors import Forbidden, Invalid, NotFound

CONSENT_HOSTS: Mapping[Brand, str] = {"kommo": "www.kommo.com", "amocrm": "www.amocrm.ru"}
MAX_TOKEN_CHARS = 8_000
MAX_LIFE_SECONDS = 366 * 86_400
MAX_EXPIRY = 253_402_300_799  # the last second of the year 9999
# How the endpoint refuses a code or refresh token that is used up, wrong keys, an account that is no more.
_REFUSALS = ("crm_rejected", "crm_unauthorized", "crm_scope", "crm_not_found", "crm_payment_required")


class KommoGrants:
    """Implements `GrantsPort`."""

    _client: KommoClient

    def consent_url(self, brand: Brand, client_id: str, state: str) -> str:
        """There is no redirect address and no scope in it: both are properties of the integration."""
        query = urlencode({"client_id": client_id, "state": state, "mode": "post_message"})
        if self._client.sandbox_url is not None:  # a browser cannot resolve the sandbox's hosts
            return f"{self._client.sandbox_url}/_www/{brand}/oauth?{query}"
        return f"https://{CONSENT_HOSTS[brand]}/oauth?{query}"

    def account_host(self, referer: str, brand: Brand) -> str:
        host = referer.lower()
        if not self._client.knows_host(host) or brand_of(host) != brand:
            raise Invalid("crm_host_refused", "This is no address of a Kommo or amoCRM account.")
        return host

    def read_token(self, token: str) -> TokenFacts:
        claims = as_map(wire.claims(token))
        scopes, ends = claims.get("scopes"), as_int(claims.get("exp"))
        return TokenFacts(
            client_id=as_text(claims.get("aud")) or None,
            account_id=as_int(claims.get("account_id")),
            expires_at=datetime.fromtimestamp(ends, UTC) if ends and 0 < ends < MAX_EXPIRY else None,
            scopes=tuple(filter(None, map(as_text, scopes))) if isinstance(scopes, list) else None,
            api_domain=as_text(claims.get("api_domain")) or None,
        )

    async def exchange_code(
        self, link: CrmLink, keys: Credentials, code: str, redirect_uri: str
    ) -> TokenPair:
        given = {"grant_type": "authorization_code", "code": code}
        return await self._token_call("exchange_code", link, keys, given, redirect_uri)

    async def renew_pair(
        self, link: CrmLink, keys: Credentials, refresh: str, redirect_uri: str
    ) -> TokenPair:
        given = {"grant_type": "refresh_token", "refresh_token": refresh}
        return await self._token_call("renew_token", link, keys, given, redirect_uri)

    async def find_host(self, link: CrmLink, refresh: str) -> str | None:
        domain = (self.read_token(link.token).api_domain or "").lower()
        if not self._client.knows_host(domain) or brand_of(domain) != brand_of(link.host):
            return None
        call = Call(
            "find_host",
            "/account/current/subdomain",
            root="/oauth2",
            headers={"x-refresh-token": refresh},
        )
        try:
            body = as_map(await self._client.fetch_once(_at(link, domain), call))
        except (Forbidden, NotFound):
            return None
        host = as_text(body.get("domain")).lower()
        known = link.account_id is None or as_int(body.get("id")) == link.account_id
        good = known and self._client.knows_host(host) and brand_of(host) == brand_of(link.host)
        return host if good else None

    async def has_moved(self, link: CrmLink) -> bool:
        try:
            await self._client.fetch_once(link, Call("fetch_account", "/account"))
        except NotFound:
            return True
        except Forbidden:  # somebody answers there; whether the token is good is another question
            return False
        return False

    async def _token_call(
        self, name: str, link: CrmLink, keys: Credentials, given: Mapping[str, str], redirect_uri: str
    ) -> TokenPair:
        body = {
            "client_id": keys.client_id,
            "client_secret": keys.secret,
            **given,
            "redirect_uri": redirect_uri,  # needed in both, and equal to the integration's to the letter
        }
        call = Call(name, "/access_token", "POST", json=body, root="/oauth2", headers={"accept": "*/*"})
        try:
            answer = as_map(await self._client.fetch_once(link, call))
        except (Forbidden, NotFound, Invalid) as error:
            if error.code not in _REFUSALS:
                raise
            raise Forbidden(
                "crm_grant_refused", "The CRM does not accept this access. Begin again."
            ) from error
        pair = _read_pair(answer)
        if pair is None:
            raise no_answer(is_write=True)  # a refresh token may be used up by now
        return pair


def _at(link: CrmLink, host: str) -> CrmLink:
    return CrmLink(link.org_id, link.connection_id, host, link.token, link.account_id)


def _read_pair(answer: Mapping[str, object]) -> TokenPair | None:
    access, refresh = as_text(answer.get("access_token")), as_text(answer.get("refresh_token"))
    life = as_int(answer.get("expires_in")) or 0
    usable = all(0 < len(text) <= MAX_TOKEN_CHARS and text.isascii() for text in (access, refresh))
    if not usable or not 0 < life <= MAX_LIFE_SECONDS:
        return None
    return TokenPair(access, refresh, timedelta(seconds=life))
