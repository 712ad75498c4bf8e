"""What a client may not decide, tried on every operation: made from the description, not from a list."""

from uuid import uuid4

import httpx2
import jsonschema_rs
import pytest

from acceptance.operations import BY_NAME, OPERATIONS
from cast import make_scope
from gptagent.features.agents import service as agents

WITH_JSON = [operation for operation in OPERATIONS if "json" in operation.body]
WITH_NOTHING = [one for one in OPERATIONS if not one.body and one.method in {"POST", "PUT", "DELETE"}]
NEVER = {"org_id", "organization_id", "is_admin", "is_platform_admin", "permissions", "person_id", "key_hash"}

# Lists of a person's own log-ins and passkeys, of sign-in providers and keys of the platform: they are short.
WHOLE = {f"GET /api/v1/account/{name}" for name in ("sessions", "grants", "passkeys")}
WHOLE |= {"GET /api/v1/integrations"}  # 20 at the most
WHOLE |= {"GET /api/v1/sign-in-providers", "GET /api/v1/admin/keys", "GET /api/v1/account/sign-in-providers"}
# Who belongs to one workspace, and to which ones a person does: 200 at the most.
WHOLE |= {
    "GET /api/v1/admin/organizations/{number}/members",
    "GET /api/v1/admin/people/{person_id}/workspaces",
}
# An account of the CRM has 50 at the most.
WHOLE |= {"GET /api/v1/connections/{connection_id}/pipelines"}
# Of a customer 100 things are remembered at the most.
WHOLE |= {"GET /api/v1/conversations/{conversation_id}/memories"}
WHOLE |= {"GET /api/v1/articles/{article_id}/files"}  # ten at the most
WHOLE |= {"GET /api/v1/knowledge-gaps/shares"}  # a row for each week
WHOLE |= {"GET /api/v1/agent-templates"}  # five, of the platform's own
WHOLE |= {"GET /api/v1/agents/{agent_id}/diff"}  # one for each setting at the most
WHOLE |= {"GET /api/v1/test-chats/{chat_id}/suggestions"}  # four at the most
# A customer's wish counts, whatever was said since it was read.
UNCONDITIONAL = {
    "DELETE /api/v1/privacy/customers/{conversation_id}",
    "DELETE /api/v1/conversations/{conversation_id}/memories",
    "DELETE /api/v1/articles/{article_id}/files/{file_id}",  # a file never changes
}
WHOLE |= {"GET /api/v1/privacy/customers"}  # a search: the best matches, never a list of all


@pytest.fixture(scope="module")
def description(web):
    """All operations are taken apart for it when it is first asked for."""
    return httpx2.get(f"{web.url}/api/v1/openapi.json", timeout=60).json()


@pytest.fixture(scope="module")
async def owners_door(door, database):
    return await door.of(await make_scope(database, "Only owner's"))


@pytest.fixture
async def only_owner(owners_door):
    """Nobody else belongs to this workspace: of Alice's others may be owners, who let her leave it."""
    await owners_door.keep_open()
    return owners_door


def body_of(description, operation):
    """Return the schema of what the operation takes as JSON."""
    found = description["paths"][operation.route][operation.method.lower()]["requestBody"]["content"]
    return named(description, found["application/json"]["schema"])


def named(description, schema):
    return description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def told(description):
    """Return the name of every field that any answer has."""
    schemas = description["components"]["schemas"].items()
    return {field for name, one in schemas if name.endswith("Out") for field in one.get("properties", {})}


def pointers(response):
    return {fault["pointer"] for fault in response.json().get("errors", ())}


def parameters(description, kind):
    """Yield operation and name of each parameter or body field that holds an id."""
    for operation in OPERATIONS:
        found = description["paths"][operation.route][operation.method.lower()]
        for one in found["parameters"]:
            if one["in"] == "query" and '"uuid"' in str(one["schema"]).replace("'", '"'):
                yield operation, "params", one["name"]
        if "json" in operation.body:
            for name, schema in body_of(description, operation)["properties"].items():
                if '"uuid"' in str(schema).replace("'", '"'):
                    yield operation, "json", name


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda operation: operation.name)
async def test_no_field_of_an_answer_can_be_set_unless_the_operation_takes_it(operation, description, alice):
    """SEC-11: mass assignment"""
    own = body_of(description, operation)["properties"].keys()
    forbidden = (told(description) | NEVER) - own
    assert forbidden >= NEVER
    body = operation.options()["json"] | dict.fromkeys(forbidden, str(uuid4()))
    response = await alice(operation.method, operation.path, json=body)
    assert response.status_code == 422, response.text
    assert {f"/{name}" for name in forbidden} <= pointers(response)


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda operation: operation.name)
@pytest.mark.parametrize("body", [[], [{}], "name", 1, True, None, [[[[]]]]], ids=repr)
async def test_a_body_that_is_no_object_is_invalid(operation, body, alice):
    response = await alice(operation.method, operation.path, json=body)
    assert response.status_code == 422, response.text


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda operation: operation.name)
async def test_an_object_in_the_place_of_a_value_is_invalid(operation, description, alice):
    """SEC-11: operators of other databases, keys of objects"""
    own = body_of(description, operation)["properties"]
    body = operation.options()["json"]
    for name in own:
        if own[name].get("type") == "object":
            continue  # what a browser made, taken as it is
        for odd in ({"$ne": None}, {"__proto__": {"is_admin": True}}, [{"$gt": ""}]):
            response = await alice(operation.method, operation.path, json={**body, name: odd})
            assert response.status_code == 422, (name, odd, response.text)
            assert any(pointer.startswith(f"/{name}") for pointer in pointers(response))


async def test_an_id_of_another_workspace_in_a_parameter_or_body_is_as_one_of_nobody(
    description, alice, door, database
):
    """TEN-2, TEN-3"""
    other = await make_scope(database, "Charlie's")
    async with database.session(other) as session:
        theirs = (await agents.create_agent(session, "Charlie's agent", locale="en")).id
    places = list(parameters(description, "uuid"))
    assert ("GET /api/v1/conversations", "params", "connection_id") in {
        (operation.name, place, name) for operation, place, name in places
    }
    for operation, place, name in places:
        answers = []
        for value in (theirs, other.org_id, uuid4()):
            options = operation.options()
            options[place] = {**options.get(place, {}), name: str(value)}
            answer = await alice(operation.method, operation.path, **options)
            told_back = answer.json() if answer.headers["content-type"].endswith(("/json", "+json")) else {}
            answers.append((answer.status_code, told_back.get("code"), len(told_back.get("items", ()))))
        assert len(set(answers)) == 1, (operation.name, name, answers)


@pytest.mark.parametrize("operation", WITH_NOTHING, ids=lambda operation: operation.name)
async def test_a_body_nobody_asked_for_decides_nothing(operation, only_owner):
    plain = await only_owner(operation.method, operation.path)
    stuffed = await only_owner(
        operation.method, operation.path, json={"org_id": str(uuid4()), "is_admin": True}
    )
    assert stuffed.status_code == plain.status_code


def test_the_examples_of_bodies_are_right(description):
    shown = {
        name: schema
        for name, schema in description["components"]["schemas"].items()
        if schema.get("examples") and "additionalProperties" in schema
    }
    assert {"NewAgentBody", "NewApiKeyBody", "LoginBody", "ArticlePatch"} <= shown.keys()
    for schema in shown.values():
        for example in schema["examples"]:
            jsonschema_rs.validate({**schema, "components": description["components"]}, example)


def test_an_operation_says_all_there_is_to_know(description):
    """MIS-8"""
    ids = set()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            assert operation["summary"] and operation["operationId"] and operation["tags"], name
            ids.add(operation["operationId"])
            responses = operation["responses"]
            assert {"401", "422", "429", "503"} <= responses.keys(), name
            for status, response in responses.items():
                if status[0] in "45":
                    (kind,) = response["content"]
                    assert kind == "application/problem+json" and response["content"][kind]["example"]["code"]
            if name in BY_NAME:
                check_shared(name, operation, named_answer(description, responses), "get" in methods)
    assert len(ids) == sum(len(methods) for methods in description["paths"].values())
    assert {"accessToken", "apiKey"} == description["components"]["securitySchemes"].keys()


def named_answer(description, responses):
    content = next(
        (one["content"] for status, one in responses.items() if status == "200" and "content" in one), {}
    )
    schema = content.get("application/json", {}).get("schema", {})
    return named(description, schema)["properties"] if "$ref" in schema else {}


def check_shared(name, operation, answer, is_object):
    """What every operation of its kind has; a router made by `api_router` and `page_of` has it."""
    method, path = name.split()
    given = {one["name"].lower() for one in operation["parameters"]}
    if method == "POST" and "201" in operation["responses"]:
        assert "idempotency-key" in given, f"{name}: make its router by api_router"
    if "items" in answer and name not in WHOLE:
        assert {"limit", "cursor", "sort"} <= given and "next_cursor" in answer, f"{name}: page_of"
    if method in {"PATCH", "PUT", "DELETE"} and is_object and "{" in path and name not in UNCONDITIONAL:
        assert "if-match" in given, f"{name}: take a CurrentMatch"
    if method == "GET":
        assert "ETag" in operation["responses"]["200"]["headers"]
