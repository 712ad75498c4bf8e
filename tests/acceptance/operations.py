"""Every operation of the API with the right it needs and a body it accepts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from gptagent.features.organizations.policy import (
    EDIT_AGENTS,
    EDIT_KNOWLEDGE,
    MANAGE_CONNECTIONS,
    MANAGE_PRIVACY,
    VIEW,
    WORK_CONVERSATIONS,
)

V1 = "/api/v1"
PERSON = "a person"  # about whoever asks: needs no right of a workspace, and no key has it
OPEN = {f"POST {V1}/auth/register", f"POST {V1}/auth/login", f"POST {V1}/auth/refresh"}
OPEN = {
    f"POST {V1}/auth/register",
    f"POST {V1}/auth/login",
    f"POST {V1}/auth/refresh",
    f"POST {V1}/auth/reset-password/request",
    f"POST {V1}/auth/reset-password/confirm",
    f"POST {V1}/auth/verify-email",
    f"POST {V1}/auth/change-email",
}


@dataclass(frozen=True)
class Operation:
    """`body` returns the options of a request that is right in all but the id, which names nothing."""

    name: str
    needs: str
    body: Mapping[str, object] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return self.name.split()[0]

    @property
    def path(self) -> str:
        """Return an address whose ids are well-formed and of nothing."""
        return "/".join(str(uuid4()) if part.startswith("{") else part for part in self.route.split("/"))

    @property
    def route(self) -> str:
        return self.name.split()[1]

    def options(self) -> dict[str, object]:
        """Return the request's body; names in it are new each time."""
        json = self.body.get("json")
        fresh = {k: _fresh(v) for k, v in json.items()} if isinstance(json, dict) else None
        files = self.body.get("files")
        return {k: v for k, v in {"json": fresh, "files": files}.items() if v is not None}


def _fresh(value: object) -> object:
    return value.replace("#", uuid4().hex) if isinstance(value, str) else value


AGENT, ARTICLE, DOCUMENT = "agents/{agent_id}", "articles/{article_id}", "documents/{document_id}"
CONNECTION, CONVERSATION = "connections/{connection_id}", "conversations/{conversation_id}"

OPERATIONS = tuple(
    Operation(f"{method} {V1}/{path}", needs, body)
    for method, path, needs, body in (
        ("GET", "account", PERSON, {}),
        ("PATCH", "account", PERSON, {"json": {"full_name": "Name #"}}),
        ("GET", "account/avatar", PERSON, {}),
        ("PUT", "account/avatar", PERSON, {"files": {"file": ("me.png", b"not a picture")}}),
        ("DELETE", "account/avatar", PERSON, {}),
        ("POST", "account/password", PERSON, {"json": {"current_password": "x", "new_password": "y"}}),
        ("POST", "account/confirmation", PERSON, {"json": {"password": "not the right one"}}),
        ("GET", "account/sessions", PERSON, {}),
        ("DELETE", "account/sessions", PERSON, {}),
        ("DELETE", "account/sessions/{session_id}", PERSON, {}),
        ("GET", "account/grants", PERSON, {}),
        ("DELETE", "account/grants/{grant_id}", PERSON, {}),
        ("POST", "account/totp", PERSON, {}),
        ("POST", "account/totp/confirm", PERSON, {"json": {"code": "000000"}}),
        ("DELETE", "account/totp", PERSON, {}),
        ("POST", "account/recovery-codes", PERSON, {}),
        ("GET", "account/passkeys", PERSON, {}),
        ("POST", "account/passkeys", PERSON, {"json": {"name": "Mine", "credential": {}}}),
        ("POST", "account/passkeys/options", PERSON, {}),
        ("DELETE", "account/passkeys/{passkey_id}", PERSON, {}),
        ("POST", "me/email", VIEW, {"json": {"email": "#@example.test", "password": "not the right one"}}),
        ("POST", "me/email/verification", VIEW, {}),
        ("GET", "agents", VIEW, {}),
        ("POST", "agents", EDIT_AGENTS, {"json": {"name": "Agent #"}}),
        ("GET", AGENT, VIEW, {}),
        ("PATCH", AGENT, EDIT_AGENTS, {"json": {"name": "Agent #"}}),
        ("DELETE", AGENT, EDIT_AGENTS, {}),
        ("GET", "articles", VIEW, {}),
        ("POST", "articles", EDIT_KNOWLEDGE, {"json": {"title": "Title", "content": "Long enough a text."}}),
        ("GET", ARTICLE, VIEW, {}),
        ("PATCH", ARTICLE, EDIT_KNOWLEDGE, {"json": {"title": "Title"}}),
        ("DELETE", ARTICLE, EDIT_KNOWLEDGE, {}),
        ("GET", "documents", VIEW, {}),
        ("POST", "documents", EDIT_KNOWLEDGE, {"files": {"file": ("list.txt", b"Apples and pears.")}}),
        ("GET", DOCUMENT, VIEW, {}),
        ("POST", f"{DOCUMENT}/retry", EDIT_KNOWLEDGE, {}),
        ("DELETE", DOCUMENT, EDIT_KNOWLEDGE, {}),
        ("GET", "connections", VIEW, {}),
        ("POST", "connections", MANAGE_CONNECTIONS, {"json": {"address": "nobody.kommo.test", "token": "t"}}),
        ("GET", CONNECTION, VIEW, {}),
        ("DELETE", CONNECTION, MANAGE_CONNECTIONS, {}),
        ("GET", "conversations", VIEW, {}),
        ("GET", CONVERSATION, VIEW, {}),
        ("GET", f"{CONVERSATION}/messages", VIEW, {}),
        ("PUT", f"{CONVERSATION}/takeover", WORK_CONVERSATIONS, {}),
        ("DELETE", f"{CONVERSATION}/takeover", WORK_CONVERSATIONS, {}),
        ("GET", "privacy/retention", MANAGE_PRIVACY, {}),
        ("PATCH", "privacy/retention", MANAGE_PRIVACY, {"json": {}}),
        ("GET", "privacy/customers", MANAGE_PRIVACY, {}),
        ("GET", "privacy/customers/{conversation_id}", MANAGE_PRIVACY, {}),
        ("DELETE", "privacy/customers/{conversation_id}", MANAGE_PRIVACY, {}),
        ("GET", "account/export", VIEW, {}),
        ("POST", "account/erase", VIEW, {"json": {"proof": "# is not it"}}),
    )
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
