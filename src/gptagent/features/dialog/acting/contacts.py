"""The contact of a deal: made where there is none, its phone and e-mail filled in as the customer names them.

Only what the customer has written is taken, whatever a model makes of it. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping

from gptagent.features.crm.service import MirroredField
from gptagent.features.dialog.acting.forms import Read, Schema, idle, text_form, words, wrong
from gptagent.features.dialog.acting.model import Considered
from gptagent.features.dialog.acting.values import said_value
from gptagent.kernel.errors import NotFound

NAME_MAX_CHARS, REACH_MAX_CHARS = 255, 250
SAME_DIGITS = 10  # the last of a number: the code of the country is written in many ways
CODES: Mapping[str, str] = {"phone": "PHONE", "email": "EMAIL"}
_ABOUT = {
    "phone": "The phone number the customer has named, empty if none.",
    "email": "The e-mail address the customer has named, empty if none.",
}


def new_form(considered: Considered) -> Schema | None:
    """Return the arguments of a contact to be made, None unless it is known that the deal has none."""
    lead = considered.lead
    if lead is None or not lead.is_fresh or lead.has_contact or considered.new_contact == "made":
        return None
    if considered.conversation.contact_id is not None:
        return None
    name = text_form("The customer's name, empty if it was not named.", NAME_MAX_CHARS)
    return {"name": name, **_reach_form(tuple(_fields(considered)))}


def read_new(considered: Considered, arguments: Mapping[str, object]) -> Read:
    named = words(arguments.get("name"), NAME_MAX_CHARS, required=False)
    reach = _reach(considered, arguments)
    name = named or considered.conversation.customer_name.strip()[:NAME_MAX_CHARS]
    if not name:
        raise wrong()
    return {"name": name, **reach}, ", ".join((name, *reach.values()))


def fill_form(considered: Considered) -> Schema | None:
    """Return the arguments of what the contact lacks, None if it lacks nothing."""
    lacking = _lacking(considered)
    return _reach_form(lacking) if lacking else None


def read_fill(considered: Considered, arguments: Mapping[str, object]) -> Read:
    found = _reach(considered, arguments)
    if not found:
        raise idle()
    return dict(found), ", ".join(found.values())


def values_of(numbers: Mapping[str, int], fields: Mapping[str, object]) -> dict[int, object]:
    """Return what is written by the number of the account's field. Raises NotFound if it is gone."""
    asked = {key: value for key, value in fields.items() if key in CODES}
    if not asked.keys() <= numbers.keys():
        raise NotFound
    return {numbers[key]: value for key, value in asked.items()}


def reach_fields(fields: Iterable[MirroredField]) -> dict[str, int]:
    """Return the numbers of the contacts' fields for phone and e-mail, as far as the account has them."""
    by_code = {one.code: one.id for one in fields if one.entity == "contacts" and one.removed_at is None}
    return {key: by_code[code] for key, code in CODES.items() if code in by_code}


def _fields(considered: Considered) -> dict[str, int]:
    return reach_fields(considered.known.fields)


def _lacking(considered: Considered) -> tuple[str, ...]:
    contact = considered.contact
    if contact is None or considered.conversation.contact_id is None:
        return ()
    has = {"phone": contact.phones, "email": contact.emails}
    return tuple(key for key in _fields(considered) if not has[key])


def _reach_form(keys: tuple[str, ...]) -> dict[str, object]:
    return {key: text_form(_ABOUT[key], REACH_MAX_CHARS) for key in keys}


def _reach(considered: Considered, arguments: Mapping[str, object]) -> dict[str, str]:
    """Return phone and e-mail as far as they are given. Raises Declined unless the customer wrote them."""
    found: dict[str, str] = {}
    for key, code in CODES.items():
        said = words(arguments.get(key, ""), REACH_MAX_CHARS, required=False)
        if not said:
            continue
        value = str(said_value("multitext", code, (), said))
        if not any(_is_in(key, value, text) for text in _told(considered)):
            raise wrong()
        found[key] = value
    return found


def _told(considered: Considered) -> Iterator[str]:
    for one in (*considered.told_history, *considered.unanswered):
        if one.author == "customer":
            yield one.told


def _is_in(key: str, value: str, text: str) -> bool:
    if key == "email":
        return value.casefold() in text.casefold()
    return _digits(value)[-SAME_DIGITS:] in _digits(text)


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isdecimal())
