"""Every route of the web process and what another workspace's member gets from it.

A new route fails the test until it has a line in CASES. Which one?
  Public(...)   needs no credential of ours and shows nothing of any workspace
  Own(...)      shows or changes only the caller's workspace: no id of an object is in its address
  Foreign(...)  names an object: somebody else's must answer exactly as a missing one does
A page's address begins with /manage/{workspace}; the test opens it in the neighbour's workspace as well.
"""

import re
from collections.abc import Iterator, Mapping
from uuid import uuid4

import httpx2
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount

from isolation.cases import PAGES, Case, Foreign, Installation, Own, Public
from isolation.estate import Estate
from isolation.knowledge_routes import KNOWLEDGE
from isolation.scenario_routes import SCENARIOS

AGENT = {"agent_id": "agent_id"}
AGENT_FILE = {"format": "gptagent.agent", "name": "From a file", "settings": {"goal": "A visit"}}
VERSION = {"version": "version"}
CONNECTION = {"connection_id": "connection_id"}
DEAL = CONNECTION | {"lead_id": "lead_id"}
PERSON_OF_CRM = CONNECTION | {"contact_id": "contact_id"}
# Records are known by the CRM's own numbers; this one nobody has.
NUMBERS = {"lead_id": 999_999_999, "contact_id": 999_999_999, "version": 999_999_999}
RENAMED = {"json": {"name": "Stolen"}}
TAGGED = {"json": {"add": ["Stolen"]}}
NOTED = {"json": {"text": "Stolen"}}
WRITTEN = {"json": {"subject": "Stolen", "text": "Stolen"}}
DUE = {"json": {"text": "Stolen", "due_at": "2099-01-31T12:00:00Z"}}
DELIVERY = {"connection_id": "connection_id", "delivery_id": "delivery_id"}
CONVERSATION = {"conversation_id": "conversation_id"}
MEMORY = {**CONVERSATION, "memory_id": "memory_id"}
REMEMBERED = {"kind": "fact", "text": "Stolen"}
REPLY_DRAFTED = {**CONVERSATION, "draft_id": "reply_draft_id"}
PROPOSED = {**CONVERSATION, "proposal_id": "proposal_id"}
PROPOSAL = "conversations/{conversation_id}/proposals/{proposal_id}"
REPLY_DRAFT = "conversations/{conversation_id}/drafts/{draft_id}"
MEMORIES = "conversations/{conversation_id}/memories"
TEST_CHAT = {"chat_id": "chat_id"}
PLAYED = {**TEST_CHAT, "played_id": "played_id"}
EXPLAINED = {**CONVERSATION, "turn_id": "reply_draft_id"}
REPLAYED = {**EXPLAINED, "played_id": "replay_id"}
REPLAYS = "conversations/{conversation_id}/turns/{turn_id}/replays"
NEW_TEST = {"agent_id": str(uuid4()), "title": "Stolen"}
FILE = {**CONVERSATION, "attachment_id": "attachment_id"}
INTEGRATION = {"integration_id": "integration_id"}
SECRET = {"client_secret": "secret"}
KEYS = {"brand": "kommo", "client_id": "client", "client_secret": "secret"}
WHY = {"json": {"reason": "because I can"}}
PROVIDER = {"provider_id": "provider_id"}
PROVIDER_DATA = {"name": "x", "issuer": "https://127.0.0.1:9", "client_id": "x", "client_secret": "x"}
NO_PROVIDER = "/sign-in/00000000-0000-0000-0000-000000000001"
MEMBER = {"person_id": "person_id"}
INVITATION = {"invitation_id": "invitation_id"}
MEMBERS = f"{PAGES}/settings/members"
NEWCOMER = {"token": "nobodys", "given_name": "Nobody", "password": "correct horse battery"}
SESSION, GRANT, PASSKEY = {"session_id": "session_id"}, {"grant_id": "grant_id"}, {"passkey_id": "passkey_id"}
ACCOUNT = f"{PAGES}/account-settings"
KEY = {"key_id": "api_key_id"}
STRANGER = {"email": "nobody@example.test", "password": "not the right one"}

CASES: dict[str, Case] = {
    **KNOWLEDGE,
    **SCENARIOS,
    "GET /api/docs": Public("the API's description, to be read"),
    "GET /api/docs/{file}": Public("files of that page", "/api/docs/docs.js"),
    "GET /api/v1/openapi.json": Public("the API's description"),
    "POST /api/v1/auth/register": Public("here a person gets a workspace", options={"json": STRANGER}),
    "POST /api/v1/auth/login": Public("here a person gets a token", options={"json": STRANGER}),
    "POST /api/v1/auth/passkey/options": Public("here a person logs in with a passkey"),
    "POST /api/v1/auth/passkey": Public(
        "here a person logs in with a passkey", options={"json": {"credential": {}}}
    ),
    "POST /api/v1/auth/invitation": Public("the link is the credential", options={"json": NEWCOMER}),
    "POST /api/v1/auth/refresh": Public(
        "here a person's log-in is renewed", options={"json": {"refresh_token": "nobody's"}}
    ),
    "POST /api/v1/auth/reset-password/request": Public(
        "asked for by who cannot log in", options={"json": {"email": "nobody@example.test"}}
    ),
    "POST /api/v1/auth/reset-password/confirm": Public(
        "the link is the credential", options={"json": {"token": "nobodys", "password": "long enough a word"}}
    ),
    "POST /api/v1/auth/verify-email": Public(
        "the link is the credential", options={"json": {"token": "nobodys"}}
    ),
    "POST /api/v1/auth/change-email": Public(
        "the link is the credential", options={"json": {"token": "nobodys"}}
    ),
    "POST /api/v1/account/email": Own(422, {"json": {"email": "no address", "password": "x"}}),
    "POST /api/v1/account/email/verification": Own(202),
    "GET /api/v1/sign-in-providers": Own(),
    "POST /api/v1/sign-in-providers": Own(422, {"json": PROVIDER_DATA}),
    "PUT /api/v1/sign-in-providers/{provider_id}": Foreign(PROVIDER, {"json": PROVIDER_DATA}),
    "DELETE /api/v1/sign-in-providers/{provider_id}": Foreign(PROVIDER),
    "POST /api/v1/sign-in-providers/{provider_id}/test": Foreign(PROVIDER),
    "GET /health/live": Public("asked by the supervisor"),
    "GET /health/ready": Public("asked by the load balancer"),
    "GET /.well-known/security.txt": Public("whom to tell about a hole; the same for everybody"),
    "GET /metrics": Public("guarded by the operator's own token, which no workspace has"),
    "GET /oauth/kommo": Public("the state is the credential", "/oauth/kommo?state=nobodys&code=x"),
    "GET /oauth/kommo/disconnect": Public(
        "signed by the integration's secret", "/oauth/kommo/disconnect?client_uuid=x&account_id=1&signature=x"
    ),
    "GET /api/v1/integrations": Own(),
    "POST /api/v1/integrations": Own(201, {"json": KEYS}),
    "GET /api/v1/integrations/{integration_id}": Foreign(INTEGRATION),
    "PUT /api/v1/integrations/{integration_id}/secret": Foreign(
        INTEGRATION, {"json": {"client_secret": "x"}}
    ),
    "DELETE /api/v1/integrations/{integration_id}": Foreign(INTEGRATION),
    "POST /api/v1/connections/oauth": Own(404, {"json": {"integration_id": str(uuid4())}}),
    "GET /hooks/kommo/{secret}{slash:path}": Public("the secret is the credential", "/hooks/kommo/nobodys/"),
    "POST /hooks/kommo/{secret}{slash:path}": Public("the secret is the credential", "/hooks/kommo/nobodys/"),
    "GET /hooks/kommo/{connection}/widget": Public(
        "a signed token is the credential", "/hooks/kommo/nobodys/widget"
    ),
    "POST /hooks/kommo/{connection}/widget": Public(
        "a signed token is the credential", "/hooks/kommo/nobodys/widget"
    ),
    "GET /api/v1/api-keys": Own(),
    "POST /api/v1/api-keys": Own(201, {"json": {"name": "Website", "scopes": ["view"]}}),
    "GET /api/v1/api-keys/{key_id}": Foreign(KEY),
    "DELETE /api/v1/api-keys/{key_id}": Foreign(KEY),
    f"GET {PAGES}/settings/api-keys": Own(),
    f"GET {PAGES}/settings/api-keys/create": Own(),
    f"POST {PAGES}/settings/api-keys/create": Own(200, {"data": {"name": "Website", "scopes": "view"}}),
    f"POST {PAGES}/settings/api-keys/{{key_id}}/revoke": Foreign(KEY),
    "GET /api/v1/workspaces": Own(),
    "POST /api/v1/workspaces": Own(201, {"json": {"name": "A second one"}}),
    "POST /api/v1/workspaces/join": Own(404, {"json": {"token": "nobodys"}}),
    "GET /api/v1/workspace": Own(),
    "PATCH /api/v1/workspace": Own(200, {"json": {"locale": "ru"}}),
    "PUT /api/v1/workspace/deletion": Own(422, {"json": {"name": "another"}}),
    "DELETE /api/v1/workspace/deletion": Own(),
    "DELETE /api/v1/workspace/membership": Own(409),
    "GET /api/v1/members": Own(),
    "GET /api/v1/members/{person_id}": Foreign(MEMBER),
    "PATCH /api/v1/members/{person_id}": Foreign(MEMBER, {"json": {"role": "viewer"}}),
    "DELETE /api/v1/members/{person_id}": Foreign(MEMBER),
    "GET /api/v1/invitations": Own(),
    "POST /api/v1/invitations": Own(201, {"json": {"role": "viewer"}}),
    "GET /api/v1/invitations/{invitation_id}": Foreign(INVITATION),
    "POST /api/v1/invitations/{invitation_id}/resend": Foreign(INVITATION),
    "DELETE /api/v1/invitations/{invitation_id}": Foreign(INVITATION),
    "GET /api/v1/agents": Own(),
    "POST /api/v1/agents": Own(201, {"json": {"name": "New agent"}}),
    "GET /api/v1/agent-templates": Own(),
    "POST /api/v1/agents/import": Own(201, {"json": AGENT_FILE}),
    "GET /api/v1/agents/{agent_id}/export": Foreign(AGENT),
    "POST /api/v1/agents/bulk": Own(200, {"json": {"ids": [], "action": "activate"}}),
    "POST /api/v1/agents/{agent_id}/copy": Foreign(AGENT),
    "GET /api/v1/agents/{agent_id}/draft": Foreign(AGENT),
    "PATCH /api/v1/agents/{agent_id}/draft": Foreign(AGENT, {"json": {"goal": "Stolen"}}),
    "DELETE /api/v1/agents/{agent_id}/draft": Foreign(AGENT),
    "GET /api/v1/agents/{agent_id}/versions": Foreign(AGENT),
    "POST /api/v1/agents/{agent_id}/versions": Foreign(AGENT, {"json": {"note": "Stolen"}}),
    "GET /api/v1/agents/{agent_id}/versions/{version}": Foreign(AGENT | VERSION),
    "POST /api/v1/agents/{agent_id}/versions/{version}/restore": Foreign(AGENT | VERSION),
    "GET /api/v1/agents/{agent_id}/diff": Foreign(AGENT),
    "GET /api/v1/agents/{agent_id}": Foreign(AGENT),
    "PATCH /api/v1/agents/{agent_id}": Foreign(AGENT, {"json": {"name": "Stolen", "is_active": False}}),
    "DELETE /api/v1/agents/{agent_id}": Foreign(AGENT),
    "GET /api/v1/connections": Own(),
    "POST /api/v1/connections": Own(422, {"json": {"address": "not an address", "token": "x"}}),
    "GET /api/v1/connections/{connection_id}": Foreign(CONNECTION),
    "PATCH /api/v1/connections/{connection_id}": Foreign(CONNECTION, {"json": {"is_active": False}}),
    "POST /api/v1/connections/{connection_id}/check": Foreign(CONNECTION),
    "DELETE /api/v1/connections/{connection_id}": Foreign(CONNECTION),
    "POST /api/v1/connections/{connection_id}/leads": Foreign(CONNECTION, RENAMED),
    "PATCH /api/v1/connections/{connection_id}/leads/{lead_id}": Foreign(DEAL, RENAMED),
    "POST /api/v1/connections/{connection_id}/leads/{lead_id}/stage": Foreign(
        DEAL, {"json": {"stage_id": 142}}
    ),
    "POST /api/v1/connections/{connection_id}/leads/{lead_id}/responsible": Foreign(
        DEAL, {"json": {"user_id": 1}}
    ),
    "POST /api/v1/connections/{connection_id}/leads/{lead_id}/tags": Foreign(DEAL, TAGGED),
    "POST /api/v1/connections/{connection_id}/leads/{lead_id}/tasks": Foreign(DEAL, DUE),
    "POST /api/v1/connections/{connection_id}/leads/{lead_id}/notes": Foreign(DEAL, NOTED),
    "POST /api/v1/connections/{connection_id}/leads/{lead_id}/salesbot-runs": Foreign(
        DEAL, {"json": {"bot_id": 1}}
    ),
    "POST /api/v1/connections/{connection_id}/contacts": Foreign(CONNECTION, RENAMED),
    "PATCH /api/v1/connections/{connection_id}/contacts/{contact_id}": Foreign(PERSON_OF_CRM, RENAMED),
    "POST /api/v1/connections/{connection_id}/contacts/{contact_id}/tags": Foreign(PERSON_OF_CRM, TAGGED),
    "POST /api/v1/connections/{connection_id}/contacts/{contact_id}/tasks": Foreign(PERSON_OF_CRM, DUE),
    "POST /api/v1/connections/{connection_id}/contacts/{contact_id}/notes": Foreign(PERSON_OF_CRM, NOTED),
    "POST /api/v1/connections/{connection_id}/contacts/{contact_id}/emails": Foreign(PERSON_OF_CRM, WRITTEN),
    "GET /api/v1/connections/{connection_id}/actions/{action_id}": Foreign(
        CONNECTION | {"action_id": "action_id"}
    ),
    "GET /api/v1/connections/{connection_id}/changes": Foreign(CONNECTION),
    "POST /api/v1/connections/{connection_id}/changes/{change_id}/revert": Foreign(
        CONNECTION | {"change_id": "change_id"}, {"json": {"force": True}}
    ),
    "GET /api/v1/connections/{connection_id}/replies": Foreign(CONNECTION),
    "PATCH /api/v1/connections/{connection_id}/replies": Foreign(CONNECTION, {"json": {"mode": "talk"}}),
    "PUT /api/v1/connections/{connection_id}/replies/secret": Foreign(CONNECTION, {"json": {"secret": "x"}}),
    "GET /api/v1/connections/{connection_id}/replies/choices": Foreign(CONNECTION),
    "POST /api/v1/connections/{connection_id}/replies/field": Foreign(CONNECTION),
    "GET /api/v1/conversations/{conversation_id}/attachments/{attachment_id}": Foreign(FILE),
    "GET /api/v1/connections/{connection_id}/webhook": Foreign(CONNECTION),
    "GET /api/v1/connections/{connection_id}/deliveries": Foreign(CONNECTION),
    "GET /api/v1/connections/{connection_id}/deliveries/{delivery_id}": Foreign(DELIVERY),
    "GET /api/v1/connections/{connection_id}/deliveries/{delivery_id}/payload": Foreign(DELIVERY),
    "POST /api/v1/connections/{connection_id}/deliveries/{delivery_id}/retry": Foreign(DELIVERY),
    "POST /api/v1/connections/{connection_id}/syncs": Foreign(CONNECTION),
    "GET /api/v1/connections/{connection_id}/syncs": Foreign(CONNECTION),
    "GET /api/v1/connections/{connection_id}/syncs/{sync_id}": Foreign(CONNECTION | {"sync_id": "sync_id"}),
    **{
        f"GET /api/v1/connections/{{connection_id}}/{name}": Foreign(CONNECTION)
        for name in ("pipelines", "fields", "users", "tags", "salesbots", "channels", "contacts", "leads")
    },
    "GET /api/v1/conversations": Own(),
    "GET /api/v1/conversations/{conversation_id}": Foreign(CONVERSATION),
    "GET /api/v1/conversations/{conversation_id}/messages": Foreign(CONVERSATION),
    "GET /api/v1/conversations/{conversation_id}/turns/{turn_id}/explanation": Foreign(EXPLAINED),
    f"GET /api/v1/{REPLAYS}": Foreign(EXPLAINED),
    f"POST /api/v1/{REPLAYS}": Foreign(EXPLAINED, {"json": {"overrides": {}}}),
    f"GET /api/v1/{REPLAYS}/{{played_id}}": Foreign(REPLAYED),
    "GET /api/v1/test-chats": Own(),
    "POST /api/v1/test-chats": Own(422, {"json": NEW_TEST}),
    "GET /api/v1/test-chats/{chat_id}": Foreign(TEST_CHAT),
    "PUT /api/v1/test-chats/{chat_id}": Foreign(TEST_CHAT, {"json": NEW_TEST}),
    "DELETE /api/v1/test-chats/{chat_id}": Foreign(TEST_CHAT),
    "GET /api/v1/test-chats/{chat_id}/messages": Foreign(TEST_CHAT),
    "GET /api/v1/test-chats/{chat_id}/suggestions": Foreign(TEST_CHAT),
    "POST /api/v1/test-chats/{chat_id}/messages": Foreign(TEST_CHAT, {"json": {"text": "Hello"}}),
    "DELETE /api/v1/test-chats/{chat_id}/messages": Foreign(TEST_CHAT),
    "GET /api/v1/test-chats/{chat_id}/messages/{played_id}": Foreign(PLAYED),
    "POST /api/v1/test-chats/{chat_id}/regeneration": Foreign(TEST_CHAT),
    "PUT /api/v1/conversations/{conversation_id}/takeover": Foreign(CONVERSATION),
    "DELETE /api/v1/conversations/{conversation_id}/takeover": Foreign(CONVERSATION),
    "PUT /api/v1/conversations/{conversation_id}/assignment": Foreign(
        CONVERSATION, {"json": {"assignee_id": "0197a1b2-0000-7000-8000-000000000001"}}
    ),
    "DELETE /api/v1/conversations/{conversation_id}/assignment": Foreign(CONVERSATION),
    "PUT /api/v1/conversations/{conversation_id}/read": Foreign(CONVERSATION),
    "GET /api/v1/conversations/{conversation_id}/draft": Foreign(CONVERSATION),
    "GET /api/v1/proposals": Own(),
    "GET /api/v1/conversations/{conversation_id}/intent": Foreign(CONVERSATION),
    f"POST /api/v1/{PROPOSAL}/approval": Foreign(PROPOSED, {"json": {"text": "Stolen"}}),
    f"POST /api/v1/{PROPOSAL}/rejection": Foreign(PROPOSED),
    "POST /api/v1/conversations/{conversation_id}/replies": Foreign(
        CONVERSATION, {"json": {"text": "Stolen"}}
    ),
    "GET /api/v1/conversations/{conversation_id}/replies/{reply_id}": Foreign(
        {**CONVERSATION, "reply_id": "outgoing_id"}
    ),
    "POST /api/v1/conversations/{conversation_id}/handoffs": Foreign(
        CONVERSATION, {"json": {"assignee_id": "0197a1b2-0000-7000-8000-000000000001", "text": "Stolen"}}
    ),
    "GET /api/v1/conversations/{conversation_id}/handoff": Foreign(CONVERSATION),
    "POST /api/v1/conversations/{conversation_id}/suggestion": Foreign(CONVERSATION),
    "GET /api/v1/conversations/{conversation_id}/suggestion": Foreign(CONVERSATION),
    f"POST /api/v1/{REPLY_DRAFT}/approval": Foreign(REPLY_DRAFTED, {"json": {"text": "Stolen"}}),
    f"POST /api/v1/{REPLY_DRAFT}/rejection": Foreign(REPLY_DRAFTED, {"json": {"reason": "Stolen"}}),
    f"GET /api/v1/{MEMORIES}": Foreign(CONVERSATION),
    f"POST /api/v1/{MEMORIES}": Foreign(CONVERSATION, {"json": REMEMBERED}),
    f"DELETE /api/v1/{MEMORIES}": Foreign(CONVERSATION),
    f"GET /api/v1/{MEMORIES}/{{memory_id}}": Foreign(MEMORY),
    f"PATCH /api/v1/{MEMORIES}/{{memory_id}}": Foreign(MEMORY, {"json": REMEMBERED}),
    f"DELETE /api/v1/{MEMORIES}/{{memory_id}}": Foreign(MEMORY),
    "GET /api/v1/audit": Own(),
    "GET /api/v1/audit/export": Own(),
    "GET /api/v1/admin/installation": Installation(),
    "GET /api/v1/admin/organizations": Installation(),
    "GET /api/v1/admin/organizations/{number}": Installation(),
    "PUT /api/v1/admin/organizations/{number}/suspension": Installation(WHY),
    "DELETE /api/v1/admin/organizations/{number}/suspension": Installation(),
    "GET /api/v1/admin/organizations/{number}/members": Installation(),
    "GET /api/v1/admin/people": Installation(),
    "GET /api/v1/admin/people/{person_id}/workspaces": Installation(),
    "POST /api/v1/admin/people/{person_id}/impersonation": Installation(
        {"json": {"workspace": 1, "reason": "because I can"}}
    ),
    "DELETE /api/v1/admin/people/{person_id}/impersonation": Installation(),
    "POST /api/v1/admin/people/{person_id}/reset-link": Installation({"json": {"by": "link"}}),
    "GET /api/v1/admin/people/{person_id}": Installation(),
    "PUT /api/v1/admin/people/{person_id}/suspension": Installation(WHY),
    "DELETE /api/v1/admin/people/{person_id}/suspension": Installation(),
    "PUT /api/v1/admin/people/{person_id}/administrator": Installation(),
    "DELETE /api/v1/admin/people/{person_id}/administrator": Installation(),
    "GET /api/v1/admin/audit": Installation(),
    "GET /api/v1/admin/audit/export": Installation(),
    "GET /api/v1/admin/keys": Installation(),
    "POST /api/v1/admin/keys": Installation({"json": {"name": "Mine", "scopes": ["platform.view"]}}),
    "DELETE /api/v1/admin/keys/{key_id}": Installation(),
    "GET /admin": Installation(),
    "GET /admin/dashboard": Installation(),
    "GET /admin/organizations": Installation(),
    "GET /admin/organizations/{number}": Installation(),
    "POST /admin/organizations/{number}/suspend": Installation({"data": {"reason": "because I can"}}),
    "POST /admin/organizations/{number}/resume": Installation(),
    "GET /admin/people": Installation(),
    "GET /admin/people/{person_id}": Installation(),
    "POST /admin/people/{person_id}/suspend": Installation({"data": {"reason": "because I can"}}),
    "POST /admin/people/{person_id}/resume": Installation(),
    "POST /admin/people/{person_id}/appoint": Installation(),
    "POST /admin/people/{person_id}/dismiss": Installation(),
    "POST /admin/people/{person_id}/reset-link": Installation({"data": {"by": "link"}}),
    "POST /admin/people/{person_id}/impersonate": Installation({"data": {"reason": "because I can"}}),
    "GET /admin/audit": Installation(),
    "GET /admin/audit/export": Installation(),
    "GET /admin/keys": Installation(),
    "POST /admin/keys": Installation({"data": {"name": "Mine", "scopes": "platform.view"}}),
    "POST /admin/keys/{key_id}/revoke": Installation(),
    "POST /impersonation/stop": Installation(),
    "GET /api/v1/privacy/retention": Own(),
    "PATCH /api/v1/privacy/retention": Own(200, {"json": {"events": 20}}),
    "GET /api/v1/privacy/customers": Own(options={"params": {"search": "canary7q2x"}}),
    "GET /api/v1/privacy/customers/{conversation_id}": Foreign(CONVERSATION),
    "DELETE /api/v1/privacy/customers/{conversation_id}": Foreign(CONVERSATION),
    "GET /api/v1/account/export": Own(),
    "POST /api/v1/account/erase": Own(422, {"json": {"proof": "not the right one"}}),
    "GET /api/v1/account": Own(),
    "PATCH /api/v1/account": Own(options={"json": {"locale": "en"}}),
    "GET /api/v1/account/avatar": Own(404, why="there is no picture yet"),
    "PUT /api/v1/account/avatar": Own(422, {"files": {"file": ("me.png", b"not a picture")}}),
    "DELETE /api/v1/account/avatar": Own(204),
    "POST /api/v1/account/password": Own(422, {"json": {"current_password": "x", "new_password": "y"}}),
    "POST /api/v1/account/confirmation": Own(422, {"json": {"password": "not the right one"}}),
    "POST /api/v1/account/confirmation/options": Own(),
    "GET /api/v1/account/sign-in-providers": Own(),
    "DELETE /api/v1/account/sign-in-providers/{provider_id}": Foreign(PROVIDER),
    "GET /api/v1/account/sessions": Own(),
    "DELETE /api/v1/account/sessions": Own(204),
    "DELETE /api/v1/account/sessions/{session_id}": Foreign(SESSION),
    "GET /api/v1/account/grants": Own(),
    "DELETE /api/v1/account/grants/{grant_id}": Foreign(GRANT),
    "POST /api/v1/account/totp": Own(),
    "POST /api/v1/account/totp/confirm": Own(422, {"json": {"code": "000000"}}),
    "DELETE /api/v1/account/totp": Own(404, why="it is off"),
    "POST /api/v1/account/recovery-codes": Own(404, why="it is off"),
    "GET /api/v1/account/passkeys": Own(),
    "POST /api/v1/account/passkeys": Own(422, {"json": {"name": "Mine", "credential": {}}}),
    "POST /api/v1/account/passkeys/options": Own(),
    "DELETE /api/v1/account/passkeys/{passkey_id}": Foreign(PASSKEY),
    "GET /": Public("leads to the log-in"),
    "GET /favicon.ico": Public("the same for everybody"),
    "GET /assets/*": Public("the same for everybody", "/assets/nothing.css"),
    "GET /login": Public("here a person logs in"),
    "POST /login": Public("here a person logs in", options={"data": STRANGER}),
    "GET /login/code": Public("the second step, by the token of the first"),
    "POST /login/code": Public("the second step, by the token of the first", options={"data": {"code": "1"}}),
    "POST /login/passkey/options": Public("here a person logs in with a passkey"),
    "POST /login/passkey": Public(
        "here a person logs in with a passkey", options={"data": {"credential": "{}"}}
    ),
    "GET /register": Public("here a person gets a workspace"),
    "POST /register": Public("here a person gets a workspace", options={"data": STRANGER}),
    "GET /setup/{token}": Public("the link is the credential", "/setup/nobodys"),
    "POST /setup/{token}": Public("the link is the credential", "/setup/nobodys"),
    "GET /login/{number}": Public("the buttons of a workspace's providers", "/login/999999999"),
    "GET /sign-in/{provider_id}": Public("here a person logs in", NO_PROVIDER),
    "GET /sign-in/callback": Public("here a person logs in"),
    "GET /invitation/{token}": Public("the link is the credential", "/invitation/nobodys"),
    "POST /invitation/{token}": Public("the link is the credential", "/invitation/nobodys"),
    "POST /invitation/{token}/register": Public("the link is the credential", "/invitation/nobodys/register"),
    "POST /invitation": Own(303, {"data": {"link": "https://agents.example.test/invitation/nobodys"}}),
    "GET /workspaces/create": Own(),
    "POST /workspaces/create": Own(422, {"data": {"organization": ""}}),
    "GET /reset-password/request": Public("asked for by who cannot log in"),
    "POST /reset-password/request": Public("asked for by who cannot log in", options={"data": STRANGER}),
    "GET /reset-password/{token}": Public("the link is the credential", "/reset-password/nobodys"),
    "POST /reset-password/{token}": Public("the link is the credential", "/reset-password/nobodys"),
    "GET /verify-email/{token}": Public("the link is the credential", "/verify-email/nobodys"),
    "POST /verify-email/{token}": Public("the link is the credential", "/verify-email/nobodys"),
    "GET /change-email/{token}": Public("the link is the credential", "/change-email/nobodys"),
    "POST /change-email/{token}": Public("the link is the credential", "/change-email/nobodys"),
    "POST /preferences/theme": Public("a cookie of this browser", options={"data": {"theme": "dark"}}),
    "POST /preferences/language": Public("a cookie of this browser", options={"data": {"language": "en"}}),
    "POST /logout": Own(303),
    "GET /manage": Own(303),
    f"GET {PAGES}": Own(303),
    f"GET {PAGES}/live": Own(None, why="a stream: test_isolation_live.py listens to it"),
    f"GET {PAGES}/account-settings/sign-in": Own(),
    f"POST {PAGES}/account-settings/sign-in/{{provider_id}}": Foreign(PROVIDER),
    f"POST {PAGES}/account-settings/sign-in/{{provider_id}}/unlink": Foreign(PROVIDER),
    f"GET {PAGES}/settings/sign-in": Own(),
    f"POST {PAGES}/settings/sign-in": Own(422, {"data": PROVIDER_DATA}),
    f"GET {PAGES}/settings/sign-in/{{provider_id}}": Foreign(PROVIDER),
    f"POST {PAGES}/settings/sign-in/{{provider_id}}": Foreign(PROVIDER, {"data": PROVIDER_DATA}),
    f"POST {PAGES}/settings/sign-in/{{provider_id}}/test": Foreign(PROVIDER),
    f"POST {PAGES}/settings/sign-in/{{provider_id}}/remove": Foreign(PROVIDER),
    f"GET {PAGES}/account-settings/email": Own(),
    f"POST {PAGES}/account-settings/email": Own(422, {"data": {"email": "no address"}}),
    f"POST {PAGES}/account-settings/email/verification": Own(303),
    f"GET {PAGES}/dashboard": Own(),
    f"GET {PAGES}/settings": Own(),
    f"POST {PAGES}/settings": Own(422, {"data": {"name": ""}}),
    f"POST {PAGES}/settings/second-factor": Own(303),
    f"GET {PAGES}/settings/models": Own(),
    f"POST {PAGES}/settings/models/masking": Own(303, {"data": {"kinds": "card"}}),
    f"POST {PAGES}/settings/models/budgets": Own(303, {"data": {"workspace.day_cents": "500"}}),
    f"POST {PAGES}/settings/stopping": Own(422, {"data": {"resume_after_hours": "x"}}),
    f"POST {PAGES}/settings/deletion": Own(422, {"data": {"confirm_name": "another"}}),
    f"POST {PAGES}/settings/deletion/cancel": Own(303),
    f"GET {MEMBERS}": Own(),
    f"POST {MEMBERS}/invitations": Own(200, {"data": {"by": "link", "role": "viewer"}}),
    f"POST {MEMBERS}/invitations/{{invitation_id}}/resend": Foreign(INVITATION),
    f"POST {MEMBERS}/invitations/{{invitation_id}}/revoke": Foreign(INVITATION),
    f"POST {MEMBERS}/leave": Own(303, why="refused to the last owner, who is led back", of_oneself=True),
    f"POST {MEMBERS}/{{person_id}}/role": Foreign(MEMBER, {"data": {"role": "viewer"}}),
    f"POST {MEMBERS}/{{person_id}}/suspend": Foreign(MEMBER),
    f"POST {MEMBERS}/{{person_id}}/resume": Foreign(MEMBER),
    f"POST {MEMBERS}/{{person_id}}/remove": Foreign(MEMBER),
    f"GET {PAGES}/ai-agents": Own(),
    f"POST {PAGES}/ai-agents/bulk": Own(303, {"data": {"action": "activate"}}),
    f"POST {PAGES}/ai-agents/columns": Own(
        303, {"data": {"column": "model"}}, why="a cookie of this browser", of_oneself=True
    ),
    f"GET {PAGES}/ai-agents/import": Own(),
    f"POST {PAGES}/ai-agents/import": Own(422),
    f"GET {PAGES}/ai-agents/{{agent_id}}/export": Foreign(AGENT),
    f"GET {PAGES}/ai-agents/create": Own(),
    f"POST {PAGES}/ai-agents/create": Own(303, {"data": {"name": "New on a page"}}),
    f"GET {PAGES}/ai-agents/{{agent_id}}/edit": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/edit": Foreign(AGENT, {"data": {"name": "Stolen"}}),
    f"GET {PAGES}/ai-agents/{{agent_id}}/leads-contacts": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/leads-contacts": Foreign(
        AGENT, {"data": {"readable.lead": "name"}}
    ),
    f"GET {PAGES}/ai-agents/{{agent_id}}/advanced-settings": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/advanced-settings": Foreign(
        AGENT, {"data": {"response_delay_seconds": "9"}}
    ),
    f"POST {PAGES}/ai-agents/{{agent_id}}/active": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/name": Foreign(AGENT, {"data": {"name": "Stolen"}}),
    f"POST {PAGES}/ai-agents/{{agent_id}}/copy": Foreign(AGENT),
    f"GET {PAGES}/ai-agents/{{agent_id}}/integrations": Foreign(AGENT),
    f"GET {PAGES}/ai-agents/{{agent_id}}/versions": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/versions/{{version}}/restore": Foreign(AGENT | VERSION),
    f"POST {PAGES}/ai-agents/{{agent_id}}/draft/publish": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/draft/discard": Foreign(AGENT),
    f"POST {PAGES}/ai-agents/{{agent_id}}/delete": Foreign(AGENT),
    f"GET {PAGES}/integrations": Own(),
    f"POST {PAGES}/integrations": Own(422, {"data": {"address": "not an address", "token": "x"}}),
    f"GET {PAGES}/integrations/banner": Own(),
    f"POST {PAGES}/integrations/consent/{{integration_id}}": Foreign(INTEGRATION),
    f"POST {PAGES}/integrations/keys": Own(422, {"data": {"brand": "kommo", "client_id": ""}}),
    f"POST {PAGES}/integrations/keys/{{integration_id}}": Foreign(
        INTEGRATION, {"data": {"client_secret": "x"}}
    ),
    f"POST {PAGES}/integrations/keys/{{integration_id}}/remove": Foreign(INTEGRATION),
    f"GET {PAGES}/integrations/{{connection_id}}": Foreign(CONNECTION),
    f"POST {PAGES}/integrations/{{connection_id}}/check": Foreign(CONNECTION),
    f"POST {PAGES}/integrations/{{connection_id}}/settings": Foreign(CONNECTION),
    f"POST {PAGES}/integrations/{{connection_id}}/disconnect": Foreign(CONNECTION),
    f"GET {PAGES}/integrations/{{connection_id}}/replies": Foreign(CONNECTION),
    f"POST {PAGES}/integrations/{{connection_id}}/replies": Foreign(CONNECTION, {"data": {"mode": "talk"}}),
    f"POST {PAGES}/integrations/{{connection_id}}/replies/field": Foreign(CONNECTION),
    f"GET {PAGES}/conversations/{{conversation_id}}/attachments/{{attachment_id}}": Foreign(FILE),
    f"GET {PAGES}/integrations/{{connection_id}}/webhooks": Foreign(CONNECTION),
    f"GET {PAGES}/integrations/{{connection_id}}/webhooks/{{delivery_id}}": Foreign(DELIVERY),
    f"POST {PAGES}/integrations/{{connection_id}}/webhooks/{{delivery_id}}/retry": Foreign(DELIVERY),
    f"GET {PAGES}/integrations/{{connection_id}}/sync": Foreign(CONNECTION),
    f"GET {PAGES}/integrations/{{connection_id}}/changes": Foreign(CONNECTION),
    f"POST {PAGES}/integrations/{{connection_id}}/changes/{{change_id}}/revert": Foreign(
        CONNECTION | {"change_id": "change_id"}
    ),
    f"POST {PAGES}/integrations/{{connection_id}}/sync": Foreign(CONNECTION),
    f"GET {PAGES}/settings/audit": Own(),
    f"GET {PAGES}/settings/audit/export": Own(),
    f"GET {PAGES}/settings/privacy": Own(),
    f"POST {PAGES}/settings/privacy": Own(303, {"data": {"events": "20"}}),
    f"GET {PAGES}/settings/privacy/customers/{{conversation_id}}": Foreign(CONVERSATION),
    f"POST {PAGES}/settings/privacy/customers/{{conversation_id}}/erase": Foreign(CONVERSATION),
    f"GET {PAGES}/account-settings/privacy": Own(),
    f"GET {PAGES}/account-settings/privacy/export": Own(),
    f"POST {PAGES}/account-settings/privacy/erase": Own(422, {"data": {"proof": "not the right one"}}),
    f"GET {ACCOUNT}": Own(),
    f"POST {ACCOUNT}": Own(303, {"data": {"given_name": "Charlie Sparrow", "locale": "en"}}),
    f"GET {ACCOUNT}/avatar": Own(404, why="there is no picture yet"),
    f"POST {ACCOUNT}/avatar": Own(422, {"files": {"file": ("me.png", b"not a picture")}}),
    f"POST {ACCOUNT}/avatar/remove": Own(303),
    f"GET {ACCOUNT}/second-step": Own(303),
    f"GET {ACCOUNT}/confirm": Own(),
    f"POST {ACCOUNT}/confirm": Own(422, {"data": {"password": "not the right one"}}),
    f"POST {ACCOUNT}/confirm/passkey": Own(),
    f"GET {ACCOUNT}/security": Own(),
    f"POST {ACCOUNT}/security/password": Own(422, {"data": {"current_password": "x", "new_password": "y"}}),
    f"POST {ACCOUNT}/security/sessions/{{session_id}}/end": Foreign(SESSION),
    f"POST {ACCOUNT}/security/grants/{{grant_id}}/end": Foreign(GRANT),
    f"POST {ACCOUNT}/security/others/end": Own(303),
    f"GET {ACCOUNT}/security/totp": Own(),
    f"POST {ACCOUNT}/security/totp": Own(422, {"data": {"code": "000000"}}),
    f"POST {ACCOUNT}/security/totp/disable": Own(303),
    f"POST {ACCOUNT}/security/recovery-codes": Own(303),
    f"GET {ACCOUNT}/security/passkeys/add": Own(),
    f"POST {ACCOUNT}/security/passkeys/options": Own(),
    f"POST {ACCOUNT}/security/passkeys/add": Own(422, {"data": {"name": "Mine", "credential": "{}"}}),
    f"POST {ACCOUNT}/security/passkeys/{{passkey_id}}/remove": Foreign(PASSKEY),
    f"GET {PAGES}/conversations": Own(),
    f"GET {PAGES}/conversations/{{conversation_id}}": Foreign(CONVERSATION),
    f"GET {PAGES}/conversations/{{conversation_id}}/turns/{{turn_id}}": Foreign(EXPLAINED),
    f"GET {PAGES}/{REPLAYS}": Foreign(EXPLAINED),
    f"POST {PAGES}/{REPLAYS}": Foreign(EXPLAINED, {"data": {"instructions": "Stolen, all of it."}}),
    f"GET {PAGES}/{REPLAYS}/{{played_id}}": Foreign(REPLAYED),
    f"GET {PAGES}/{REPLAYS}/{{played_id}}/stream": Foreign(REPLAYED),
    f"GET {PAGES}/test-chat": Own(303, why="leads to the chat used last, or shows the form of a first one"),
    f"POST {PAGES}/test-chat": Own(422, {"data": NEW_TEST}),
    f"GET {PAGES}/test-chat/new": Own(),
    f"GET {PAGES}/test-chat/{{chat_id}}": Foreign(TEST_CHAT),
    f"POST {PAGES}/test-chat/{{chat_id}}/messages": Foreign(TEST_CHAT, {"data": {"text": "Hello"}}),
    f"POST {PAGES}/test-chat/{{chat_id}}/regeneration": Foreign(TEST_CHAT),
    f"POST {PAGES}/test-chat/{{chat_id}}/settings": Foreign(TEST_CHAT, {"data": NEW_TEST}),
    f"POST {PAGES}/test-chat/{{chat_id}}/clear": Foreign(TEST_CHAT),
    f"POST {PAGES}/test-chat/{{chat_id}}/delete": Foreign(TEST_CHAT),
    f"GET {PAGES}/test-chat/{{chat_id}}/messages/{{played_id}}": Foreign(PLAYED),
    f"GET {PAGES}/test-chat/{{chat_id}}/messages/{{played_id}}/stream": Foreign(PLAYED),
    f"POST {PAGES}/conversations/{{conversation_id}}/takeover": Foreign(CONVERSATION),
    f"POST {PAGES}/conversations/{{conversation_id}}/resume": Foreign(CONVERSATION),
    f"POST {PAGES}/conversations/{{conversation_id}}/assignment": Foreign(CONVERSATION),
    f"GET {PAGES}/proposals": Own(),
    f"POST {PAGES}/{PROPOSAL}/approval": Foreign(PROPOSED),
    f"POST {PAGES}/{PROPOSAL}/rejection": Foreign(PROPOSED),
    f"POST {PAGES}/conversations/{{conversation_id}}/replies": Foreign(CONVERSATION),
    f"POST {PAGES}/conversations/{{conversation_id}}/handoffs": Foreign(CONVERSATION),
    f"POST {PAGES}/conversations/{{conversation_id}}/suggestion": Foreign(CONVERSATION),
    f"POST {PAGES}/{REPLY_DRAFT}/approval": Foreign(REPLY_DRAFTED),
    f"POST {PAGES}/{REPLY_DRAFT}/rejection": Foreign(REPLY_DRAFTED),
    f"POST {PAGES}/{MEMORIES}": Foreign(CONVERSATION, {"data": REMEMBERED}),
    f"POST {PAGES}/{MEMORIES}/erase": Foreign(CONVERSATION),
    f"POST {PAGES}/{MEMORIES}/{{memory_id}}": Foreign(MEMORY, {"data": REMEMBERED}),
    f"POST {PAGES}/{MEMORIES}/{{memory_id}}/erase": Foreign(MEMORY),
}


def routes_of(app: FastAPI) -> set[str]:
    """Return `METHOD /address` of everything the application answers."""
    return set(_names(app.routes))


def _names(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount):
            yield f"GET {route.path}/*"
        else:
            # A kind of route without a path or methods must not slip through unseen.
            for method in route.methods - {"HEAD"}:
                yield f"{method} {route.path}"


def missing_advice(missing: set[str]) -> str:
    lines = "\n".join(f'    "{name}": ...,' for name in sorted(missing))
    return f"These routes have no tenant case. Add each to CASES in tests/isolation/routes.py:\n{lines}"


def split(name: str) -> tuple[str, str]:
    method, _, path = name.partition(" ")
    return method, path


def place(path: str, estate: Estate) -> str:
    """Return the address of a page in this workspace."""
    return path.replace("{workspace}", f"{estate.number}-{estate.slug}")


def fill(path: str, case: Foreign, estate: Estate) -> str:
    """Return the address of this estate's object."""
    return _named(path, {name: getattr(estate, attribute) for name, attribute in case.names.items()})


def miss(path: str, case: Foreign) -> str:
    """Return the address of an object that does not exist."""
    return _named(path, {name: NUMBERS.get(name, uuid4()) for name in case.names})


def _named(path: str, ids: Mapping[str, object]) -> str:
    for name, value in ids.items():
        path = path.replace("{" + name + "}", str(value))
    return path


def cases(kind: type[Case], *, pages: bool) -> list[str]:
    """Return the names of the routes of a kind: those of workspaces' pages, or all others."""
    return sorted(name for name, case in CASES.items() if isinstance(case, kind) and (PAGES in name) == pages)


def essence(response: httpx2.Response) -> tuple[int, str | None, str]:
    """Return what an answer says, without what differs from request to request: its id, the ids asked for."""
    text = re.sub(r'"request_id":\s*"[0-9a-f]+"', "", response.text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    return response.status_code, response.headers.get("content-type"), text
