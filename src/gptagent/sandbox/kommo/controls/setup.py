"""How an account is set up: custom fields, people, pipelines and stages, tags, bots, lists."""

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls import describe
from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.rest import changes
from gptagent.sandbox.kommo.seed import ADDRESS_LINES, EMAIL_KINDS, PHONE_KINDS, coded
from gptagent.sandbox.kommo.state import (
    LOST,
    WON,
    Account,
    Catalog,
    CustomField,
    Entity,
    EntityKind,
    Pipeline,
    Stage,
    User,
    new_uuid,
    now,
)
from gptagent.sandbox.wire import Json, answer, read_as, refusal

CODED = {"PHONE": PHONE_KINDS, "EMAIL": EMAIL_KINDS}


class NewField(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`entity` may be a list's number. `enums` are the choices' labels; `catalogs` the lists of a chain."""

    entity: EntityKind | int = "leads"
    name: str
    type: str = "text"
    code: str | None = None
    enums: list[str] = []
    catalogs: list[int] = []
    search_in: str | None = None


class NewUser(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: str
    email: str = ""
    is_admin: bool = False


class Changed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is renamed or switched; what is left out stays."""

    name: str | None = None
    is_active: bool | None = None
    is_archive: bool | None = None


class Named(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: str
    stages: list[str] = []
    entity: EntityKind = "leads"
    type: Literal["regular", "products", "invoices"] = "regular"
    elements: list[str] = []


async def new_field(request: Request) -> Response:
    account, ids, wanted = account_of(request), desk_of(request).world.ids, await read_as(request, NewField)
    table = _fields(account, wanted.entity)
    codes = CODED.get(wanted.code or "", ())
    labels: dict[int, tuple[str, str | None]] = {ids.next(): (label, None) for label in wanted.enums}
    enums = labels or coded(ids, codes)
    if wanted.type == "smart_address":
        enums = dict(enumerate(((line, line) for line in ADDRESS_LINES), 1))
    custom = CustomField(ids.next(), wanted.name, wanted.type, wanted.code, 600 + len(table), enums)
    custom.catalogs, custom.search_in = wanted.catalogs, wanted.search_in
    table[custom.id] = custom
    return answer(describe.field(custom), 201)


async def change_field(request: Request) -> Response:
    custom, _ = _find_field(request)
    custom.name = (await read_as(request, Changed)).name or custom.name
    return answer(describe.field(custom))


async def remove_field(request: Request) -> Response:
    custom, table = _find_field(request)
    del table[custom.id]
    return answer({})


def _fields(account: Account, entity: EntityKind | int) -> dict[int, CustomField]:
    if not isinstance(entity, int):
        return account.fields[entity]
    if entity not in account.catalogs:
        raise refusal(404, "no such list")
    return account.catalogs[entity].fields


def _find_field(request: Request) -> tuple[CustomField, dict[int, CustomField]]:
    account, id_ = account_of(request), request.path_params["id"]
    for table in (*account.fields.values(), *(catalog.fields for catalog in account.catalogs.values())):
        if id_ in table:
            return table[id_], table
    raise refusal(404, "no such field")


async def new_user(request: Request) -> Response:
    account, wanted = account_of(request), await read_as(request, NewUser)
    user = User(
        desk_of(request).world.ids.next(), wanted.name, wanted.email, new_uuid(), is_admin=wanted.is_admin
    )
    account.users[user.id] = user
    return answer({"id": user.id, "name": user.name}, 201)


async def change_user(request: Request) -> Response:
    user, wanted = _user(request), await read_as(request, Changed)
    user.name = wanted.name or user.name
    user.is_active = user.is_active if wanted.is_active is None else wanted.is_active
    return answer({"id": user.id, "name": user.name})


async def remove_user(request: Request) -> Response:
    del account_of(request).users[_user(request).id]
    return answer({})


def _user(request: Request) -> User:
    user = account_of(request).users.get(request.path_params["id"])
    if user is None:
        raise refusal(404, "no such user")
    return user


async def new_pipeline(request: Request) -> Response:
    account, ids, wanted = account_of(request), desk_of(request).world.ids, await read_as(request, Named)
    like = account.main_pipeline
    incoming = like.stages[like.incoming_stage()]
    stages = [
        Stage(ids.next(), incoming.name, 10, incoming.color, incoming.type),
        *(Stage(ids.next(), name, 20 + 10 * i, "#ffff99") for i, name in enumerate(wanted.stages or ["New"])),
        *(like.stages[id_] for id_ in (WON, LOST)),
    ]
    pipeline = Pipeline(
        ids.next(), wanted.name, len(account.pipelines) + 1, is_main=False, stages={s.id: s for s in stages}
    )
    account.pipelines[pipeline.id] = pipeline
    return answer(_described(pipeline), 201)


async def change_pipeline(request: Request) -> Response:
    pipeline, wanted = _pipeline(request), await read_as(request, Changed)
    pipeline.name = wanted.name or pipeline.name
    pipeline.is_archive = pipeline.is_archive if wanted.is_archive is None else wanted.is_archive
    return answer(_described(pipeline))


async def remove_pipeline(request: Request) -> Response:
    del account_of(request).pipelines[_pipeline(request).id]
    return answer({})


async def new_stage(request: Request) -> Response:
    pipeline, wanted = _pipeline(request), await read_as(request, Named)
    sort = max(stage.sort for stage in pipeline.stages.values() if stage.id not in {WON, LOST}) + 10
    stage = Stage(desk_of(request).world.ids.next(), wanted.name, sort, "#99ccff")
    pipeline.stages[stage.id] = stage
    return answer({"id": stage.id, "name": stage.name}, 201)


async def change_stage(request: Request) -> Response:
    pipeline, wanted = _pipeline(request), await read_as(request, Changed)
    stage = pipeline.stages.get(request.path_params["stage"])
    if stage is None:
        raise refusal(404, "no such stage")
    stage.name = wanted.name or stage.name
    return answer({"id": stage.id, "name": stage.name})


async def remove_stage(request: Request) -> Response:
    if _pipeline(request).stages.pop(request.path_params["stage"], None) is None:
        raise refusal(404, "no such stage")
    return answer({})


def _pipeline(request: Request) -> Pipeline:
    pipeline = account_of(request).pipelines.get(request.path_params["id"])
    if pipeline is None:
        raise refusal(404, "no such pipeline")
    return pipeline


def _described(pipeline: Pipeline) -> Json:
    stages = [{"id": stage.id, "name": stage.name, "type": stage.type} for stage in pipeline.stages.values()]
    return {"id": pipeline.id, "name": pipeline.name, "stages": stages}


async def new_tag(request: Request) -> Response:
    wanted = await read_as(request, Named)
    tag = changes.tag_named(desk_of(request), account_of(request), wanted.entity, wanted.name)
    return answer({"id": tag.id, "name": tag.name}, 201)


async def remove_tag(request: Request) -> Response:
    for table in account_of(request).tags.values():
        if table.pop(request.path_params["id"], None) is not None:
            return answer({})
    raise refusal(404, "no such tag")


async def new_catalog(request: Request) -> Response:
    account, ids, wanted = account_of(request), desk_of(request).world.ids, await read_as(request, Named)
    catalog = Catalog(ids.next(), wanted.name, wanted.type)
    user, moment = account.main_user, now()
    for name in wanted.elements:
        element = Entity(ids.next(), name, user, user, user, moment, moment)
        catalog.elements[element.id] = element
    account.catalogs[catalog.id] = catalog
    return answer({"id": catalog.id, "name": catalog.name, "elements": list(catalog.elements)}, 201)
