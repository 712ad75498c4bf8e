"""What a model is told of the deal and its contact: the fields chosen for the agent, each in one line."""

from collections.abc import Iterator, Sequence

from gptagent.features.agents.model import CUSTOM_FIELD
from gptagent.features.crm.service import ContactCard, FieldValue, LeadCard
from gptagent.features.dialog.context import TurnContext

VALUE_MAX_CHARS = 500

Facts = list[tuple[str, str]]


def deal_facts(context: TurnContext) -> Facts:
    """Return label and value of what is told of the deal, in the order it was chosen in."""
    lead = context.lead
    if lead is None:
        return []
    return list(_told(context.settings.readable.lead, _of_lead(lead), lead.fields))


def contact_facts(context: TurnContext) -> Facts:
    contact = context.contact
    if contact is None:
        return []
    return list(_told(context.settings.readable.contact, _of_contact(contact), contact.fields))


def _of_lead(lead: LeadCard) -> dict[str, str]:
    return {
        "name": lead.name or "",
        "price": "" if lead.price is None else f"{lead.price} {lead.currency or ''}".strip(),
        "pipeline": lead.pipeline or "",
        "stage": lead.stage or "",
        "responsible": lead.responsible,
        "tags": ", ".join(lead.tags),
    }


def _of_contact(contact: ContactCard) -> dict[str, str]:
    return {
        "name": contact.name,
        "phone": ", ".join(contact.phones),
        "email": ", ".join(contact.emails),
        "responsible": contact.responsible,
        "tags": ", ".join(contact.tags),
    }


def _told(
    chosen: Sequence[str], own: dict[str, str], fields: Sequence[FieldValue]
) -> Iterator[tuple[str, str]]:
    custom = {f"{CUSTOM_FIELD}{one.field_id}": one for one in fields}
    for key in chosen:
        label, value = key, own.get(key, "")
        if key in custom:
            label, value = custom[key].name or key, custom[key].text
        if value.strip():
            yield _line(label), _line(value)


def _line(text: str) -> str:
    return " ".join(text.split())[:VALUE_MAX_CHARS]
