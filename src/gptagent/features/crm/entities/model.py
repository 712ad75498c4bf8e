"""What a delivery tells of a contact, ready for the mirror, and what a turn is told of one."""

from dataclasses import dataclass, field
from datetime import datetime

from gptagent.features.crm.records import Tag
from gptagent.features.crm.values import FieldValue


@dataclass(frozen=True, slots=True)
class ToldContact:
    """None, or no deals: the delivery does not speak of it. `changed_at` by the CRM's clock."""

    id: int
    name: str | None = field(repr=False)
    responsible_user_id: int | None
    fields: tuple[FieldValue, ...] | None = field(repr=False)
    tags: tuple[Tag, ...] | None
    lead_ids: tuple[int, ...]
    changed_at: datetime | None
    is_restored: bool


@dataclass(frozen=True, slots=True)
class ContactCard:
    """A contact as the mirror knows it, with the name of the person who is responsible, empty if unknown."""

    name: str = field(repr=False)
    phones: tuple[str, ...] = field(repr=False)
    emails: tuple[str, ...] = field(repr=False)
    responsible: str = field(repr=False)
    tags: tuple[str, ...]
    fields: tuple[FieldValue, ...] = field(repr=False)
