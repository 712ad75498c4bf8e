"""The account, its people, pipelines and custom fields."""

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.rest import hal, shapes
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import CustomField
from gptagent.sandbox.wire import Json

EXTRAS = {
    "amojo_rights": {"can_direct": True, "can_create_groups": True},
    "version": 11,
    "is_api_filter_enabled": True,
}


CREATABLE = {"text", "textarea", "numeric", "checkbox", "url", "date", "date_time", "birthday"}


async def get_account(request: Request) -> Response:
    call = Call.of(request)
    account, wanted = call.account, call.with_()
    extras: Json = {name: value for name, value in EXTRAS.items() if name in wanted}
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
            "currency": "USD",
            "currency_symbol": "$",
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
    page, limit = hal.window(call)
    rows = list(call.account.users.values())
    start = (page - 1) * limit
    shown = [shapes.user(call, row) for row in rows[start : start + limit]]
    return hal.page_of(call, "users", shown, more=len(rows) > start + limit, total=len(rows))


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
    page, limit = hal.window(call)
    rows = list(call.account.fields[kind].values())
    start = (page - 1) * limit
    shown = [shapes.custom_field(call, kind, row) for row in rows[start : start + limit]]
    return hal.page_of(call, "custom_fields", shown, more=len(rows) > start + limit, total=len(rows))


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
