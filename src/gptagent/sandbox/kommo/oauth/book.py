"""What was granted to whom: integrations, codes, token pairs."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from gptagent.sandbox.kommo.seed import SCOPES, sign_jwt
from gptagent.sandbox.kommo.state import Account, Token

Brand = Literal["kommo", "amocrm"]
API_DOMAINS: dict[str, str] = {"kommo": "api-c.kommo.test", "amocrm": "api-a.amocrm.test"}
PLATFORMS: dict[str, int] = {"amocrm": 1, "kommo": 2}
REFRESH_SECONDS = 90 * 86_400


@dataclass(slots=True)
class Integration:
    client_id: str
    client_secret: str
    redirect_uri: str
    brand: Brand
    name: str
    scopes: frozenset[str]
    disconnect_hook: str | None


@dataclass(slots=True)
class Code:
    value: str
    client_id: str
    account_id: int
    expires_at: float


@dataclass(slots=True)
class Pair:
    """`seen`: whether the access token was used; only then the pair before it is dead, in the grace mode."""

    access: Token
    refresh: str
    client_id: str
    account_id: int
    expires_at: float
    parent: str | None = None
    used: bool = False
    revoked: bool = False


@dataclass(slots=True)
class Counts:
    exchanged: int = 0
    refreshed: int = 0
    refused: int = 0


@dataclass(slots=True)
class Book:
    integrations: dict[str, Integration] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    counts: dict[int, Counts] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)  # old subdomain -> the status it answers with

    def count(self, account: Account) -> Counts:
        return self.counts.setdefault(account.id, Counts())

    def register(
        self,
        redirect_uri: str,
        brand: Brand = "kommo",
        *,
        name: str = "GPT Agent",
        scopes: frozenset[str] = SCOPES,
        disconnect_hook: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> Integration:
        made = Integration(
            client_id or str(uuid4()),
            client_secret or secrets.token_urlsafe(48),
            redirect_uri,
            brand,
            name,
            scopes,
            disconnect_hook,
        )
        self.integrations[made.client_id] = made
        return made

    def new_code(self, integration: Integration, account: Account) -> Code:
        life = account.knobs.code_seconds
        code = Code(secrets.token_hex(64), integration.client_id, account.id, time.time() + life)
        self.codes[code.value] = code
        return code

    def issue(self, integration: Integration, account: Account, parent: str | None = None) -> Pair:
        """Make an access token, which the account takes from now on, and its refresh token."""
        life = account.knobs.access_seconds
        ends = int(time.time()) + life
        domain = "amocrm.test" if integration.brand == "amocrm" else "kommo.test"
        claims: dict[str, object] = {
            "aud": integration.client_id,
            "jti": secrets.token_hex(32),
            "iat": int(time.time()),
            "nbf": int(time.time()),
            "exp": ends,
            "sub": str(account.main_user),
            "grant_type": "",
            "account_id": account.id,
            "base_domain": domain,
            "version": 2,
            "scopes": sorted(integration.scopes),
            "api_domain": API_DOMAINS[integration.brand],
        }
        access = Token(sign_jwt(claims), integration.scopes, ends)
        account.tokens[access.value] = access
        refresh = f"def50200{secrets.token_hex(300)}"
        pair = Pair(access, refresh, integration.client_id, account.id, time.time() + REFRESH_SECONDS, parent)
        self.pairs[refresh] = pair
        return pair

    def is_good(self, pair: Pair, account: Account) -> bool:
        """Whether a refresh token may be used now."""
        if pair.revoked or pair.expires_at < time.time() or pair.account_id != account.id:
            return False
        if not pair.used:
            return True
        return account.knobs.refresh_grace and not any(
            child.access.used for child in self.pairs.values() if child.parent == pair.refresh
        )

    def revoke(self, account: Account, client_id: str | None = None) -> None:
        """Let no token of the account's grants be good any more, or of one integration's."""
        for pair in self.pairs.values():
            if pair.account_id == account.id and client_id in {None, pair.client_id}:
                pair.revoked = pair.access.revoked = True


def account_by_id(accounts: dict[str, Account], wanted: int) -> Account | None:
    return next((account for account in accounts.values() if account.id == wanted), None)
