"""How records look in answers."""

from collections.abc import Mapping

from gptagent.sandbox.kommo.rest.hal import Call, self_link
from gptagent.sandbox.kommo.state import (
    INCOMING_STAGE_TYPE,
    LOST,
    WON,
    Bot,
    Catalog,
    CustomField,
    Entity,
    EntityKind,
    LogEntry,
    Note,
    Pipeline,
    Stage,
    Subscription,
    Tag,
    Talk,
    Task,
    User,
)
from gptagent.sandbox.wire import Json


def lead(call: Call, row: Entity) -> Json:
    wanted = call.with_()
    embedded: Json = {"tags": _tags(row), "companies": _companies(call, row)}
    reason = call.account.loss_reasons.get(row.loss_reason_id or 0)
    if "loss_reason" in wanted and reason is not None:
        embedded["loss_reason"] = [{"id": row.loss_reason_id, "name": reason, "sort": 10000}]
    if "contacts" in wanted:
        embedded["contacts"] = [
            {"id": id_, "is_main": i == 0, "_links": self_link(call, "contacts", id_)}
            for i, id_ in enumerate(row.links)
        ]
    return {
        "id": row.id,
        "name": row.name,
        "price": row.price,
        "responsible_user_id": row.responsible_user_id,
        "group_id": 0,
        "status_id": row.status_id,
        "pipeline_id": row.pipeline_id,
        "loss_reason_id": row.loss_reason_id,
        "created_by": row.created_by,
        "updated_by": row.updated_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "closed_at": row.closed_at,
        "closest_task_at": None,
        "is_deleted": False,
        "custom_fields_values": _values(call.account.fields["leads"], row),
        "score": None,
        "account_id": call.account.id,
        "labor_cost": None,
        "is_price_computed": False,
        "_links": self_link(call, "leads", row.id),
        "_embedded": embedded,
    }


def contact(call: Call, row: Entity) -> Json:
    embedded: Json = {"tags": _tags(row), "companies": _companies(call, row)}
    if "leads" in call.with_():
        embedded["leads"] = [{"id": id_, "_links": self_link(call, "leads", id_)} for id_ in row.links]
    return {
        "id": row.id,
        "name": row.name,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "responsible_user_id": row.responsible_user_id,
        "group_id": 0,
        "created_by": row.created_by,
        "updated_by": row.updated_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "closest_task_at": None,
        "is_deleted": False,
        "is_unsorted": row.id in call.account.hidden,
        "custom_fields_values": _values(call.account.fields["contacts"], row),
        "account_id": call.account.id,
        "_links": self_link(call, "contacts", row.id),
        "_embedded": embedded,
    }


def company(call: Call, row: Entity) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "responsible_user_id": row.responsible_user_id,
        "group_id": 0,
        "created_by": row.created_by,
        "updated_by": row.updated_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "closest_task_at": None,
        "is_deleted": False,
        "custom_fields_values": _values(call.account.fields["companies"], row),
        "account_id": call.account.id,
        "_links": self_link(call, "companies", row.id),
        "_embedded": {"tags": _tags(row)},
    }


def catalog(call: Call, row: Catalog) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "created_by": call.account.main_user,
        "updated_by": call.account.main_user,
        "created_at": call.account.created_at,
        "updated_at": call.account.created_at,
        "sort": 10,
        "type": row.type,
        "can_add_elements": True,
        "can_show_in_cards": False,
        "can_link_multiple": True,
        "can_be_deleted": True,
        "sdk_widget_code": None,
        "account_id": call.account.id,
        "_links": self_link(call, "catalogs", row.id),
    }


def element(call: Call, owner: Catalog, row: Entity) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "created_by": row.created_by,
        "updated_by": row.updated_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "is_deleted": None,
        "custom_fields_values": _values(owner.fields, row),
        "catalog_id": owner.id,
        "account_id": call.account.id,
        "_links": self_link(call, "catalogs", owner.id, "elements", row.id),
    }


def tag(call: Call, row: Tag) -> Json:
    del call
    return {"id": row.id, "name": row.name, "color": row.color}


def loss_reason(call: Call, row: tuple[int, str]) -> Json:
    id_, name = row
    return {"id": id_, "name": name, "sort": 10000, "_links": self_link(call, "leads", "loss_reasons", id_)}


def bot(call: Call, row: Bot) -> Json:
    return {"id": row.id, "name": row.name, "_links": self_link(call, "bots", row.id)}


def log_entry(call: Call, row: LogEntry) -> Json:
    return {
        "id": row.id,
        "type": row.type,
        "entity_id": row.entity_id,
        "entity_type": row.entity_type,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "value_after": row.value_after,
        "value_before": row.value_before,
        "account_id": call.account.id,
        "_links": self_link(call, "events", row.id),
    }


def _companies(call: Call, row: Entity) -> list[Json]:
    return [{"id": id_, "_links": self_link(call, "companies", id_)} for id_ in row.companies]


def _tags(row: Entity) -> list[Json]:
    return [{"id": id_, "name": name, "color": None} for id_, name in row.tags.items()]


def _values(catalogue: Mapping[int, CustomField], row: Entity) -> list[Json] | None:
    return [
        {
            "field_id": id_,
            "field_name": catalogue[id_].name,
            "field_code": catalogue[id_].code,
            "field_type": catalogue[id_].type,
            "values": values,
        }
        for id_, values in row.values.items()
        if id_ in catalogue
    ] or None


def pipeline(call: Call, row: Pipeline) -> Json:
    path = ("leads", "pipelines", row.id)
    return {
        "id": row.id,
        "name": row.name,
        "sort": row.sort,
        "is_main": row.is_main,
        "is_unsorted_on": call.account.is_unsorted_on,
        "is_archive": row.is_archive,
        "account_id": call.account.id,
        "_links": self_link(call, *path),
        "_embedded": {"statuses": [_stage(call, row, stage) for stage in row.stages.values()]},
    }


def _stage(call: Call, owner: Pipeline, row: Stage) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "sort": row.sort,
        "is_editable": row.type != INCOMING_STAGE_TYPE and row.id not in {WON, LOST},
        "pipeline_id": owner.id,
        "color": row.color,
        "type": row.type,
        "account_id": call.account.id,
        "_links": self_link(call, "leads", "pipelines", owner.id, "statuses", row.id),
    }


def user(call: Call, row: User) -> Json:
    full = {"view": "A", "edit": "A", "add": "A", "delete": "A", "export": "A"}
    wanted = call.with_()
    return {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "lang": "ru",
        "rights": {
            "leads": full,
            "contacts": full,
            "companies": full,
            "tasks": {"edit": "A", "delete": "A"},
            "mail_access": False,
            "catalog_access": True,
            "is_admin": row.is_admin,
            "is_free": False,
            "is_active": row.is_active,
            "group_id": None,
            "role_id": None,
            "status_rights": [],
        },
        **({"amojo_id": row.amojo_id} if "amojo_id" in wanted else {}),
        "_links": self_link(call, "users", row.id),
    }


def custom_field(call: Call, kind: str, row: CustomField, *path: object) -> Json:
    enums = [
        {"id": id_, "value": value, "sort": i, "code": code}
        for i, (id_, (value, code)) in enumerate(row.enums.items())
    ]
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "account_id": call.account.id,
        "code": row.code,
        "sort": row.sort,
        "is_api_only": row.is_api_only,
        "enums": enums or None,
        "group_id": None,
        "required_statuses": [],
        "hidden_statuses": [],
        "is_deletable": row.code is None,
        "is_predefined": row.code is not None,
        "entity_type": kind,
        "remind": None,
        "currency": row.currency,
        "nested": None,
        "settings": None,
        "chained_lists": _chained_lists(row) or None,
        "search_in": row.search_in,
        "_links": self_link(call, *(path or (kind,)), "custom_fields", row.id),
    }


def _chained_lists(row: CustomField) -> list[Json]:
    parents = [None, *row.catalogs]
    return [
        {"title": None, "catalog_id": catalog, "parent_catalog_id": parent}
        for catalog, parent in zip(row.catalogs, parents, strict=False)
    ]


def task(call: Call, row: Task) -> Json:
    return {
        "id": row.id,
        "created_by": row.created_by,
        "updated_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "responsible_user_id": row.responsible_user_id,
        "group_id": 0,
        "entity_id": row.entity_id,
        "entity_type": row.entity_type,
        "duration": row.duration,
        "is_completed": row.is_completed,
        "task_type_id": row.task_type_id,
        "text": row.text,
        "result": {"text": row.result_text} if row.result_text else [],
        "complete_till": row.complete_till,
        "account_id": call.account.id,
        "_links": self_link(call, "tasks", row.id),
    }


def note(call: Call, kind: EntityKind, row: Note) -> Json:
    return {
        "id": row.id,
        "entity_id": row.entity_id,
        "created_by": row.created_by,
        "updated_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.created_at,
        "responsible_user_id": call.account.main_user,
        "group_id": 0,
        "note_type": row.note_type,
        "params": row.params,
        "account_id": call.account.id,
        "_links": self_link(call, kind, row.entity_id, "notes", row.id),
    }


def talk(call: Call, row: Talk) -> Json:
    return {
        "talk_id": row.id,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "rate": 0,
        "contact_id": row.contact_id,
        "chat_id": row.chat_id,
        "entity_id": row.lead_id,
        "entity_type": "lead",
        "is_in_work": row.is_open,
        "is_read": row.is_read,
        "status": "in_work" if row.is_open else "closed",
        "origin": row.origin,
        "missed_at": None,
        "account_id": call.account.id,
        "_links": self_link(call, "talks", row.id),
        "_embedded": {
            "contacts": [{"id": row.contact_id, "_links": self_link(call, "contacts", row.contact_id)}],
            "leads": [{"id": row.lead_id, "_links": self_link(call, "leads", row.lead_id)}],
            "customers": [],
        },
    }


def subscription(call: Call, row: Subscription) -> Json:
    return {
        "id": row.id,
        "destination": row.destination,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "account_id": call.account.id,
        "created_by": row.created_by,
        "sort": row.sort,
        "disabled": row.disabled,
        "settings": row.settings,
    }
