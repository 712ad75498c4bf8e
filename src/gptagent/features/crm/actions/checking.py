"""What is asked for, held against what the mirror knows, before anything leaves. Pure.

Every refusal names its field: `Invalid` with a pointer, an English template and its parameters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from gptagent.features.crm.actions.model import Custom, Held, Place, Plain, WrittenKind, field_key
from gptagent.features.crm.mirror.model import (
    MirroredField,
    MirroredPipeline,
    MirroredSalesbot,
    MirroredUser,
)
from gptagent.features.crm.records import FieldEnum
from gptagent.features.crm.values import Choice, FieldValue, Flag, Labelled, Moment, Number, Text, Value
from gptagent.kernel.errors import Invalid

NAME_MAX_CHARS = 255
TEXT_MAX_CHARS = 20_000
NOTE_MAX_CHARS = 20_000
TAG_MAX_CHARS = 250
TAGS_MAX = 40
VALUES_MAX = 40
PRICE_MAX = 2_147_483_647

_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,6})?", re.ASCII)
_TEXTS = {"text", "textarea", "url", "streetaddress", "tracking_data"}
_NUMBERS = {"numeric", "price", "monetary"}
_DATES = {"date", "date_time", "birthday"}
_ONE_OF = {"select", "radiobutton", "category"}
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """How the account is set up, as far as it was synced; what is gone from it is listed too."""

    pipelines: Sequence[MirroredPipeline]
    fields: Sequence[MirroredField]
    users: Sequence[MirroredUser]
    salesbots: Sequence[MirroredSalesbot]


@dataclass(frozen=True, slots=True)
class Asked:
    """New values of a record. `given` has name, first_name, last_name, price, responsible_user_id as far as
    they are to be written; `fields` custom fields by their number, None to empty one.
    """

    given: Mapping[str, str | int | None]
    pipeline_id: int | None = None
    stage_id: int | None = None
    fields: Mapping[int, object] | None = None
    tags_add: Sequence[str] = ()
    tags_remove: Sequence[str] = ()


def check_values(
    known: Known, kind: WrittenKind, asked: Asked, current_pipeline: int | None
) -> dict[str, Held]:
    """Return what to write, ready for the CRM. Raises Invalid with the first field that is wrong."""
    values: dict[str, Held] = {}
    for key, value in asked.given.items():
        values[key] = Plain(_plain(known, key, value))
    if asked.pipeline_id is not None or asked.stage_id is not None:
        values["place"] = check_stage(known, asked.pipeline_id, asked.stage_id, current_pipeline)
    for field_id, raw in (asked.fields or {}).items():
        values[field_key(field_id)] = Custom(check_field(known, kind, field_id, raw))
    check_tags(asked.tags_add, "tags")
    check_tags(asked.tags_remove, "tags")
    return values


def _plain(known: Known, key: str, value: str | int | None) -> str | int | None:
    if key == "responsible_user_id":
        if not isinstance(value, int):
            raise Invalid.field(key, "Name a person of the CRM.")
        return check_user(known, value)
    if key == "price":
        if value is not None and not (isinstance(value, int) and 0 <= value <= PRICE_MAX):
            raise Invalid.field(key, "The price is a whole number from 0 to {most}.", most=PRICE_MAX)
        return value
    return check_text(key, str(value or ""), NAME_MAX_CHARS, required=key == "name")


def check_text(pointer: str, text: str, most: int, *, required: bool = True) -> str:
    cleaned = text.replace("\0", "").strip()
    if required and not cleaned:
        raise Invalid.field(pointer, "This may not be empty.")
    if len(cleaned) > most:
        raise Invalid.field(pointer, "At most {most} characters.", most=most)
    return cleaned


def check_stage(
    known: Known, pipeline_id: int | None, stage_id: int | None, current_pipeline: int | None
) -> Place:
    """Return where the deal is to stand; without a pipeline, in the one it is in, or the main one."""
    wanted = pipeline_id if pipeline_id is not None else current_pipeline
    found = next(
        (one for one in known.pipelines if (one.id == wanted if wanted is not None else one.is_main)), None
    )
    if found is None:
        raise Invalid.field("pipeline_id", "The CRM has no such pipeline. Read it again if it is new.")
    if found.removed_at is not None:
        raise Invalid.field("pipeline_id", "The pipeline “{name}” is gone from the CRM.", name=found.name)
    open_stages = [one for one in found.stages if one.removed_at is None and one.kind != "incoming"]
    if stage_id is None:
        if not open_stages:
            raise Invalid.field("stage_id", "Name a stage of the pipeline “{name}”.", name=found.name)
        return Place(found.id, open_stages[0].id)
    stage = next((one for one in found.stages if one.id == stage_id), None)
    if stage is None:
        raise Invalid.field("stage_id", "The pipeline “{name}” has no such stage.", name=found.name)
    if stage.removed_at is not None:
        raise Invalid.field("stage_id", "The stage “{name}” is gone from the CRM.", name=stage.name)
    if stage.kind == "incoming":
        raise Invalid.field("stage_id", "A deal cannot be put back among the incoming ones.")
    return Place(found.id, stage.id)


def check_user(known: Known, user_id: int, pointer: str = "responsible_user_id") -> int:
    user = next((one for one in known.users if one.id == user_id), None)
    if user is None or user.removed_at is not None:
        raise Invalid.field(pointer, "The CRM has no such person. Read the account again if they are new.")
    if not user.is_active:
        raise Invalid.field(pointer, "{name} is switched off in the CRM.", name=user.name)
    return user_id


def check_salesbot(known: Known, bot_id: int) -> int:
    """An account whose bots cannot be listed (amoCRM) is not known to lack one."""
    bot = next((one for one in known.salesbots if one.id == bot_id), None)
    if bot is None and known.salesbots:
        raise Invalid.field("bot_id", "The CRM has no such Salesbot. Read the account again if it is new.")
    if bot is not None and bot.removed_at is not None:
        raise Invalid.field("bot_id", "The Salesbot “{name}” is gone from the CRM.", name=bot.name)
    if bot is not None and not bot.is_active:
        raise Invalid.field("bot_id", "The Salesbot “{name}” is switched off.", name=bot.name)
    return bot_id


def check_tags(names: Sequence[str], pointer: str) -> tuple[str, ...]:
    """Return the names, each once. One the CRM does not know is made there by being given."""
    if len(names) > TAGS_MAX:
        raise Invalid.field(pointer, "At most {most} tags at a time.", most=TAGS_MAX)
    cleaned = (check_text(pointer, name, TAG_MAX_CHARS) for name in names)
    return tuple({name.casefold(): name for name in cleaned}.values())


def check_due(due_at: datetime, now: datetime) -> datetime:
    if due_at.tzinfo is None:
        raise Invalid.field("due_at", "Give the time with its time zone.")
    if due_at < now:
        raise Invalid.field("due_at", "The time is over already.")
    if due_at > _LAST:
        raise Invalid.field("due_at", "This is too far ahead.")
    return due_at


def check_field(known: Known, kind: WrittenKind, field_id: int, value: object) -> FieldValue:
    """Return the value as the field's type keeps it. Texts name choices by their label or code."""
    pointer = f"fields/{field_id}"
    found = next((one for one in known.fields if one.id == field_id and one.entity == kind), None)
    if found is None:
        raise Invalid.field(pointer, "The CRM has no such field. Read the account again if it is new.")
    if found.removed_at is not None:
        raise Invalid.field(pointer, "The field “{name}” is gone from the CRM.", name=found.name)
    reader = _READERS.get(found.type)
    if not found.is_known or reader is None:
        raise Invalid.field(pointer, "The field “{name}” cannot be written from here.", name=found.name)
    values: tuple[Value, ...] = ()
    if value is not None:
        given = value if isinstance(value, list) else [value]
        many = found.type in {"multiselect", "multitext", "smart_address"}
        if len(given) > (VALUES_MAX if many else 1):
            raise Invalid.field(pointer, "The field “{name}” takes one value.", name=found.name)
        values = tuple(reader(found, pointer, one) for one in given)
    return FieldValue(found.id, found.type, values, found.name, found.code)


def _text(found: MirroredField, pointer: str, value: object) -> Value:
    if not isinstance(value, str):
        raise Invalid.field(pointer, "The field “{name}” takes text.", name=found.name)
    if found.type == "url" and not re.match(r"https?://\S+$", value):
        raise Invalid.field(pointer, "The field “{name}” takes a web address.", name=found.name)
    return Text(check_text(pointer, value, TEXT_MAX_CHARS, required=False))


def _number(found: MirroredField, pointer: str, value: object) -> Value:
    text = "" if isinstance(value, bool) else str(value)
    if not _NUMBER.fullmatch(text):
        raise Invalid.field(pointer, "The field “{name}” takes a number.", name=found.name)
    return Number(Decimal(text))


def _flag(found: MirroredField, pointer: str, value: object) -> Value:
    if not isinstance(value, bool):
        raise Invalid.field(pointer, "The field “{name}” takes yes or no.", name=found.name)
    return Flag(value)


def _moment(found: MirroredField, pointer: str, value: object) -> Value:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if at is None or not _FIRST <= at <= _LAST:
        raise Invalid.field(pointer, "The field “{name}” takes a date like 2026-12-31.", name=found.name)
    return Moment(at.astimezone(UTC).replace(microsecond=0))


def _choice(found: MirroredField, pointer: str, value: object) -> Value:
    enum = _enum(found.enums, value)
    if enum is None:
        raise Invalid.field(pointer, "The field “{name}” has no such choice.", name=found.name)
    return Choice(enum.value, enum.id, enum.code)


def _labelled(found: MirroredField, pointer: str, value: object) -> Value:
    """Read a phone, an address of e-mail, a line of a postal one: a text, or with the code of its kind."""
    text, code = (value.get("value"), value.get("code")) if isinstance(value, dict) else (value, None)
    if not isinstance(text, str):
        raise Invalid.field(pointer, "The field “{name}” takes text.", name=found.name)
    first = found.enums[0].code if found.enums else None
    codes = [one.code for one in found.enums]
    if code is not None and code not in codes:
        raise Invalid.field(pointer, "The field “{name}” has no such choice.", name=found.name)
    return Labelled(check_text(pointer, text, NAME_MAX_CHARS), code or first)


def _enum(enums: Sequence[FieldEnum], value: object) -> FieldEnum | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return next((one for one in enums if one.id == value), None)
    wanted = str(value).casefold()
    exact = (one for one in enums if wanted in {one.value.casefold(), (one.code or "").casefold()})
    return next(exact, None) if wanted else None


_READERS: Mapping[str, Callable[[MirroredField, str, object], Value]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_NUMBERS, _number),
    "checkbox": _flag,
    **dict.fromkeys(_DATES, _moment),
    **dict.fromkeys((*_ONE_OF, "multiselect"), _choice),
    **dict.fromkeys(("multitext", "smart_address"), _labelled),
}
