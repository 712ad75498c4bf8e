"""What customers, managers and bots do in chats, and the webhooks that follow from it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.amojo.book import Person, Said, Words
from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.state import (
    Account,
    AuthorType,
    Chat,
    Entity,
    Message,
    Talk,
    new_uuid,
    now,
)

BOT_NAME = "Bot"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who writes in, over which channel; `status_id` puts the lead on a stage, else the first one.

    `lead_id` is an existing lead whose contact writes over one more channel.
    """

    name: str
    origin: str
    phone: str | None = None
    status_id: int | None = None
    lead_id: int | None = None


def open_chat(desk: Desk, account: Account, customer: Customer) -> Chat:
    """Create the contact, the lead, the talk and the chat. Nothing is announced."""
    ids, moment = desk.world.ids, now()
    if customer.lead_id is not None:
        lead = account.leads[customer.lead_id]
        return _new_chat(desk, account, customer, lead.links[0], lead.id)
    contact = _entity(account, ids.next(), customer.name, moment)
    if customer.phone:
        _set_phone(account, contact, customer.phone)
    lead = _entity(account, ids.next(), f"Сделка #{contact.id}", moment)
    pipeline = account.main_pipeline
    first = pipeline.incoming_stage() if account.is_unsorted_on else pipeline.first_open_stage()
    lead.pipeline_id, lead.status_id = pipeline.id, customer.status_id or first
    lead.links, contact.links = [contact.id], [lead.id]
    account.contacts[contact.id], account.leads[lead.id] = contact, lead
    if account.is_unsorted_on:
        account.hidden.add(contact.id)
    return _new_chat(desk, account, customer, contact.id, lead.id)


def _new_chat(desk: Desk, account: Account, customer: Customer, contact_id: int, lead_id: int) -> Chat:
    source_id = desk.world.ids.next()
    chat = Chat(new_uuid(), customer.name, customer.origin, contact_id, lead_id, 0, new_uuid(), source_id)
    account.chats[chat.id] = chat
    _open_talk(desk, account, chat)
    return chat


def announce_first_contact(desk: Desk, account: Account, chat: Chat, text: str | None) -> Message | None:
    """Fire what a client's first message fires; without a text, everything but the message."""
    lead = account.leads[chat.lead_id]
    message = None if text is None else _write(account, chat, text, "external", chat.client_id, chat.name)
    desk.announce_entity(account, "contacts", "add", account.contacts[chat.contact_id])
    if account.is_unsorted_on and message is not None:
        desk.announce(
            account, "unsorted", "add", forms.incoming_lead(account, chat, message), key=f"leads/{lead.id}"
        )
    else:
        desk.announce_entity(account, "leads", "add", lead)
    desk.announce(account, "talk", "add", forms.talk(account.talks[chat.talk_id]), key=chat.id)
    if message is not None:
        desk.announce(account, "message", "add", forms.incoming_message(account, chat, message), key=chat.id)
        _tell_bots(account, chat, message.text)
    desk.announce_entity(account, "leads", "update", lead)
    return message


def customer_writes(
    desk: Desk,
    account: Account,
    chat: Chat,
    texts: Sequence[str],
    attachment: dict[str, str] | None = None,
) -> list[Message]:
    """Add messages of the customer. A closed talk is followed by a new one in the same chat."""
    current_talk(desk, account, chat)
    written = []
    for text in texts:
        message = _write(account, chat, text, "external", chat.client_id, chat.name, attachment=attachment)
        desk.announce(account, "message", "add", forms.incoming_message(account, chat, message), key=chat.id)
        _tell_bots(account, chat, text)
        written.append(message)
    return written


def _tell_bots(account: Account, chat: Chat, text: str) -> None:
    if account.heard is not None:
        account.heard(chat, text)


def manager_writes(desk: Desk, account: Account, chat: Chat, text: str, user_id: int) -> Message:
    current_talk(desk, account, chat)
    user = account.users[user_id]
    message = _write(account, chat, text, "internal", user.amojo_id, user.name, user_id=user.id)
    _announce_outgoing(desk, account, chat, message)
    _tell_channel(desk, account, chat, message)
    return message


def bot_writes(
    desk: Desk, account: Account, chat: Chat, text: str, attachment: dict[str, str] | None = None
) -> Message:
    """A bot inside the CRM, or our side through the API: the wire does not tell them apart but by id."""
    message = _write(account, chat, text, "bot", account.amojo_id, BOT_NAME, attachment=attachment)
    message.refused_by_channel = not account.knobs.window_open
    _announce_outgoing(desk, account, chat, message)
    _tell_channel(desk, account, chat, message)
    return message


def _tell_channel(desk: Desk, account: Account, chat: Chat, message: Message) -> None:
    """Where the chat came in by somebody's own channel, hand the message over to be delivered."""
    found = desk.channels.of_chat(chat.id)
    if found is None:
        return
    channel, scope, conversation = found
    person = conversation.user
    sender = Person(ref_id=message.author_id, name=message.author_name)
    words = Words("text", message.text)
    conversation.said.append(Said(message.id, message.id, sender, words, message.created_at, person))
    receiver: dict[str, object] = {"id": person.ref_id, "client_id": person.id}
    if person.profile is not None and person.profile.phone is not None:
        receiver["phone"] = person.profile.phone
    told: forms.Tree = {
        "account_id": account.amojo_id,
        "time": message.created_at,
        "message": {
            "receiver": receiver,
            "sender": {"id": message.author_id},
            "conversation": {"id": conversation.id, "client_id": conversation.client_id},
            "timestamp": message.created_at,
            "msec_timestamp": int(message.at * 1000),
            "message": {
                "id": message.id,
                "type": "text",
                "text": message.text,
                "markup": None,
                "media": "",
                "thumbnail": "",
                "file_name": "",
                "file_size": 0,
            },
        },
    }
    desk.tell_channel(channel, scope.id, told)


def close_talk(desk: Desk, account: Account, talk: Talk) -> None:
    if talk.is_open:
        talk.is_open, talk.is_read, talk.updated_at = False, True, now()
        desk.announce(account, "talk", "update", forms.talk(talk), key=talk.chat_id)


def current_talk(desk: Desk, account: Account, chat: Chat) -> Talk:
    """Return the chat's open talk, opening and announcing a new one where the last was closed."""
    talk = account.talks[chat.talk_id]
    if talk.is_open:
        return talk
    talk = _open_talk(desk, account, chat)
    desk.announce(account, "talk", "add", forms.talk(talk), key=chat.id)
    return talk


def delivery_status(account: Account, message: Message) -> str | None:
    """Outgoing messages travel on by themselves, unless the channel refused them."""
    if message.author_type == "external":
        return None
    if message.refused_by_channel:
        return "error"
    age_ms = (time.time() - message.at) * 1000
    if age_ms < account.knobs.delivered_after_ms:
        return "sent"
    return "delivered" if age_ms < account.knobs.read_after_ms else "read"


def _open_talk(desk: Desk, account: Account, chat: Chat) -> Talk:
    moment = now()
    talk = Talk(desk.world.ids.next(), chat.id, chat.contact_id, chat.lead_id, chat.origin, moment, moment)
    chat.talk_id = talk.id
    account.talks[talk.id] = talk
    account.talks_by_contact[chat.contact_id].append(talk)
    return talk


def _write(  # noqa: PLR0917 - a message simply has that many parts
    account: Account,
    chat: Chat,
    text: str,
    author_type: AuthorType,
    author_id: str,
    author_name: str,
    *,
    user_id: int | None = None,
    attachment: dict[str, str] | None = None,
) -> Message:
    talk = account.talks[chat.talk_id]
    message = Message(
        new_uuid(),
        len(chat.messages) + 1,
        chat.id,
        talk.id,
        text,
        time.time(),
        author_type,
        author_id,
        author_name,
        user_id=user_id,
        attachment=attachment,
    )
    chat.messages.append(message)
    talk.messages.append(message)
    talk.updated_at, talk.is_read = message.created_at, author_type != "external"
    return message


def _announce_outgoing(desk: Desk, account: Account, chat: Chat, message: Message) -> None:
    tree = forms.outgoing_message(account, chat, message)
    desk.announce(account, "outgoing_message", "add", tree, key=chat.id)


def _entity(account: Account, id_: int, name: str, moment: int) -> Entity:
    return Entity(id_, name, account.main_user, 0, 0, moment, moment)


def _set_phone(account: Account, contact: Entity, phone: str) -> None:
    field = next(field for field in account.fields["contacts"].values() if field.code == "PHONE")
    enum_id, (_, code) = next(iter(field.enums.items()))
    contact.values[field.id] = [{"value": phone, "enum_id": enum_id, "enum_code": code}]
