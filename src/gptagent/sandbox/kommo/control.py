"""The control interface: JSON under `/_sandbox`, on any Host, without a token.

Accounts
  GET    /_sandbox/accounts  all accounts
  POST   /_sandbox/accounts {subdomain, name?, features?}  -> account_id, subdomain, token, user_ids, pipeline
         features: {unsorted: false, sending: true, quota: 10000, scopes: [...]}
  GET    /_sandbox/accounts/{sub}  one account, as above
  POST   /_sandbox/accounts/{sub}/tokens {scopes?}  one more long-lived token
  DELETE /_sandbox/accounts/{sub}/tokens  revoke all of them
  POST   /_sandbox/reset  forget every account and default knob
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
What happened
  GET    .../ledger?after=N&limit=  accepted sends and tasks, in order; `n` is the cursor
  GET    .../deliveries?after=N&limit=&bodies=1  webhook attempts, `under_way`, `emitted`, `dropped`
  GET    .../stats  requests, peak_per_second, limited, sent
  GET    /_sandbox/stats  the same over all accounts
What goes wrong (also at /_sandbox/knobs and /_sandbox/faults, for all accounts present and to come)
  GET    .../knobs     POST .../knobs {name: value, ...}  see knobs.py; only the given ones change
  POST   .../faults {method?, path?, action, count?, probability?, status?, body?, retry_after?, delay_ms?}
         `method` and `path` are searched as regular expressions; a list of such objects may be sent too;
         action `status` answers with `status` (body json or html), `delay` only waits `delay_ms`,
         `accept_then_timeout` carries the request out and never answers, `reset` cuts the connection
         before anything was done
  GET    .../faults    DELETE .../faults  rules with the counts left; forget them
"""

from starlette.routing import Route

from gptagent.sandbox.kommo.controls import accounts, bots, chats, faults, records


def routes() -> list[Route]:
    """Return the routes of this interface, the busiest first."""
    account = "/accounts/{sub}"
    table = [
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
        ("GET", "/stats", records.stats),
        ("GET", "/accounts", accounts.list_accounts),
        ("POST", "/accounts", accounts.new_account),
        ("POST", "/reset", accounts.reset),
        ("GET", account, accounts.get_account),
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
