"""The second step of a log-in: enrolled by a code, each code good once, recovery codes in its place."""

from dataclasses import replace
from datetime import UTC, timedelta

import asyncpg
import pyotp
import pytest

from gptagent.features.identity import service as identity
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound, Unauthenticated
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import PLATFORM_ID

WRONG = "000000"


@pytest.fixture
def origin(scope):
    return replace(scope, request_id=f"req-{new_id().hex}").origin


async def enrol(database, scope, origin, now=None):
    """Switch the second step on; return the app and the recovery codes."""
    now = now or utcnow()
    async with database.session(scope) as session:
        person = await identity.get_person(session, scope.actor.id)
        app = pyotp.TOTP((await identity.begin_totp(session, person)).secret)
        codes = await identity.confirm_totp(session, person.id, app.at(now), origin=origin, now=now)
    return app, codes


async def accept(database, scope, code, now):
    async with database.session(scope) as session:
        return await identity.accept_code(session, scope.actor.id, code, now=now)


async def actions(database, scope, request_id):
    """Return what is recorded of this request in the platform's chain."""
    async with database.session(replace(scope, org_id=PLATFORM_ID)) as session:
        return await session.fetch(
            "select action, target_id, changes::text from app.audit_event where request_id = $1 order by seq",
            request_id,
        )


async def test_a_code_is_accepted_once_and_no_earlier_one_after_it(database, scope, origin):
    """AUTH-17, RFC 6238 section 5.2"""
    begun = utcnow()
    app, _codes = await enrol(database, scope, origin, begun)
    assert await accept(database, scope, app.at(begun), begun) is None
    later = begun + timedelta(minutes=2)
    assert await accept(database, scope, app.at(later), later) == "totp"
    assert await accept(database, scope, app.at(later), later) is None
    assert await accept(database, scope, app.at(later - timedelta(seconds=30)), later) is None


STEP = 30


@pytest.mark.parametrize(("age", "factor"), [(-1, None), (0, "totp"), (59, "totp"), (60, None), (90, None)])
async def test_a_code_lives_for_a_minute_and_not_before_its_time(age, factor, database, scope, origin):
    """RFC 6238 section 5.2: one step of delay, and no clock that runs ahead"""
    app, _codes = await enrol(database, scope, origin)
    shown = (int(utcnow().timestamp()) // STEP + 10) * STEP  # the second its step begins
    now = utcnow().fromtimestamp(shown + age, UTC)
    assert await accept(database, scope, app.at(shown), now) == factor


async def test_a_recovery_code_is_good_once_however_it_is_typed(database, scope, origin):
    _app, codes = await enrol(database, scope, origin)
    assert len(set(codes)) == 10
    typed = f" {codes[3].upper().replace('-', ' ')} "
    assert await accept(database, scope, typed, utcnow()) == "recovery_code"
    assert await accept(database, scope, codes[3], utcnow()) is None
    async with database.session(scope) as session:
        assert (await identity.get_second_factor(session, scope.actor.id)).recovery_codes_left == 9


async def test_new_recovery_codes_make_the_old_ones_void(database, scope, origin):
    _app, codes = await enrol(database, scope, origin)
    async with database.session(scope) as session:
        fresh = await identity.renew_recovery_codes(session, scope.actor.id, origin=origin)
    assert await accept(database, scope, codes[0], utcnow()) is None
    assert await accept(database, scope, fresh[0], utcnow()) == "recovery_code"


async def test_neither_secret_nor_codes_stand_in_the_database(database, scope, origin):
    app, codes = await enrol(database, scope, origin)
    async with database.session(scope) as session:
        kept = [dict(row) for row in await session.fetch("select * from app.totp")]
        kept += [dict(row) for row in await session.fetch("select * from app.recovery_code")]
    assert len(kept) == 11
    told = repr(kept)
    assert app.secret not in told and codes[0] not in told and codes[0].replace("-", "") not in told


async def test_a_secret_counts_only_after_its_first_right_code(database, scope, origin):
    async with database.session(scope) as session:
        person = await identity.get_person(session, scope.actor.id)
        offered = await identity.begin_totp(session, person)
        assert not await identity.has_second_factor(session, person.id)
        with pytest.raises(Invalid):
            await identity.confirm_totp(session, person.id, WRONG, origin=origin, now=utcnow())
    code = pyotp.TOTP(offered.secret).now()
    assert await accept(database, scope, code, utcnow()) is None


async def test_a_second_secret_cannot_replace_one_in_use(database, scope, origin):
    await enrol(database, scope, origin)
    async with database.session(scope) as session:
        person = await identity.get_person(session, scope.actor.id)
        with pytest.raises(Conflict):
            await identity.begin_totp(session, person)


async def test_switched_off_nothing_of_it_is_left_and_all_is_recorded(database, scope, origin):
    _app, codes = await enrol(database, scope, origin)
    async with database.session(scope) as session:
        await identity.disable_totp(session, scope.actor.id, origin=origin)
        with pytest.raises(NotFound):
            await identity.disable_totp(session, scope.actor.id, origin=origin)
    assert await accept(database, scope, codes[0], utcnow()) is None
    recorded = await actions(database, scope, origin.request_id)
    assert [row["action"] for row in recorded] == ["totp.enabled", "totp.disabled"]
    assert {row["target_id"] for row in recorded} == {str(scope.actor.id)}


async def test_another_person_sees_and_uses_nothing_of_it(database, scope, origin, other_scope):
    app, codes = await enrol(database, scope, origin)
    for code in (app.now(), codes[0]):
        assert await accept(database, other_scope, code, utcnow()) is None
    async with database.session(other_scope) as session:
        assert await session.fetch("select * from app.totp") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(
                "insert into app.recovery_code (person_id, code_hash) values ($1, '')", scope.actor.id
            )


async def pending(database, scope):
    async with database.installation(scope.actor.id) as session:
        return await identity.begin_second_step(session, scope.actor.id, remember=True, target="/x")


async def test_a_pending_log_in_waits_for_a_right_code_and_is_used_once(database, scope, origin):
    _app, codes = await enrol(database, scope, origin)
    token = await pending(database, scope)
    async with database.installation() as session:
        found = await identity.find_pending(session, token)
    assert (found.person_id, found.remember, found.target) == (scope.actor.id, True, "/x")
    for code, is_right in ((WRONG, False), (codes[0], True), (codes[1], False)):
        async with database.installation(scope.actor.id) as session:
            if is_right:
                await identity.finish_second_step(session, token, found, code, now=utcnow())
                continue
            with pytest.raises(Unauthenticated):
                await identity.finish_second_step(session, token, found, code, now=utcnow())
    async with database.installation() as session:
        assert await identity.find_pending(session, token) is None


async def test_a_newer_log_in_makes_the_waiting_one_void(database, scope, origin):
    await enrol(database, scope, origin)
    older, newer = await pending(database, scope), await pending(database, scope)
    async with database.installation() as session:
        assert await identity.find_pending(session, older) is None
        assert await identity.find_pending(session, newer) is not None
