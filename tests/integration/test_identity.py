"""People, their log-ins and the workspaces they own."""

from datetime import timedelta

import pytest

from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy, service
from gptagent.features.organizations.model import Workspace, make_slug
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import Actor, Origin, Scope

PASSWORD = "correct horse battery"


def command(**changes):
    values = {
        "email": f"{new_id().hex}@example.test",
        "given_name": " Anna ",
        "password": PASSWORD,
        "organization": "Рога и копыта",
    }
    return Register(**(values | changes))


async def visitor(database, token):
    async with database.installation() as session:
        return await identity.find_session(session, token)


async def test_registering_makes_person_workspace_and_ownership(database):
    """AUTH-1"""
    person_id, workspace = await register(database, command(locale="en"), is_open=True)
    async with database.installation(person_id) as session:
        person = await identity.get_person(session, person_id)
        listed = await service.list_workspaces(session, person_id)
    assert (person.full_name, person.locale, person.is_platform_admin) == ("Anna", "en", False)
    assert listed == [workspace] and (workspace.name, workspace.role) == ("Рога и копыта", "owner")
    assert workspace.path == f"/manage/{workspace.number}-roga-i-kopyta"


async def test_a_known_address_is_a_conflict(database):
    """AUTH-2, AUTH-5"""
    first = command()
    await register(database, first, is_open=True)
    with pytest.raises(Conflict) as refused:
        await register(database, command(email=f"  {first.email.upper()} "), is_open=True)
    assert refused.value.code == "email_taken" and refused.value.fields[0].pointer == "email"


async def test_every_wrong_field_is_named_and_nothing_is_made(database):
    """AUTH-3"""
    wrong = command(email="x", given_name="", password="short", organization=" ")
    with pytest.raises(Invalid) as refused:
        await register(database, wrong, is_open=True)
    assert [fault.pointer for fault in refused.value.fields] == [
        "email",
        "given_name",
        "password",
        "organization",
    ]


async def test_where_registration_is_closed_only_the_setup_link_opens(database):
    with pytest.raises(Forbidden):
        await register(database, command(), is_open=False)
    with pytest.raises(NotFound):
        await register(database, command(setup_token=new_token()), is_open=False)


async def test_the_right_password_names_its_person_however_the_address_is_written(database):
    """AUTH-4, AUTH-5"""
    mine = command()
    person_id, _ = await register(database, mine, is_open=True)
    assert await identity.verify_password(database, mine.email, PASSWORD) == person_id
    assert await identity.verify_password(database, f" {mine.email.upper()}\n", PASSWORD) == person_id


async def test_a_wrong_password_and_an_unknown_address_are_told_alike(database):
    """AUTH-4"""
    mine = command()
    await register(database, mine, is_open=True)
    told = set()
    wrong = ((mine.email, PASSWORD + "."), ("nobody@example.test", PASSWORD), ("no address", PASSWORD))
    for email, password in wrong:
        with pytest.raises(Unauthenticated) as refused:
            await identity.verify_password(database, email, password)
        told.add((refused.value.code, refused.value.message))
    assert len(told) == 1


async def test_passwords_are_stored_as_argon2id_and_tokens_as_hashes(database, roles, scope):
    async with database.session(scope) as session:
        stored = await session.fetchval("select password_hash from app.credential")
        token, _ = await identity.open_session(session, scope.actor.id, remember=False, now=utcnow())
        rows = await session.fetch("select token_hash::text from app.web_session")
    assert stored.startswith("$argon2id$v=19$m=65536,") and PASSWORD not in stored
    assert token not in str(rows) and token.encode().hex() not in str(rows)


@pytest.mark.parametrize(("remember", "life"), [(False, timedelta(hours=24)), (True, timedelta(days=30))])
async def test_a_session_ends_after_a_day_or_thirty_if_remembered(database, scope, remember, life):
    """AUTH-6"""
    margin = timedelta(minutes=1)
    async with database.session(scope) as session:
        fresh, expires_at = await identity.open_session(
            session, scope.actor.id, remember=remember, now=utcnow() - life + margin
        )
        old, _ = await identity.open_session(
            session, scope.actor.id, remember=remember, now=utcnow() - life - margin
        )
    found = await visitor(database, fresh)
    assert (found.person_id, found.expires_at) == (scope.actor.id, expires_at)
    assert await visitor(database, old) is None


async def test_logging_out_ends_the_session_on_the_server_and_no_other(database, scope):
    """AUTH-16"""
    async with database.session(scope) as session:
        token, _ = await identity.open_session(session, scope.actor.id, remember=True, now=utcnow())
        other, _ = await identity.open_session(session, scope.actor.id, remember=True, now=utcnow())
        found = await identity.find_session(session, token)
        await identity.end_session(session, found.id)
    assert await visitor(database, token) is None and await visitor(database, other) is not None


async def test_nobody_ends_or_reads_anothers_session(database, scope, other_scope):
    async with database.session(scope) as session:
        token, _ = await identity.open_session(session, scope.actor.id, remember=True, now=utcnow())
        found = await identity.find_session(session, token)
    async with database.session(other_scope) as session:
        await identity.end_session(session, found.id)
        with pytest.raises(NotFound):
            await identity.get_person(session, scope.actor.id)
    assert await visitor(database, token) is not None
    assert await visitor(database, token[:-1]) is None and await visitor(database, "") is None


async def test_a_language_is_kept(database, scope):
    async with database.session(scope) as session:
        await identity.set_locale(session, scope.actor.id, "ru")
        assert (await identity.get_person(session, scope.actor.id)).locale == "ru"


async def test_where_people_are_no_setup_link_is_offered(database, scope):
    async with database.installation() as session:
        assert await identity.has_people(session)
        assert await identity.offer_setup(session) is None
        assert not await identity.setup_is_open(session, new_token())


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme Ltd.", "acme-ltd"),
        ("Щёлково — Ёлки", "shchelkovo-elki"),
        ("  --  ", "workspace"),
        ("株式会社", "workspace"),
        ("a" * 47 + " b", "a" * 47),
        ("x" * 255, "x" * 48),
    ],
)
def test_a_slug_is_made_of_letters_for_addresses(name, slug):
    """AUTH-1"""
    assert make_slug(name) == slug


def test_a_role_carries_its_rights_and_no_more():
    def scope_of(role):
        return service.scope_of(
            Workspace(new_id(), 1, "a", "A", role), Origin(Actor("person", new_id()), "req-1")
        )

    service.require(scope_of("owner"), policy.MANAGE_CONNECTIONS)
    service.require(scope_of("member"), policy.EDIT_AGENTS)
    refused = [
        (scope_of("member"), policy.MANAGE_CONNECTIONS),
        (scope_of("viewer"), policy.EDIT_AGENTS),
        (Scope(new_id()), policy.VIEW),
    ]
    for scope, right in refused:
        with pytest.raises(Forbidden):
            service.require(scope, right)
    assert scope_of("viewer").request_id == "req-1"


async def test_a_workspace_needs_a_name(database, scope):
    async with database.session(scope) as session:
        for name in ("", "  ", "x" * 256):
            with pytest.raises(Invalid):
                await service.create_workspace(session, name, owner_id=scope.actor.id, locale="ru")


async def test_a_row_of_the_release_before_has_its_whole_name_as_the_given_one(database):
    """It knows one name only, and works on this schema for a while."""
    person_id = new_id()
    async with database.installation(person_id) as session:
        insert = "insert into app.person (id, email, full_name) values ($1, $2, 'Anna Karenina')"
        await session.execute(insert, person_id, f"{person_id.hex}@example.test")
        made = await identity.get_person(session, person_id)
        await session.execute("update app.person set full_name = 'Anna Vronskaya' where id = $1", person_id)
        renamed = await identity.get_person(session, person_id)
    assert (made.given_name, made.family_name) == ("Anna Karenina", "")
    assert (renamed.given_name, renamed.full_name) == ("Anna Vronskaya", "Anna Vronskaya")
