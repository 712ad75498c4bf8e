"""Each method of the CRM port, called once: what the tests of all of them share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gptagent.features.crm.actions.model import Create, NewNote, Note, Plain
from gptagent.features.crm.connecting.model import Credentials
from gptagent.features.crm.deliveries.model import RecordRef, Seen, SeenLetter
from gptagent.features.crm.model import NewTask
from gptagent.features.crm.records import PageRequest

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
PAGE = PageRequest()
KEYS = Credentials("kommo", "client", "secret")
BACK = "https://app.example/oauth/crm"
SEEN = Seen(EPOCH, "incoming", None, None, "message", 1)
LETTER = SeenLetter(EPOCH, RecordRef("lead", 1), 1)
HOOK = "https://app.example/hooks/x"
NOTE = NewNote("leads", 1, Note("common", "Called"), "u1")
REFUSED_GRANT = dict.fromkeys(("400", "401", "403", "404", "422"), ("Forbidden", "crm_grant_refused"))


@dataclass(frozen=True)
class PortCall:
    """`otherwise` says where it departs from what faults mean for others: None is a success."""

    make: Callable
    is_write: bool = False
    otherwise: dict = field(default_factory=dict)


# No requests of their own, or none a fault of the account could reach.
LOCAL = {
    "account_host",
    "consent_url",
    "download_attachment",  # another server: test_kommo_bots.py
    "find_host",  # asks a directory beside the accounts: test_crm_tokens.py
    "read_token",
    "read_hook_fields",
    "read_stored",
    "read_webhook",
    "read_widget_request",
    "reserve_send",
    "tell_moved",
    "webhook_codes",
}
CALLS = {
    "exchange_code": PortCall(
        lambda crm, link: crm.exchange_code(link, KEYS, "code", BACK), is_write=True, otherwise=REFUSED_GRANT
    ),
    "renew_pair": PortCall(
        lambda crm, link: crm.renew_pair(link, KEYS, "refresh", BACK), is_write=True, otherwise=REFUSED_GRANT
    ),
    "has_moved": PortCall(
        lambda crm, link: crm.has_moved(link), otherwise=dict.fromkeys(("401", "403", "404"))
    ),
    "fetch_account": PortCall(lambda crm, link: crm.fetch_account(link)),
    "fetch_pipelines": PortCall(lambda crm, link: crm.fetch_pipelines(link)),
    "fetch_lead": PortCall(lambda crm, link: crm.fetch_lead(link, 1)),
    "fetch_contact": PortCall(lambda crm, link: crm.fetch_contact(link, 1)),
    "fetch_fields": PortCall(lambda crm, link: crm.fetch_fields(link, "leads")),
    "fetch_users": PortCall(lambda crm, link: crm.fetch_users(link)),
    "fetch_tags": PortCall(lambda crm, link: crm.fetch_tags(link, "leads", PAGE)),
    "fetch_salesbots": PortCall(lambda crm, link: crm.fetch_salesbots(link)),
    "fetch_channels": PortCall(lambda crm, link: crm.fetch_channels(link, PAGE)),
    "fetch_contacts": PortCall(lambda crm, link: crm.fetch_contacts(link, PAGE)),
    "fetch_leads": PortCall(lambda crm, link: crm.fetch_leads(link, PAGE)),
    "fetch_companies": PortCall(lambda crm, link: crm.fetch_companies(link, PAGE)),
    "fetch_catalogs": PortCall(lambda crm, link: crm.fetch_catalogs(link)),
    "fetch_catalog_elements": PortCall(lambda crm, link: crm.fetch_catalog_elements(link, 1, PAGE)),
    "fetch_unsorted": PortCall(lambda crm, link: crm.fetch_unsorted(link, PAGE)),
    "fetch_log": PortCall(lambda crm, link: crm.fetch_log(link, PAGE)),
    "fetch_links": PortCall(lambda crm, link: crm.fetch_links(link, "leads", 1)),
    "fetch_notes": PortCall(lambda crm, link: crm.fetch_notes(link, "leads", 1, PAGE)),
    "fetch_file": PortCall(lambda crm, link: crm.fetch_file(link, "uuid")),
    "create_task": PortCall(
        lambda crm, link: crm.create_task(link, NewTask(1, "Call", EPOCH)), is_write=True
    ),
    "find_task": PortCall(lambda crm, link: crm.find_task(link, 1, "x", EPOCH)),
    "find_open_talk": PortCall(lambda crm, link: crm.find_open_talk(link, 1, "x")),
    "list_messages": PortCall(lambda crm, link: crm.list_messages(link, 1, EPOCH)),
    "send_message": PortCall(lambda crm, link: crm.send_message(link, 1, "Hello"), is_write=True),
    "register_webhook": PortCall(lambda crm, link: crm.register_webhook(link, HOOK), is_write=True),
    "unregister_webhook": PortCall(
        lambda crm, link: crm.unregister_webhook(link, HOOK), is_write=True, otherwise={"404": None}
    ),
    "fetch_webhook": PortCall(lambda crm, link: crm.fetch_webhook(link, HOOK)),
    "list_seen": PortCall(lambda crm, link: crm.list_seen(link, EPOCH, EPOCH)),
    "list_letters": PortCall(lambda crm, link: crm.list_letters(link, EPOCH, EPOCH)),
    "fetch_letter": PortCall(lambda crm, link: crm.fetch_letter(link, LETTER), otherwise={"404": None}),
    "fetch_missed": PortCall(lambda crm, link: crm.fetch_missed(link, 1, [SEEN])),
    "fetch_talk": PortCall(lambda crm, link: crm.fetch_talk(link, 1)),
    "create_text_field": PortCall(lambda crm, link: crm.create_text_field(link, "AI reply"), is_write=True),
    "read_field": PortCall(lambda crm, link: crm.read_field(link, 1, 1)),
    "write_field": PortCall(lambda crm, link: crm.write_field(link, 1, 1, "Hello"), is_write=True),
    "run_bot": PortCall(lambda crm, link: crm.run_bot(link, 1, 1), is_write=True),
    "continue_bot": PortCall(
        lambda crm, link: crm.continue_bot(
            link, f"https://{link.host}/api/v4/salesbot/1/continue/1", "Hello", 1
        ),
        is_write=True,
        otherwise={"404": ("NotFound", "crm_slot_gone")},
    ),
    "list_bot_messages": PortCall(lambda crm, link: crm.list_bot_messages(link, 1, EPOCH)),
    "fetch_values": PortCall(lambda crm, link: crm.fetch_values(link, "leads", 1)),
    "create_record": PortCall(
        lambda crm, link: crm.create_record(link, "leads", Create("Shop")), is_write=True
    ),
    "update_record": PortCall(
        lambda crm, link: crm.update_record(link, "leads", 1, {"price": Plain(5)}, {}), is_write=True
    ),
    "find_record": PortCall(
        lambda crm, link: crm.find_record(link, "leads", Create("x"), EPOCH, frozenset())
    ),
    "link_contact": PortCall(lambda crm, link: crm.link_contact(link, 1, 2), is_write=True),
    "create_note": PortCall(lambda crm, link: crm.create_note(link, NOTE), is_write=True),
    # Its first question is where the drive is.
    "upload_file": PortCall(lambda crm, link: crm.upload_file(link, "a.txt", b"a")),
    "find_note": PortCall(lambda crm, link: crm.find_note(link, NOTE, EPOCH, frozenset())),
    "fetch_changed_leads": PortCall(lambda crm, link: crm.fetch_changed_leads(link, EPOCH)),
}
