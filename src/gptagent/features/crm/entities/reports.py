"""What deliveries tell of deals and contacts goes into the mirror.

A delivery lists the custom fields and tags that are set, as the vendor's samples and captures have it
(amocrm.ru/developers, webhooks-format): a field that was emptied is missing from the list, so a list
replaces what is known. A missing list says nothing: a form cannot tell an empty list from none, and the thin
form carries neither. So the last field to be emptied stays until the account is read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from gptagent.features.crm.entities import store
from gptagent.features.crm.entities.model import ToldContact
from gptagent.features.crm.events import ContactReported, LeadReported
from gptagent.features.crm.mirror import service as mirror
from gptagent.features.crm.mirror.model import MirroredField
from gptagent.features.crm.ports import HooksPort
from gptagent.features.crm.values import EntityKind, FieldValue, Labelled, Value
from gptagent.kernel.db import Session


@dataclass(frozen=True, slots=True)
class Reports:
    crm: HooksPort

    async def on_lead(self, session: Session, event: LeadReported) -> None:
        """Take over the deal's custom fields and tags; the rest was stored before it was reported."""
        lead = event.lead
        if lead.fields is None and lead.tags is None:
            return
        fields = await self._read(session, event.connection_id, "leads", lead.fields)
        await store.update_lead_values(
            session, event.connection_id, lead.lead_id, fields=fields, tags=lead.tags
        )

    async def on_contact(self, session: Session, event: ContactReported) -> None:
        """Take over what is told of a contact. Companies are read when they are needed, and not kept."""
        contact = event.contact
        if contact.record.kind != "contact":
            return
        if contact.change == "deleted":
            await store.remove_contact(session, event.connection_id, contact.record.id)
            return
        told = ToldContact(
            id=contact.record.id,
            name=contact.name,
            responsible_user_id=contact.responsible_user_id,
            fields=await self._read(session, event.connection_id, "contacts", contact.fields),
            tags=contact.tags,
            lead_ids=contact.linked_lead_ids,
            changed_at=contact.changed_at,
            is_restored=contact.change == "restored",
        )
        await store.merge_contact(session, event.connection_id, told)

    async def _read(
        self, session: Session, connection_id: UUID, kind: EntityKind, listed: object
    ) -> tuple[FieldValue, ...] | None:
        if listed is None:
            return None
        known = {one.id: one for one in await mirror.list_fields(session, connection_id, kind)}
        found = self.crm.read_hook_fields(listed, {one.id: one.type for one in known.values()})
        return tuple(_completed(one, known) for one in found)


def _completed(told: FieldValue, known: Mapping[int, MirroredField]) -> FieldValue:
    """Return the field as REST would show it: a delivery names the kind of a phone by its number only."""
    field = known.get(told.field_id)
    if field is None:
        return told
    codes = {enum.id: enum.code for enum in field.enums}
    values = tuple(_coded(value, codes) for value in told.values)
    return msgspec.structs.replace(told, values=values, code=told.code or field.code)


def _coded(value: Value, codes: Mapping[int, str | None]) -> Value:
    if isinstance(value, Labelled) and value.code is None and value.enum_id is not None:
        return msgspec.structs.replace(value, code=codes.get(value.enum_id))
    return value
