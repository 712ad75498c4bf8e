"""Registering: a person and the workspace they own, in one transaction."""

from dataclasses import dataclass, field
from uuid import UUID

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import Links
from gptagent.features.identity.service import NewPerson
from gptagent.features.organizations import service
from gptagent.features.organizations.model import NAME_MAX_CHARS, Workspace
from gptagent.kernel.db import Database
from gptagent.kernel.errors import FieldError, Forbidden, Invalid
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Origin, Scope

NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class Register:
    """`setup_token` is the one-time token of the first account; later ones need open registration."""

    email: str = field(repr=False)
    given_name: str = field(repr=False)
    password: str = field(repr=False)
    organization: str
    locale: str = "ru"
    setup_token: str | None = field(default=None, repr=False)
    family_name: str = field(default="", repr=False)


async def register(
    db: Database,
    command: Register,
    *,
    is_open: bool,
    admin: bool = False,
    links: Links | None = None,
    origin: Origin = NOWHERE,
) -> tuple[UUID, Workspace]:
    """Create person, workspace and ownership. Returns the person's id and the workspace. With `links` the
    person gets a letter with the link that confirms their address.

    Raises Invalid naming every wrong field, Conflict for a known address, Forbidden where registration is by
    invitation, NotFound for a used setup link. `origin` says through which request, from which address.
    """
    person = NewPerson(
        command.email,
        command.given_name,
        command.password,
        command.locale,
        is_platform_admin=admin or command.setup_token is not None,
        family_name=command.family_name,
    )
    _check(person, command.organization)
    if command.setup_token is None and not is_open:
        raise Forbidden(
            "registration_closed", "Registration is by invitation. Ask the owner of the platform."
        )
    password_hash = await identity.hash_password(command.password)
    person_id = new_id()
    scope = Scope(new_id(), Actor("person", person_id), request_id=origin.request_id, address=origin.address)
    async with db.session(scope) as session:
        if command.setup_token is not None:
            await identity.use_setup(session, command.setup_token)
        await identity.create_person(session, person, person_id, password_hash)
        await service.create_workspace(
            session, command.organization, owner_id=person_id, locale=command.locale
        )
        if links is not None:
            await identity.offer_verification(session, await identity.get_person(session, person_id), links)
        workspaces = await service.list_workspaces(session, person_id)
    return person_id, workspaces[0]


def _check(person: NewPerson, organization: str) -> None:
    faults = identity.check_person(person)
    if not 1 <= len(organization.strip()) <= NAME_MAX_CHARS:
        faults.append(FieldError("organization", "Enter the company's name."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
