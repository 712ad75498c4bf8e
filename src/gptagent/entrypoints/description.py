"""The description of the API (OpenAPI 3.1): what FastAPI knows of it, and what holds for every operation."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from gptagent.entrypoints.authentication import BARE_PATHS
from gptagent.kernel.http import PROBLEM_TYPE
from gptagent.kernel.rest import FORM_TYPE, ApiRoute

API_PATH = "/api/v1/"
ABOUT = (
    "Send an access token or a key of the workspace as `Authorization: Bearer ...`. Unknown fields and "
    "parameters are refused. Lists come in pages: follow `next_cursor`. Errors are problem details "
    "(RFC 9457) with a stable `code`."
)
SECURITY = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "From `POST /api/v1/auth/login`; lasts ten minutes and belongs to one workspace.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "gpa_...",
        "description": "A key of a workspace; it may do what its scopes name.",
    },
}
PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "An error. `code` stays the same whatever the language of `title`.",
    "required": ["type", "title", "status", "code", "request_id"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "additionalProperties": False,
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
# What an error of this status means, and the codes any operation may give it.
PROBLEMS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request cannot be read.", ("malformed",)),
    401: (
        "No credential, or none that counts.",
        ("unauthenticated", "token_expired", "token_invalid", "key_invalid"),
    ),
    403: ("The credential does not allow this.", ("forbidden", "person_needed")),
    404: ("It does not exist, or it is not yours.", ("not_found",)),
    409: ("The state of things does not allow this.", ("idempotency_running",)),
    412: ("It has been changed since you read it.", ("precondition_failed",)),
    413: ("The request is too large.", ("too_large",)),
    415: ("The body is of another type than this takes.", ("content_type_unsupported",)),
    422: ("Fields are wrong; `errors` names each.", ("invalid", "idempotency_key_reused")),
    429: ("Too many requests; wait as long as `Retry-After` says.", ("rate_limited",)),
    503: ("It cannot be done now; wait as long as `Retry-After` says.", ("database_unavailable", "timeout")),
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request gets the first answer again for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "`ETag` of what you have: if it is still that, the answer is 304 without a body.",
    "schema": {"type": "string"},
}


def operation_id(route: APIRoute) -> str:
    """Return a name for the operation in generated clients: `agents_create`."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def install_description(app: FastAPI) -> None:
    """Replace the app's description by the completed one, made when it is first asked for."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # the documented way to extend it


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description of every operation below /api/v1."""
    found = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=_described(app))
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    found["components"]["securitySchemes"] = SECURITY
    found["security"] = [{name: []} for name in SECURITY]
    for path, method, route in operations(app):
        _complete(found["paths"][path][method], path, method, route, schemas)
    tags = sorted(
        {tag for methods in found["paths"].values() for one in methods.values() for tag in one["tags"]}
    )
    found["tags"] = [{"name": tag} for tag in tags]
    return found


def operations(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    """Yield path, method and route of every operation that is described."""
    for route in _described(app):
        for method in sorted(route.methods or ()):
            yield route.path_format, method.lower(), route


def _described(app: FastAPI) -> list[APIRoute]:
    """Return the routes of the API; of a page FastAPI would take the endpoint apart to leave it out."""
    return [one for one in app.routes if isinstance(one, APIRoute) and one.path.startswith(API_PATH)]


def _complete(
    operation: dict[str, Any], path: str, method: str, route: APIRoute, schemas: dict[str, Any]
) -> None:
    is_open = BARE_PATHS.fullmatch(path) is not None
    creates = isinstance(route, ApiRoute) and route.creates and not is_open
    if is_open:
        operation["security"] = []
    operation.setdefault("parameters", []).extend(
        ([IDEMPOTENCY_KEY] if creates else []) + ([IF_NONE_MATCH] if method == "get" else [])
    )
    form = operation.get("requestBody", {}).get("content", {}).get(FORM_TYPE)
    if form:
        schemas[form["schema"]["$ref"].rpartition("/")[2]]["additionalProperties"] = False
    responses = operation["responses"]
    responses.pop("422", None)
    for status in sorted(_statuses(operation, path, method, is_open=is_open)):
        responses[str(status)] = _problem(status)
    if method == "get":
        responses["304"] = {"description": "You have it already."}
    if method in {"get", "patch", "put"} and "200" in responses:
        responses["200"]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    if creates:
        responses["201"]["headers"] = {"Idempotency-Replayed": {"schema": {"const": "true"}}}


def _statuses(operation: Mapping[str, Any], path: str, method: str, *, is_open: bool) -> set[int]:
    """Return with which problems the operation may answer."""
    found = {401, 403, 422, 429, 503} | {int(one) for one in operation["responses"] if one.startswith("4")}
    if "{" in path or is_open or method == "post":
        found.add(404)
    if "requestBody" in operation:
        found |= {400, 413, 415}
    if method != "get":
        found.add(409)
    if any(parameter["name"] == "if-match" for parameter in operation["parameters"]):
        found.add(412)
    return found


def _problem(status: int) -> dict[str, Any]:
    meaning, codes = PROBLEMS[status]
    example = {
        "type": "about:blank",
        "title": meaning,
        "status": status,
        "code": codes[0],
        "request_id": "3b0f0c4a9d6e4d0f8a53c1f2b7e69a10",
    }
    response: dict[str, Any] = {
        "description": f"{meaning} Codes, among others: {', '.join(codes)}.",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
    if status in {429, 503}:
        response["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    return response
