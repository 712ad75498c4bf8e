"""The tab of a connection that shows its mirror: the last run, what was read, earlier runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.crm import service as crm
from gptagent.features.crm.frame import frame_of
from gptagent.features.crm.syncing import service
from gptagent.features.crm.values import ENTITY_KINDS
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, RateLimited
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages

PER_PAGE = 10
# A list longer than this is found in by searching.
SHOWN = 100
PARTS: Mapping[str, str] = {
    "pipelines": "Pipelines and stages",
    "fields": "Custom fields",
    "users": "People of the CRM",
    "tags": "Tags",
    "salesbots": "Salesbots",
    "channels": "Channels",
    "contacts": "Contacts",
    "leads": "Deals",
}
KINDS: Mapping[str, str] = {
    "manual": "By hand",
    "scheduled": "By schedule",
    "first": "After connecting",
}
ENTITIES: Mapping[str, str] = {"leads": "Deals", "contacts": "Contacts", "companies": "Companies"}
# What a field holds, by the CRM's word for its type; a type nobody knows is shown by that word.
TYPES: Mapping[str, str] = {
    "text": "Text",
    "textarea": "Long text",
    "numeric": "A number",
    "checkbox": "Yes or no",
    "select": "One of a list",
    "radiobutton": "One of a few",
    "multiselect": "Several of a list",
    "date": "Date",
    "date_time": "Date and time",
    "birthday": "Birthday",
    "url": "Web address",
    "multitext": "Phone or e-mail",
    "price": "Price",
    "monetary": "Money",
    "streetaddress": "Short address",
    "smart_address": "Postal address",
    "legal_entity": "Legal entity",
    "category": "Category",
    "tracking_data": "Tracking data",
    "file": "File",
    "linked_entity": "Record of the CRM",
    "chained_list": "Chain of lists",
}
# What held a run or a part of it up, by its code, and what to do.
REASONS: Mapping[str, str] = {
    "crm_unavailable": "The CRM does not answer. It is asked again by itself; if it stays away, try later.",
    "crm_busy": "Replies to customers go first. The rest is read as soon as the account has a moment.",
    "crm_rate_limited": "The CRM asked us to slow down. The reading goes on by itself.",
    "crm_blocked": "The CRM blocks our address for some minutes after too many requests. Try again later.",
    "crm_connection_off": "The connection was switched off.",
    "crm_unauthorized": "The CRM no longer accepts the token. Connect the account again.",
    "crm_scope": "The token has no right to this. Create one as an administrator and connect again.",
    "crm_payment_required": "The plan of the CRM account does not include this.",
    "crm_rejected": "The CRM refused to answer this. Try again; if it stays so, tell your administrator.",
    "sync_lost": "The reading was interrupted for more than an hour. Start it again.",
}
OTHER_REASON = "The reading stopped because of an error on our side. Start it again."


@dataclass(frozen=True, slots=True)
class SyncPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/integrations/{connection_id}/sync")
        router.get("")(self.show)
        router.post("")(self.request)
        return router

    async def show(
        self,
        request: Request,
        scope: CurrentScope,
        connection_id: UUID,
        *,
        part: str = "",
        page: int = 1,
        q: QueryText = "",
    ) -> Response:
        """`part` is `runs` for a live update."""
        require(scope, policy.VIEW)
        number = min(max(page, 1), 10_000)
        async with self.db.session(scope) as session:
            connection = await crm.get_connection(session, connection_id)
            context = await self._runs(session, connection_id, number)
            if not part:
                context |= await _read(session, connection_id, q.strip())
            shell = None if part else await self.pages.shell(request, session)
        context |= {
            **frame_of(request, connection),
            "may_edit": policy.MANAGE_CONNECTIONS in scope.permissions,
            "part_names": PARTS,
            "kinds": KINDS,
            "entities": ENTITIES,
            "types": TYPES,
            "channel_names": crm.CHANNELS,
            "sync_reasons": REASONS,
            "other_sync_reason": OTHER_REASON,
        }
        if part:
            return self.pages.part(request, "crm/_sync_runs.html", **context)
        return self.pages.show(request, "crm/sync.html", shell, **context)

    async def _runs(self, session: Session, connection_id: UUID, page: int) -> dict[str, Any]:
        offset = (page - 1) * PER_PAGE
        found, total = await service.list_syncs(session, connection_id, offset=offset, limit=PER_PAGE)
        latest = found[:1] if page == 1 else (await _latest(session, connection_id))
        return {
            "syncs": found,
            "total": total,
            "page": page,
            "per_page": PER_PAGE,
            "latest": latest[0] if latest else None,
        }

    async def request(self, request: Request, scope: CurrentScope, connection_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        address = request.url.path
        try:
            async with self.db.session(scope) as session:
                await service.request_sync(session, connection_id, "manual")
        except (Conflict, RateLimited) as error:
            return self.pages.redirect(address, Notice("warning", "Nothing was started", error.message))
        return self.pages.redirect(address)


async def _latest(session: Session, connection_id: UUID) -> Sequence[Any]:
    found, _ = await service.list_syncs(session, connection_id, offset=0, limit=1)
    return found


async def _read(session: Session, connection_id: UUID, search: str) -> dict[str, Any]:
    """Return what was read, or of it what has the words in its name."""
    words = search.lower()

    def named(found: Sequence[Any]) -> list[Any]:
        return [one for one in found if words in one.name.lower()]

    pipelines = await crm.list_pipelines(session, connection_id, removed=True)
    channels = await crm.list_channels(session, connection_id)
    fields = named(await crm.list_fields(session, connection_id, removed=True))
    return {
        "q": search,
        "shown": SHOWN,
        "pipelines": [
            one
            for one in pipelines
            if words in one.name.lower() or any(words in stage.name.lower() for stage in one.stages)
        ],
        "fields": {kind: [one for one in fields if one.entity == kind] for kind in ENTITY_KINDS},
        "users": named(await crm.list_users(session, connection_id, removed=True)),
        "tags": named(await crm.list_tags(session, connection_id, removed=True)),
        "salesbots": named(await crm.list_salesbots(session, connection_id, removed=True)),
        "channels": [one for one in channels if words in one.origin.lower()],
    }
