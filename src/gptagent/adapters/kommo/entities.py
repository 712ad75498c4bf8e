"""Deals, contacts and companies of Kommo, page by page and with their custom fields."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import LARGEST_PAGE, Call, KommoClient, Query
from gptagent.adapters.kommo.fields import clean, read_fields
from gptagent.adapters.kommo.tree import as_flag, as_id, as_int, as_map
from gptagent.features.crm.model import CallPriority, CrmLink
from gptagent.features.crm.records import (
    Batch,
    CompanyRecord,
    ContactRecord,
    LeadRecord,
    PageRequest,
    Tag,
)
from gptagent.features.crm.values import EntityKind, coded

Row = Mapping[str, object]
T = TypeVar("T")


class KommoEntities:
    """Implements `EntitiesPort`."""

    _client: KommoClient

    async def fetch_contacts(self, link: CrmLink, page: PageRequest) -> Batch[ContactRecord]:
        return await self._batch(link, "contacts", "leads", page, read_contact)

    async def fetch_leads(self, link: CrmLink, page: PageRequest) -> Batch[LeadRecord]:
        return await self._batch(link, "leads", "contacts,loss_reason", page, read_lead)

    async def fetch_companies(self, link: CrmLink, page: PageRequest) -> Batch[CompanyRecord]:
        return await self._batch(link, "companies", "", page, read_company)

    async def _batch(
        self,
        link: CrmLink,
        kind: EntityKind,
        extras: str,
        page: PageRequest,
        read: Callable[[Row], T | None],
    ) -> Batch[T]:
        query = (*_window(page), *((("with", extras),) if extras else ()))
        call = Call(f"list_{kind}", f"/{kind}", query=query, priority=CallPriority.SYNC)
        rows, has_more = await self._client.page(link, call, kind)
        if page.since is not None and not page.filtered:
            fresh = [row for row in rows if wire.moment(row.get("updated_at")) >= page.since]
            rows, has_more = fresh, has_more and len(fresh) == len(rows)
        return Batch(tuple(one for row in rows if (one := read(row)) is not None), has_more)


def _window(page: PageRequest) -> Query:
    """Return the query of one page.

    By id nothing slips through between two pages while records change; where lists cannot be filtered, the
    latest changes come first, and what changes meanwhile is at worst read twice.
    """
    window: Query = (("page", page.number), ("limit", LARGEST_PAGE))
    if page.since is None:
        return (*window, ("order[id]", "asc"))
    if not page.filtered:
        return (*window, ("order[updated_at]", "desc"))
    return (*window, ("order[id]", "asc"), ("filter[updated_at][from]", int(page.since.timestamp())))


def read_contact(row: Row) -> ContactRecord | None:
    contact_id = as_id(row.get("id"))
    if contact_id is None or as_flag(row.get("is_deleted")):
        return None
    fields = read_fields(row.get("custom_fields_values"))
    return ContactRecord(
        id=contact_id,
        name=clean(row.get("name")),
        first_name=clean(row.get("first_name")),
        last_name=clean(row.get("last_name")),
        phones=coded(fields, "PHONE"),
        emails=coded(fields, "EMAIL"),
        responsible_user_id=as_id(row.get("responsible_user_id")),
        fields=fields,
        tags=read_tags(row),
        lead_ids=_ids(row, "leads"),
        company_ids=_ids(row, "companies"),
        created_at=wire.moment(row.get("created_at")),
        updated_at=wire.moment(row.get("updated_at")),
    )


def read_company(row: Row) -> CompanyRecord | None:
    company_id = as_id(row.get("id"))
    if company_id is None or as_flag(row.get("is_deleted")):
        return None
    fields = read_fields(row.get("custom_fields_values"))
    return CompanyRecord(
        id=company_id,
        name=clean(row.get("name")),
        phones=coded(fields, "PHONE"),
        emails=coded(fields, "EMAIL"),
        responsible_user_id=as_id(row.get("responsible_user_id")),
        fields=fields,
        tags=read_tags(row),
        updated_at=wire.moment(row.get("updated_at")),
    )


def read_lead(row: Row) -> LeadRecord | None:
    lead_id = as_id(row.get("id"))
    if lead_id is None or as_flag(row.get("is_deleted")):
        return None
    reasons = wire.embedded(row, "loss_reason") or [as_map(as_map(row.get("_embedded")).get("loss_reason"))]
    return LeadRecord(
        id=lead_id,
        name=clean(row.get("name")),
        price=as_int(row.get("price")),
        pipeline_id=as_id(row.get("pipeline_id")),
        stage_id=as_id(row.get("status_id")),
        responsible_user_id=as_id(row.get("responsible_user_id")),
        fields=read_fields(row.get("custom_fields_values")),
        tags=read_tags(row),
        contact_ids=_ids(row, "contacts"),
        company_ids=_ids(row, "companies"),
        loss_reason=clean(reasons[0].get("name")) or None,
        closed_at=_moment(row.get("closed_at")),
        created_at=wire.moment(row.get("created_at")),
        updated_at=wire.moment(row.get("updated_at")),
    )


def read_tags(row: Row) -> tuple[Tag, ...]:
    found = (read_tag(tag) for tag in wire.embedded(row, "tags"))
    return tuple(tag for tag in found if tag is not None)


def read_tag(row: Row) -> Tag | None:
    tag_id = as_id(row.get("id"))
    return None if tag_id is None else Tag(tag_id, clean(row.get("name")), clean(row.get("color")) or None)


def _ids(row: Row, name: str) -> tuple[int, ...]:
    """Return the ids of what is linked, the main one first."""
    linked = sorted(wire.embedded(row, name), key=lambda one: one.get("is_main") is not True)
    return tuple(id_ for one in linked if (id_ := as_id(one.get("id"))) is not None)


def _moment(value: object) -> datetime | None:
    return wire.moment(value) if as_id(value) else None
