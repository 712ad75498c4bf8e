"""What each page can do, and the operation of the API that does the same.

A new page action fails the test until it has a line here. `Why` is for what the API cannot or need not do.
"""

from dataclasses import dataclass

from isolation.routes import ACCOUNT, CASES, MEMBERS, MEMORIES, PAGES, PROPOSAL, REPLY_DRAFT

V1 = "/api/v1"
COMPANY_FACT = f"{V1}/company-facts/{{company_fact_id}}"


@dataclass(frozen=True)
class Why:
    """Why no operation does this."""

    reason: str


BROWSER = Why("of this browser alone: it sets or drops one of its cookies")
REDIRECT = Why("it only leads to the page of the invitation whose link was pasted")
LEADS_AWAY = Why("linking leads through the provider's own pages and back, so it begins in a browser")
PREVIEW = Why("shows Markdown as it will look; a program renders its own")
ARTICLE, DOCUMENT = f"{V1}/articles/{{article_id}}", f"{V1}/documents/{{document_id}}"
RELATED = Why("finds articles as their titles are typed; a program lists them with `search`")
CATEGORY, SITE = f"{V1}/categories/{{category_id}}", f"{V1}/sites/{{site_id}}"
FINDING = f"{V1}/knowledge-checks/findings/{{finding_id}}"
GAP = f"{V1}/knowledge-gaps/{{gap_id}}"
DRAFT = f"{V1}/knowledge-drafts/{{draft_id}}"
ENTITY, GRAPH = f"{V1}/graph/entities/{{entity_id}}", f"{PAGES}/knowledge-graph"
AGENT, PEOPLE = f"{V1}/agents/{{agent_id}}", f"{V1}/admin/people/{{person_id}}"
CUSTOMER, TAKEOVER = (
    f"{V1}/privacy/customers/{{conversation_id}}",
    f"{V1}/conversations/{{conversation_id}}/takeover",
)
TEST_CHAT = f"{V1}/test-chats/{{chat_id}}"
REPLAYS = "conversations/{conversation_id}/turns/{turn_id}/replays"
MEMBER, INVITATION = f"{V1}/members/{{person_id}}", f"{V1}/invitations/{{invitation_id}}"
PROVIDER = f"{V1}/sign-in-providers/{{provider_id}}"
SECURITY = f"{ACCOUNT}/security"

ACTIONS: dict[str, str | Why] = {
    "POST /login": f"POST {V1}/auth/login",
    "POST /login/code": f"POST {V1}/auth/login",
    "POST /login/passkey/options": f"POST {V1}/auth/passkey/options",
    "POST /login/passkey": f"POST {V1}/auth/passkey",
    "POST /logout": f"DELETE {V1}/account/grants/{{grant_id}}",
    "POST /register": f"POST {V1}/auth/register",
    "POST /setup/{token}": f"POST {V1}/auth/register",
    "POST /invitation": REDIRECT,
    "POST /invitation/{token}": f"POST {V1}/workspaces/join",
    "POST /invitation/{token}/register": f"POST {V1}/auth/invitation",
    "POST /workspaces/create": f"POST {V1}/workspaces",
    "POST /reset-password/request": f"POST {V1}/auth/reset-password/request",
    "POST /reset-password/{token}": f"POST {V1}/auth/reset-password/confirm",
    "POST /verify-email/{token}": f"POST {V1}/auth/verify-email",
    "POST /change-email/{token}": f"POST {V1}/auth/change-email",
    "POST /preferences/theme": BROWSER,
    "POST /preferences/language": BROWSER,
    "POST /impersonation/stop": f"DELETE {PEOPLE}/impersonation",
    "POST /admin/organizations/{number}/suspend": f"PUT {V1}/admin/organizations/{{number}}/suspension",
    "POST /admin/organizations/{number}/resume": f"DELETE {V1}/admin/organizations/{{number}}/suspension",
    "POST /admin/people/{person_id}/suspend": f"PUT {PEOPLE}/suspension",
    "POST /admin/people/{person_id}/resume": f"DELETE {PEOPLE}/suspension",
    "POST /admin/people/{person_id}/appoint": f"PUT {PEOPLE}/administrator",
    "POST /admin/people/{person_id}/dismiss": f"DELETE {PEOPLE}/administrator",
    "POST /admin/people/{person_id}/impersonate": f"POST {PEOPLE}/impersonation",
    "POST /admin/people/{person_id}/reset-link": f"POST {PEOPLE}/reset-link",
    "POST /admin/keys": f"POST {V1}/admin/keys",
    "POST /admin/keys/{key_id}/revoke": f"DELETE {V1}/admin/keys/{{key_id}}",
    f"POST {ACCOUNT}": f"PATCH {V1}/account",
    f"POST {ACCOUNT}/avatar": f"PUT {V1}/account/avatar",
    f"POST {ACCOUNT}/avatar/remove": f"DELETE {V1}/account/avatar",
    f"POST {ACCOUNT}/confirm": f"POST {V1}/account/confirmation",
    f"POST {ACCOUNT}/confirm/passkey": f"POST {V1}/account/confirmation/options",
    f"POST {ACCOUNT}/email": f"POST {V1}/account/email",
    f"POST {ACCOUNT}/email/verification": f"POST {V1}/account/email/verification",
    f"POST {ACCOUNT}/privacy/erase": f"POST {V1}/account/erase",
    f"POST {ACCOUNT}/sign-in/{{provider_id}}": LEADS_AWAY,
    f"POST {ACCOUNT}/sign-in/{{provider_id}}/unlink": (
        f"DELETE {V1}/account/sign-in-providers/{{provider_id}}"
    ),
    f"POST {SECURITY}/password": f"POST {V1}/account/password",
    f"POST {SECURITY}/sessions/{{session_id}}/end": f"DELETE {V1}/account/sessions/{{session_id}}",
    f"POST {SECURITY}/grants/{{grant_id}}/end": f"DELETE {V1}/account/grants/{{grant_id}}",
    f"POST {SECURITY}/others/end": f"DELETE {V1}/account/sessions",
    f"POST {SECURITY}/totp": f"POST {V1}/account/totp/confirm",
    f"POST {SECURITY}/totp/disable": f"DELETE {V1}/account/totp",
    f"POST {SECURITY}/recovery-codes": f"POST {V1}/account/recovery-codes",
    f"POST {SECURITY}/passkeys/options": f"POST {V1}/account/passkeys/options",
    f"POST {SECURITY}/passkeys/add": f"POST {V1}/account/passkeys",
    f"POST {SECURITY}/passkeys/{{passkey_id}}/remove": f"DELETE {V1}/account/passkeys/{{passkey_id}}",
    f"POST {PAGES}/settings": f"PATCH {V1}/workspace",
    f"POST {PAGES}/settings/second-factor": f"PATCH {V1}/workspace",
    f"POST {PAGES}/settings/models/masking": f"PUT {V1}/masking",
    f"POST {PAGES}/settings/models/budgets": f"PUT {V1}/budgets",
    f"POST {PAGES}/settings/stopping": f"PATCH {V1}/workspace",
    f"POST {PAGES}/settings/deletion": f"PUT {V1}/workspace/deletion",
    f"POST {PAGES}/settings/deletion/cancel": f"DELETE {V1}/workspace/deletion",
    f"POST {PAGES}/settings/api-keys/create": f"POST {V1}/api-keys",
    f"POST {PAGES}/settings/api-keys/{{key_id}}/revoke": f"DELETE {V1}/api-keys/{{key_id}}",
    f"POST {PAGES}/settings/sign-in": f"POST {V1}/sign-in-providers",
    f"POST {PAGES}/settings/sign-in/{{provider_id}}": f"PUT {PROVIDER}",
    f"POST {PAGES}/settings/sign-in/{{provider_id}}/test": f"POST {PROVIDER}/test",
    f"POST {PAGES}/settings/sign-in/{{provider_id}}/remove": f"DELETE {PROVIDER}",
    f"POST {PAGES}/settings/privacy": f"PATCH {V1}/privacy/retention",
    f"POST {PAGES}/settings/privacy/customers/{{conversation_id}}/erase": f"DELETE {CUSTOMER}",
    f"POST {MEMBERS}/invitations": f"POST {V1}/invitations",
    f"POST {MEMBERS}/invitations/{{invitation_id}}/resend": f"POST {INVITATION}/resend",
    f"POST {MEMBERS}/invitations/{{invitation_id}}/revoke": f"DELETE {INVITATION}",
    f"POST {MEMBERS}/leave": f"DELETE {V1}/workspace/membership",
    f"POST {MEMBERS}/{{person_id}}/role": f"PATCH {MEMBER}",
    f"POST {MEMBERS}/{{person_id}}/suspend": f"PATCH {MEMBER}",
    f"POST {MEMBERS}/{{person_id}}/resume": f"PATCH {MEMBER}",
    f"POST {MEMBERS}/{{person_id}}/remove": f"DELETE {MEMBER}",
    f"POST {PAGES}/ai-agents/create": f"POST {V1}/agents",
    f"POST {PAGES}/ai-agents/{{agent_id}}/edit": f"PATCH {AGENT}",
    f"POST {PAGES}/ai-agents/{{agent_id}}/leads-contacts": f"PATCH {AGENT}",
    f"POST {PAGES}/ai-agents/{{agent_id}}/advanced-settings": f"PATCH {AGENT}",
    f"POST {PAGES}/ai-agents/{{agent_id}}/active": f"PATCH {AGENT}",
    f"POST {PAGES}/ai-agents/{{agent_id}}/name": f"PATCH {AGENT}",
    f"POST {PAGES}/ai-agents/{{agent_id}}/copy": f"POST {AGENT}/copy",
    f"POST {PAGES}/ai-agents/{{agent_id}}/delete": f"DELETE {AGENT}",
    f"POST {PAGES}/ai-agents/{{agent_id}}/versions/{{version}}/restore": (
        f"POST {AGENT}/versions/{{version}}/restore"
    ),
    f"POST {PAGES}/ai-agents/{{agent_id}}/draft/publish": f"POST {AGENT}/versions",
    f"POST {PAGES}/ai-agents/{{agent_id}}/draft/discard": f"DELETE {AGENT}/draft",
    f"POST {PAGES}/ai-agents/import": f"POST {V1}/agents/import",
    f"POST {PAGES}/ai-agents/bulk": f"POST {V1}/agents/bulk",
    f"POST {PAGES}/ai-agents/columns": BROWSER,
    f"POST {PAGES}/ai-agents/{{agent_id}}/files": f"POST {AGENT}/files",
    f"POST {PAGES}/ai-agents/{{agent_id}}/files/{{file_id}}/retry": f"POST {AGENT}/files/{{file_id}}/retry",
    f"POST {PAGES}/ai-agents/{{agent_id}}/files/{{file_id}}/delete": f"DELETE {AGENT}/files/{{file_id}}",
    f"POST {PAGES}/knowledge-base/documents": f"POST {V1}/documents",
    f"POST {PAGES}/knowledge-base/documents/{{document_id}}/edit": f"PATCH {DOCUMENT}",
    f"POST {PAGES}/knowledge-base/documents/{{document_id}}/retry": f"POST {DOCUMENT}/retry",
    f"POST {PAGES}/knowledge-base/documents/{{document_id}}/delete": f"DELETE {DOCUMENT}",
    f"POST {PAGES}/knowledge-items/create": f"POST {V1}/articles",
    f"POST {PAGES}/knowledge-items/preview": PREVIEW,
    f"POST {PAGES}/knowledge-items/{{article_id}}/edit": f"PATCH {ARTICLE}",
    f"POST {PAGES}/knowledge-items/{{article_id}}/active": f"PATCH {ARTICLE}",
    f"POST {PAGES}/knowledge-items/{{article_id}}/delete": f"DELETE {ARTICLE}",
    f"POST {PAGES}/knowledge-items/bulk": f"POST {V1}/articles/bulk",
    f"POST {PAGES}/knowledge-items/related": RELATED,
    f"POST {PAGES}/knowledge-items/import": f"POST {V1}/articles/import",
    f"POST {PAGES}/knowledge-items/{{article_id}}/versions/{{version}}/restore": (
        f"POST {ARTICLE}/versions/{{version}}/restore"
    ),
    f"POST {PAGES}/knowledge-sites/create": f"POST {V1}/sites",
    f"POST {PAGES}/knowledge-sites/{{site_id}}/edit": f"PATCH {SITE}",
    f"POST {PAGES}/knowledge-sites/{{site_id}}/sync": f"POST {SITE}/sync",
    f"POST {PAGES}/knowledge-sites/{{site_id}}/delete": f"DELETE {SITE}",
    f"POST {PAGES}/knowledge-gaps/{{gap_id}}/check": f"POST {GAP}/check",
    f"POST {PAGES}/knowledge-gaps/{{gap_id}}/dismiss": f"PUT {GAP}/dismissal",
    f"POST {PAGES}/knowledge-gaps/{{gap_id}}/restore": f"DELETE {GAP}/dismissal",
    f"POST {PAGES}/knowledge-drafts/{{draft_id}}/accept": f"POST {DRAFT}/acceptance",
    f"POST {PAGES}/knowledge-drafts/{{draft_id}}/reject": f"POST {DRAFT}/rejection",
    f"POST {PAGES}/knowledge-checks": f"POST {V1}/knowledge-checks",
    f"POST {PAGES}/knowledge-checks/findings/{{finding_id}}/dismiss": f"PUT {FINDING}/dismissal",
    f"POST {PAGES}/knowledge-checks/findings/{{finding_id}}/restore": f"DELETE {FINDING}/dismissal",
    f"POST {PAGES}/knowledge-meaning/measure": f"POST {V1}/meaning/measurements",
    f"POST {PAGES}/knowledge-reranking/measure": f"POST {V1}/reranking/measurements",
    f"POST {PAGES}/knowledge-items/{{article_id}}/files": f"POST {ARTICLE}/files",
    f"POST {PAGES}/knowledge-items/{{article_id}}/files/{{file_id}}/delete": (
        f"DELETE {ARTICLE}/files/{{file_id}}"
    ),
    f"POST {PAGES}/knowledge-scripts/create": f"POST {V1}/scripts",
    f"POST {PAGES}/knowledge-scripts/{{script_id}}/edit": f"PATCH {V1}/scripts/{{script_id}}",
    f"POST {PAGES}/knowledge-scripts/{{script_id}}/delete": f"DELETE {V1}/scripts/{{script_id}}",
    f"POST {PAGES}/knowledge-objections/create": f"POST {V1}/objections",
    f"POST {PAGES}/knowledge-objections/{{script_id}}/edit": f"PATCH {V1}/objections/{{script_id}}",
    f"POST {PAGES}/knowledge-objections/{{script_id}}/delete": f"DELETE {V1}/objections/{{script_id}}",
    f"POST {PAGES}/knowledge-facts/create": f"POST {V1}/company-facts",
    f"POST {PAGES}/knowledge-facts/{{company_fact_id}}/edit": f"PATCH {COMPANY_FACT}",
    f"POST {PAGES}/knowledge-facts/{{company_fact_id}}/delete": f"DELETE {COMPANY_FACT}",
    f"POST {PAGES}/knowledge-bench/runs": f"POST {V1}/knowledge-runs",
    f"POST {PAGES}/knowledge-bench/questions": f"POST {V1}/knowledge-questions",
    f"POST {PAGES}/knowledge-bench/import": f"POST {V1}/knowledge-questions/import",
    f"POST {PAGES}/knowledge-bench/questions/{{question_id}}/sources": (
        f"PATCH {V1}/knowledge-questions/{{question_id}}"
    ),
    f"POST {PAGES}/knowledge-bench/questions/{{question_id}}/delete": (
        f"DELETE {V1}/knowledge-questions/{{question_id}}"
    ),
    f"POST {GRAPH}/readings": f"POST {V1}/graph/readings",
    f"POST {GRAPH}/budget": f"PATCH {V1}/graph",
    f"POST {GRAPH}/measure": f"POST {V1}/graph/measurements",
    f"POST {GRAPH}/{{entity_id}}/edit": f"PATCH {ENTITY}",
    f"POST {GRAPH}/{{entity_id}}/merge": f"POST {ENTITY}/merge",
    f"POST {GRAPH}/{{entity_id}}/delete": f"DELETE {ENTITY}",
    f"POST {GRAPH}/{{entity_id}}/aliases/delete": f"POST {ENTITY}/aliases/removal",
    f"POST {GRAPH}/{{entity_id}}/relations": f"POST {ENTITY}/relations",
    f"POST {GRAPH}/{{entity_id}}/relations/{{relation_id}}/delete": (
        f"DELETE {ENTITY}/relations/{{relation_id}}"
    ),
    f"POST {GRAPH}/{{entity_id}}/facts": f"POST {ENTITY}/facts",
    f"POST {GRAPH}/{{entity_id}}/facts/{{fact_id}}": f"PUT {ENTITY}/facts/{{fact_id}}",
    f"POST {GRAPH}/{{entity_id}}/facts/{{fact_id}}/delete": f"DELETE {ENTITY}/facts/{{fact_id}}",
    f"POST {PAGES}/knowledge-categories/create": f"POST {V1}/categories",
    f"POST {PAGES}/knowledge-categories/{{category_id}}/edit": f"PATCH {CATEGORY}",
    f"POST {PAGES}/knowledge-categories/{{category_id}}/move": f"POST {CATEGORY}/move",
    f"POST {PAGES}/knowledge-categories/{{category_id}}/delete": f"DELETE {CATEGORY}",
    f"POST {PAGES}/integrations": f"POST {V1}/connections",
    f"POST {PAGES}/integrations/keys": f"POST {V1}/integrations",
    f"POST {PAGES}/integrations/keys/{{integration_id}}": f"PUT {V1}/integrations/{{integration_id}}/secret",
    f"POST {PAGES}/integrations/keys/{{integration_id}}/remove": (
        f"DELETE {V1}/integrations/{{integration_id}}"
    ),
    f"POST {PAGES}/integrations/consent/{{integration_id}}": f"POST {V1}/connections/oauth",
    f"POST {PAGES}/integrations/{{connection_id}}/changes/{{change_id}}/revert": (
        f"POST {V1}/connections/{{connection_id}}/changes/{{change_id}}/revert"
    ),
    f"POST {PAGES}/integrations/{{connection_id}}/replies": (
        f"PATCH {V1}/connections/{{connection_id}}/replies"
    ),
    f"POST {PAGES}/integrations/{{connection_id}}/replies/field": (
        f"POST {V1}/connections/{{connection_id}}/replies/field"
    ),
    f"POST {PAGES}/integrations/{{connection_id}}/sync": f"POST {V1}/connections/{{connection_id}}/syncs",
    f"POST {PAGES}/integrations/{{connection_id}}/webhooks/{{delivery_id}}/retry": (
        f"POST {V1}/connections/{{connection_id}}/deliveries/{{delivery_id}}/retry"
    ),
    f"POST {PAGES}/integrations/{{connection_id}}/check": f"POST {V1}/connections/{{connection_id}}/check",
    f"POST {PAGES}/integrations/{{connection_id}}/settings": f"PATCH {V1}/connections/{{connection_id}}",
    f"POST {PAGES}/integrations/{{connection_id}}/disconnect": f"DELETE {V1}/connections/{{connection_id}}",
    f"POST {PAGES}/conversations/{{conversation_id}}/takeover": f"PUT {TAKEOVER}",
    f"POST {PAGES}/conversations/{{conversation_id}}/resume": f"DELETE {TAKEOVER}",
    f"POST {PAGES}/conversations/{{conversation_id}}/assignment": (
        f"PUT {V1}/conversations/{{conversation_id}}/assignment"
    ),
    f"POST {PAGES}/{REPLAYS}": f"POST {V1}/{REPLAYS}",
    f"POST {PAGES}/test-chat": f"POST {V1}/test-chats",
    f"POST {PAGES}/test-chat/{{chat_id}}/messages": f"POST {TEST_CHAT}/messages",
    f"POST {PAGES}/test-chat/{{chat_id}}/regeneration": f"POST {TEST_CHAT}/regeneration",
    f"POST {PAGES}/test-chat/{{chat_id}}/settings": f"PUT {TEST_CHAT}",
    f"POST {PAGES}/test-chat/{{chat_id}}/clear": f"DELETE {TEST_CHAT}/messages",
    f"POST {PAGES}/test-chat/{{chat_id}}/delete": f"DELETE {TEST_CHAT}",
    f"POST {PAGES}/{PROPOSAL}/approval": f"POST {V1}/{PROPOSAL}/approval",
    f"POST {PAGES}/{PROPOSAL}/rejection": f"POST {V1}/{PROPOSAL}/rejection",
    f"POST {PAGES}/scenarios/create": f"POST {V1}/scenarios",
    f"POST {PAGES}/scenarios/import": f"POST {V1}/scenarios/import",
    f"POST {PAGES}/scenarios/runs": f"POST {V1}/scenario-runs",
    f"POST {PAGES}/scenarios/condition": f"PUT {AGENT}/publish-condition",
    f"POST {PAGES}/scenarios/{{scenario_id}}/edit": f"PATCH {V1}/scenarios/{{scenario_id}}",
    f"POST {PAGES}/scenarios/{{scenario_id}}/delete": f"DELETE {V1}/scenarios/{{scenario_id}}",
    f"POST {PAGES}/scenario-runs/replay": f"POST {V1}/scenario-runs/replays",
    f"POST {PAGES}/scenario-runs/{{run_id}}/cancel": f"PUT {V1}/scenario-runs/{{run_id}}/cancellation",
    f"POST {PAGES}/conversations/{{conversation_id}}/replies": (
        f"POST {V1}/conversations/{{conversation_id}}/replies"
    ),
    f"POST {PAGES}/conversations/{{conversation_id}}/handoffs": (
        f"POST {V1}/conversations/{{conversation_id}}/handoffs"
    ),
    f"POST {PAGES}/conversations/{{conversation_id}}/suggestion": (
        f"POST {V1}/conversations/{{conversation_id}}/suggestion"
    ),
    f"POST {PAGES}/{REPLY_DRAFT}/approval": f"POST {V1}/{REPLY_DRAFT}/approval",
    f"POST {PAGES}/{REPLY_DRAFT}/rejection": f"POST {V1}/{REPLY_DRAFT}/rejection",
    f"POST {PAGES}/{MEMORIES}": f"POST {V1}/{MEMORIES}",
    f"POST {PAGES}/{MEMORIES}/erase": f"DELETE {V1}/{MEMORIES}",
    f"POST {PAGES}/{MEMORIES}/{{memory_id}}": f"PATCH {V1}/{MEMORIES}/{{memory_id}}",
    f"POST {PAGES}/{MEMORIES}/{{memory_id}}/erase": f"DELETE {V1}/{MEMORIES}/{{memory_id}}",
}


def page_actions() -> set[str]:
    """Return every route by which a page changes something, from the table of all routes."""
    outside = ("/api/", "/hooks/", "/health/")
    return {
        name for name in CASES if not name.startswith("GET ") and not name.split(" ")[1].startswith(outside)
    }
