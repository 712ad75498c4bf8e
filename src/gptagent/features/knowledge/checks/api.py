"""Checks of a base over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.knowledge.checks import service
from gptagent.features.knowledge.checks.model import CheckState, FindingKind, Shown, SourceKind
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router


class CheckOut(Wire):
    """`left_out` counts what was beyond the bounds of one check."""

    state: CheckState
    asked_at: datetime
    ended_at: datetime | None
    passages: int
    passages_read: int
    statements: int
    left_out: int


class SourceOut(Wire):
    kind: SourceKind
    id: UUID | None


class SideOut(Wire):
    """An amount is all that it may mean, with bars between: 1,500 is `1500|1.5`. Dates: year first.

    `url` is where a site's page lies.
    """

    source: SourceOut
    title: str
    sentence: str
    amounts: tuple[str, ...]
    changed_at: datetime | None
    url: str | None


class FindingOut(Wire):
    """A contradiction has two sides. `unit` is a currency's code, %, a unit of measure, `date` or `time`."""

    id: UUID
    kind: FindingKind
    unit: str
    side: SideOut
    other: SideOut | None
    is_dismissed: bool
    found_at: datetime


class FindingsOut(Wire):
    items: list[FindingOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ChecksApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/knowledge-checks", tags=["knowledge checks"])
        unchecked: dict[int | str, dict[str, Any]] = {
            404: {"description": "The base has not been checked yet."}
        }
        router.get("/latest", summary="Get how far the latest check is", responses=unchecked)(self.latest)
        router.post("", status_code=202, summary="Check the base")(self.start)
        router.get("/findings", summary="List what the latest check found")(self.findings)
        router.put("/findings/{finding_id}/dismissal", summary="Dismiss a finding")(self.dismiss)
        router.delete("/findings/{finding_id}/dismissal", summary="Restore a finding")(self.restore)
        return router

    async def latest(self, scope: CurrentScope) -> CheckOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            check = await service.get_check(session)
        if check is None:
            raise NotFound("check_not_found", "This knowledge base has not been checked yet.")
        return CheckOut.model_validate(check)

    async def start(self, scope: CurrentScope) -> CheckOut:
        """A check that waits or goes on already is this one."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return CheckOut.model_validate(await service.request_check(session, now=utcnow()))

    async def findings(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "-found_at")],
        shown: Shown = "contradictions",
    ) -> FindingsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_findings(session, page, shown)
        return FindingsOut(items=[FindingOut.model_validate(one) for one in found], next_cursor=after)

    async def dismiss(self, scope: CurrentScope, finding_id: UUID) -> FindingOut:
        """It stays dismissed until one of its sentences changes."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return FindingOut.model_validate(await service.dismiss(session, finding_id))

    async def restore(self, scope: CurrentScope, finding_id: UUID) -> FindingOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return FindingOut.model_validate(await service.restore(session, finding_id))
