"""Categories over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from gptagent.features.knowledge.categories import service
from gptagent.features.knowledge.categories.model import Direction, NewCategory
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router


class CategoryBody(Body):
    model_config = example({"title": "Delivery", "description": "Terms and prices."})

    title: str
    description: str = ""
    parent_id: UUID | None = None


class CategoryPatch(Body):
    """Fields left out stay as they are; `parent_id` null puts it at the top."""

    model_config = example({"title": "Shipping", "version": 3})

    title: str = ""
    description: str = ""
    parent_id: UUID | None = None
    version: int | None = None


class CategoryMove(Body):
    model_config = example({"direction": "up"})

    direction: Direction


class CategoryOut(Wire):
    """`articles`, `subcategories`, `documents` and `sites` count what is directly in it."""

    id: UUID
    parent_id: UUID | None
    title: str
    description: str
    position: int
    is_default: bool
    version: int
    articles: int
    subcategories: int
    documents: int
    sites: int
    created_at: datetime
    updated_at: datetime


class CategoriesOut(Wire):
    items: list[CategoryOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CategoriesApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/categories", tags=["categories"])
        router.get("", summary="List categories")(self.list)
        router.post("", status_code=201, summary="Create a category")(self.create)
        router.get("/{category_id}", summary="Get a category")(self.get)
        router.patch("/{category_id}", summary="Change a category")(self.update)
        router.delete("/{category_id}", status_code=204, summary="Delete a category")(self.delete)
        router.post("/{category_id}/move", summary="Change the order of categories")(self.move)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.CATEGORY_ORDERS, "name")],
        search: QueryText = "",
        parent_id: UUID | None = None,
    ) -> CategoriesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_categories(session, page, search=search, parent_id=parent_id)
        return CategoriesOut(items=[CategoryOut.model_validate(one) for one in found], next_cursor=after)

    async def create(self, scope: CurrentScope, body: CategoryBody) -> CategoryOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        new = NewCategory(body.title, body.description, body.parent_id)
        async with self.db.session(scope) as session:
            return CategoryOut.model_validate(await service.create_category(session, new, now=utcnow()))

    async def get(self, scope: CurrentScope, category_id: UUID) -> CategoryOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return CategoryOut.model_validate(await service.get_category(session, category_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, category_id: UUID, body: CategoryPatch
    ) -> CategoryOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        changes = body.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            await self._check(session, match, category_id)
            changed = await service.update_category(session, category_id, changes, now=utcnow())
        return CategoryOut.model_validate(changed)

    async def delete(
        self,
        scope: CurrentScope,
        match: CurrentMatch,
        category_id: UUID,
        cascade: Annotated[bool, Query(description="Its subcategories too; articles stay.")] = False,
    ) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await self._check(session, match, category_id)
            await service.delete_category(session, category_id, cascade=cascade, now=utcnow())

    async def move(self, scope: CurrentScope, category_id: UUID, body: CategoryMove) -> CategoryOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            moved = await service.move_category(session, category_id, body.direction, now=utcnow())
        return CategoryOut.model_validate(moved)

    async def _check(self, session: Session, match: Match, category_id: UUID) -> None:
        if match:
            match.check(
                CategoryOut.model_validate(await service.lock_category(session, category_id, now=utcnow()))
            )
