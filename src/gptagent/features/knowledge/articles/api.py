"""Articles over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles.model import (
    ArticleChange,
    ArticleFilter,
    BulkAction,
    NewArticle,
)
from gptagent.features.knowledge.staging.api import StageBody, StageKeyOut, keys_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router

VersionNumber = Annotated[int, PathParameter(ge=1, lt=2**31)]


class ArticleBody(Body):
    """Without `categories` it goes to the default one; `related` are given to the model together with it.

    Without `stages` it is for every stage of a deal; with some it is found at these only.
    """

    model_config = example({"title": "Delivery", "content": "Within the city in **two days**."})

    title: str
    content: str
    is_active: bool = True
    description: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[UUID, ...] = ()
    related: tuple[UUID, ...] = ()
    stages: tuple[StageBody, ...] = ()


class ArticlePatch(Body):
    """Fields left out stay as they are; `version` refuses the change if another one came first."""

    model_config = example({"is_active": False, "version": 3})

    title: str | None = None
    content: str | None = None
    is_active: bool | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    categories: tuple[UUID, ...] | None = None
    related: tuple[UUID, ...] | None = None
    stages: tuple[StageBody, ...] | None = None
    version: int | None = None


class ArticlesChange(Body):
    """`categories` is where `move` puts them, instead of where they are."""

    model_config = example({"ids": [], "action": "deactivate"})

    ids: tuple[UUID, ...]
    action: BulkAction
    categories: tuple[UUID, ...] = ()


class ArticlesChanged(Wire):
    changed: int


class ArticleOut(Wire):
    """Not `is_everywhere` and without `stages` it is found nowhere: their account is disconnected."""

    id: UUID
    title: str
    description: str
    content: str
    tags: tuple[str, ...]
    categories: tuple[UUID, ...]
    related: tuple[UUID, ...]
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    stages: tuple[StageKeyOut, ...]
    is_everywhere: bool


class ArticleSummaryOut(Wire):
    id: UUID
    title: str
    description: str
    excerpt: str
    tags: tuple[str, ...]
    categories: tuple[UUID, ...]
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    stages: tuple[StageKeyOut, ...]
    is_everywhere: bool


class ArticlesOut(Wire):
    items: list[ArticleSummaryOut]
    next_cursor: str | None


class ArticleVersionOut(Wire):
    """`actor_kind` and `actor_id` say whose change made it so, as in the audit's record."""

    article_id: UUID
    version: int
    title: str
    description: str
    content: str
    tags: tuple[str, ...]
    is_active: bool
    actor_kind: str | None
    actor_id: UUID | None
    created_at: datetime


class ArticleVersionsOut(Wire):
    items: list[ArticleVersionOut]
    next_cursor: str | None


def _filter(
    search: QueryText = "",
    is_active: bool | None = None,
    category_id: UUID | None = None,
    tag: QueryText = "",
) -> ArticleFilter:
    return ArticleFilter(search, is_active, category_id, tag)


@dataclass(frozen=True, slots=True)
class ArticlesApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/articles", tags=["articles"])
        router.get("", summary="List articles")(self.list)
        router.post("", status_code=201, summary="Write an article")(self.create)
        router.post("/bulk", summary="Change several articles")(self.change)
        router.get("/{article_id}", summary="Get an article")(self.get)
        router.patch("/{article_id}", summary="Change an article")(self.update)
        router.delete("/{article_id}", status_code=204, summary="Delete an article")(self.delete)
        router.get("/{article_id}/versions", summary="List versions of an article")(self.versions)
        version = "/{article_id}/versions/{version}"
        router.get(version, summary="Get a version of an article")(self.version)
        router.post(f"{version}/restore", summary="Restore a version of an article")(self.restore)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ARTICLE_ORDERS, "-created_at")],
        wanted: Annotated[ArticleFilter, Depends(_filter)],
    ) -> ArticlesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_articles(session, page, wanted)
        return ArticlesOut(items=[ArticleSummaryOut.model_validate(one) for one in found], next_cursor=after)

    async def create(self, scope: CurrentScope, body: ArticleBody) -> ArticleOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            new = NewArticle(**{**body.model_dump(), "stages": keys_of(body.stages)})
            article = await service.create_article(session, new, now=utcnow())
        return ArticleOut.model_validate(article)

    async def change(self, scope: CurrentScope, body: ArticlesChange) -> ArticlesChanged:
        """All or none: a missing one leaves the others as they are."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            changed = await service.change_articles(
                session, body.ids, body.action, categories=body.categories, now=utcnow()
            )
        return ArticlesChanged(changed=changed)

    async def get(self, scope: CurrentScope, article_id: UUID) -> ArticleOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return ArticleOut.model_validate(await service.get_article(session, article_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, article_id: UUID, body: ArticlePatch
    ) -> ArticleOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        stages = None if body.stages is None else keys_of(body.stages)
        change = ArticleChange(article_id, **{**body.model_dump(), "stages": stages})
        async with self.db.session(scope) as session:
            await self._check(session, match, article_id)
            return ArticleOut.model_validate(await service.update_article(session, change, now=utcnow()))

    async def delete(self, scope: CurrentScope, match: CurrentMatch, article_id: UUID) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await self._check(session, match, article_id)
            await service.delete_article(session, article_id)

    async def versions(
        self,
        scope: CurrentScope,
        article_id: UUID,
        page: Annotated[Page, page_of(service.VERSION_ORDERS, "-version")],
    ) -> ArticleVersionsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_versions(session, page, article_id)
        return ArticleVersionsOut(
            items=[ArticleVersionOut.model_validate(one) for one in found], next_cursor=after
        )

    async def version(
        self, scope: CurrentScope, article_id: UUID, version: VersionNumber
    ) -> ArticleVersionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await service.get_version(session, article_id, version)
        return ArticleVersionOut.model_validate(found)

    async def restore(self, scope: CurrentScope, article_id: UUID, version: VersionNumber) -> ArticleOut:
        """The text it had then becomes a new version; whether it is active and where it is stays."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            article = await service.restore_version(session, article_id, version, now=utcnow())
        return ArticleOut.model_validate(article)

    async def _check(self, session: Session, match: Match, article_id: UUID) -> None:
        if match:
            match.check(ArticleOut.model_validate(await service.get_article(session, article_id, lock=True)))
