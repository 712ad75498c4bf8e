"""The account, its people, pipelines and custom fields."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.rest import changes, hal, shapes
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import CustomField
from gptagent.sandbox.wire import Json

FIELDS_PER_PAGE = 50

EXTRAS = {
    "amojo_rights": {"can_direct": True, "can_create_groups": True},
    "version": 11,
}


CREATABLE = {"text", "textarea", "numeric", "checkbox", "url", "date", "date_time", "birthday"}


async def get_account(request: Request) -> Response:
    call = Call.of(request)
    account, wanted = call.account, call.with_()
    extras: Json = {name: value for name, value in EXTRAS.items() if name in wanted}
    if "is_api_filter_enabled" in wanted:
        extras["is_api_filter_enabled"] = account.knobs.api_filter
    if "drive_url" in wanted:
        domain = request.headers.get("host", "").partition(".")[2].partition(":")[0]
        extras["drive_url"] = f"https://drive-c.{domain or 'kommo.test'}"
    if "amojo_id" in wanted:
        extras["amojo_id"] = account.amojo_id
    if "task_types" in wanted:
        names = ((1, "Follow-up", "FOLLOW_UP"), (2, "Meeting", "MEETING"))
        types = [{"id": i, "name": name, "color": None, "icon_id": None, "code": c} for i, name, c in names]
        extras["_embedded"] = {"task_types": types}
    return hal.hal(
        {
            "id": account.id,
            "name": account.name,
            "subdomain": account.subdomain,
            "created_at": account.created_at,
            "created_by": 0,
            "updated_at": account.created_at,
            "updated_by": 0,
            "current_user_id": account.main_user,
            "country": "US",
            "currency": account.knobs.currency,
            "currency_symbol": {"USD": "$", "RUB": "₽"}.get(account.knobs.currency, account.knobs.currency),
            "customers_mode": "unavailable",
            "is_unsorted_on": account.is_unsorted_on,
            "is_loss_reason_enabled": True,
            "is_helpbot_enabled": False,
            "is_technical_account": True,
            "contact_name_display_order": 1,
            **extras,
            "_links": hal.self_link(call, "account"),
        }
    )


async def list_users(request: Request) -> Response:
    call = Call.of(request)
    return hal.counted(call, "users", list(call.account.users.values()), shapes.user)


async def get_user(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.users.get(call.path_id())
    if row is None:
        raise hal.problem(404, "Requested entity not found")
    return hal.hal(shapes.user(call, row))


async def list_pipelines(request: Request) -> Response:
    call = Call.of(request)
    rows = [shapes.pipeline(call, row) for row in call.account.pipelines.values()]
    links = hal.self_link(call, "leads", "pipelines")
    return hal.hal({"_total_items": len(rows), "_links": links, "_embedded": {"pipelines": rows}})


async def get_pipeline(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.pipelines.get(call.path_id())
    if row is None:
        raise hal.problem(404, "Requested entity not found")
    return hal.hal(shapes.pipeline(call, row))


async def list_fields(request: Request) -> Response:
    call = Call.of(request)
    kind = call.kind
    rows = list(call.account.fields[kind].values())
    return hal.counted(call, "custom_fields", rows, partial(_field, kind), at_most=FIELDS_PER_PAGE)


async def add_fields(request: Request) -> Response:
    """Create fields without choices; what needs enums is not made here."""
    call = Call.of(request)
    kind, thin = call.kind, []
    for index, item in enumerate(await call.array()):
        name, type_ = item.get("name"), item.get("type", "text")
        if not isinstance(name, str) or not name:
            raise hal.invalid(f"{index}.name", "This value should not be blank.", code="NotBlank")
        if type_ not in CREATABLE:
            raise hal.invalid(f"{index}.type", "The value you selected is not a valid choice.")
        row = CustomField(call.desk.world.ids.next(), name, str(type_), None, 510 + index)
        call.account.fields[kind][row.id] = row
        thin.append({**shapes.custom_field(call, kind, row), "request_id": hal.request_id(item, index)})
    return hal.hal({"_total_items": len(thin), "_embedded": {"custom_fields": thin}})


async def get_field(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.fields[call.kind].get(call.path_id())
    if row is None:
        raise hal.problem(404, "Requested entity not found")
    return hal.hal(shapes.custom_field(call, call.kind, row))


def _field(kind: str, call: Call, row: CustomField) -> Json:
    return shapes.custom_field(call, kind, row)


async def list_tags(request: Request) -> Response:
    call = Call.of(request)
    words = request.query_params.get("query", "").casefold()
    rows = (tag for tag in call.account.tags[call.kind].values() if words in tag.name.casefold())
    return hal.cut(call, "tags", rows, shapes.tag)


async def add_tags(request: Request) -> Response:
    call = Call.of(request)
    rows: list[Json] = []
    for index, item in enumerate(await call.array()):
        name = item.get("name")
        if not isinstance(name, str) or not name:
            detail = "This value should not be blank."
            raise hal.invalid("name", detail, code="InvalidType", request_id=hal.request_id(item, index))
        tag = changes.tag_named(call.desk, call.account, call.kind, name)
        rows.append({**shapes.tag(call, tag), "request_id": hal.request_id(item, index)})
    return hal.hal({"_links": hal.self_link(call, call.kind, "tags"), "_embedded": {"tags": rows}})


async def list_loss_reasons(request: Request) -> Response:
    call = Call.of(request)
    return hal.cut(call, "loss_reasons", call.account.loss_reasons.items(), shapes.loss_reason)


async def list_bots(request: Request) -> Response:
    """Since 2026-04, and of Kommo only."""
    call = Call.of(request)
    if call.is_amocrm or not call.account.knobs.bots_v4:
        raise hal.problem(404, f"Cannot GET {request.url}")
    return hal.cut(call, "bots", call.account.bots.values(), shapes.bot)
