"""Applies a partial write to a lead or contact, refusing what the vendor refuses, and announces it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gptagent.sandbox.kommo import forms
from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.rest.hal import Call, invalid
from gptagent.sandbox.kommo.rest.values import read_field
from gptagent.sandbox.kommo.state import (
    INCOMING_STAGE_TYPE,
    LOST,
    WON,
    Account,
    Entity,
    EntityKind,
    FieldValues,
    Tag,
    now,
)
from gptagent.sandbox.wire import Json

PLAIN = {"name": str, "price": int, "first_name": str, "last_name": str, "loss_reason_id": int}


@dataclass(slots=True)
class _Plan:
    """A write that was found valid; nothing is changed before all of it is."""

    plain: dict[str, object] = field(default_factory=dict)
    stage: tuple[int, int] | None = None
    responsible: int | None = None
    values: dict[int, FieldValues | None] = field(default_factory=dict)
    links: list[int] | None = None
    companies: list[int] | None = None


def apply(call: Call, kind: EntityKind, row: Entity, item: Json, index: int) -> None:
    """Change the row as asked, all or nothing. A row already in the account announces its changes."""
    plan = _plan(call.account, kind, row, item, str(item.get("request_id", index)))
    old_user = row.responsible_user_id
    for name, value in plan.plain.items():
        setattr(row, name, value)
    row.responsible_user_id = plan.responsible or row.responsible_user_id
    _set_values(row, plan.values)
    _set_tags(call, kind, row, item)
    row.links = row.links if plan.links is None else plan.links
    row.companies = row.companies if plan.companies is None else plan.companies
    row.updated_by, row.updated_at = call.account.main_user, now()
    is_known = row.id in call.account.entities(kind)
    if plan.stage is not None and (row.pipeline_id, row.status_id) != plan.stage:
        move(call.desk, call.account, row, plan.stage, announce=is_known)
    if is_known:
        call.desk.announce_entity(call.account, kind, "update", row)
        if kind == "leads" and old_user != row.responsible_user_id:
            tree = forms.lead(call.account, row, old_user_id=old_user)
            call.desk.announce(call.account, "leads", "responsible", tree, key=f"leads/{row.id}")


def move(desk: Desk, account: Account, row: Entity, stage: tuple[int, int], *, announce: bool = True) -> None:
    """Put the lead on a (pipeline, stage) and say so."""
    old = row.status_id
    desk.note(
        account,
        "lead_status_changed",
        ("lead", row.id),
        by=row.updated_by,
        after=[_place(*stage)],
        before=[_place(row.pipeline_id, old)],
    )
    row.pipeline_id, row.status_id = stage
    account.hidden.difference_update(row.links)
    row.closed_at = now() if row.status_id in {WON, LOST} else None
    if announce:
        tree = forms.lead(account, row, old_status_id=old)
        desk.announce(account, "leads", "status", tree, key=f"leads/{row.id}")


def _place(pipeline_id: int, status_id: int) -> Json:
    return {"lead_status": {"id": status_id, "pipeline_id": pipeline_id}}


def _plan(account: Account, kind: EntityKind, row: Entity, item: Json, request_id: str) -> _Plan:
    plan = _Plan()
    for name, type_ in PLAIN.items():
        value = item.get(name)
        if value is not None and (not isinstance(value, type_) or isinstance(value, bool)):
            detail = f"This value should be of type {type_.__name__}."
            raise invalid(name, detail, code="InvalidType", request_id=request_id)
        if value is not None:
            plan.plain[name] = value
    plan.companies = _links(account.companies, item, "companies", request_id)
    if kind == "leads":
        plan.stage = _stage(account, row, item, request_id)
        plan.links = _links(account.contacts, item, "contacts", request_id)
    plan.responsible = _responsible(account, item, request_id)
    plan.values = _field_values(account, kind, item, request_id)
    return plan


def _stage(account: Account, row: Entity, item: Json, request_id: str) -> tuple[int, int] | None:
    """Return the (pipeline, stage) asked for; the stage of incoming leads cannot be."""
    if item.get("status_id") is None and item.get("pipeline_id") is None:
        return None
    asked = item.get("pipeline_id", row.pipeline_id)
    pipeline = account.pipelines.get(asked) if isinstance(asked, int) else None
    if pipeline is None:
        raise invalid("pipeline_id", "The value you selected is not a valid choice.", request_id=request_id)
    status_id = item.get("status_id", pipeline.first_open_stage())
    stage = pipeline.stages.get(status_id) if isinstance(status_id, int) else None
    if stage is None or stage.type == INCOMING_STAGE_TYPE:
        raise invalid("status_id", "The value you selected is not a valid choice.", request_id=request_id)
    return pipeline.id, stage.id


def _responsible(account: Account, item: Json, request_id: str) -> int | None:
    asked = item.get("responsible_user_id")
    if asked is None:
        return None
    if not isinstance(asked, int) or asked not in account.users:
        detail = "The value you selected is not a valid choice."
        raise invalid("responsible_user_id", detail, request_id=request_id)
    return asked


def _field_values(
    account: Account, kind: EntityKind, item: Json, request_id: str
) -> dict[int, FieldValues | None]:
    given = item.get("custom_fields_values") or []
    if not isinstance(given, list):
        detail = "This value should be of type array."
        raise invalid("custom_fields_values", detail, code="InvalidType", request_id=request_id)
    return dict(
        read_field(account, account.fields[kind], entry, f"custom_fields_values.{index}", request_id)
        for index, entry in enumerate(given)
    )


def _links(known: Mapping[int, Entity], item: Json, name: str, request_id: str) -> list[int] | None:
    embedded = item.get("_embedded")
    listed = embedded.get(name) if isinstance(embedded, dict) else None
    if not isinstance(listed, list):
        return None
    given = [entry.get("id") for entry in listed if isinstance(entry, dict)]
    ids = [id_ for id_ in given if isinstance(id_, int) and id_ in known]
    if len(ids) < len(listed):
        raise invalid(f"_embedded.{name}.0.id", "Element not found", request_id=request_id)
    return ids


def _set_values(row: Entity, values: dict[int, FieldValues | None]) -> None:
    for id_, listed in values.items():
        if listed is None:
            row.values.pop(id_, None)
        else:
            row.values[id_] = listed


def _set_tags(call: Call, kind: EntityKind, row: Entity, item: Json) -> None:
    """`_embedded.tags` replaces the whole set; `tags_to_add` and `tags_to_delete` are steps."""
    embedded = item.get("_embedded")
    if isinstance(embedded, dict) and "tags" in embedded:
        row.tags = {}
        _add_tags(call, kind, row, embedded["tags"])
    _add_tags(call, kind, row, item.get("tags_to_add"))
    for tag in _listed(item.get("tags_to_delete")):
        row.tags = {
            id_: name for id_, name in row.tags.items() if tag.get("name") != name and tag.get("id") != id_
        }


def _add_tags(call: Call, kind: EntityKind, row: Entity, tags: object) -> None:
    """Tag the record, by the number of a known tag or by a name, which may be a new one."""
    for given in _listed(tags):
        id_ = given.get("id")
        tag = call.account.tags[kind].get(id_) if isinstance(id_, int) else None
        if tag is None and (name := given.get("name")):
            tag = tag_named(call.desk, call.account, kind, str(name))
        if tag is not None:
            row.tags[tag.id] = tag.name


def tag_named(desk: Desk, account: Account, kind: EntityKind, name: str) -> Tag:
    """Return the account's tag of this name, made if there is none."""
    table = account.tags[kind]
    found = next((tag for tag in table.values() if tag.name == name), None)
    if found is None:
        found = Tag(desk.world.ids.next(), name)
        table[found.id] = found
    return found


def _listed(value: object) -> list[Json]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
