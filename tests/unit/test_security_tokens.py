"""A token cannot bring its own key along."""

import os

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from unit.test_access_tokens import code_of, forge

MINE = os.urandom(32)
JWK = OctKey.import_key(MINE).as_dict()


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": JWK},
        {"jku": "https://evil.test/keys.json"},
        {"x5u": "https://evil.test/chain.pem"},
        {"kid": "../../../../dev/null"},
        {"kid": "mine", "jwk": JWK | {"kid": "mine"}},
    ],
)
def test_no_key_or_address_of_a_key_in_a_token_is_looked_at(header):
    assert jwt.decode(forge({"alg": "HS256"} | header, key=MINE), OctKey.import_key(MINE)).claims
    assert code_of(forge({"alg": "HS256"} | header, key=MINE)) == "token_invalid"
