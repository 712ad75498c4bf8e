"""The pages of the graph."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.extraction import service as reading
from gptagent.features.knowledge.graph import service
from gptagent.features.knowledge.graph.drawing import WIDTH, draw
from gptagent.features.knowledge.graph.model import (
    ATTRIBUTE_MAX_CHARS,
    NAME_MAX_CHARS,
    TYPES,
    VALUE_MAX_CHARS,
    FactText,
)
from gptagent.features.knowledge.graph.words import ATTRIBUTE_WORDS, RELATION_WORDS, TYPE_WORDS, relation_word
from gptagent.features.knowledge.listing import SIZE_OPTIONS, Listing, id_of
from gptagent.features.knowledge.naming import service as naming
from gptagent.features.knowledge.vectors.model import SAMPLE_MIN
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

PLACE = "knowledge-graph"
LIMITS = {"name": NAME_MAX_CHARS, "attribute": ATTRIBUTE_MAX_CHARS, "value": VALUE_MAX_CHARS}
DIGITS_MAX = 12
SAVED = Notice("success", "Saved")
WAITS = Notice("info", "It is being measured already")


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A form that was refused: which one, what was typed, why."""

    form: str
    typed: dict[str, str]
    error: AppError


@dataclass(frozen=True, slots=True)
class _Change:
    """What a form does, what was typed into it, and what is said when it is done."""

    form: str
    typed: dict[str, str]
    do: Callable[[Session], Awaitable[object]]
    notice: Notice = SAVED


@dataclass(frozen=True, slots=True)
class GraphPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router(f"/manage/{{workspace}}/{PLACE}")
        router.get("")(self.list)
        router.post("/readings")(self.read)
        router.post("/budget")(self.budget)
        router.post("/measure")(self.measure)
        router.get("/{entity_id}")(self.show)
        router.post("/{entity_id}/edit")(self.edit)
        router.post("/{entity_id}/merge")(self.merge)
        router.post("/{entity_id}/delete")(self.delete)
        router.post("/{entity_id}/aliases/delete")(self.delete_alias)
        router.post("/{entity_id}/relations")(self.add_relation)
        router.post("/{entity_id}/relations/{relation_id}/delete")(self.delete_relation)
        router.post("/{entity_id}/facts")(self.add_fact)
        router.post("/{entity_id}/facts/{fact_id}")(self.change_fact)
        router.post("/{entity_id}/facts/{fact_id}/delete")(self.delete_fact)
        return router

    async def list(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        require(scope, policy.VIEW)
        if part:
            return await self._use(request, scope)
        return await self._list(request, scope)

    async def _use(self, request: Request, scope: Scope) -> Response:
        """Return the part that shows what the graph adds, for a page that heard of news."""
        async with self.db.session(scope) as session:
            use = await naming.get_use(session)
        may_edit = policy.EDIT_KNOWLEDGE in scope.permissions
        return self.pages.part(
            request, "knowledge/_graph_use.html", use=use, sample_min=SAMPLE_MIN, may_edit=may_edit
        )

    async def _list(self, request: Request, scope: Scope, wrong: _Wrong | None = None) -> Response:
        listing = Listing.read(request.query_params, ("q", "type"), ())
        kind = listing.get("type") if listing.get("type") in TYPES else None
        async with self.db.session(scope) as session:
            rows, types = await service.find_entities(
                session, search=listing.get("q"), kind=kind, limit=listing.size, offset=listing.offset
            )
            progress = await reading.get_progress(session, now=utcnow())
            use = await naming.get_use(session)
            counts = await knowledge.count_sources(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/graph.html",
            shell,
            status=wrong.error.status if wrong else 200,
            rows=rows,
            total=types.get(kind, 0) if kind else sum(types.values()),
            all=sum(types.values()),
            types=[(name, TYPE_WORDS[name], types[name]) for name in TYPES if name in types],
            kind=kind,
            words=TYPE_WORDS,
            listing=listing,
            sizes=SIZE_OPTIONS,
            progress=progress,
            use=use,
            sample_min=SAMPLE_MIN,
            counts=counts,
            typed_budget=wrong.typed["daily_tokens"] if wrong else progress.daily_tokens,
            errors=field_errors(request, wrong.error) if wrong else {},
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def read(self, request: Request, scope: CurrentScope) -> Response:
        """Read all again, or what failed."""
        require(scope, policy.EDIT_KNOWLEDGE)
        failed_only = words(await request.form(), "only") == "failed"
        async with self.db.session(scope) as session:
            await reading.read_anew(session, now=utcnow(), failed_only=failed_only)
        begun = Notice("success", "Reading for the graph has begun", "What people have corrected stays.")
        return self.pages.redirect(f"{base_of(request)}/{PLACE}", begun)

    async def budget(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        typed = words(await request.form(), "daily_tokens").strip()
        number = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < DIGITS_MAX else -1
        try:
            async with self.db.session(scope) as session:
                await reading.set_budget(session, number)
        except Invalid as error:
            return await self._list(request, scope, _Wrong("budget", {"daily_tokens": typed}, error))
        return self.pages.redirect(f"{base_of(request)}/{PLACE}", SAVED)

    async def measure(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            begun = await naming.measure_again(session, now=utcnow())
        notice = Notice("success", "It is being measured") if begun else WAITS
        return self.pages.redirect(f"{base_of(request)}/{PLACE}", notice)

    async def show(
        self, request: Request, scope: CurrentScope, entity_id: UUID, other: QueryText = ""
    ) -> Response:
        """`other` is part of the name of an entity that is to be merged into this one."""
        require(scope, policy.VIEW)
        return await self._card(request, scope, entity_id, other=other)

    async def _card(
        self,
        request: Request,
        scope: Scope,
        entity_id: UUID,
        *,
        other: str = "",
        wrong: _Wrong | None = None,
    ) -> Response:
        facts, relations = (_page(request.query_params.get(name, "")) for name in ("facts", "relations"))
        async with self.db.session(scope) as session:
            card = await service.get_card(session, entity_id, facts=facts, relations=relations)
            similar = await service.find_similar(session, entity_id, other) if other.strip() else None
            shell = await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "card": card,
            "facts_page": service.page_within(facts, card.entity.facts),
            "relations_page": service.page_within(relations, card.entity.relations),
            "shown": service.SHOWN,
            "drawing": draw(card),
            "width": WIDTH,
            "similar": similar,
            "other": other,
            "words": TYPE_WORDS,
            "attributes": ATTRIBUTE_WORDS,
            "relation_word": relation_word,
            "kinds": [(kind, there) for kind, (there, _back) in RELATION_WORDS.items()],
            "types": list(TYPE_WORDS.items()),
            "wrong": wrong.form if wrong else "",
            "typed": wrong.typed if wrong else {},
            "errors": field_errors(request, wrong.error) if wrong else {},
            "failure": message_of(request, wrong.error) if wrong and not wrong.error.fields else "",
        }
        return self.pages.show(
            request,
            "knowledge/graph_entity.html",
            shell,
            status=wrong.error.status if wrong else 200,
            limits=LIMITS,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
            **context,
        )

    async def edit(self, request: Request, scope: CurrentScope, entity_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed = {name: words(form, name) for name in ("name", "type", "version")}
        number = typed["version"]
        version = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else None

        async def change(session: Session) -> None:
            await service.change_entity(
                session, entity_id, name=typed["name"], kind=typed["type"], version=version, now=utcnow()
            )

        return await self._do(request, scope, entity_id, _Change("edit", typed, change))

    async def merge(self, request: Request, scope: CurrentScope, entity_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        other_id = id_of(words(await request.form(), "other_id"))

        async def change(session: Session) -> None:
            if other_id is None:
                raise NotFound("graph_entity_not_found", "There is no such entity.")
            await service.merge_entities(session, entity_id, other_id, now=utcnow())

        merged = Notice("success", "The two are one now", "Both names stay.")
        return await self._do(request, scope, entity_id, _Change("merge", {}, change, merged))

    async def delete(self, request: Request, scope: CurrentScope, entity_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_entity(session, entity_id)
        gone = Notice("success", "The entity is deleted", "It is not read again. Its sources are unchanged.")
        return self.pages.redirect(f"{base_of(request)}/{PLACE}", gone)

    async def delete_alias(self, request: Request, scope: CurrentScope, entity_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        name = words(await request.form(), "name")

        async def change(session: Session) -> None:
            await service.delete_alias(session, entity_id, name, now=utcnow())

        gone = Notice("success", "The name is taken off", "It is not read again. Its sources are unchanged.")
        return await self._do(request, scope, entity_id, _Change("alias", {}, change, gone))

    async def add_relation(self, request: Request, scope: CurrentScope, entity_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        other_id, kind = id_of(words(form, "other_id")), words(form, "kind")

        async def change(session: Session) -> None:
            if other_id is None:
                raise NotFound("graph_entity_not_found", "There is no such entity.")
            await service.add_relation(session, entity_id, kind, other_id, now=utcnow())

        return await self._do(request, scope, entity_id, _Change("relation", {}, change))

    async def delete_relation(
        self, request: Request, scope: CurrentScope, entity_id: UUID, relation_id: UUID
    ) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_relation(session, entity_id, relation_id, now=utcnow())
        gone = Notice(
            "success", "The relation is deleted", "It is not read again. Its sources are unchanged."
        )
        return self.pages.redirect(f"{base_of(request)}/{PLACE}/{entity_id}", gone)

    async def add_fact(self, request: Request, scope: CurrentScope, entity_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        typed = _typed(await request.form())

        async def change(session: Session) -> None:
            await service.add_fact(session, entity_id, _fact(typed), now=utcnow())

        return await self._do(request, scope, entity_id, _Change("new", typed, change))

    async def change_fact(
        self, request: Request, scope: CurrentScope, entity_id: UUID, fact_id: UUID
    ) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        typed = _typed(await request.form())

        async def change(session: Session) -> None:
            await service.change_fact(session, entity_id, fact_id, _fact(typed), now=utcnow())

        return await self._do(request, scope, entity_id, _Change(str(fact_id), typed, change))

    async def delete_fact(
        self, request: Request, scope: CurrentScope, entity_id: UUID, fact_id: UUID
    ) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_fact(session, entity_id, fact_id, now=utcnow())
        gone = Notice("success", "The fact is deleted", "It is not read again. Its sources are unchanged.")
        return self.pages.redirect(f"{base_of(request)}/{PLACE}/{entity_id}", gone)

    async def _do(self, request: Request, scope: Scope, entity_id: UUID, change: _Change) -> Response:
        """Change something of an entity and show it; what is refused stays in its form."""
        try:
            async with self.db.session(scope) as session:
                await change.do(session)
        except (Invalid, Conflict) as error:
            wrong = _Wrong(change.form, change.typed, error)
            return await self._card(request, scope, entity_id, wrong=wrong)
        return self.pages.redirect(f"{base_of(request)}/{PLACE}/{entity_id}", change.notice)


def _page(number: str) -> int:
    return Listing.read({"page": number}, (), ()).page


def _typed(form: FormData) -> dict[str, str]:
    return {name: words(form, name) for name in ("attribute", "value", "valid_from", "valid_until")}


def _fact(typed: dict[str, str]) -> FactText:
    """Raise Invalid for what is no date."""
    days = {name: _day(name, typed[name].strip()) for name in ("valid_from", "valid_until")}
    return FactText(typed["attribute"], typed["value"], **days)


def _day(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Invalid.field(name, "Write the date as YYYY-MM-DD.") from error
