"""Scripts and objections over REST: the same verbs under two addresses."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from gptagent.features.knowledge.scripts import service
from gptagent.features.knowledge.scripts.model import Family, NewScript, Script
from gptagent.features.knowledge.scripts.variables import standing_of, variables_of
from gptagent.features.knowledge.staging.api import StageBody, StageKeyOut, keys_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router

_Priority = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class ScriptBody(Body):
    """Without `stages` it is for every stage. Of an objection `title` holds the customer's words.

    `kind` of a script: greeting, qualification, presentation, objection_handling, closing; of an objection:
    price, timing, need, competitor, trust, other.
    """

    model_config = example({"kind": "price", "title": "Too expensive", "content": "We pay in parts too."})

    kind: str
    title: str
    content: str
    stages: tuple[StageBody, ...] = ()
    is_active: bool = True
    priority: _Priority = 50


class ScriptPatch(Body):
    """Fields left out stay as they are; `version` refuses the change if another one came first."""

    model_config = example({"is_active": False, "version": 3})

    kind: str | None = None
    title: str | None = None
    content: str | None = None
    stages: tuple[StageBody, ...] | None = None
    is_active: bool | None = None
    priority: _Priority | None = None
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None


class ScriptOut(Wire):
    """`used` counts replies that named it as a source. `unknown_variables` are never filled.

    Not `is_everywhere` and without `stages` it is used nowhere: their account is disconnected.
    """

    moving: ClassVar[frozenset[str]] = frozenset({"used", "used_at"})

    id: UUID
    kind: str
    title: str
    content: str
    stages: list[StageKeyOut]
    is_everywhere: bool
    is_active: bool
    priority: int
    used: int
    used_at: datetime | None
    unknown_variables: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class ScriptsOut(Wire):
    items: list[ScriptOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ScriptsApi:
    db: Database
    family: Family

    def router(self) -> APIRouter:
        many = f"{self.family}s"
        router = api_router(f"/{many}", tags=[many])
        router.get("", summary=f"List {many}")(self.list)
        router.post("", status_code=201, summary=f"Write one of the {many}")(self.create)
        router.get("/{script_id}", summary=f"Get one of the {many}")(self.get)
        router.patch("/{script_id}", summary=f"Change one of the {many}")(self.update)
        router.delete("/{script_id}", status_code=204, summary=f"Delete one of the {many}")(self.delete)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.SCRIPT_ORDERS, "priority")],
        search: QueryText = "",
        kind: QueryText = "",
    ) -> ScriptsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_scripts(session, self.family, page, search=search, kind=kind)
        return ScriptsOut(items=[_out(one) for one in found], next_cursor=after)

    async def create(self, scope: CurrentScope, body: ScriptBody) -> ScriptOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        new = NewScript(
            body.kind, body.title, body.content, keys_of(body.stages), body.is_active, body.priority
        )
        async with self.db.session(scope) as session:
            return _out(await service.create_script(session, self.family, new, now=utcnow()))

    async def get(self, scope: CurrentScope, script_id: UUID) -> ScriptOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _out(await service.get_script(session, self.family, script_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, script_id: UUID, body: ScriptPatch
    ) -> ScriptOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        changes = body.model_dump(exclude_unset=True)
        if body.stages is not None:
            changes["stages"] = keys_of(body.stages)
        async with self.db.session(scope) as session:
            if match:
                match.check(_out(await service.get_script(session, self.family, script_id, lock=True)))
            return _out(await service.update_script(session, self.family, script_id, changes, now=utcnow()))

    async def delete(self, scope: CurrentScope, match: CurrentMatch, script_id: UUID) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(_out(await service.get_script(session, self.family, script_id, lock=True)))
            await service.delete_script(session, self.family, script_id)


def _out(script: Script) -> ScriptOut:
    unknown = [name for name in variables_of(script.content) if standing_of(name) == "unknown"]
    told = ("stages", "unknown_variables")
    values = {name: getattr(script, name) for name in ScriptOut.model_fields if name not in told}
    stages = [StageKeyOut.model_validate(one) for one in script.stages]
    return ScriptOut(**values, stages=stages, unknown_variables=unknown)
