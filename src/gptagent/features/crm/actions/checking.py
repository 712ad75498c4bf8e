"""What is asked for, held against what the mirror knows, before anything leaves. Pure.

Every refusal names its field: `Invalid` with a pointer, an English template and its parameters. Values of
custom fields: `fieldvalues`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gptagent.features.crm.actions.fieldvalues import NAME_MAX_CHARS, check_field, check_text
from gptagent.features.crm.actions.model import Custom, Held, Known, Place, Plain, WrittenKind, field_key
from gptagent.kernel.errors import Invalid

NOTE_MAX_CHARS = 20_000
TAG_MAX_CHARS = 250
TAGS_MAX = 40
PRICE_MAX = 2_147_483_647

_LAST = datetime(9999, 1, 1, tzinfo=UTC)


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
