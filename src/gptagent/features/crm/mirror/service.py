"""What others read of the mirror. What the CRM no longer has is listed, with `removed_at`, if asked for."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from gptagent.features.crm.events import MessageArrived
from gptagent.features.crm.mirror import store
from gptagent.features.crm.mirror.model import (
    MirroredChannel,
    MirroredField,
    MirroredPipeline,
    MirroredSalesbot,
    MirroredTag,
    MirroredUser,
)
from gptagent.features.crm.mirror.store import Listed
from gptagent.features.crm.records import Channel
from gptagent.features.crm.values import EntityKind
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Order, Page

MOST_LISTED = 10_000
BY_NAME = Order("name", "name", "text", id_column="external_id", id_type="bigint")
BY_ORIGIN = Order("origin", "origin", "text", id_column="source_id", id_type="bigint")
ORDERS = {"name": BY_NAME}
CHANNEL_ORDERS = {"origin": BY_ORIGIN}

T = TypeVar("T")


async def list_pipelines(
    session: Session, connection_id: UUID | None = None, *, removed: bool = False
) -> list[MirroredPipeline]:
    """Return the pipelines of a connection, or of all, in the CRM's order."""
    return await store.select_pipelines(session, connection_id, removed=removed)


async def list_fields(
    session: Session, connection_id: UUID, entity: EntityKind | None = None, *, removed: bool = False
) -> list[MirroredField]:
    return await store.select_fields(session, _all(connection_id, removed=removed), entity=entity)


async def list_users(session: Session, connection_id: UUID, *, removed: bool = False) -> list[MirroredUser]:
    return await store.select_users(session, _all(connection_id, removed=removed))


async def list_tags(
    session: Session, connection_id: UUID, entity: EntityKind | None = None, *, removed: bool = False
) -> list[MirroredTag]:
    return await store.select_tags(session, _all(connection_id, removed=removed), entity=entity)


async def list_salesbots(
    session: Session, connection_id: UUID, *, removed: bool = False
) -> list[MirroredSalesbot]:
    return await store.select_salesbots(session, _all(connection_id, removed=removed))


async def list_channels(session: Session, connection_id: UUID) -> list[MirroredChannel]:
    """Return the channels that chats came from, as far as they were seen."""
    return await store.select_channels(session, connection_id, Page(BY_ORIGIN, MOST_LISTED))


async def page_fields(
    session: Session, listed: Listed, entity: EntityKind | None = None
) -> tuple[list[MirroredField], str | None]:
    return _cut(listed.page, await store.select_fields(session, listed, entity=entity))


async def page_users(session: Session, listed: Listed) -> tuple[list[MirroredUser], str | None]:
    return _cut(listed.page, await store.select_users(session, listed))


async def page_tags(
    session: Session, listed: Listed, entity: EntityKind | None = None
) -> tuple[list[MirroredTag], str | None]:
    return _cut(listed.page, await store.select_tags(session, listed, entity=entity))


async def page_salesbots(session: Session, listed: Listed) -> tuple[list[MirroredSalesbot], str | None]:
    return _cut(listed.page, await store.select_salesbots(session, listed))


async def page_channels(
    session: Session, connection_id: UUID, page: Page
) -> tuple[list[MirroredChannel], str | None]:
    found = await store.select_channels(session, connection_id, page)
    return page.cut(found, lambda one: (one.origin, one.source_id))


async def note_channel(session: Session, event: MessageArrived) -> None:
    """Learn of a channel from a message that came through it."""
    if event.message.origin:
        await store.upsert_channels(session, event.connection_id, [Channel(event.message.origin)])


def _all(connection_id: UUID, *, removed: bool) -> Listed:
    return Listed(connection_id, Page(BY_NAME, MOST_LISTED), removed=removed)


def _cut(page: Page, found: Sequence[Any]) -> tuple[list[Any], str | None]:
    return page.cut(found, lambda one: (one.name, one.id))
