"""Templates of e-mails: places like `{{contact.name}}`, checked when asked for, filled when sent. Pure."""

import re
from collections.abc import Mapping

from gptagent.features.crm.actions.fieldvalues import check_text
from gptagent.features.crm.actions.model import Custom, Email, Plain, Values
from gptagent.features.crm.values import coded
from gptagent.features.identity.model import normalise_email
from gptagent.features.mail.model import SUBJECT_MAX_CHARS
from gptagent.kernel.errors import Invalid

EMAIL_MAX_CHARS = 10_000
VARIABLE_MAX_CHARS = 1000
VARIABLES_MAX = 40
NAME_SHOWN = 40

_PLACE = re.compile(r"\{\{([^{}]{0,100})\}\}")
_VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_OF_CONTACTS = ("name", "first_name", "last_name")
_OF_DEALS = ("name", "price")
OF_WORKSPACE = "workspace.name"


def check_email(email: Email) -> Email:
    """Return it cleaned. Raises Invalid with the field that has a place nothing stands for."""
    if len(email.variables) > VARIABLES_MAX:
        raise Invalid.field("variables", "At most {most} variables.", most=VARIABLES_MAX)
    for name in email.variables:
        if not _VARIABLE.fullmatch(name):
            raise Invalid.field(
                "variables",
                "“{name}” is no name: small letters a to z, digits and _.",
                name=name[:NAME_SHOWN],
            )
    variables = {
        name: check_text(f"variables/{name}", value, VARIABLE_MAX_CHARS, required=False)
        for name, value in email.variables.items()
    }
    known = _known_places(variables, has_deal=email.lead_id is not None)
    subject = check_text("subject", email.subject, SUBJECT_MAX_CHARS)
    text = check_text("text", email.text, EMAIL_MAX_CHARS)
    for pointer, template in (("subject", subject), ("text", text)):
        _check_places(pointer, template, known)
    return Email(subject, text, variables, email.lead_id)


def _known_places(variables: Mapping[str, str], *, has_deal: bool) -> list[str]:
    deal = [f"deal.{name}" for name in _OF_DEALS] if has_deal else []
    return [*(f"contact.{name}" for name in _OF_CONTACTS), *deal, OF_WORKSPACE, *variables]


def _check_places(pointer: str, template: str, known: list[str]) -> None:
    for name in map(str.strip, _PLACE.findall(template)):
        if name not in known:
            raise Invalid.field(
                pointer,
                "Nothing is known by “{name}”. There is: {known}.",
                name=name[:NAME_SHOWN],
                known=", ".join(known),
            )
    rest = _PLACE.sub("", template)
    if "{{" in rest or "}}" in rest:
        raise Invalid.field(pointer, "A place is written like {{contact.name}}.")


def fill_email(email: Email, contact: Values, deal: Values, workspace: str) -> tuple[str, str]:
    """Return subject and text with every place filled, once: what a value says is never a place itself."""
    values = {
        **{f"contact.{name}": _plain(contact, name) for name in _OF_CONTACTS},
        **{f"deal.{name}": _plain(deal, name) for name in _OF_DEALS},
        OF_WORKSPACE: workspace,
        **email.variables,
    }
    subject = " ".join(_fill(email.subject, values).split())[:SUBJECT_MAX_CHARS]
    return subject, _fill(email.text, values)


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1].strip()], template)


def _plain(values: Values, key: str) -> str:
    held = values.get(key)
    return str(held.value) if isinstance(held, Plain) and held.value is not None else ""


def address_in(contact: Values) -> str | None:
    """Return the contact's first address that letters can be sent to."""
    fields = tuple(held.field for held in contact.values() if isinstance(held, Custom))
    return next(filter(None, map(normalise_email, coded(fields, "EMAIL"))), None)
