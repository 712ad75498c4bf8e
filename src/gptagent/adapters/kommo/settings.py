"""How a Kommo account is set up: custom fields, people, tags, salesbots, channels."""

from datetime import datetime

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import LARGEST_PAGE, Call, KommoClient, Query
from gptagent.adapters.kommo.entities import Row, read_tag
from gptagent.adapters.kommo.fields import KNOWN_TYPES, clean
from gptagent.adapters.kommo.tree import as_flag, as_id, as_int, as_map
from gptagent.features.crm.model import CallPriority, CrmLink, brand_of
from gptagent.features.crm.records import (
    Batch,
    Channel,
    CrmUser,
    Field,
    FieldEnum,
    PageRequest,
    Salesbot,
    Tag,
)
from gptagent.features.crm.values import EntityKind

FIELDS_PAGE = 50
EVENTS_PAGE = 100
FIELD_PAGES = 40  # 2,000 fields: far more than a form can show


class KommoSettings:
    """Implements `SettingsPort`."""

    _client: KommoClient

    async def fetch_fields(
        self, link: CrmLink, kind: EntityKind, priority: CallPriority = CallPriority.SYNC
    ) -> tuple[Field, ...]:
        query: Query = (("limit", FIELDS_PAGE),)
        call = Call("list_fields", f"/{kind}/custom_fields", query=query, priority=priority)
        found = [
            _field(row) async for row in self._client.rows(link, call, "custom_fields", pages=FIELD_PAGES)
        ]
        return tuple(one for one in found if one is not None)

    async def fetch_users(self, link: CrmLink) -> tuple[CrmUser, ...]:
        call = _call("list_users", "/users", (("limit", LARGEST_PAGE),))
        found = [_user(row) async for row in self._client.rows(link, call, "users")]
        return tuple(one for one in found if one is not None)

    async def fetch_tags(self, link: CrmLink, kind: EntityKind, page: PageRequest) -> Batch[Tag]:
        call = _call("list_tags", f"/{kind}/tags", (("page", page.number), ("limit", LARGEST_PAGE)))
        rows, has_more = await self._client.page(link, call, "tags")
        return Batch(tuple(one for row in rows if (one := read_tag(row)) is not None), has_more)

    async def fetch_salesbots(
        self, link: CrmLink, priority: CallPriority = CallPriority.SYNC
    ) -> tuple[Salesbot, ...]:
        call = Call("list_salesbots", "/bots", query=(("limit", LARGEST_PAGE),), priority=priority)
        found = [_salesbot(row) async for row in self._client.rows(link, call, "bots")]
        return tuple(one for one in found if one is not None)

    async def fetch_channels(self, link: CrmLink, page: PageRequest) -> Batch[Channel]:
        """Kommo lists its talks; amoCRM's log of events names the channel of each message."""
        if brand_of(link.host) == "amocrm":
            return await self._channels_of_events(link, page)
        call = _call("list_talks", "/talks", (("page", page.number), ("limit", LARGEST_PAGE)))
        rows, has_more = await self._client.page(link, call, "talks")
        return Batch(_channels(rows), has_more)

    async def _channels_of_events(self, link: CrmLink, page: PageRequest) -> Batch[Channel]:
        query: Query = (
            ("page", page.number),
            ("limit", EVENTS_PAGE),
            ("filter[type][]", "incoming_chat_message"),
            *_since(page.since),
        )
        rows, has_more = await self._client.page(link, _call("list_events", "/events", query), "events")
        messages = [
            as_map(after.get("message")) for row in rows for after in wire.maps(row.get("value_after"))
        ]
        return Batch(_channels(messages), has_more)


def _call(name: str, path: str, query: Query) -> Call:
    return Call(name, path, query=query, priority=CallPriority.SYNC)


def _since(since: datetime | None) -> Query:
    return () if since is None else (("filter[created_at][from]", int(since.timestamp())),)


def _channels(rows: list[Row]) -> tuple[Channel, ...]:
    found = {
        Channel(origin, as_id(row.get("source_id"))) for row in rows if (origin := clean(row.get("origin")))
    }
    return tuple(sorted(found, key=lambda one: (one.origin, one.source_id or 0)))


def _field(row: Row) -> Field | None:
    field_id, kind = as_id(row.get("id")), clean(row.get("type"))
    if field_id is None or not kind:
        return None
    enums = (_enum(enum) for enum in wire.maps(row.get("enums")))
    return Field(
        id=field_id,
        name=clean(row.get("name")),
        type=kind,
        code=clean(row.get("code")) or None,
        sort=as_int(row.get("sort")) or 0,
        enums=tuple(sorted(filter(None, enums), key=lambda enum: (enum.sort, enum.id))),
        is_api_only=as_flag(row.get("is_api_only")) is True,
        is_known=kind in KNOWN_TYPES,
        catalogs=tuple(
            catalog
            for step in wire.maps(row.get("chained_lists"))
            if (catalog := as_id(step.get("catalog_id"))) is not None
        ),
        links_to=clean(row.get("search_in")) or None,
    )


def _enum(row: Row) -> FieldEnum | None:
    enum_id = as_id(row.get("id"))
    if enum_id is None:
        return None
    return FieldEnum(
        enum_id, clean(row.get("value")), as_int(row.get("sort")) or 0, clean(row.get("code")) or None
    )


def _user(row: Row) -> CrmUser | None:
    user_id, rights = as_id(row.get("id")), as_map(row.get("rights"))
    if user_id is None:
        return None
    return CrmUser(
        id=user_id,
        name=clean(row.get("name")),
        is_active=as_flag(rights.get("is_active")) is not False,
        is_admin=as_flag(rights.get("is_admin")) is True,
        group_id=as_id(rights.get("group_id")),
        rights={key: one for key, one in rights.items() if isinstance(one, dict)},
    )


def _salesbot(row: Row) -> Salesbot | None:
    bot_id = as_id(row.get("id"))
    if bot_id is None:
        return None
    return Salesbot(bot_id, clean(row.get("name")), as_flag(row.get("is_active")) is not False)
