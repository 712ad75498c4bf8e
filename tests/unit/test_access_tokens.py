"""Access tokens: ten minutes, one algorithm, one workspace."""

import os
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import Unauthenticated
from gptagent.kernel.ids import new_id

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
VAULT = Vault([os.urandom(32)])
TOKENS = AccessTokens(VAULT)
CLAIMS = AccessClaims(new_id(), new_id(), new_id())


def forge(header=None, key=None, **changes):
    payload = {
        "iss": "gptagent", "sub": str(CLAIMS.person_id), "org": str(CLAIMS.org_id), "iat": 0,
        "aud": "gptagent-api", "sid": str(CLAIMS.grant_id), "exp": int(NOW.timestamp()) + 600,
    } | changes  # fmt: skip
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(
        {"typ": "at+jwt"} | (header or {"alg": "HS256"}),
        payload,
        OctKey.import_key(key or VAULT.derive("access-token")),
        algorithms=["HS256", "HS512"],
    )


def code_of(token, now=NOW):
    with pytest.raises(Unauthenticated) as refused:
        TOKENS.read(token, now=now)
    return refused.value.code


def test_a_token_names_its_person_and_workspace_for_ten_minutes():
    """AUTH-20"""
    token = TOKENS.issue(CLAIMS, now=NOW)
    assert TOKENS.read(token, now=NOW) == CLAIMS
    assert TOKENS.read(token, now=NOW + timedelta(minutes=9, seconds=59)) == CLAIMS
    assert code_of(token, NOW + timedelta(minutes=10)) == "token_expired"


def test_the_forger_of_these_tests_makes_good_tokens_if_it_wants_to():
    assert TOKENS.read(forge(), now=NOW) == CLAIMS


@pytest.mark.parametrize(
    "token",
    [
        forge({"alg": "HS512"}),
        forge(key=os.urandom(32)),
        forge(sub=None),
        forge(org=None),
        forge(sid=None),
        forge(sid="none"),
        forge(exp=None),
        forge(iss=None),
        forge(aud=None),
        forge(aud="another-service"),
        forge(aud=["gptagent-api", "another-service"]),
        forge({"alg": "HS256", "typ": "JWT"}),
        forge({"alg": "HS256", "typ": ""}),
        forge(sub="7"),
        forge(exp="soon"),
        forge(exp=[1]),
        "",
        "a.b.c",
        "....",
        "не токен",
        "\0",
    ],
)
def test_a_token_that_is_not_ours_is_refused(token):
    """AUTH-20"""
    assert code_of(token) == "token_invalid"


def test_a_token_of_another_issuer_or_key_purpose_is_refused():
    assert code_of(forge(iss="somebody")) == "token_expired"
    assert code_of(forge(key=VAULT.derive("other"))) == "token_invalid"


def test_an_unsigned_token_is_refused():
    part = lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("=")  # noqa: E731 - one expression, used twice
    body = forge().split(".")[1]
    for header in ('{"alg":"none"}', '{"alg":"None","typ":"JWT"}'):
        assert code_of(f"{part(header)}.{body}.") == "token_invalid"


def test_every_changed_character_is_noticed():
    token = TOKENS.issue(CLAIMS, now=NOW)
    for place in range(0, len(token) - 1, 3):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert code_of(changed) == "token_invalid"


def test_a_token_of_an_older_key_is_good_until_that_key_is_dropped():
    """SEC-7"""
    old, new = os.urandom(32), os.urandom(32)
    token = AccessTokens(Vault([old])).issue(CLAIMS, now=NOW)
    assert AccessTokens(Vault([new, old])).read(token, now=NOW) == CLAIMS
    with pytest.raises(Unauthenticated):
        AccessTokens(Vault([new])).read(token, now=NOW)


@pytest.mark.parametrize("kid", ["", "0" * 16, "../../dev/null", Vault([os.urandom(32)]).fingerprint])
def test_a_token_that_names_no_key_of_ours_is_none(kid):
    assert code_of(forge({"alg": "HS256", "kid": kid})) == "token_invalid"
