"""Lines of the journal in words: what a field is called, and what stood and stands in it. Pure."""

from dataclasses import dataclass

from gptagent.features.crm.actions.model import (
    Change,
    Custom,
    Held,
    Known,
    Place,
    Plain,
    Tags,
    WrittenKind,
    field_id_of,
)

# Names of the fields every record has, as msgids.
NAMES = {
    "name": "Name",
    "first_name": "First name",
    "last_name": "Last name",
    "price": "Price",
    "place": "Stage",
    "responsible_user_id": "Responsible person",
    "tags": "Tags",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A change as a person reads it. `field` is a msgid if `is_named`, else the CRM's own name of it."""

    change: Change
    field: str
    is_named: bool
    before: str | None
    after: str


def line_of(known: Known, change: Change) -> Line:
    before = None if change.before is None else text_of(known, change.key, change.before)
    return Line(
        change,
        field_name(known, change.entity, change.key),
        change.key in NAMES,
        before,
        text_of(known, change.key, change.after),
    )


def field_name(known: Known, kind: WrittenKind, key: str) -> str:
    field_id = field_id_of(key)
    if field_id is None:
        return NAMES.get(key, key)
    found = (one.name for one in known.fields if one.id == field_id and one.entity == kind)
    return next(found, f"No. {field_id}")


def text_of(known: Known, key: str, held: Held) -> str:
    """Return a value in one line, '' for an empty one."""
    match held:
        case Place():
            return _place(known, held)
        case Tags(names=names):
            return ", ".join(sorted(names, key=str.casefold))
        case Custom(field=field):
            return field.text
        case Plain(value=value) if key == "responsible_user_id":
            return next((one.name for one in known.users if one.id == value), str(value or ""))
        case Plain(value=value):
            return "" if value is None else str(value)


def _place(known: Known, place: Place) -> str:
    pipeline = next((one for one in known.pipelines if one.id == place.pipeline_id), None)
    stages = pipeline.stages if pipeline else ()
    stage = next((one.name for one in stages if one.id == place.stage_id), str(place.stage_id))
    return f"{pipeline.name if pipeline else place.pipeline_id} → {stage}"
