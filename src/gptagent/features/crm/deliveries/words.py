"""Deliveries in words for people (msgids)."""

from collections.abc import Mapping

from gptagent.features.crm.deliveries.model import DeliveryState

# Name, kind of badge, icon.
STATES: Mapping[DeliveryState, tuple[str, str, str]] = {
    "received": ("Waiting", "", "clock"),
    "processed": ("Acted on", "success", "check"),
    "ignored": ("Nothing to do", "", "check"),
    "failed": ("Failed, is tried again", "warning", "refresh-cw"),
    "dead": ("Given up", "danger", "circle-alert"),
}
KINDS: Mapping[str, str] = {
    "message[add]": "A customer wrote",
    "letter[add]": "A letter was read",
    "outgoing_message[add]": "A colleague or robot wrote",
    "talk[add]": "Conversation opened",
    "talk[update]": "Conversation changed",
    "leads[add]": "Deal made",
    "leads[update]": "Deal changed",
    "leads[delete]": "Deal deleted",
    "leads[restore]": "Deal restored",
    "leads[status]": "Deal moved",
    "leads[responsible]": "Deal handed over",
    "leads[note]": "Note on a deal",
    "leads[mail_in]": "Letter for a deal",
    "leads[call_in]": "Call for a deal",
    "leads[chat]": "Chat of a deal",
    "leads[site_visit]": "Visit of the website",
    "contacts[add]": "Contact or company made",
    "contacts[update]": "Contact or company changed",
    "contacts[responsible]": "Contact or company handed over",
    "contacts[delete]": "Contact or company deleted",
    "contacts[restore]": "Contact or company restored",
    "contacts[note]": "Note on a contact or company",
    "companies[note]": "Note on a contact or company",
    "customers[add]": "Customer record made",
    "customers[update]": "Customer record changed",
    "customers[responsible]": "Customer record handed over",
    "customers[delete]": "Customer record deleted",
    "customers[note]": "Note on a customer record",
    "task[add]": "Task made",
    "task[update]": "Task changed",
    "task[responsible]": "Task handed over",
    "task[delete]": "Task deleted",
    "unsorted[add]": "Incoming lead",
    "unsorted[update]": "Incoming lead changed",
    "unsorted[delete]": "Incoming lead accepted or declined",
    "catalogs[add]": "Element of a list made",
    "catalogs[update]": "Element of a list changed",
    "catalogs[delete]": "Element of a list deleted",
}
ERRORS: Mapping[str, str] = {
    "duplicate": "A copy of what came before.",
    "nothing_new": "Nothing new in it, or nothing we act on.",
    "empty": "Empty.",
    "forgotten": "Its content is no longer kept.",
    "slow": "It took too long and waits its turn.",
    "busy": "Something else was in the way, so it waits its turn.",
    "job": "Its job was given up.",
}
