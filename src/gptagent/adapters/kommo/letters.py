"""Letters of the CRM's own mailboxes. No webhook tells of them; the log names a note that each leaves.

Such a note, `amomail_message`, has `params` with thread_id, message_id, income, from and to {email, name},
subject and content_summary: the first words. The API shows no more of a letter, makes no such notes and sends
from no mailbox. The log's types are `incoming_mail` and `outgoing_mail`, with `value_after[0].note.id`. Seen
in public integrations of 2026; the vendor documents the kind of note only. What lies at companies alone is
left to people.
"""

import html
from collections.abc import Mapping

from gptagent.adapters.kommo.tree import Tree, as_flag, as_id, as_list, as_map, as_text
from gptagent.adapters.kommo.wire import moment
from gptagent.features.crm.deliveries.model import RecordRef, SeenLetter
from gptagent.features.crm.model import MAIL, InboundMessage, Letter

INCOMING, OUTGOING = "incoming_mail", "outgoing_mail"
KIND = "amomail_message"
PLACES: Mapping[str, str] = {"lead": "leads", "contact": "contacts"}


def seen_in(row: Mapping[str, object]) -> SeenLetter | None:
    """Return the letter a line of the log tells of; None if it lies at neither a deal nor a contact."""
    kind, number = as_text(row.get("entity_type")), as_id(row.get("entity_id"))
    after = as_map(next(iter(as_list(row.get("value_after"))), None))
    note_id = as_id(as_map(after.get("note")).get("id"))
    if kind not in PLACES or number is None or note_id is None:
        return None
    record = RecordRef("lead" if kind == "lead" else "contact", number)
    return SeenLetter(moment(row.get("created_at")), record, note_id)


def as_told(record: RecordRef, note: Mapping[str, object]) -> dict[str, object] | None:
    """Return the letter as a delivery tells of it; None if the note is of another kind or has no id."""
    params = as_map(note.get("params"))
    if as_text(note.get("note_type")) != KIND or not as_text(params.get("message_id")):
        return None
    names = ("message_id", "thread_id", "income", "from", "to", "subject", "content_summary")
    told = {name: params[name] for name in names if params.get(name) is not None}
    return told | {f"{record.kind}_id": record.id, "created_at": note.get("created_at")}


def read_letter(fields: Tree) -> InboundMessage | None:
    message_id = as_text(fields.get("message_id"))
    is_theirs = as_flag(fields.get("income")) is True
    sender, receiver = as_map(fields.get("from")), as_map(fields.get("to"))
    theirs, ours = (sender, receiver) if is_theirs else (receiver, sender)
    address = as_text(theirs.get("email")).strip()
    if not message_id or not address:
        return None
    subject = " ".join(as_text(fields.get("subject")).split())
    beginning = html.unescape(as_text(fields.get("content_summary"))).strip()
    return InboundMessage(
        provider_id=f"{MAIL}:{message_id}",
        chat_id=f"{MAIL}:{as_text(fields.get('thread_id')) or address.lower()}",
        talk_id=None,
        contact_id=as_id(fields.get("contact_id")),
        lead_id=as_id(fields.get("lead_id")),
        author="customer" if is_theirs else "human",
        author_name=as_text(sender.get("name")).strip() or as_text(sender.get("email")).strip(),
        text="\n\n".join(filter(None, (subject, beginning))),
        sent_at=moment(fields.get("created_at")),
        origin=MAIL,
        letter=Letter(subject, address, as_text(ours.get("email")).strip()),
    )
