"""Many records at once, and records that go."""

from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.state import ENTITY_KINDS, Account, Entity, EntityKind, Ids, now
from gptagent.sandbox.wire import answer, read_as, refusal

MOST_AT_ONCE = 100_000


class Many(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`updated_at` is the records' last change, unix seconds; now, if it is not given."""

    count: int
    name: str = "Record"
    updated_at: int | None = None


async def new_records(request: Request) -> Response:
    """Make numbered records without announcing any; contacts have a phone each."""
    account, wanted, kind = account_of(request), await read_as(request, Many), _kind(request)
    if not 0 < wanted.count <= MOST_AT_ONCE:
        raise refusal(422, f"count: 1 to {MOST_AT_ONCE}")
    made = [_made(account, desk_of(request).world.ids, kind, wanted, i) for i in range(wanted.count)]
    account.entities(kind).update({row.id: row for row in made})
    return answer({"first_id": made[0].id, "last_id": made[-1].id}, 201)


def _made(account: Account, ids: Ids, kind: EntityKind, wanted: Many, index: int) -> Entity:
    moment, user = wanted.updated_at or now(), account.main_user
    row = Entity(ids.next(), f"{wanted.name} {index + 1}", user, user, user, moment, moment)
    if kind == "leads":
        row.pipeline_id = account.main_pipeline.id
        row.status_id = account.main_pipeline.first_open_stage()
        return row
    phone = next((one for one in account.fields[kind].values() if one.code == "PHONE"), None)
    if phone is not None:
        enum_id, (_, code) = next(iter(phone.enums.items()))
        number = f"+1202{index:07d}"
        row.values[phone.id] = [{"value": number, "enum_id": enum_id, "enum_code": code}]
    return row


async def remove_record(request: Request) -> Response:
    """Delete a record as a person would: its webhook goes out."""
    account, kind = account_of(request), _kind(request)
    row = account.entities(kind).pop(request.path_params["id"], None)
    if row is None:
        raise refusal(404, "no such record")
    desk_of(request).announce_entity(account, kind, "delete", row)
    return answer({})


def _kind(request: Request) -> EntityKind:
    kind = request.path_params["kind"]
    if kind not in ENTITY_KINDS:
        raise refusal(404, "no such kind of records")
    return cast("EntityKind", kind)
