"""The description of the API, and what comes of requests made from it by chance: never an error of ours."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acceptance.door import new_address
from acceptance.operations import BY_NAME, OPEN
from cast import make_scope
from gptagent.kernel.clock import utcnow

EXAMPLES = 12  # of each operation
ENDS_LOG_INS = "/account"
INTERNALS = (
    "Traceback",
    'File "',
    "asyncpg",
    "psycopg",
    "postgres",
    "pydantic",
    "site-packages",
    "/src/",
    "select ",
)

odd_texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "\0", " ", "x" * 300, "x" * 21_000, "../../x", "{name}", "%s%n", "<script>"]),
    st.sampled_from(["\u202e", "\ufffe", "e\u0301", "🦤" * 70, "null", "-1", "1e999", "NaN", "${jndi:x}"]),
    st.just("'; drop table app.agent; --"),
)
odd_numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63) - 1, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
)
odd_values = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_numbers, odd_texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=5,
)
# Hosts that exist nowhere: a request made by chance must reach nobody.
addresses = st.one_of(odd_texts.filter(lambda text: not text.strip().isalnum()), st.just("nobody.kommo.test"))


def fitting(schema, known, name=""):
    """Return values the schema allows."""
    if "$ref" in schema:
        return fitting(known[schema["$ref"].rpartition("/")[2]], known, name)
    if "anyOf" in schema:
        return st.one_of([fitting(choice, known, name) for choice in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "object":
        fields = {key: fitting(value, known, key) for key, value in schema.get("properties", {}).items()}
        required = {key: fields.pop(key) for key in schema.get("required", ())}
        return st.fixed_dictionaries(required, optional=fields)
    return addresses if name == "address" else LEAVES.get(schema.get("format", schema.get("type")), odd_texts)


LEAVES = {
    "date-time": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    "uuid": st.uuids().map(str),
    "integer": st.integers(),
    "boolean": st.booleans(),
    "null": st.none(),
    "number": odd_numbers,
}


def spoiled(values, *, name=""):
    """Return values of any kind; of an object, with one of its fields spoiled or one too many."""
    other = addresses if name == "address" else odd_values
    if not isinstance(values, dict):
        return other
    keys = st.sampled_from([*values, "address" if "address" in values else "is_admin"])
    return keys.flatmap(lambda key: spoiled(None, name=key).map(lambda value: {**values, key: value}))


@pytest.fixture(scope="module")
def description(web):
    """All operations are taken apart for it when it is first asked for."""
    return httpx2.get(f"{web.url}/api/v1/openapi.json", timeout=60).json()


def test_the_description_is_of_openapi_3_1_and_lists_the_api_and_nothing_else(description):
    """U201"""
    assert description["openapi"].startswith("3.1.")
    listed = {
        f"{method.upper()} {path}" for path, methods in description["paths"].items() for method in methods
    }
    assert listed == OPEN | BY_NAME.keys()


def test_every_body_is_described_as_closed(description):
    """Unknown fields are refused: a client can read that before it is told."""
    known = description["components"]["schemas"]
    for methods in description["paths"].values():
        for operation in methods.values():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                schema = known[content["schema"]["$ref"].rpartition("/")[2]]
                assert kind == "multipart/form-data" or schema["additionalProperties"] is False


def requests_of(description):
    """Return for each operation but uploads a strategy of (method, path, id, query, body)."""
    known = description["components"]["schemas"]
    made = []
    # What concerns one's own log-ins comes last: it ends them.
    for path, methods in sorted(description["paths"].items(), key=lambda item: ENDS_LOG_INS in item[0]):
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            allowed = fitting(body["schema"], known) if body else st.none()
            bodies = st.one_of(allowed, allowed.flatmap(spoiled)) if body else odd_values | st.none()
            query = {
                one["name"]: st.one_of(fitting(one["schema"], known), odd_texts)
                for one in operation.get("parameters", ())
                if one["in"] == "query"
            }
            ids = st.one_of(st.just(str(uuid4())), odd_texts)
            made.append(
                st.tuples(
                    st.just(method), st.just(path), ids, st.fixed_dictionaries({}, optional=query), bodies
                )
            )
    return made


def check(response):
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        problem = response.json()
        assert response.headers["content-type"] == "application/problem+json"
        assert problem["status"] == response.status_code and problem["code"] and problem["title"]
        assert not [word for word in INTERNALS if word in response.text], response.text


@pytest.fixture
async def owner(door, database, web):
    """Somebody of her own: what is asked by chance may end her log-ins."""
    later = utcnow() + timedelta(
        minutes=10
    )  # an access token lasts ten minutes, these requests may take longer
    zoe = await door.of(await make_scope(database, "Zoe's"), now=later)
    with httpx2.Client(base_url=web.url, headers=zoe.headers, timeout=60) as client:
        yield client


@pytest.mark.timeout(900)  # some thousands of requests
def test_no_request_made_by_chance_is_an_error_of_ours(description, owner):
    """SEC-6, SEC-11"""
    seen = set()

    def ask(request):
        method, path, some_id, query, body = request
        head, brace, tail = path.partition("{")
        address = head + (
            httpx2.QueryParams({"x": some_id}).__str__()[2:].replace("+", "%20") if brace else ""
        )
        address += tail.partition("}")[2]
        content = json.dumps(body).encode() if body is not None else None
        headers = {"content-type": "application/json", **new_address()}
        parameters = {key: str(value) for key, value in query.items()}
        response = owner.request(method, address, params=parameters, content=content, headers=headers)
        seen.add((method, path, response.status_code))
        check(response)

    for requests in requests_of(description):
        bounded = settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        bounded(given(requests)(ask))()
    assert {f"{method.upper()} {path}" for method, path, _status in seen} == OPEN | BY_NAME.keys()
    assert {200, 404, 422} <= {status for _method, _path, status in seen}
    inside = {status for _method, path, status in seen if ENDS_LOG_INS not in path and "/auth/" not in path}
    assert 401 not in inside


names = st.one_of(odd_texts, st.just("a.txt"), st.just("a.pdf"), st.just("a.docx"), st.just("a.exe"))


def test_no_upload_made_by_chance_is_an_error_of_ours(owner):
    """SEC-10"""

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(names, st.binary(max_size=200), st.sampled_from(["file", "file[]", "other"]))
    def send(name, content, field):
        check(owner.post("/api/v1/documents", files={field: (name, content)}))

    send()
