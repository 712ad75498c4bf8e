"""Field update rules: which apply to a deal and its contact, and what a model's values come to. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from gptagent.features.agents.model import CUSTOM_FIELD, UpdateRule
from gptagent.features.crm.actions.checking import Asked, check_values
from gptagent.features.crm.actions.model import Known, WrittenKind, field_id_of, field_key
from gptagent.features.crm.actions.service import has_choices, takes_words
from gptagent.features.crm.service import FieldValue, MirroredField
from gptagent.features.dialog.acting.model import Considered, Declined, FieldWrite, RuleField
from gptagent.features.dialog.acting.values import said_value, whole_number
from gptagent.kernel.errors import Invalid

CHOICES_TOLD_MAX = 50  # of a field's values, to the model


def rules_here(considered: Considered) -> list[RuleField]:
    """Return the rules that may write something: of fields the account has, numbered in the agent's order.

    Where a value is known to be there already, a rule that must not overwrite it is left out.
    """
    told = considered.agent.settings.update_rules
    numbered: list[RuleField] = []
    for entity, rules, has_record in (
        ("leads", told.lead, considered.lead is not None),
        ("contacts", told.contact, considered.conversation.contact_id is not None),
    ):
        for rule in rules if has_record else ():
            found = _field(considered, "leads" if entity == "leads" else "contacts", rule, len(numbered) + 1)
            if found is not None and (rule.overwrite or not found.now):
                numbered.append(found)
    return numbered


def written(considered: Considered, rules: Sequence[RuleField], said: Mapping[int, str]) -> list[FieldWrite]:
    """Return what is written, the rules taken in their order: of two for one field the first counts, unless
    the later one overwrites. `said`: values by the rule's number, each of which fits.
    """
    found: dict[tuple[WrittenKind, str], FieldWrite] = {}
    for rule in rules:
        if rule.number not in said:
            continue
        place = (rule.entity, rule.key)
        if place in found and not rule.rule.overwrite:
            continue
        value = value_for(considered.known, rule, said[rule.number])
        found[place] = FieldWrite(rule.entity, rule.key, value, not rule.rule.overwrite, rule.rule)
    return list(found.values())


def value_for(known: Known, rule: RuleField, said: str) -> object:
    """Return the value as `crm.actions` takes it. Raises Declined if it fits neither type nor choices."""
    field_id = field_id_of(rule.key)
    field = next((one for one in known.fields if one.id == field_id and one.entity == rule.entity), None)
    if field_id is None:
        value: object = whole_number(said) if rule.key == "price" else said.strip()
    else:
        value = said_value(rule.type, field.code if field else None, rule.choices, said)
    try:
        check_values(known, rule.entity, asked_of([(rule.key, value)]), None)
    except Invalid as error:
        raise Declined("value_unfit") from error
    return value


def asked_of(values: Iterable[tuple[str, object]]) -> Asked:
    """Return values by the journal's keys as they are asked for."""
    given: dict[str, str | int | None] = {}
    fields: dict[int, object] = {}
    for key, value in values:
        field_id = field_id_of(key)
        if field_id is not None:
            fields[field_id] = value
        elif isinstance(value, str | int):
            given[key] = value
        else:
            raise Declined("value_unfit")
    return Asked(given, fields=fields)


def _field(considered: Considered, entity: WrittenKind, rule: UpdateRule, number: int) -> RuleField | None:
    if not rule.field.startswith(CUSTOM_FIELD):
        return RuleField(
            number, entity, rule, rule.field, rule.field, "text", now=_own(considered, entity, rule)
        )
    field_id = int(rule.field.removeprefix(CUSTOM_FIELD))
    field = _mirrored(considered.known, entity, field_id)
    if field is None:
        return None
    card = considered.lead if entity == "leads" else considered.contact
    return RuleField(
        number,
        entity,
        rule,
        field_key(field_id),
        field.name,
        field.type,
        tuple(one.value for one in field.enums) if has_choices(field) else (),
        _now(card.fields if card else (), field_id),
    )


def _mirrored(known: Known, entity: WrittenKind, field_id: int) -> MirroredField | None:
    found = (one for one in known.fields if one.id == field_id and one.entity == entity)
    return next((one for one in found if one.removed_at is None and takes_words(one)), None)


def _own(considered: Considered, entity: WrittenKind, rule: UpdateRule) -> str:
    if entity == "contacts":
        return considered.contact.name if considered.contact else ""
    lead = considered.lead
    if lead is None:
        return ""
    return (lead.name or "") if rule.field == "name" else str(lead.price or "")


def _now(fields: Sequence[FieldValue], field_id: int) -> str:
    return next((one.text for one in fields if one.field_id == field_id), "")
