"""Deliveries of webhooks as the platform's own records, in shapes the vendor documents or was seen to send.

Every key may be missing or hold another shape: what cannot be read becomes OtherEvent, never an error.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from gptagent.adapters.kommo import reports
from gptagent.adapters.kommo.letters import read_letter
from gptagent.adapters.kommo.tree import Tree, as_flag, as_id, as_list, as_map, as_text
from gptagent.adapters.kommo.wire import lead_of, moment
from gptagent.features.crm.model import (
    AuthorKind,
    CrmEvent,
    InboundMessage,
    OtherEvent,
    TalkChanged,
    Webhook,
)

KEY_BYTES = 16
MAX_KIND_CHARS = 80
_TIMES = ("updated_at", "last_modified", "created_at", "date_create")
# Carry no time, but happen to one number once only.
_ONCE = frozenset({"task[delete]", "catalogs[delete]", "unsorted[delete]"})

_Reader = Callable[[Tree], CrmEvent | None]
_Found = tuple[CrmEvent, bytes | None]


def read_delivery(tree: Tree) -> Webhook:
    """Return the events in the order of the body. Kinds and shapes we do not know become OtherEvent."""
    account = as_map(tree.get("account"))
    found = tuple(_events(tree))
    return Webhook(
        account_id=as_id(account.get("id")),
        subdomain=as_text(account.get("subdomain")) or None,
        events=tuple(event for event, _ in found),
        payload=tree,
        keys=tuple(key for _, key in found),
        kind=_kind(tree),
    )


def _kind(tree: Tree) -> str:
    """Return the first `kind[action]` of a body, as lists name it."""
    for kind, actions in tree.items():
        if kind != "account":
            action = next(iter(actions), "") if isinstance(actions, dict) else ""
            return (f"{kind}[{action}]" if action else kind)[:MAX_KIND_CHARS]
    return "unknown"


def _events(tree: Tree) -> Iterator[_Found]:
    """Walk `kind[action][n]`. What is not of that form is kept in one event of its own."""
    unknown: Tree = {}
    for kind, actions in tree.items():
        if isinstance(actions, list):
            yield from (_other(kind, element) for element in actions)
        elif isinstance(actions, dict) and _holds_only_branches(actions):
            yield from _of_kind(kind, actions)
        elif kind != "account":
            unknown[kind] = actions
    if unknown:
        yield OtherEvent("unknown", unknown), None


def _holds_only_branches(actions: Mapping[str, object]) -> bool:
    return bool(actions) and all(isinstance(elements, list | dict) for elements in actions.values())


def _of_kind(kind: str, actions: Mapping[str, object]) -> Iterator[_Found]:
    for action, elements in actions.items():
        name = f"{kind}[{action}]"
        for element in as_list(elements):
            event = READERS[name](element) if name in READERS and isinstance(element, dict) else None
            yield (event, _key(name, element)) if event is not None else _other(name, element)


def _other(name: str, element: object) -> _Found:
    return OtherEvent(name, element if isinstance(element, dict) else {"value": element}), _key(name, element)


def _key(name: str, element: object) -> bytes | None:
    """Return what every copy of an element shares. One without a time may rightly come again.

    A note with a file is told twice, in different words: its number is what both share.
    """
    fields = as_map(element)
    note_id = as_id(as_map(fields.get("note")).get("id"))
    what: object = element if note_id is None else note_id
    if note_id is None and name not in _ONCE and not any(as_text(fields.get(time)) for time in _TIMES):
        return None
    return hashlib.sha256(msgspec.json.encode((name, what), order="sorted")).digest()[:KEY_BYTES]


def _customer_message(fields: Tree) -> InboundMessage | None:
    author = as_text(as_map(fields.get("author")).get("type"))
    if fields.get("type") != "incoming" or author != "external":
        return None
    return _message(fields, "customer")


def _our_side_message(fields: Tree) -> InboundMessage | None:
    kinds: dict[str, AuthorKind] = {"internal": "human", "bot": "bot"}
    author = kinds.get(as_text(as_map(fields.get("author")).get("type")))
    return None if author is None else _message(fields, author)


def _message(fields: Tree, author: AuthorKind) -> InboundMessage | None:
    provider_id, chat_id = as_text(fields.get("id")), as_text(fields.get("chat_id"))
    if not provider_id or not chat_id:
        return None
    attachment = as_map(fields.get("attachment"))
    kind = as_text(attachment.get("type")) or as_text(fields.get("message_type"))
    return InboundMessage(
        provider_id=provider_id,
        chat_id=chat_id,
        talk_id=as_id(fields.get("talk_id")),
        contact_id=as_id(fields.get("contact_id")),
        lead_id=lead_of(fields),
        author=author,
        author_name=as_text(as_map(fields.get("author")).get("name")),
        text=as_text(fields.get("text")),
        sent_at=moment(fields.get("created_at")),
        origin=as_text(fields.get("origin")),
        attachment_type=kind if kind not in {"", "text"} else None,
        attachment_url=as_text(attachment.get("link")) or None,
        attachment_name=as_text(attachment.get("file_name")) or None,
    )


def _talk(fields: Tree) -> TalkChanged | None:
    talk_id = as_id(fields.get("talk_id"))
    if talk_id is None:
        return None
    return TalkChanged(
        talk_id=talk_id,
        chat_id=as_text(fields.get("chat_id")) or None,
        contact_id=as_id(fields.get("contact_id")),
        lead_id=lead_of(fields),
        is_open=as_flag(fields.get("is_in_work")) is not False,
    )


READERS: Mapping[str, _Reader] = {
    "message[add]": _customer_message,
    "letter[add]": read_letter,
    "outgoing_message[add]": _our_side_message,
    "talk[add]": _talk,
    "talk[update]": _talk,
    **reports.READERS,
}
