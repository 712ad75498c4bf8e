"""Bodies of outgoing webhooks: form-encoded, PHP bracket keys, in the key order of real captures."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal
from urllib.parse import quote_plus

from gptagent.sandbox.kommo.state import Account, Chat, Entity, EntityKind, Message, Note, Talk, Task

Tree = Mapping[str, object]
NOTE_TYPES = {"common": 4, "attachment": 5, "call_in": 10, "call_out": 11}
PICTURE = "https://amojo.kommo.com/attachments/profiles/{}/128x128.jpg"


def encode(account: Account, kind: str, action: str, element: Tree) -> bytes:
    """Return the body announcing `kind[action][0]`."""
    return encode_many(account, kind, action, [element])


def encode_many(account: Account, kind: str, action: str, elements: Sequence[Tree]) -> bytes:
    """Return one body of several elements, which the vendor may send though it was seen to send one."""
    head = {
        "account": {
            "subdomain": account.subdomain,
            "id": account.id,
            "_links": {"self": f"https://{account.subdomain}.amocrm.com"},
        }
    }
    body = {kind: {action: {str(index): element for index, element in enumerate(elements)}}}
    return encode_tree({**body, **head} if account.knobs.account_last else {**head, **body})


def encode_thin(account: Account, trigger: str, lead: Tree) -> bytes:
    """Return the body of a Digital Pipeline's own webhook: where the lead stands, and the account last."""
    head = {"account": {"id": account.id, "subdomain": account.subdomain}}
    return encode_tree({"leads": {trigger: {"0": lead}}, **head})


def encode_tree(tree: Tree) -> bytes:
    return "&".join(f"{_quoted(key)}={quote_plus(value)}" for key, value in _leaves(tree, "")).encode()


@lru_cache(maxsize=4096)
def _quoted(key: str) -> str:
    return quote_plus(key)


def _leaves(node: object, path: str) -> Iterator[tuple[str, str]]:
    """PHP's http_build_query: absent values leave no key, true is 1 and false is 0."""
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from _leaves(child, f"{path}[{key}]" if path else str(key))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _leaves(child, f"{path}[{index}]")
    elif isinstance(node, bool):
        yield path, str(int(node))
    elif node is not None:
        yield path, str(node)


def incoming_message(account: Account, chat: Chat, message: Message) -> Tree:
    return {
        **_message_head(account, chat, message),
        "type": "incoming",
        "author": {
            "id": message.author_id,
            "type": "external",
            "name": message.author_name,
            "avatar_url": PICTURE.format(message.author_id) if account.knobs.avatars else None,
        },
        "origin": chat.origin,
    }


def outgoing_message(account: Account, chat: Chat, message: Message) -> Tree:
    author = {
        "id": message.author_id,
        "type": message.author_type,
        "name": message.author_name,
        "user_id": message.user_id,
    }
    return {
        **_message_head(account, chat, message),
        "type": "outgoing",
        "author": author,
        "recipient": {"id": chat.client_id, "name": chat.name},
        "origin": chat.origin,
        "source_id": chat.source_id,
    }


def _message_head(account: Account, chat: Chat, message: Message) -> dict[str, object]:
    knobs = account.knobs
    bound = {"element_type": 2, "entity_type": "lead", "element_id": chat.lead_id, "entity_id": chat.lead_id}
    kind = message.attachment["type"] if message.attachment else "text"
    return {
        "id": message.id,
        "chat_id": message.chat_id,
        "talk_id": message.talk_id,
        "contact_id": chat.contact_id,
        "text": message.text,
        "created_at": message.created_at,
        **({"message_type": kind} if knobs.message_type else {}),
        **({"attachment": message.attachment} if message.attachment else {}),
        **(bound if knobs.bind_entities else {}),
    }


def talk(talk_: Talk) -> Tree:
    return {
        "talk_id": talk_.id,
        "created_at": talk_.created_at,
        "updated_at": talk_.updated_at,
        "rate": 0,
        "contact_id": talk_.contact_id,
        "chat_id": talk_.chat_id,
        "entity_id": talk_.lead_id,
        "entity_type": "lead",
        "is_in_work": talk_.is_open,
        "is_read": talk_.is_read,
        "origin": talk_.origin,
    }


def lead(
    account: Account, entity: Entity, *, old_status_id: int | None = None, old_user_id: int | None = None
) -> Tree:
    return {
        "id": entity.id,
        "name": entity.name,
        "status_id": entity.status_id,
        "old_status_id": old_status_id,
        "price": entity.price,
        "responsible_user_id": entity.responsible_user_id,
        "last_modified": entity.updated_at,
        "modified_user_id": entity.updated_by,
        "created_user_id": entity.created_by,
        "date_create": entity.created_at,
        "pipeline_id": entity.pipeline_id,
        "account_id": account.id,
        "tags": [{"id": id_, "name": name} for id_, name in entity.tags.items()],
        "custom_fields": _fields(account, entity, "leads"),
        "old_responsible_user_id": old_user_id,
        "created_at": entity.created_at,
        "updated_at": entity.updated_at,
    }


def deleted(entity: Entity, kind: EntityKind) -> Tree:
    """What is told of a record that is gone."""
    if kind == "leads":
        return {"id": entity.id, "status_id": entity.status_id, "pipeline_id": entity.pipeline_id}
    return {"id": entity.id, "type": "company" if kind == "companies" else "contact"}


def contact(account: Account, entity: Entity, kind: EntityKind = "contacts") -> Tree:
    return {
        "id": entity.id,
        "name": entity.name,
        "responsible_user_id": entity.responsible_user_id,
        "date_create": entity.created_at,
        "last_modified": entity.updated_at,
        "created_user_id": entity.created_by,
        "modified_user_id": entity.updated_by,
        "account_id": account.id,
        "custom_fields": _fields(account, entity, kind),
        "created_at": entity.created_at,
        "updated_at": entity.updated_at,
        "type": "company" if kind == "companies" else "contact",
    }


def _fields(account: Account, entity: Entity, kind: EntityKind) -> list[Tree]:
    catalogue = account.fields[kind]
    return [
        {
            "id": id_,
            "name": catalogue[id_].name,
            "code": catalogue[id_].code,
            "values": _hook_values(catalogue[id_].type, values),
        }
        for id_, values in entity.values.items()
        if id_ in catalogue
    ]


def _hook_values(type_: str, values: list[dict[str, object]]) -> object:
    """A radio button's value travels as an object, of everything else there is a list."""
    if type_ == "radiobutton" and values:
        return _field_value(type_, values[0])
    return [_field_value(type_, value) for value in values]


def _field_value(type_: str, value: Mapping[str, object]) -> object:
    """Dates travel as bare numbers, everything else as an object."""
    if type_ in {"date", "date_time", "birthday"}:
        return value["value"]
    if type_ == "chained_list":
        return value
    if type_ == "smart_address":
        return {"value": value["value"], "subtype": value.get("enum_code")}
    return {"value": value["value"], "enum": value.get("enum_id")}


def incoming_lead(account: Account, chat: Chat, message: Message) -> Tree:
    source = f"{chat.origin}:{account.amojo_id}"
    source_uid = f"amojo:{chat.origin}:{chat.id}"
    data = {
        "from": chat.name,
        "name": chat.name,
        "to": account.amojo_id,
        "date": message.created_at,
        "service": chat.origin,
        "site": chat.origin.capitalize(),
        "client": {"name": chat.name, "id": chat.client_id, "picture": PICTURE.format(chat.client_id)},
        "origin": {"provider": "amojo", "chat_id": chat.id},
        "data": [{"id": message.id, "manager": 0, "date": message.created_at, "text": message.text}],
        "source_uid": source_uid,
        "source": source,
        "source_name": account.name,
    }
    return {
        "uid": unsorted_uid(chat, message),
        "source": source,
        "source_uid": source_uid,
        "category": "chats",
        "source_data": data,
        "date_create": message.created_at,
        "data": {"contacts": [{"id": chat.contact_id}]},
        "pipeline_id": account.leads[chat.lead_id].pipeline_id,
        "account_id": account.id,
        "source_id": chat.source_id,
        "lead_id": chat.lead_id,
        "created_at": message.created_at,
    }


def unsorted_uid(chat: Chat, message: Message | None) -> str:
    return f"{message.id if message else ''}{chat.id}".replace("-", "")[:60]


def unsorted_gone(account: Account, chat: Chat, action: Literal["accept", "decline"], user_id: int) -> Tree:
    lead = account.leads.get(chat.lead_id)
    return {
        "action": action,
        "uid": unsorted_uid(chat, chat.messages[0] if chat.messages else None),
        f"{action}_result": {"leads": [chat.lead_id]},
        "category": "chats",
        "created_at": lead.created_at if lead else None,
        "modified_user_id": user_id,
    }


def task(account: Account, task_: Task, *, old_text: str | None = None) -> Tree:
    element_type = {"contacts": 1, "leads": 2, "companies": 3, "customers": 12}.get(
        task_.entity_type or "", 0
    )
    return {
        "id": task_.id,
        "element_id": task_.entity_id or 0,
        "element_type": element_type,
        "task_type": task_.task_type_id,
        "date_create": _written(task_.created_at),
        "text": task_.text,
        "old_text": old_text,
        "status": task_.is_completed,
        "account_id": account.id,
        "created_user_id": task_.created_by,
        "last_modified": _written(task_.updated_at),
        "responsible_user_id": task_.responsible_user_id,
        "complete_till": _written(task_.complete_till),
        "action_close": task_.is_completed,
        "result": {"id": task_.id, "text": task_.result_text} if task_.result_text else None,
        "created_at": task_.created_at,
        "updated_at": task_.updated_at,
        "complete_before": task_.complete_till,
    }


def note(account: Account, kind: str, note_: Note) -> Tree:
    """A call's facts stand in its text, a file's name as well."""
    facts = {key.upper(): value for key, value in note_.params.items()}
    is_call = note_.note_type in {"call_in", "call_out"}
    text = json.dumps(facts, ensure_ascii=False) if is_call else note_.params.get("text", "")
    source = {"event_source": {"id": note_.created_by, "author_name": "", "type": 1}}
    return {
        "note": {
            "text": note_.params.get("file_name", text),
            "attachement": note_.params.get("file_name", ""),
            "date_create": _written(note_.created_at),
            "note_type": NOTE_TYPES.get(note_.note_type, 25),
            "element_type": {"leads": 2, "contacts": 1}.get(kind, 3),
            "element_id": note_.entity_id,
            "catalog_id": 0,
            "group_id": 0,
            "timestamp_x": _written(note_.created_at),
            "account_id": account.id,
            "metadata": json.dumps(source, separators=(",", ":")),
            "created_by": note_.created_by,
            "modified_by": note_.created_by,
            "main_user_id": note_.created_by,
            "id": note_.id,
            "created_at": note_.created_at,
            "updated_at": note_.created_at,
        },
        "type": {"leads": "lead", "contacts": "contact"}.get(kind, "company"),
    }


def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
