"""Passkeys: a verified person, a fresh challenge, our own address, a growing count, or nobody gets in."""

from dataclasses import replace

import pytest

from authenticator import PRESENT, VERIFIED, Authenticator
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import CurrentLogIn, RelyingParty
from gptagent.kernel.errors import Invalid, NotFound, Unauthenticated

NEW = CurrentLogIn()
PARTY = RelyingParty.at("https://agents.example.test:8443")


@pytest.fixture
def key():
    return Authenticator(PARTY.origin)


async def options(database, scope):
    async with database.session(scope) as session:
        person = await identity.get_person(session, scope.actor.id)
        return await identity.begin_passkey(session, person, PARTY)


async def keep(database, scope, credential, name="Mine"):
    async with database.session(scope) as session:
        return await identity.add_passkey(
            session, scope.actor.id, name, credential, PARTY, origin=scope.origin
        )


async def added(database, scope, key):
    return await keep(database, scope, key.create(await options(database, scope)))


async def question(database, scope=None):
    async with database.installation(scope.actor.id if scope else None) as session:
        return await identity.ask_for_passkey(session, PARTY, person_id=scope.actor.id if scope else None)


def test_whom_a_passkey_is_for_is_read_from_the_settings():
    assert (PARTY.id, PARTY.origin) == ("agents.example.test", "https://agents.example.test:8443")


async def test_a_person_logs_in_by_a_passkey_alone(database, scope, key):
    passkey = await added(database, scope, key)
    answer = key.get(await question(database))
    assert await identity.log_in_with_passkey(database, answer, PARTY) == scope.actor.id
    async with database.session(scope) as session:
        (found,) = await identity.list_passkeys(session, scope.actor.id)
    assert (found.id, found.name) == (passkey.id, "Mine") and found.last_used_at is not None


async def test_it_must_be_kept_on_the_device_and_verify_its_person(database, scope):
    asked = await options(database, scope)
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert (await question(database))["userVerification"] == "required"


async def test_an_answer_is_good_once(database, scope, key):
    await added(database, scope, key)
    answer = key.get(await question(database))
    await identity.log_in_with_passkey(database, answer, PARTY)
    with pytest.raises(Unauthenticated):
        await identity.log_in_with_passkey(database, answer, PARTY)


async def test_a_challenge_is_used_up_by_a_wrong_answer_too(database, scope, key):
    await added(database, scope, key)
    asked = await question(database)
    thief = Authenticator(PARTY.origin, credential_id=key.credential_id, count=9)
    for answer in (thief.get(asked), key.get(asked)):
        with pytest.raises(Unauthenticated):
            await identity.log_in_with_passkey(database, answer, PARTY)


WRONG = {
    "another address": lambda key: replace(key, origin="https://evil.test"),
    "a person not verified": lambda key: replace(key, flags=PRESENT),
    "nobody there": lambda key: replace(key, flags=VERIFIED),
    "a key of somebody else": lambda key: Authenticator(PARTY.origin, credential_id=key.credential_id),
    "an unknown passkey": lambda _key: Authenticator(PARTY.origin),
    "a count that went back": lambda key: replace(key, count=key.count - 1),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_answer_lets_nobody_in(what, database, scope, key):
    await added(database, scope, key)
    with pytest.raises(Unauthenticated):
        await identity.log_in_with_passkey(database, WRONG[what](key).get(await question(database)), PARTY)
    assert await identity.log_in_with_passkey(database, key.get(await question(database)), PARTY)


@pytest.mark.parametrize("what", ["another address", "a person not verified"])
async def test_a_wrong_passkey_is_not_kept(what, database, scope, key):
    with pytest.raises(Invalid):
        await added(database, scope, WRONG[what](key))
    async with database.session(scope) as session:
        assert await identity.list_passkeys(session, scope.actor.id) == []


async def test_a_challenge_of_another_person_or_purpose_does_not_count(database, scope, other_scope, key):
    with pytest.raises(Invalid):
        await keep(database, scope, key.create(await options(database, other_scope)))
    await added(database, scope, key)
    with pytest.raises(Unauthenticated):  # given to confirm, not to log in
        await identity.log_in_with_passkey(database, key.get(await question(database, scope)), PARTY)
    with pytest.raises(Unauthenticated):  # Charlie confirms nothing with Alice's passkey
        answer = key.get(await question(database, other_scope))
        await identity.confirm_by_passkey(
            database, other_scope.actor.id, answer, PARTY, current=CurrentLogIn()
        )
    answer = key.get(await question(database, scope))
    await identity.confirm_by_passkey(database, scope.actor.id, answer, PARTY, current=NEW)


@pytest.mark.parametrize("odd", [{}, {"rawId": 7}, {"response": []}, {"response": {"clientDataJSON": "e30"}}])
async def test_what_is_no_answer_is_refused(odd, database, scope):
    with pytest.raises(Unauthenticated):
        await identity.log_in_with_passkey(database, odd, PARTY)
    with pytest.raises(Invalid):
        await keep(database, scope, odd)


async def test_only_its_person_removes_a_passkey(database, scope, other_scope, key):
    passkey = await added(database, scope, key)
    async with database.session(other_scope) as session:
        with pytest.raises(NotFound):
            await identity.remove_passkey(session, passkey.id, origin=other_scope.origin)
    async with database.session(scope) as session:
        await identity.remove_passkey(session, passkey.id, origin=scope.origin)
    with pytest.raises(Unauthenticated):
        await identity.log_in_with_passkey(database, key.get(await question(database)), PARTY)


async def test_a_suspended_person_has_no_passkey(database, scope, key):
    await added(database, scope, key)
    async with database.session(scope) as session:
        await session.execute("update app.person set suspended_at = now() where id = $1", scope.actor.id)
    with pytest.raises(Unauthenticated):
        await identity.log_in_with_passkey(database, key.get(await question(database)), PARTY)
