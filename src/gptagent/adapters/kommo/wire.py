"""Bodies of Kommo's answers as the platform's records."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from gptagent.adapters.kommo.fields import read_fields
from gptagent.adapters.kommo.tree import as_flag, as_id, as_int, as_list, as_map, as_text
from gptagent.features.crm.model import (
    AuthorKind,
    ChatMessage,
    Contact,
    CrmAccount,
    CrmLink,
    Lead,
    Pipeline,
    Stage,
    Talk,
    brand_of,
)
from gptagent.kernel.clock import utcnow

_CURRENCY = re.compile(r"[A-Z]{3}")  # ISO 4217
SEND_SCOPE = "send_external_messages"
WON, LOST = 142, 143
INCOMING_STAGE_TYPE = 1
LEAD_ELEMENT_TYPE = 2
LAST_SECOND = 253_402_300_799  # 9999-12-31

LeadChange = Literal["added", "updated", "moved", "deleted", "restored", "responsible"]
StageKind = Literal["incoming", "open", "won", "lost"]


def read_account(body: object, link: CrmLink) -> CrmAccount | None:
    fields = as_map(body)
    account_id, subdomain = as_id(fields.get("id")), as_text(fields.get("subdomain"))
    if account_id is None or not subdomain:
        return None
    currency = as_text(fields.get("currency")).upper()
    return CrmAccount(
        account_id,
        subdomain,
        as_text(fields.get("name")) or subdomain,
        _may_send(link.token),
        currency=currency if _CURRENCY.fullmatch(currency) else None,
        filters_lists=brand_of(link.host) == "kommo" or as_flag(fields.get("is_api_filter_enabled")) is True,
    )


def read_pipelines(body: object) -> tuple[Pipeline, ...]:
    found = (
        _pipeline(fields)
        for fields in embedded(body, "pipelines")
        if as_flag(fields.get("is_archive")) is not True
    )
    return tuple(sorted(filter(None, found), key=lambda pipeline: (pipeline.sort, pipeline.id)))


def read_lead(body: object) -> Lead | None:
    fields = as_map(body)
    lead_id = as_id(fields.get("id"))
    if lead_id is None:
        return None
    contacts = sorted(embedded(body, "contacts"), key=lambda contact: contact.get("is_main") is not True)
    return Lead(
        id=lead_id,
        name=as_text(fields.get("name")),
        price=as_int(fields.get("price")),
        pipeline_id=as_id(fields.get("pipeline_id")),
        stage_id=as_id(fields.get("status_id")),
        responsible_user_id=as_id(fields.get("responsible_user_id")),
        contact_ids=tuple(id_ for contact in contacts if (id_ := as_id(contact.get("id"))) is not None),
        fields=read_fields(fields.get("custom_fields_values")),
        updated_at=moment(fields["updated_at"]) if fields.get("updated_at") else None,
    )


def read_contact(body: object) -> Contact | None:
    fields = as_map(body)
    contact_id = as_id(fields.get("id"))
    return None if contact_id is None else Contact(contact_id, as_text(fields.get("name")))


def read_message(fields: Mapping[str, object]) -> ChatMessage | None:
    message_id = as_text(fields.get("id"))
    if not message_id:
        return None
    outgoing = fields.get("type") == "outgoing"
    attachment = as_map(fields.get("attachment"))
    return ChatMessage(
        id=message_id,
        direction="outgoing" if outgoing else "incoming",
        author=_listed_author(as_text(as_map(fields.get("author")).get("type")), outgoing=outgoing),
        text=as_text(fields.get("text")),
        sent_at=moment(fields.get("created_at")),
        delivery_status=as_text(fields.get("delivery_status")) or None,
        attachment_name=as_text(attachment.get("file_name")) or None,
        attachment_url=as_text(attachment.get("link")) or None,
    )


def read_talk(body: object) -> Talk | None:
    fields = as_map(body)
    talk_id, chat_id = as_id(fields.get("talk_id")), as_text(fields.get("chat_id"))
    if talk_id is None or not chat_id:
        return None
    return Talk(
        id=talk_id,
        chat_id=chat_id,
        contact_id=as_id(fields.get("contact_id")),
        lead_id=lead_of(fields),
        origin=as_text(fields.get("origin")),
        is_open=as_flag(fields.get("is_in_work")) is not False,
    )


def lead_of(fields: Mapping[str, object]) -> int | None:
    """Return the lead a chat is bound to; without a type the entity is a lead, as in partial captures."""
    kind, number = as_text(fields.get("entity_type")), as_int(fields.get("element_type"))
    if kind not in {"", "lead", "leads"} or number not in {None, LEAD_ELEMENT_TYPE}:
        return None
    return as_id(fields.get("entity_id")) or as_id(fields.get("element_id"))


def read_id(body: object) -> str | None:
    return as_text(as_map(body).get("id")) or None


def maps(value: object) -> list[Mapping[str, object]]:
    """Return the objects of an array."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def embedded(body: object, name: str) -> list[Mapping[str, object]]:
    """Return the objects of a HAL list; a missing body (204) is an empty one."""
    return maps(as_map(as_map(body).get("_embedded")).get(name))


def moment(seconds: object) -> datetime:
    """Read unix seconds. A message without a usable time happened now: better late than lost."""
    number = as_int(seconds)
    return datetime.fromtimestamp(number, UTC) if number and 0 < number <= LAST_SECOND else utcnow()


def _listed_author(kind: str, *, outgoing: bool) -> AuthorKind:
    """An outgoing message of an unknown author is a robot's: only a person's silences the agent."""
    known: dict[str, AuthorKind] = {"external": "customer", "internal": "human", "bot": "bot"}
    return known.get(kind, "bot" if outgoing else "customer")


def _pipeline(fields: Mapping[str, object]) -> Pipeline | None:
    pipeline_id = as_id(fields.get("id"))
    if pipeline_id is None:
        return None
    stages = filter(None, map(_stage, embedded(fields, "statuses")))
    return Pipeline(
        id=pipeline_id,
        name=as_text(fields.get("name")),
        sort=as_int(fields.get("sort")) or 0,
        is_main=as_flag(fields.get("is_main")) is True,
        stages=tuple(sorted(stages, key=lambda stage: (stage.sort, stage.id))),
    )


def _stage(fields: Mapping[str, object]) -> Stage | None:
    stage_id = as_id(fields.get("id"))
    if stage_id is None:
        return None
    return Stage(
        stage_id, as_text(fields.get("name")), as_int(fields.get("sort")) or 0, _stage_kind(stage_id, fields)
    )


def _stage_kind(stage_id: int, fields: Mapping[str, object]) -> StageKind:
    if stage_id in {WON, LOST}:
        return "won" if stage_id == WON else "lost"
    return "incoming" if as_int(fields.get("type")) == INCOMING_STAGE_TYPE else "open"


def _may_send(token: str) -> bool:
    """Read the scopes from a token that is a JWT; nothing is verified, the CRM itself decides at the send."""
    scopes = as_map(claims(token)).get("scopes")
    return SEND_SCOPE in scopes if isinstance(scopes, list) else True


def claims(token: str) -> object:
    """Return what a token that is a JWT says; None for any other."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
