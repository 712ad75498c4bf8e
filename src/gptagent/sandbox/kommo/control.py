"""The control interface: JSON under `/_sandbox`, on any Host, without a token.

Accounts
  GET    /_sandbox/accounts  all accounts
  POST   /_sandbox/accounts {subdomain, name?, features?}  -> account_id, subdomain, token, user_ids, pipeline
         features: {unsorted: false, sending: true, quota: 10000, scopes: [...]}
  GET    /_sandbox/accounts/{sub}  one account, as above
  POST   /_sandbox/accounts/{sub}/tokens {scopes?}  one more long-lived token
  DELETE /_sandbox/accounts/{sub}/tokens  revoke all of them
  POST   /_sandbox/reset  forget every account and default knob
OAuth
  GET    /_sandbox/integrations  all of them, with their secrets
  POST   /_sandbox/integrations {redirect_uri, brand?, name?, scopes?, disconnect_hook?}
         and client_id?, client_secret?, which are made up otherwise
  GET    .../grants  exchanged, refreshed, refused: how often the account's token endpoint did so
  POST   .../grants {client_id}  -> access_token, refresh_token, as if somebody had consented
  POST   .../grants/expire  the access tokens are over, the refresh tokens are good
  DELETE .../grants  revoke both
  POST   .../rename {subdomain, old_host_status?: 404 or 401}  the account moves; its tokens stay good
  POST   .../integration/remove {client_id}  tokens end, the disconnect hook is called -> its status
  POST   .../integration/widget {client_id}  the redirect address is called by `from_widget=1` -> its status
Chats; below, ... stands for /_sandbox/accounts/{sub}
  POST   .../chats {name, origin?, phone?, status_id?, text?, fire?, lead_id?}
         -> chat_id, contact_id, lead_id, talk_id;
         with `text` or `fire` the first contact's webhooks go out: contacts, leads or unsorted, talk, message
  GET    .../chats  all chats
  POST   .../chats/{chat}/customer {text | texts, attachment?} -> message_ids; `message[add]` for each
  POST   .../chats/{chat}/manager {text, user_id?}            -> message_id; `outgoing_message[add]`, internal
  POST   .../chats/{chat}/bot {text}                          -> message_id; another bot of the CRM writes
  GET    .../chats/{chat}/messages?after=SEQ  the whole transcript, all talks of the chat
  POST   .../talks/{talk}/close  the next message opens a new talk in the chat
  POST   .../leads/{lead}/move {status_id, pipeline_id?}  `leads[status]`, `leads[update]`
Bots and files
  POST   .../bots {name, text?, widget?} -> bot_id; `text` is a message block, as `{{lead.cf.5}}`;
         widget: {url, secret, host, alg?, form?, data?, print?, step?} it asks there when a customer writes
  GET    .../bots  bots, runs that wait, `calls` to the widget with what was answered
  POST   .../files {name, mime, content (base64), host?} -> uuid, link; to be given as an attachment's link
How the account is set up; POST answers the new one's id, PATCH takes {name?, is_active?, is_archive?}
  POST .../fields {entity, name, type, code?, enums?}   PATCH, DELETE .../fields/{id}
         entity: leads, contacts, companies or the number of a list
  POST .../users {name, email?, is_admin?}              PATCH, DELETE .../users/{id}
  POST .../pipelines {name, stages?}                    PATCH, DELETE .../pipelines/{id}
  POST .../pipelines/{id}/stages {name}                 PATCH, DELETE .../pipelines/{id}/stages/{stage}
  POST .../tags {entity, name}   DELETE .../tags/{id}   POST .../bots {name}
  POST .../catalogs {name, type?, elements?}            POST .../files {name}  a PDF on the drive
  POST .../records/{leads|contacts|companies} {count, name?, updated_at?}  many, announced by no webhook
  DELETE .../records/{kind}/{id}  `leads[delete]`, `contacts[delete]`
What else happens
  POST   .../calls {entity, id, phone?, seconds?, direction?, call_status?}  `leads[note]`, `contacts[note]`
  DELETE .../tasks/{task}  `task[delete]`       POST .../records/{kind}/{id}/restore  `leads[restore]`, ...
  POST   .../digital_pipeline {url, triggers?}  an automation's thin webhooks: add, status (both follow by
         themselves), mail_in, call_in, chat, site_visit; those are fired by
  POST   .../leads/{lead}/trigger {trigger}
  POST   .../announce {event, elements, code?}  any webhook, like `catalogs[add]`, with one element or several
What happened
  GET    .../ledger?after=N&limit=  accepted sends and tasks, in order; `n` is the cursor
  GET    .../deliveries?after=N&limit=&bodies=1  webhook attempts, `under_way`, `emitted`, `dropped`
  GET    .../stats  requests, peak_per_second, limited, sent
  GET    /_sandbox/stats  the same over all accounts
Channels of somebody's own (the Chats API is at /v2/origin/custom/...)
  POST   /_sandbox/channels {hook_url, code?, secret?, id?}  one as support would register it
  GET    /_sandbox/channels  with their accounts, and the hooks they were sent
What goes wrong (also at /_sandbox/knobs and /_sandbox/faults, for all accounts present and to come)
  GET    .../knobs     POST .../knobs {name: value, ...}  see knobs.py; only the given ones change
  POST   .../faults {method?, path?, query?, action, count?, probability?, status?, body?, retry_after?,
         delay_ms?}
         `method`, `path` and `query` are searched as regular expressions; a list of such objects may be sent
         too; action `status` answers with `status` and body (json, html, plain, malformed, empty), `delay`
         only waits `delay_ms`, `spoil` carries the request out and answers 200 with such a body or one that
         is `truncated`, `accept_then_timeout` carries it out and never answers, `reset` cuts the connection
         before anything was done
  GET    .../faults    DELETE .../faults  rules with the counts left; forget them
"""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo.controls import (
    accounts,
    bots,
    bulk,
    channels,
    chats,
    faults,
    happenings,
    letters,
    oauth,
    records,
    setup,
)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def routes() -> list[Route]:
    """Return the routes of this interface, the busiest first."""
    account = "/accounts/{sub}"
    table: list[tuple[str, str, Handler]] = [
        ("POST", f"{account}/chats/{{chat}}/customer", chats.customer),
        ("GET", f"{account}/chats/{{chat}}/messages", chats.messages),
        ("POST", f"{account}/chats/{{chat}}/manager", chats.manager),
        ("POST", f"{account}/chats/{{chat}}/bot", chats.bot),
        ("GET", f"{account}/chats", chats.list_chats),
        ("POST", f"{account}/chats", chats.new_chat),
        ("POST", f"{account}/talks/{{talk:int}}/close", chats.close_talk),
        ("POST", f"{account}/leads/{{lead:int}}/move", chats.move_lead),
        ("POST", f"{account}/bots", bots.new_bot),
        ("GET", f"{account}/bots", bots.list_bots),
        ("POST", f"{account}/files", bots.new_file),
        ("GET", f"{account}/ledger", records.ledger),
        ("GET", f"{account}/deliveries", records.deliveries),
        ("GET", f"{account}/stats", records.account_stats),
        ("POST", f"{account}/tokens", accounts.new_token),
        ("DELETE", f"{account}/tokens", accounts.revoke_tokens),
        ("GET", f"{account}/grants", oauth.grants),
        ("POST", f"{account}/grants", oauth.new_grant),
        ("POST", f"{account}/grants/expire", oauth.expire),
        ("DELETE", f"{account}/grants", oauth.revoke),
        ("POST", f"{account}/rename", oauth.rename),
        ("POST", f"{account}/integration/remove", oauth.remove_integration),
        ("POST", f"{account}/integration/widget", oauth.install_widget),
        ("GET", "/channels", channels.list_channels),
        ("POST", "/channels", channels.new_channel),
        ("GET", "/integrations", oauth.list_integrations),
        ("POST", "/integrations", oauth.new_integration),
        ("GET", "/stats", records.stats),
        ("GET", "/accounts", accounts.list_accounts),
        ("POST", "/accounts", accounts.new_account),
        ("POST", "/reset", accounts.reset),
        ("GET", account, accounts.get_account),
    ]
    table += _of_setup(account)
    table += [
        ("POST", f"{account}/calls", happenings.phone_call),
        ("POST", f"{account}/letters", letters.new_letter),
        ("DELETE", f"{account}/tasks/{{task:int}}", happenings.remove_task),
        ("POST", f"{account}/records/{{kind}}/{{id:int}}/restore", happenings.restore_record),
        ("POST", f"{account}/digital_pipeline", happenings.put_pipeline_hook),
        ("POST", f"{account}/leads/{{lead:int}}/trigger", happenings.fire_trigger),
        ("POST", f"{account}/announce", happenings.announce),
    ]
    for scope in ("", account):
        table += [
            ("GET", f"{scope}/knobs", faults.get_knobs),
            ("POST", f"{scope}/knobs", faults.set_knobs),
            ("GET", f"{scope}/faults", faults.get_faults),
            ("POST", f"{scope}/faults", faults.add_faults),
            ("DELETE", f"{scope}/faults", faults.clear_faults),
        ]
    return [Route(f"/_sandbox{path}", handler, methods=[method]) for method, path, handler in table]


def _of_setup(account: str) -> list[tuple[str, str, Handler]]:
    pipeline = f"{account}/pipelines/{{id:int}}"
    table: list[tuple[str, str, Handler]] = [
        ("POST", f"{account}/tags", setup.new_tag),
        ("DELETE", f"{account}/tags/{{id:int}}", setup.remove_tag),
        ("POST", f"{account}/catalogs", setup.new_catalog),
        ("POST", f"{account}/records/{{kind}}", bulk.new_records),
        ("DELETE", f"{account}/records/{{kind}}/{{id:int}}", bulk.remove_record),
    ]
    for where, name, new, change, remove in (
        (f"{account}/fields", "id", setup.new_field, setup.change_field, setup.remove_field),
        (f"{account}/users", "id", setup.new_user, setup.change_user, setup.remove_user),
        (f"{account}/pipelines", "id", setup.new_pipeline, setup.change_pipeline, setup.remove_pipeline),
        (f"{pipeline}/stages", "stage", setup.new_stage, setup.change_stage, setup.remove_stage),
    ):
        one = f"{where}/{{{name}:int}}"
        table += [("POST", where, new), ("PATCH", one, change), ("DELETE", one, remove)]
    return table
