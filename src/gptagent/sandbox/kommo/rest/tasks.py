"""Tasks."""

from collections.abc import Iterable, Iterator
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.rest import hal, shapes
from gptagent.sandbox.kommo.rest.hal import Call
from gptagent.sandbox.kommo.state import Task, now
from gptagent.sandbox.wire import Json

ENTITY_TYPES = {"leads", "contacts", "companies", "customers"}
ORDERS = {"created_at", "complete_till", "id"}


async def get_task(request: Request) -> Response:
    call = Call.of(request)
    row = call.account.tasks.get(call.path_id())
    return hal.found(None if row is None else shapes.task(call, row))


async def list_tasks(request: Request) -> Response:
    call = Call.of(request)
    page, limit = hal.window(call)
    start = (page - 1) * limit
    rows = list(islice(_filtered(call), start, start + limit + 1))
    return hal.page_of(
        call, "tasks", [shapes.task(call, row) for row in rows[:limit]], more=len(rows) > limit
    )


async def add_tasks(request: Request) -> Response:
    call = Call.of(request)
    thin: list[Json] = []
    for index, item in enumerate(await call.array()):
        task = _new_task(call, item, index)
        call.account.tasks[task.id] = task
        call.account.tasks_by_entity[task.entity_type, task.entity_id].append(task)
        _record(call, task)
        call.desk.announce(call.account, "task", "add", forms.task(call.account, task), key=f"task/{task.id}")
        thin.append({"id": task.id, "request_id": hal.request_id(item, index)})
    return hal.written(call, "tasks", "tasks", thin)


async def patch_tasks(request: Request) -> Response:
    call = Call.of(request)
    thin: list[Json] = []
    for index, item in enumerate(await call.array()):
        id_ = item.get("id")
        task = _change(call, id_ if isinstance(id_, int) else 0, item)
        thin.append({"id": task.id, "updated_at": task.updated_at, "request_id": hal.request_id(item, index)})
    return hal.written(call, "tasks", "tasks", thin)


async def patch_task(request: Request) -> Response:
    call = Call.of(request)
    item = await call.object()
    task = _change(call, call.path_id(), item)
    body = {"id": task.id, "updated_at": task.updated_at, "request_id": hal.request_id(item, 0)}
    return hal.hal({**body, "_links": hal.self_link(call, "tasks", task.id)})


def _filtered(call: Call) -> Iterator[Task]:
    account, query = call.account, call.request.query_params
    ids, entities = call.numbers("id"), call.numbers("entity_id")
    kind, completed = query.get("filter[entity_type]"), query.get("filter[is_completed]")
    people, kinds, updated = (
        call.numbers("responsible_user_id"),
        call.numbers("task_type"),
        call.span("updated_at"),
    )
    rows: Iterable[Task] = account.tasks.values()
    if ids:
        rows = [account.tasks[id_] for id_ in ids if id_ in account.tasks]
    elif entities and kind:
        rows = [task for id_ in entities for task in account.tasks_by_entity.get((kind, id_), ())]
    for task in _ordered(call, rows):
        if (
            (kind is None or task.entity_type == kind)
            and (not entities or task.entity_id in entities)
            and (completed is None or task.is_completed == (completed in {"1", "true"}))
            and (not people or task.responsible_user_id in people)
            and (not kinds or task.task_type_id in kinds)
            and updated[0] <= task.updated_at <= updated[1]
        ):
            yield task


def _ordered(call: Call, rows: Iterable[Task]) -> Iterable[Task]:
    for name in ORDERS:
        direction = call.request.query_params.get(f"order[{name}]")
        if direction is not None:
            attribute = name
            return sorted(rows, key=lambda task: int(getattr(task, attribute)), reverse=direction == "desc")
    return rows


def _new_task(call: Call, item: Json, index: int) -> Task:
    request_id = hal.request_id(item, index)
    text, due = item.get("text"), item.get("complete_till")
    if not isinstance(text, str) or not text:
        raise hal.invalid("text", "This field is missing.", code="FieldMissing", request_id=request_id)
    if not isinstance(due, int):
        raise hal.invalid(
            "complete_till", "This field is missing.", code="FieldMissing", request_id=request_id
        )
    kind, entity = _subject(call, item, request_id)
    account, moment = call.account, now()
    return Task(
        call.desk.world.ids.next(),
        text,
        due,
        _int(item.get("task_type_id"), 1),
        kind,
        entity,
        _user(call, item, request_id),
        account.main_user,
        moment,
        moment,
        duration=_int(item.get("duration"), 0),
    )


def _subject(call: Call, item: Json, request_id: str) -> tuple[str | None, int | None]:
    kind, entity = item.get("entity_type"), item.get("entity_id")
    if kind is None and entity is None:
        return None, None
    if not isinstance(kind, str) or kind not in ENTITY_TYPES or not isinstance(entity, int):
        detail = "The value you selected is not a valid choice."
        raise hal.invalid("entity_type", detail, request_id=request_id)
    table = {"leads": call.account.leads, "contacts": call.account.contacts}.get(kind, {})
    if entity not in table:
        raise hal.invalid("entity_id", "Element not found", code="NotFound", request_id=request_id)
    return kind, entity


def _user(call: Call, item: Json, request_id: str) -> int:
    user = item.get("responsible_user_id")
    if user is None:
        return call.account.main_user
    if not isinstance(user, int) or user not in call.account.users:
        detail = "The value you selected is not a valid choice."
        raise hal.invalid("responsible_user_id", detail, request_id=request_id)
    return user


def _change(call: Call, id_: int, item: Json) -> Task:
    task = call.account.tasks.get(id_)
    if task is None:
        raise hal.problem(404, "Requested entity not found")
    old_text = task.text
    task.text = str(item.get("text", task.text))
    task.complete_till = _int(item.get("complete_till"), task.complete_till)
    task.is_completed = bool(item.get("is_completed", task.is_completed))
    task.responsible_user_id = _user(call, {"responsible_user_id": task.responsible_user_id, **item}, "0")
    result = item.get("result")
    if isinstance(result, dict):
        task.result_text = str(result.get("text", ""))
    task.updated_at = now()
    tree = forms.task(call.account, task, old_text=old_text if old_text != task.text else None)
    call.desk.announce(call.account, "task", "update", tree, key=f"task/{task.id}")
    return task


def _record(call: Call, task: Task) -> None:
    call.account.ledger.record(
        "task",
        id=task.id,
        text=task.text,
        type_id=task.task_type_id,
        entity_type=task.entity_type,
        entity_id=task.entity_id,
        complete_till=task.complete_till,
        responsible_user_id=task.responsible_user_id,
    )


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
