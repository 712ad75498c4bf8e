"""What else a Kommo account holds, to be read: lists, incoming leads, its log, links, notes, files."""

from datetime import datetime
from urllib.parse import quote, urlsplit

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import LARGEST_PAGE, Call, KommoClient, Query, unavailable
from gptagent.adapters.kommo.entities import Row
from gptagent.adapters.kommo.fields import clean, read_fields
from gptagent.adapters.kommo.tree import as_flag, as_id, as_int, as_map
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.records import (
    Batch,
    Catalog,
    CatalogElement,
    DriveFile,
    Link,
    LogEntry,
    NoteRecord,
    PageRequest,
    UnsortedLead,
)
from gptagent.features.crm.values import EntityKind

EVENTS_PAGE = 100


class KommoArchive:
    """Implements `ArchivePort`."""

    _client: KommoClient

    async def fetch_catalogs(self, link: CrmLink) -> tuple[Catalog, ...]:
        call = Call("list_catalogs", "/catalogs", query=(("limit", LARGEST_PAGE),))
        found = [_catalog(row) async for row in self._client.rows(link, call, "catalogs")]
        return tuple(one for one in found if one is not None)

    async def fetch_catalog_elements(
        self, link: CrmLink, catalog_id: int, page: PageRequest
    ) -> Batch[CatalogElement]:
        call = Call("list_elements", f"/catalogs/{catalog_id}/elements", query=_window(page))
        rows, has_more = await self._client.page(link, call, "elements")
        return Batch(tuple(one for row in rows if (one := _element(row)) is not None), has_more)

    async def fetch_unsorted(self, link: CrmLink, page: PageRequest) -> Batch[UnsortedLead]:
        call = Call("list_unsorted", "/leads/unsorted", query=_window(page))
        rows, has_more = await self._client.page(link, call, "unsorted")
        return Batch(tuple(one for row in rows if (one := _unsorted(row)) is not None), has_more)

    async def fetch_log(
        self, link: CrmLink, page: PageRequest, *, types: tuple[str, ...] = ()
    ) -> Batch[LogEntry]:
        query: Query = (("page", page.number), ("limit", EVENTS_PAGE))
        query += tuple(("filter[type][]", one) for one in types)
        if page.since is not None:
            query += (("filter[created_at][from]", int(page.since.timestamp())),)
        rows, has_more = await self._client.page(link, Call("list_events", "/events", query=query), "events")
        return Batch(tuple(one for row in rows if (one := _entry(row)) is not None), has_more)

    async def fetch_links(self, link: CrmLink, kind: EntityKind, entity_id: int) -> tuple[Link, ...]:
        call = Call("list_links", f"/{kind}/{entity_id}/links", query=(("limit", LARGEST_PAGE),))
        found = [_link(row) async for row in self._client.rows(link, call, "links")]
        return tuple(one for one in found if one is not None)

    async def fetch_notes(
        self, link: CrmLink, kind: EntityKind, entity_id: int, page: PageRequest
    ) -> Batch[NoteRecord]:
        call = Call("list_notes", f"/{kind}/{entity_id}/notes", query=_window(page))
        rows, has_more = await self._client.page(link, call, "notes")
        return Batch(tuple(one for row in rows if (one := _note(row)) is not None), has_more)

    async def fetch_file(self, link: CrmLink, uuid: str) -> DriveFile | None:
        """Return the file's facts. The storage is another host, which only the account itself names."""
        account = await self._client.fetch(
            link, Call("fetch_drive", "/account", query=(("with", "drive_url"),))
        )
        host = urlsplit(clean(as_map(account).get("drive_url"))).hostname
        if not host or not host.startswith("drive"):
            raise unavailable()
        call = Call("fetch_file", f"/files/{quote(uuid, safe='')}", root="/v1.0", host=host)
        return _file(as_map(await self._client.fetch(link, call)))


def _window(page: PageRequest) -> Query:
    window: Query = (("page", page.number), ("limit", LARGEST_PAGE))
    if page.since is None or not page.filtered:
        return window
    return (*window, ("filter[updated_at][from]", int(page.since.timestamp())))


def _catalog(row: Row) -> Catalog | None:
    catalog_id = as_id(row.get("id"))
    return None if catalog_id is None else Catalog(catalog_id, clean(row.get("name")), clean(row.get("type")))


def _element(row: Row) -> CatalogElement | None:
    element_id = as_id(row.get("id"))
    if element_id is None or as_flag(row.get("is_deleted")):
        return None
    return CatalogElement(element_id, clean(row.get("name")), read_fields(row.get("custom_fields_values")))


def _unsorted(row: Row) -> UnsortedLead | None:
    uid, facts = clean(row.get("uid")), as_map(row.get("metadata"))
    if not uid:
        return None
    leads, contacts = wire.embedded(row, "leads"), wire.embedded(row, "contacts")
    return UnsortedLead(
        uid=uid,
        category=clean(row.get("category")),
        pipeline_id=as_id(row.get("pipeline_id")),
        created_at=_moment(row),
        lead_id=as_id(leads[0].get("id")) if leads else None,
        contact_ids=tuple(id_ for one in contacts if (id_ := as_id(one.get("id"))) is not None),
        chat_id=clean(as_map(facts.get("origin")).get("chat_id")) or None,
        source=clean(facts.get("source_name")) or clean(row.get("source_name")),
    )


def _entry(row: Row) -> LogEntry | None:
    entry_id, entity_id = clean(row.get("id")), as_id(row.get("entity_id"))
    if not entry_id or entity_id is None:
        return None
    return LogEntry(
        id=entry_id,
        type=clean(row.get("type")),
        entity_type=clean(row.get("entity_type")),
        entity_id=entity_id,
        created_by=as_int(row.get("created_by")) or 0,
        created_at=_moment(row),
        after=tuple(wire.maps(row.get("value_after"))),
        before=tuple(wire.maps(row.get("value_before"))),
    )


def _link(row: Row) -> Link | None:
    entity_id, kind = as_id(row.get("to_entity_id")), clean(row.get("to_entity_type"))
    if entity_id is None or not kind:
        return None
    is_main = as_flag(as_map(row.get("metadata")).get("main_contact")) is True
    return Link(kind, entity_id, is_main)


def _note(row: Row) -> NoteRecord | None:
    note_id = as_id(row.get("id"))
    if note_id is None:
        return None
    text = clean(as_map(row.get("params")).get("text"))
    author = as_int(row.get("created_by")) or 0
    return NoteRecord(note_id, clean(row.get("note_type")), text, author, _moment(row))


def _moment(row: Row) -> datetime:
    return wire.moment(row.get("created_at"))


def _file(row: Row) -> DriveFile | None:
    uuid, links = clean(row.get("uuid")), as_map(row.get("_links"))
    if not uuid:
        return None
    return DriveFile(
        uuid=uuid,
        name=clean(row.get("name")),
        size=as_int(row.get("size")) or 0,
        mime=clean(as_map(row.get("metadata")).get("mime_type")),
        download_url=clean(as_map(links.get("download")).get("href")),
    )
