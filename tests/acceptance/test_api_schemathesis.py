"""Requests made from the description, right and wrong ones, with and without a credential.

No error of ours, no answer the description does not know, nothing in an answer it does not say.
"""

from http.cookiejar import DefaultCookiePolicy

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from acceptance.door import new_address
from acceptance.operations import BY_NAME, OPEN
from cast import make_scope

EXAMPLES = 12  # of each operation, sent with each kind of credential
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
async def zoe(door, database):
    """The owner of a workspace for what is made by chance."""
    return await door.of(await make_scope(database, "Zoe's"))


@pytest.fixture(scope="module")
def described(web):
    """The description, and a client whose address is another one each time: strangers are limited by it."""
    schema = schemathesis.openapi.from_url(f"{web.url}/api/v1/openapi.json")
    schema.config.update(base_url=web.url)
    return schema


@pytest.fixture(scope="module")
def connection():
    """One connection for all requests; nobody's cookies are kept."""
    with requests.Session() as session:
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield session


MODES = {"right": GenerationMode.POSITIVE, "wrong": GenerationMode.NEGATIVE}


# It takes no body, parameter or credential, so nothing about a request of it can be wrong.
PLAIN = "POST /api/v1/auth/passkey/options"
ASKED = [
    (name, kind)
    for name in sorted(OPEN | BY_NAME.keys())
    for kind in MODES
    if (name, kind) != (PLAIN, "wrong")
]


@pytest.mark.parametrize(("name", "kind"), ASKED)
def test_every_answer_is_one_the_description_knows(name, kind, described, connection, zoe):
    """SEC-11, U201: each request is made as a stranger and as the owner."""
    method, path = name.split()
    operation = described[path][method]
    asked = {"stranger": [], "owner": []}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=MODES[kind]))
    def ask(case):
        for who, answers in asked.items():
            headers = new_address() | (zoe.headers if who == "owner" else {})
            response = case.call(headers=headers, session=connection, timeout=60)
            case.validate_response(response, checks=CHECKS, headers=headers)
            answers.append(response.status_code)

    ask()
    assert asked["stranger"] and asked["owner"]
    if name not in OPEN:
        assert set(asked["stranger"]) == {401}
