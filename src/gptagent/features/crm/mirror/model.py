"""What others read of the mirror. `removed_at`: when a run first found that the CRM no longer has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gptagent.features.crm.records import FieldEnum, Tag
from gptagent.features.crm.values import EntityKind, FieldValue

# What a channel is called, by the CRM's own word for where a chat comes from.
CHANNELS: Mapping[str, str] = {
    "waba": "WhatsApp Business",
    "com.amocrm.amocrmwa": "WhatsApp",
    "telegram": "Telegram",
    "instagram_business": "Instagram",
    "instagram": "Instagram",
    "facebook": "Facebook",
    "onlinechat": "Live Chat",
    "vk": "VK",
    "viber": "Viber",
    "avito": "Avito",
    "mail": "E-mail",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What storing a piece of the account did."""

    read: int = 0
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class MirroredStage:
    id: int
    name: str
    kind: str
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MirroredPipeline:
    """A pipeline with its stages, in the CRM's order."""

    connection_id: UUID
    id: int
    name: str
    is_main: bool
    stages: tuple[MirroredStage, ...]
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MirroredField:
    """`is_known` fields can be written; of others the value is only shown. See `records.Field`."""

    id: int
    entity: EntityKind
    name: str
    type: str
    code: str | None
    enums: tuple[FieldEnum, ...]
    is_api_only: bool
    is_known: bool
    removed_at: datetime | None = None
    catalogs: tuple[int, ...] = ()
    links_to: str | None = None


@dataclass(frozen=True, slots=True)
class MirroredUser:
    id: int
    name: str = field(repr=False)
    is_active: bool
    is_admin: bool
    group_id: int | None
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MirroredTag:
    id: int
    entity: EntityKind
    name: str
    color: str | None
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MirroredSalesbot:
    id: int
    name: str
    is_active: bool
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MirroredChannel:
    """`source_id` 0: the CRM has not numbered it."""

    origin: str
    source_id: int
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class MirroredContact:
    id: int
    name: str = field(repr=False)
    phones: tuple[str, ...] = field(repr=False)
    emails: tuple[str, ...] = field(repr=False)
    responsible_user_id: int | None
    fields: tuple[FieldValue, ...] = field(repr=False)
    tags: tuple[Tag, ...]
    updated_at: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MirroredLead:
    id: int
    name: str | None
    price: int | None
    pipeline_id: int | None
    stage_id: int | None
    responsible_user_id: int | None
    fields: tuple[FieldValue, ...] = field(repr=False)
    tags: tuple[Tag, ...]
    contact_ids: tuple[int, ...]
    loss_reason: str | None
    updated_at: datetime | None
    removed_at: datetime | None = None
