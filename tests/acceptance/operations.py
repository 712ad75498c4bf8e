"""Every operation of the API with the right it needs and a body it accepts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from gptagent.features.organizations.policy import (
    EDIT_AGENTS,
    EDIT_KNOWLEDGE,
    MANAGE_API_KEYS,
    MANAGE_CONNECTIONS,
    MANAGE_MEMBERS,
    MANAGE_PRIVACY,
    MANAGE_WORKSPACE,
    OWN_WORKSPACE,
    PLATFORM_IMPERSONATE,
    PLATFORM_MANAGE,
    PLATFORM_VIEW,
    READ_ATTACHMENTS,
    READ_AUDIT,
    READ_EXPLANATIONS,
    VIEW,
    WORK_CONVERSATIONS,
)

V1 = "/api/v1"
PERSON = "a person"  # about whoever asks: needs no right of a workspace, and no key has it
OPEN = {
    f"POST {V1}/auth/register",
    f"POST {V1}/auth/invitation",
    f"POST {V1}/auth/login",
    f"POST {V1}/auth/passkey/options",
    f"POST {V1}/auth/passkey",
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
        filled = dict.fromkeys(("{number}", "{lead_id}", "{contact_id}", "{version}"), "999999999")
        parts = (
            filled.get(part, str(uuid4()) if part[:1] == "{" else part) for part in self.route.split("/")
        )
        return "/".join(parts)

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
AGENT_FILE = f"{AGENT}/files/{{file_id}}"
ONE_ARTICLE = b"title,content\r\nTaken,Long enough a text.\r\n"
KEY, CATEGORY = "api-keys/{key_id}", "categories/{category_id}"
QUESTION = "knowledge-questions/{question_id}"
KEY, CATEGORY, SITE = "api-keys/{key_id}", "categories/{category_id}", "sites/{site_id}"
ENTITY, FACT = "graph/entities/{entity_id}", "graph/entities/{entity_id}/facts/{fact_id}"
SAID = {"json": {"attribute": "price", "value": "490 roubles"}}
MEMBER, INVITATION = "members/{person_id}", "invitations/{invitation_id}"
INTEGRATION = {"brand": "kommo", "client_id": "client-#", "client_secret": "secret"}
TASK = {"text": "Call", "due_at": "2099-01-31T12:00:00Z"}
BUDGETS = {"json": {"workspace": {"month_cents": 5000}, "contact": {}, "when_exhausted": "quote"}}
GAP = "knowledge-gaps/{gap_id}"
ASSIGNED = {"json": {"assignee_id": str(UUID(int=1))}}
DRAFT = "knowledge-drafts/{draft_id}"
ONE_QUESTION = b"text\r\nTaken?\r\n"
FINDING = "knowledge-checks/findings/{finding_id}/dismissal"
SCENARIO, SCENARIO_RUN = "scenarios/{scenario_id}", "scenario-runs/{run_id}"
OF_AGENT = {"json": {"agent_id": str(UUID(int=1))}}
WRITTEN = {"name": "Scenario #", "messages": ["When?"], "checks": [{"subject": "contains", "value": "x"}]}
NO_SCENARIOS = b'{"format": "gptagent.scenarios", "version": 1, "scenarios": []}'
TEST_CHAT = "test-chats/{chat_id}"
TESTED = {"json": {"agent_id": str(UUID(int=1)), "title": "Delivery"}}
CONNECTION, CONVERSATION = "connections/{connection_id}", "conversations/{conversation_id}"

PLACE, WHO = "admin/organizations/{number}", "admin/people/{person_id}"
WHY = {"json": {"reason": "They asked for it."}}
EYES = {"json": {"workspace": 1, "reason": "They asked for it."}}
REMEMBERED = {"json": {"kind": "fact", "text": "Likes tea."}}
PROVIDER = "sign-in-providers/{provider_id}"
PROVIDER_BODY = {"name": "#", "issuer": "https://127.0.0.1:9/#", "client_id": "#", "client_secret": "#"}

OPERATIONS = tuple(
    Operation(f"{method} {V1}/{path}", needs, body)
    for method, path, needs, body in (
        ("GET", "workspaces", VIEW, {}),
        ("POST", "workspaces", VIEW, {"json": {"name": "Workspace #"}}),
        ("POST", "workspaces/join", VIEW, {"json": {"token": "#"}}),
        ("GET", "workspace", VIEW, {}),
        ("PATCH", "workspace", MANAGE_WORKSPACE, {"json": {"name": "Alice's #"}}),
        ("PUT", "workspace/deletion", OWN_WORKSPACE, {"json": {"name": "not its name, #"}}),
        ("DELETE", "workspace/deletion", OWN_WORKSPACE, {}),
        ("GET", "members", VIEW, {}),
        ("GET", MEMBER, VIEW, {}),
        ("PATCH", MEMBER, MANAGE_MEMBERS, {"json": {"role": "viewer"}}),
        ("DELETE", MEMBER, MANAGE_MEMBERS, {}),
        ("GET", "invitations", MANAGE_MEMBERS, {}),
        ("POST", "invitations", MANAGE_MEMBERS, {"json": {"role": "viewer", "email": "#@example.test"}}),
        ("GET", INVITATION, MANAGE_MEMBERS, {}),
        ("POST", f"{INVITATION}/resend", MANAGE_MEMBERS, {}),
        ("DELETE", INVITATION, MANAGE_MEMBERS, {}),
        ("GET", "account", PERSON, {}),
        ("PATCH", "account", PERSON, {"json": {"given_name": "Name #"}}),
        ("GET", "account/avatar", PERSON, {}),
        ("PUT", "account/avatar", PERSON, {"files": {"file": ("me.png", b"not a picture")}}),
        ("DELETE", "account/avatar", PERSON, {}),
        ("POST", "account/password", PERSON, {"json": {"current_password": "x", "new_password": "y"}}),
        ("POST", "account/confirmation", PERSON, {"json": {"password": "not the right one"}}),
        ("POST", "account/confirmation/options", PERSON, {}),
        ("GET", "account/sign-in-providers", PERSON, {}),
        ("DELETE", "account/sign-in-providers/{provider_id}", PERSON, {}),
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
        ("GET", "api-keys", MANAGE_API_KEYS, {}),
        ("POST", "api-keys", MANAGE_API_KEYS, {"json": {"name": "Key #", "scopes": ["view"]}}),
        ("GET", KEY, MANAGE_API_KEYS, {}),
        ("DELETE", KEY, MANAGE_API_KEYS, {}),
        (
            "POST",
            "account/email",
            VIEW,
            {"json": {"email": "#@example.test", "password": "not the right one"}},
        ),
        ("POST", "account/email/verification", VIEW, {}),
        ("GET", "sign-in-providers", OWN_WORKSPACE, {}),
        ("POST", "sign-in-providers", OWN_WORKSPACE, {"json": PROVIDER_BODY}),
        ("PUT", PROVIDER, OWN_WORKSPACE, {"json": PROVIDER_BODY}),
        ("DELETE", PROVIDER, OWN_WORKSPACE, {}),
        ("POST", f"{PROVIDER}/test", OWN_WORKSPACE, {}),
        ("GET", "agents", VIEW, {}),
        ("POST", "agents", EDIT_AGENTS, {"json": {"name": "Agent #"}}),
        ("GET", "agent-templates", VIEW, {}),
        (
            "POST",
            "agents/import",
            EDIT_AGENTS,
            {"json": {"format": "gptagent.agent", "name": "Agent #", "settings": {"goal": "A visit"}}},
        ),
        ("GET", f"{AGENT}/export", VIEW, {}),
        ("POST", "agents/bulk", EDIT_AGENTS, {"json": {"ids": [], "action": "activate"}}),
        ("POST", f"{AGENT}/copy", EDIT_AGENTS, {}),
        ("GET", f"{AGENT}/draft", VIEW, {}),
        ("PATCH", f"{AGENT}/draft", EDIT_AGENTS, {"json": {"goal": "Goal #"}}),
        ("DELETE", f"{AGENT}/draft", EDIT_AGENTS, {}),
        ("GET", f"{AGENT}/versions", VIEW, {}),
        ("POST", f"{AGENT}/versions", EDIT_AGENTS, {"json": {"note": "Note #"}}),
        ("GET", f"{AGENT}/versions/{{version}}", VIEW, {}),
        ("POST", f"{AGENT}/versions/{{version}}/restore", EDIT_AGENTS, {}),
        ("GET", f"{AGENT}/diff", VIEW, {}),
        ("GET", f"{AGENT}/files", VIEW, {}),
        ("POST", f"{AGENT}/files", EDIT_AGENTS, {"files": {"file": ("own.txt", b"Its own text.")}}),
        ("GET", AGENT_FILE, VIEW, {}),
        ("POST", f"{AGENT_FILE}/retry", EDIT_AGENTS, {}),
        ("DELETE", AGENT_FILE, EDIT_AGENTS, {}),
        ("GET", AGENT, VIEW, {}),
        ("PATCH", AGENT, EDIT_AGENTS, {"json": {"name": "Agent #"}}),
        ("DELETE", AGENT, EDIT_AGENTS, {}),
        ("GET", "articles", VIEW, {}),
        ("POST", "articles", EDIT_KNOWLEDGE, {"json": {"title": "Title", "content": "Long enough a text."}}),
        ("GET", ARTICLE, VIEW, {}),
        ("PATCH", ARTICLE, EDIT_KNOWLEDGE, {"json": {"title": "Title"}}),
        ("DELETE", ARTICLE, EDIT_KNOWLEDGE, {}),
        ("POST", "articles/bulk", EDIT_KNOWLEDGE, {"json": {"ids": [], "action": "activate"}}),
        ("GET", f"{ARTICLE}/versions", VIEW, {}),
        ("GET", f"{ARTICLE}/versions/{{version}}", VIEW, {}),
        ("POST", f"{ARTICLE}/versions/{{version}}/restore", EDIT_KNOWLEDGE, {}),
        ("GET", f"{ARTICLE}/files", VIEW, {}),
        ("POST", f"{ARTICLE}/files", EDIT_KNOWLEDGE, {"files": {"file": ("list.txt", b"Apples and pears.")}}),
        ("GET", f"{ARTICLE}/files/{{file_id}}", VIEW, {}),
        ("DELETE", f"{ARTICLE}/files/{{file_id}}", EDIT_KNOWLEDGE, {}),
        ("GET", "articles/export", EDIT_KNOWLEDGE, {}),
        ("POST", "articles/import", EDIT_KNOWLEDGE, {"files": {"file": ("a.csv", ONE_ARTICLE)}}),
        ("GET", "knowledge-gaps", VIEW, {}),
        ("GET", "knowledge-gaps/shares", VIEW, {}),
        ("GET", GAP, VIEW, {}),
        ("GET", f"{GAP}/questions", VIEW, {}),
        ("PUT", f"{GAP}/article", EDIT_KNOWLEDGE, {"json": {"article_id": str(uuid4())}}),
        ("POST", f"{GAP}/check", EDIT_KNOWLEDGE, {}),
        ("PUT", f"{GAP}/dismissal", EDIT_KNOWLEDGE, {}),
        ("DELETE", f"{GAP}/dismissal", EDIT_KNOWLEDGE, {}),
        ("GET", "knowledge-drafts", VIEW, {}),
        ("GET", DRAFT, VIEW, {}),
        ("POST", f"{DRAFT}/acceptance", EDIT_KNOWLEDGE, {"json": {"is_active": False}}),
        ("POST", f"{DRAFT}/rejection", EDIT_KNOWLEDGE, {}),
        ("GET", "knowledge-checks/latest", VIEW, {}),
        ("POST", "knowledge-checks", EDIT_KNOWLEDGE, {}),
        ("GET", "knowledge-checks/findings", VIEW, {}),
        ("PUT", FINDING, EDIT_KNOWLEDGE, {}),
        ("DELETE", FINDING, EDIT_KNOWLEDGE, {}),
        ("GET", "meaning", VIEW, {}),
        ("POST", "meaning/measurements", EDIT_KNOWLEDGE, {}),
        ("GET", "reranking", VIEW, {}),
        ("POST", "reranking/measurements", EDIT_KNOWLEDGE, {}),
        ("GET", "scripts", VIEW, {}),
        ("POST", "scripts", EDIT_KNOWLEDGE, {"json": {"kind": "greeting", "title": "#", "content": "Text"}}),
        ("GET", "scripts/{script_id}", VIEW, {}),
        ("PATCH", "scripts/{script_id}", EDIT_KNOWLEDGE, {"json": {"title": "#"}}),
        ("DELETE", "scripts/{script_id}", EDIT_KNOWLEDGE, {}),
        ("GET", "objections", VIEW, {}),
        ("POST", "objections", EDIT_KNOWLEDGE, {"json": {"kind": "price", "title": "#", "content": "Text"}}),
        ("GET", "objections/{script_id}", VIEW, {}),
        ("PATCH", "objections/{script_id}", EDIT_KNOWLEDGE, {"json": {"title": "#"}}),
        ("DELETE", "objections/{script_id}", EDIT_KNOWLEDGE, {}),
        ("GET", "knowledge-usage", VIEW, {}),
        ("GET", "budgets", VIEW, {}),
        ("PUT", "budgets", MANAGE_WORKSPACE, BUDGETS),
        ("GET", "budgets/usage", EDIT_AGENTS, {}),
        ("GET", "masking", VIEW, {}),
        ("PUT", "masking", MANAGE_WORKSPACE, {"json": {"kinds": ["card"]}}),
        ("GET", "company-facts", VIEW, {}),
        ("POST", "company-facts", EDIT_KNOWLEDGE, {"json": {"content": "Fact #"}}),
        ("GET", "company-facts/{company_fact_id}", VIEW, {}),
        ("PATCH", "company-facts/{company_fact_id}", EDIT_KNOWLEDGE, {"json": {"content": "Fact #"}}),
        ("DELETE", "company-facts/{company_fact_id}", EDIT_KNOWLEDGE, {}),
        ("GET", "knowledge-questions", VIEW, {}),
        ("POST", "knowledge-questions", EDIT_KNOWLEDGE, {"json": {"text": "Question #"}}),
        ("POST", "knowledge-questions/try", VIEW, {"json": {"text": "Question"}}),
        ("GET", "knowledge-questions/export", EDIT_KNOWLEDGE, {}),
        ("POST", "knowledge-questions/import", EDIT_KNOWLEDGE, {"files": {"file": ("q.csv", ONE_QUESTION)}}),
        ("GET", QUESTION, VIEW, {}),
        ("PATCH", QUESTION, EDIT_KNOWLEDGE, {"json": {"sources": []}}),
        ("DELETE", QUESTION, EDIT_KNOWLEDGE, {}),
        ("GET", "knowledge-runs", VIEW, {}),
        ("POST", "knowledge-runs", EDIT_KNOWLEDGE, {}),
        ("GET", "knowledge-runs/{run_id}", VIEW, {}),
        ("GET", "graph", VIEW, {}),
        ("PATCH", "graph", EDIT_KNOWLEDGE, {"json": {"daily_tokens": 100000}}),
        ("POST", "graph/readings", EDIT_KNOWLEDGE, {"json": {"failed_only": True}}),
        ("POST", "graph/measurements", EDIT_KNOWLEDGE, {}),
        ("GET", "graph/entities", VIEW, {}),
        ("GET", ENTITY, VIEW, {}),
        ("PATCH", ENTITY, EDIT_KNOWLEDGE, {"json": {"name": "Entity #"}}),
        ("DELETE", ENTITY, EDIT_KNOWLEDGE, {}),
        ("POST", f"{ENTITY}/merge", EDIT_KNOWLEDGE, {"json": {"other_id": str(uuid4())}}),
        ("POST", f"{ENTITY}/aliases/removal", EDIT_KNOWLEDGE, {"json": {"name": "Acme"}}),
        ("POST", f"{ENTITY}/facts", EDIT_KNOWLEDGE, SAID),
        ("GET", f"{ENTITY}/facts", VIEW, {}),
        ("GET", f"{ENTITY}/relations", VIEW, {}),
        ("POST", f"{ENTITY}/relations", EDIT_KNOWLEDGE, {"json": {"kind": "uses", "other_id": str(uuid4())}}),
        ("DELETE", f"{ENTITY}/relations/{{relation_id}}", EDIT_KNOWLEDGE, {}),
        ("PUT", FACT, EDIT_KNOWLEDGE, SAID),
        ("DELETE", FACT, EDIT_KNOWLEDGE, {}),
        ("GET", "categories", VIEW, {}),
        ("POST", "categories", EDIT_KNOWLEDGE, {"json": {"title": "Category #"}}),
        ("GET", CATEGORY, VIEW, {}),
        ("PATCH", CATEGORY, EDIT_KNOWLEDGE, {"json": {"title": "Category #"}}),
        ("DELETE", CATEGORY, EDIT_KNOWLEDGE, {}),
        ("POST", f"{CATEGORY}/move", EDIT_KNOWLEDGE, {"json": {"direction": "up"}}),
        ("GET", "documents", VIEW, {}),
        ("POST", "documents", EDIT_KNOWLEDGE, {"files": {"file": ("list.txt", b"Apples and pears.")}}),
        ("GET", DOCUMENT, VIEW, {}),
        ("PATCH", DOCUMENT, EDIT_KNOWLEDGE, {"json": {"categories": []}}),
        ("POST", f"{DOCUMENT}/retry", EDIT_KNOWLEDGE, {}),
        ("DELETE", DOCUMENT, EDIT_KNOWLEDGE, {}),
        ("GET", "sites", VIEW, {}),
        ("POST", "sites", EDIT_KNOWLEDGE, {"json": {"url": "https://127.0.0.1/#"}}),
        ("GET", SITE, VIEW, {}),
        ("PATCH", SITE, EDIT_KNOWLEDGE, {"json": {"depth": 1}}),
        ("DELETE", SITE, EDIT_KNOWLEDGE, {}),
        ("POST", f"{SITE}/sync", EDIT_KNOWLEDGE, {}),
        ("GET", f"{SITE}/pages", VIEW, {}),
        ("GET", "scenarios", VIEW, {}),
        ("POST", "scenarios", EDIT_AGENTS, {"json": WRITTEN}),
        ("GET", "scenarios/export", EDIT_AGENTS, {}),
        ("POST", "scenarios/import", EDIT_AGENTS, {"files": {"file": ("s.json", NO_SCENARIOS)}}),
        ("GET", SCENARIO, VIEW, {}),
        ("PATCH", SCENARIO, EDIT_AGENTS, {"json": {"name": "Scenario #"}}),
        ("DELETE", SCENARIO, EDIT_AGENTS, {}),
        ("GET", "scenario-runs", VIEW, {}),
        ("POST", "scenario-runs", EDIT_AGENTS, OF_AGENT),
        ("GET", "scenario-runs/forecast", VIEW, {}),
        ("POST", "scenario-runs/replays", EDIT_AGENTS, OF_AGENT),
        ("GET", SCENARIO_RUN, VIEW, {}),
        ("PUT", f"{SCENARIO_RUN}/cancellation", EDIT_AGENTS, {}),
        ("GET", f"{SCENARIO_RUN}/attempts", VIEW, {}),
        ("GET", f"{SCENARIO_RUN}/replayed", VIEW, {}),
        ("GET", f"{AGENT}/publish-condition", VIEW, {}),
        ("PUT", f"{AGENT}/publish-condition", EDIT_AGENTS, {"json": {"is_on": False}}),
        ("GET", "connections", VIEW, {}),
        ("POST", "connections", MANAGE_CONNECTIONS, {"json": {"address": "nobody.kommo.test", "token": "t"}}),
        ("PATCH", CONNECTION, MANAGE_CONNECTIONS, {"json": {"reads_daily": True}}),
        ("POST", "connections/oauth", MANAGE_CONNECTIONS, {"json": {"integration_id": str(uuid4())}}),
        ("GET", "integrations", MANAGE_CONNECTIONS, {}),
        ("POST", "integrations", MANAGE_CONNECTIONS, {"json": INTEGRATION}),
        ("GET", "integrations/{integration_id}", MANAGE_CONNECTIONS, {}),
        ("PUT", "integrations/{integration_id}/secret", MANAGE_CONNECTIONS, {"json": {"client_secret": "x"}}),
        ("DELETE", "integrations/{integration_id}", MANAGE_CONNECTIONS, {}),
        ("GET", CONNECTION, VIEW, {}),
        ("POST", f"{CONNECTION}/check", MANAGE_CONNECTIONS, {}),
        ("DELETE", CONNECTION, MANAGE_CONNECTIONS, {}),
        *(
            (method, f"{CONNECTION}/{path}", WORK_CONVERSATIONS, {"json": json})
            for method, path, json in (
                ("POST", "leads", {"name": "Deal #"}),
                ("PATCH", "leads/{lead_id}", {"name": "Deal #"}),
                ("POST", "leads/{lead_id}/stage", {"stage_id": 142}),
                ("POST", "leads/{lead_id}/responsible", {"user_id": 1}),
                ("POST", "leads/{lead_id}/tags", {"add": ["VIP"]}),
                ("POST", "leads/{lead_id}/tasks", TASK),
                ("POST", "leads/{lead_id}/notes", {"text": "A note"}),
                ("POST", "leads/{lead_id}/salesbot-runs", {"bot_id": 1}),
                ("POST", "contacts", {"name": "Contact #"}),
                ("PATCH", "contacts/{contact_id}", {"name": "Contact #"}),
                ("POST", "contacts/{contact_id}/tags", {"add": ["VIP"]}),
                ("POST", "contacts/{contact_id}/tasks", TASK),
                ("POST", "contacts/{contact_id}/notes", {"text": "A note"}),
                ("POST", "contacts/{contact_id}/emails", {"subject": "Hello", "text": "How are you?"}),
                ("POST", "changes/{change_id}/revert", {"force": False}),
            )
        ),
        ("GET", f"{CONNECTION}/actions/{{action_id}}", VIEW, {}),
        ("GET", f"{CONNECTION}/changes", VIEW, {}),
        ("GET", f"{CONNECTION}/replies", VIEW, {}),
        ("PATCH", f"{CONNECTION}/replies", MANAGE_CONNECTIONS, {"json": {"mode": "talk"}}),
        ("PUT", f"{CONNECTION}/replies/secret", MANAGE_CONNECTIONS, {"json": {"secret": "x"}}),
        ("GET", f"{CONNECTION}/replies/choices", MANAGE_CONNECTIONS, {}),
        ("POST", f"{CONNECTION}/replies/field", MANAGE_CONNECTIONS, {}),
        ("GET", f"{CONNECTION}/webhook", VIEW, {}),
        ("GET", f"{CONNECTION}/deliveries", VIEW, {}),
        ("GET", f"{CONNECTION}/deliveries/{{delivery_id}}", VIEW, {}),
        ("GET", f"{CONNECTION}/deliveries/{{delivery_id}}/payload", MANAGE_CONNECTIONS, {}),
        ("POST", f"{CONNECTION}/deliveries/{{delivery_id}}/retry", MANAGE_CONNECTIONS, {}),
        ("POST", f"{CONNECTION}/syncs", MANAGE_CONNECTIONS, {}),
        ("GET", f"{CONNECTION}/syncs", VIEW, {}),
        ("GET", f"{CONNECTION}/syncs/{{sync_id}}", VIEW, {}),
        *(
            ("GET", f"{CONNECTION}/{name}", VIEW, {})
            for name in ("pipelines", "fields", "users", "tags", "salesbots", "channels", "contacts", "leads")
        ),
        ("GET", "audit", READ_AUDIT, {}),
        ("GET", "audit/export", READ_AUDIT, {}),
        ("GET", "admin/installation", PLATFORM_VIEW, {}),
        ("GET", "admin/organizations", PLATFORM_VIEW, {}),
        ("GET", PLACE, PLATFORM_VIEW, {}),
        ("PUT", f"{PLACE}/suspension", PLATFORM_MANAGE, WHY),
        ("DELETE", f"{PLACE}/suspension", PLATFORM_MANAGE, {}),
        ("GET", f"{PLACE}/members", PLATFORM_VIEW, {}),
        ("GET", "admin/people", PLATFORM_VIEW, {}),
        ("GET", WHO, PLATFORM_VIEW, {}),
        ("GET", f"{WHO}/workspaces", PLATFORM_VIEW, {}),
        ("POST", f"{WHO}/impersonation", PLATFORM_IMPERSONATE, EYES),
        ("DELETE", f"{WHO}/impersonation", PLATFORM_IMPERSONATE, {}),
        ("POST", f"{WHO}/reset-link", PLATFORM_MANAGE, {"json": {"by": "link"}}),
        ("PUT", f"{WHO}/suspension", PLATFORM_MANAGE, WHY),
        ("DELETE", f"{WHO}/suspension", PLATFORM_MANAGE, {}),
        ("PUT", f"{WHO}/administrator", PLATFORM_MANAGE, {}),
        ("DELETE", f"{WHO}/administrator", PLATFORM_MANAGE, {}),
        ("GET", "admin/audit", PLATFORM_VIEW, {}),
        ("GET", "admin/audit/export", PLATFORM_VIEW, {}),
        ("GET", "admin/keys", PLATFORM_VIEW, {}),
        ("POST", "admin/keys", PLATFORM_MANAGE, {"json": {"name": "Key #", "scopes": ["platform.view"]}}),
        ("DELETE", "admin/keys/{key_id}", PLATFORM_MANAGE, {}),
        ("GET", "conversations", VIEW, {}),
        ("GET", CONVERSATION, VIEW, {}),
        ("GET", f"{CONVERSATION}/messages", VIEW, {}),
        ("GET", f"{CONVERSATION}/attachments/{{attachment_id}}", READ_ATTACHMENTS, {}),
        ("GET", f"{CONVERSATION}/turns/{{turn_id}}/explanation", READ_EXPLANATIONS, {}),
        ("GET", f"{CONVERSATION}/turns/{{turn_id}}/replays", READ_EXPLANATIONS, {}),
        (
            "POST",
            f"{CONVERSATION}/turns/{{turn_id}}/replays",
            EDIT_AGENTS,
            {"json": {"overrides": {"goal": "A visit."}}},
        ),
        ("GET", f"{CONVERSATION}/turns/{{turn_id}}/replays/{{played_id}}", READ_EXPLANATIONS, {}),
        ("GET", "test-chats", EDIT_AGENTS, {}),
        ("POST", "test-chats", EDIT_AGENTS, TESTED),
        ("GET", TEST_CHAT, EDIT_AGENTS, {}),
        ("PUT", TEST_CHAT, EDIT_AGENTS, TESTED),
        ("DELETE", TEST_CHAT, EDIT_AGENTS, {}),
        ("GET", f"{TEST_CHAT}/messages", EDIT_AGENTS, {}),
        ("GET", f"{TEST_CHAT}/suggestions", EDIT_AGENTS, {}),
        ("POST", f"{TEST_CHAT}/messages", EDIT_AGENTS, {"json": {"text": "Hello"}}),
        ("DELETE", f"{TEST_CHAT}/messages", EDIT_AGENTS, {}),
        ("GET", f"{TEST_CHAT}/messages/{{played_id}}", EDIT_AGENTS, {}),
        ("POST", f"{TEST_CHAT}/regeneration", EDIT_AGENTS, {}),
        ("PUT", f"{CONVERSATION}/takeover", WORK_CONVERSATIONS, {}),
        ("DELETE", f"{CONVERSATION}/takeover", WORK_CONVERSATIONS, {}),
        (
            "PUT",
            f"{CONVERSATION}/assignment",
            WORK_CONVERSATIONS,
            {"json": {"assignee_id": str(UUID(int=1))}},
        ),
        ("DELETE", f"{CONVERSATION}/assignment", WORK_CONVERSATIONS, {}),
        ("PUT", f"{CONVERSATION}/read", VIEW, {}),
        ("POST", f"{CONVERSATION}/replies", WORK_CONVERSATIONS, {"json": {"text": "Tomorrow."}}),
        ("GET", f"{CONVERSATION}/replies/{{reply_id}}", VIEW, {}),
        (
            "POST",
            f"{CONVERSATION}/handoffs",
            WORK_CONVERSATIONS,
            {"json": {"assignee_id": str(UUID(int=1)), "text": "Bob will answer you.", "note": "Be quick."}},
        ),
        ("GET", f"{CONVERSATION}/handoff", VIEW, {}),
        ("POST", f"{CONVERSATION}/suggestion", WORK_CONVERSATIONS, {}),
        ("GET", f"{CONVERSATION}/suggestion", VIEW, {}),
        ("GET", f"{CONVERSATION}/draft", VIEW, {}),
        ("GET", "proposals", VIEW, {}),
        ("GET", f"{CONVERSATION}/intent", READ_EXPLANATIONS, {}),
        (
            "POST",
            f"{CONVERSATION}/proposals/{{proposal_id}}/approval",
            WORK_CONVERSATIONS,
            {"json": {"text": "Call Ann."}},
        ),
        ("POST", f"{CONVERSATION}/proposals/{{proposal_id}}/rejection", WORK_CONVERSATIONS, {}),
        (
            "POST",
            f"{CONVERSATION}/drafts/{{draft_id}}/approval",
            WORK_CONVERSATIONS,
            {"json": {"text": "Tomorrow."}},
        ),
        (
            "POST",
            f"{CONVERSATION}/drafts/{{draft_id}}/rejection",
            WORK_CONVERSATIONS,
            {"json": {"reason": "Untrue."}},
        ),
        ("GET", f"{CONVERSATION}/memories", VIEW, {}),
        ("POST", f"{CONVERSATION}/memories", WORK_CONVERSATIONS, REMEMBERED),
        ("DELETE", f"{CONVERSATION}/memories", WORK_CONVERSATIONS, {}),
        ("GET", f"{CONVERSATION}/memories/{{memory_id}}", VIEW, {}),
        ("PATCH", f"{CONVERSATION}/memories/{{memory_id}}", WORK_CONVERSATIONS, REMEMBERED),
        ("DELETE", f"{CONVERSATION}/memories/{{memory_id}}", WORK_CONVERSATIONS, {}),
        ("DELETE", "workspace/membership", VIEW, {}),  # the last one: whoever called it is no member
        ("GET", "privacy/retention", MANAGE_PRIVACY, {}),
        ("PATCH", "privacy/retention", MANAGE_PRIVACY, {"json": {"events": 30}}),
        ("GET", "privacy/customers", MANAGE_PRIVACY, {}),
        ("GET", "privacy/customers/{conversation_id}", MANAGE_PRIVACY, {}),
        ("DELETE", "privacy/customers/{conversation_id}", MANAGE_PRIVACY, {}),
        ("GET", "account/export", VIEW, {}),
        ("POST", "account/erase", VIEW, {"json": {"proof": "# is not it"}}),
    )
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
