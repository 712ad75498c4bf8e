"""What each part of a run reads from the CRM, where it puts it, and how it finds what is gone."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from gptagent.features.crm.entities import store as entities
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.crm.mirror.model import Counts
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.records import Batch, PageRequest
from gptagent.features.crm.syncing.model import PartName
from gptagent.features.crm.values import ENTITY_KINDS, EntityKind
from gptagent.kernel.db import Session

# Channels show in the latest chats: 5,000 talks, or 2,000 messages of amoCRM's log.
CHANNEL_PAGES = 20

Read = Callable[[CrmPort, CrmLink, PageRequest], Awaitable[Batch[Any]]]
Save = Callable[[Session, UUID, Sequence[Any], datetime], Awaitable[Counts]]
# Marks what a complete reading that began at this time has not seen. Returns how many are gone.
Sweep = Callable[[Session, UUID, datetime], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Step:
    """One list of the CRM: a page of it, and its way into the mirror."""

    read: Read
    save: Save


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[Step, ...]
    sweep: Sweep | None = None


def _pipelines() -> Step:
    async def read(crm: CrmPort, link: CrmLink, _page: PageRequest) -> Batch[Any]:
        return Batch(await crm.fetch_pipelines(link), has_more=False)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], _at: datetime) -> Counts:
        return await mirror.upsert_pipelines(session, connection_id, items)

    return Step(read, save)


def _fields(kind: EntityKind) -> Step:
    async def read(crm: CrmPort, link: CrmLink, _page: PageRequest) -> Batch[Any]:
        return Batch(await crm.fetch_fields(link, kind), has_more=False)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], _at: datetime) -> Counts:
        return await mirror.upsert_fields(session, connection_id, kind, items)

    return Step(read, save)


def _users() -> Step:
    async def read(crm: CrmPort, link: CrmLink, _page: PageRequest) -> Batch[Any]:
        return Batch(await crm.fetch_users(link), has_more=False)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], _at: datetime) -> Counts:
        return await mirror.upsert_users(session, connection_id, items)

    return Step(read, save)


def _tags(kind: EntityKind) -> Step:
    async def read(crm: CrmPort, link: CrmLink, page: PageRequest) -> Batch[Any]:
        return await crm.fetch_tags(link, kind, page)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], _at: datetime) -> Counts:
        return await mirror.upsert_tags(session, connection_id, kind, items)

    return Step(read, save)


def _salesbots() -> Step:
    async def read(crm: CrmPort, link: CrmLink, _page: PageRequest) -> Batch[Any]:
        return Batch(await crm.fetch_salesbots(link), has_more=False)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], _at: datetime) -> Counts:
        return await mirror.upsert_salesbots(session, connection_id, items)

    return Step(read, save)


def _channels() -> Step:
    async def read(crm: CrmPort, link: CrmLink, page: PageRequest) -> Batch[Any]:
        batch = await crm.fetch_channels(link, page)
        return replace(batch, has_more=batch.has_more and page.number < CHANNEL_PAGES)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], _at: datetime) -> Counts:
        return await mirror.upsert_channels(session, connection_id, items)

    return Step(read, save)


def _contacts() -> Step:
    async def read(crm: CrmPort, link: CrmLink, page: PageRequest) -> Batch[Any]:
        return await crm.fetch_contacts(link, page)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], at: datetime) -> Counts:
        return await entities.upsert_contacts(session, connection_id, items, at)

    return Step(read, save)


def _leads() -> Step:
    async def read(crm: CrmPort, link: CrmLink, page: PageRequest) -> Batch[Any]:
        return await crm.fetch_leads(link, page)

    async def save(session: Session, connection_id: UUID, items: Sequence[Any], at: datetime) -> Counts:
        return await entities.upsert_leads(session, connection_id, items, at)

    return Step(read, save)


PLANS: Mapping[PartName, Plan] = {
    "pipelines": Plan((_pipelines(),)),
    "fields": Plan(tuple(map(_fields, ENTITY_KINDS))),
    "users": Plan((_users(),)),
    "tags": Plan(tuple(map(_tags, ENTITY_KINDS)), mirror.remove_unseen_tags),
    "salesbots": Plan((_salesbots(),)),
    "channels": Plan((_channels(),)),
    "contacts": Plan((_contacts(),), entities.remove_unseen_contacts),
    "leads": Plan((_leads(),), entities.remove_unseen_leads),
}
# These are read by what changed since the last run; all others are short and read whole.
INCREMENTAL: frozenset[PartName] = frozenset({"channels", "contacts", "leads"})
