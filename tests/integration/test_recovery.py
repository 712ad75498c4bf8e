"""A forgotten password, a confirmed and a changed address: through real letters, on real pages."""

from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import Links
from gptagent.kernel.errors import Forbidden, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Origin
from integration.conftest import serving_here
from mailboxes import FROM, mailbox_here
from members import PASSWORD, set_password
from readers import elsewhere, reader_of, stranger_at, texts
from servers import working

BASE = "http://agents.example.test:8080"
NEW = "another long secret"
LINKS = Links(BASE, sends_letters=True)


@pytest.fixture(scope="module")
async def mailbox():
    async with mailbox_here() as mailbox:
        yield mailbox


@pytest.fixture(scope="module")
async def posting(home, roles, mailbox):
    """A web process that sends letters, and the worker that brings them to the mailbox."""
    settings = {"smtp_url": mailbox.smtp, "mail_from": FROM, "public_url": BASE, "registration": "open"}
    with working(home, SMTP_URL=mailbox.smtp, MAIL_FROM=FROM):
        async with serving_here(home, **settings) as url:
            yield url


@pytest.fixture
async def visitor(posting):
    async with stranger_at(posting) as reader:
        yield reader


@pytest.fixture
async def email(database, scope):
    """Alice's address."""
    await set_password(database, scope)
    return await email_of(database, scope)


@pytest.fixture
async def alice_here(posting, database, scope, email):
    async with reader_of(posting, database, scope) as reader:
        yield reader


async def email_of(database, scope):
    async with database.session(scope) as session:
        return await session.fetchval("select email from app.person where id = $1", scope.actor.id)


async def is_verified(database, scope):
    async with database.session(scope) as session:
        return (await identity.get_person(session, scope.actor.id)).is_verified


@asynccontextmanager
async def owner(roles):
    """Look behind the functions: as the owner, whom row-level security of closed tables lets through."""
    connection = await asyncpg.connect(roles.owner_dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(reader, email):
    return await reader.send("/reset-password/request", {"email": email}, headers=elsewhere())


async def log_in(reader, email, password):
    return await reader.send("/login", {"email": email, "password": password}, headers=elsewhere())


async def offered(database, scope):
    """Return the path of a link an administrator made."""
    async with database.installation(scope.actor.id) as session:
        link = await identity.offer_reset(session, scope.actor.id, LINKS, origin=Origin(Actor("operator")))
    return urlsplit(link).path


async def test_a_forgotten_password_is_replaced_by_the_letters_link(
    *, visitor, mailbox, email, database, scope, alice_here
):
    """AUTH-8"""
    assert (await ask(visitor, email)).status_code == 200
    path = urlsplit(await mailbox.link_to(email)).path
    assert "Set a new password" in texts(await visitor.http.get(path))
    answer = await visitor.send(path, {"password": NEW})
    assert answer.headers["location"] == "/login"
    assert "All devices were logged out" in texts(await visitor.follow(answer))
    assert (await alice_here.http.get("/manage")).headers["location"].startswith("/login"), "sessions ended"
    assert (await log_in(visitor, email, PASSWORD)).status_code == 401
    assert (await log_in(visitor, email, NEW)).status_code == 303
    told = await mailbox.letter_to(email, 2)
    assert told["subject"] == "Your password was changed"
    assert await is_verified(database, scope), "whoever follows the link reads the mailbox"


async def test_a_known_and_an_unknown_address_get_the_same_answer(visitor, mailbox, email):
    """AUTH-7, U041"""
    known, unknown = await ask(visitor, email), await ask(visitor, "nobody@example.test")
    assert known.status_code == unknown.status_code == 200
    assert texts(known) == texts(unknown)
    await mailbox.letter_to(email)
    assert await mailbox.letters("nobody@example.test") == []


async def test_the_links_host_is_the_configured_one(visitor, mailbox, email, posting):
    """AUTH-9"""
    forged = {**elsewhere(), "host": "evil.test", "x-forwarded-host": "evil.test"}
    token = await visitor.token()
    answer = await visitor.http.post(
        "/reset-password/request", data={"email": email, "csrf_token": token}, headers=forged
    )
    assert answer.status_code == 200
    letter = await mailbox.letter_to(email)
    assert f"{BASE}/reset-password/" in letter["text"] and "evil.test" not in letter["raw"]


async def test_a_link_works_once(visitor, database, scope, email):
    """AUTH-8, U042"""
    path = await offered(database, scope)
    assert (await visitor.send(path, {"password": NEW})).status_code == 303
    for again in (await visitor.http.get(path), await visitor.send(path, {"password": NEW})):
        assert again.status_code == 404 and "The link does not work any more" in texts(again)
        assert 'href="/reset-password/request"' in again.text


async def test_a_newer_link_makes_older_ones_void(visitor, database, scope, email):
    """AUTH-8"""
    first, second = await offered(database, scope), await offered(database, scope)
    assert (await visitor.http.get(first)).status_code == 404
    assert (await visitor.http.get(second)).status_code == 200


async def test_a_link_is_kept_as_a_hash_and_ends_after_an_hour(visitor, database, scope, email, roles):
    """AUTH-8, U042"""
    path = await offered(database, scope)
    token = path.rpartition("/")[2]
    async with owner(roles) as connection:
        row = await connection.fetchrow(
            "select * from app.one_time_token where person_id = $1", scope.actor.id
        )
        assert token not in str(dict(row)) and row["token_hash"] == identity.hash_token(token)
        assert (row["expires_at"] - row["created_at"]).total_seconds() == 3600
        await connection.execute(
            "update app.one_time_token set expires_at = now() where person_id = $1", scope.actor.id
        )
    assert (await visitor.send(path, {"password": NEW})).status_code == 404


async def test_a_weak_password_is_refused_and_the_link_still_works(visitor, database, scope, email):
    """AUTH-3, U039"""
    path = await offered(database, scope)
    weak = await visitor.send(path, {"password": "short"})
    assert weak.status_code == 422 and "At least 12 characters" in texts(weak)
    assert (await visitor.send(path, {"password": NEW})).status_code == 303


async def test_a_reset_leaves_the_second_factor_and_ends_every_log_in(visitor, database, scope, email, roles):
    """AUTH-17"""
    async with database.installation(scope.actor.id) as session:
        await session.execute(
            "insert into app.totp (person_id, secret_sealed, confirmed_at) values ($1, 'x', now())",
            scope.actor.id,
        )
        await identity.open_grant(session, scope.actor.id, scope.org_id)
    answer = await visitor.send(await offered(database, scope), {"password": NEW})
    assert not [c for c in answer.headers.get_list("set-cookie") if c.startswith("session=")]
    async with owner(roles) as connection:
        live = await connection.fetchval(
            "select count(*) from app.api_grant where person_id = $1 and revoked_at is null", scope.actor.id
        )
        actions = await connection.fetch(
            "select action from app.audit_event where target_id = $1 order by seq", str(scope.actor.id)
        )
    assert live == 0
    assert [row["action"] for row in actions][-2:] == ["password.reset_offered", "password.reset"]
    async with database.installation() as session:
        assert await session.fetchval("select app.has_second_factor($1)", scope.actor.id)


async def test_letters_are_limited_and_the_limit_does_not_tell_either(visitor, email):
    """SEC: nobody's mailbox is flooded through us, and 429 comes for an unknown address as well."""
    for address in (email, f"{new_id().hex}@example.test"):
        answers = [await ask(visitor, address) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0


async def test_letters_are_limited_while_redis_is_away(home, roles, mailbox):
    """SEC-9"""
    away = {"smtp_url": mailbox.smtp, "mail_from": FROM, "redis_url": "redis://127.0.0.1:9/0"}
    async with serving_here(home, **away) as url, stranger_at(url) as reader:
        answers = [await ask(reader, "limited@example.test") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]


async def test_without_letters_the_page_says_whom_to_ask(stranger, database, email):
    page = await stranger.http.get("/reset-password/request")
    assert "their administrator" in texts(page).replace("its", "their") and 'name="email"' not in page.text
    with pytest.raises(NotFound):
        await identity.make_reset_link(database, "nobody@example.test", LINKS, origin=Origin())


async def test_a_registration_is_asked_to_confirm_and_the_link_does(visitor, mailbox):
    """AUTH-11"""
    address = f"{new_id().hex}@example.test"
    fields = {"given_name": "Eve", "organization": "Eve's", "email": address, "password": PASSWORD}
    answer = await visitor.send("/register", fields, headers=elsewhere())
    dashboard = await visitor.follow(answer)
    assert "Confirm your e-mail address." in texts(dashboard) and "Send again" in texts(dashboard)
    path = urlsplit(await mailbox.link_to(address)).path
    looked = await visitor.http.get(path)
    assert "Confirm the address" in texts(looked)
    assert "Send again" in texts(await visitor.http.get(answer.headers["location"])), (
        "looking is not pressing"
    )
    token = looked.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    assert (await visitor.http.post(path, data={"csrf_token": token})).status_code == 303
    assert "Send again" not in texts(await visitor.http.get(answer.headers["location"]))
    assert (await visitor.http.get(path)).status_code == 404


async def test_an_older_verification_link_is_void_and_lasts_a_day(alice_here, mailbox, email, scope, roles):
    """AUTH-11"""
    for _ in range(2):
        answer = await alice_here.send("/account-settings/email/verification", {}, headers=elsewhere())
        assert "The letter is on its way." in texts(await alice_here.follow(answer))
    await mailbox.letter_to(email, 2)
    links = {urlsplit(await mailbox.link_to(email, number)).path for number in (1, 2)}
    statuses = sorted([(await alice_here.http.get(link)).status_code for link in links])
    assert statuses == [200, 404]
    async with owner(roles) as connection:
        life = await connection.fetchval(
            "select expires_at - created_at from app.one_time_token where person_id = $1", scope.actor.id
        )
    assert life.total_seconds() == 86_400


async def test_who_has_not_confirmed_may_not_do_what_needs_it(database, scope):
    async with database.session(scope) as session:
        with pytest.raises(Forbidden):
            await identity.require_verified(session, scope.actor.id, LINKS)
        await identity.require_verified(session, scope.actor.id, Links(BASE, sends_letters=False))


async def test_an_address_changes_through_the_link_only_and_the_old_one_is_told(
    *, alice_here, mailbox, email, database, scope, visitor
):
    new = f"{new_id().hex}@example.test"
    page = "/account-settings/email"
    wrong = await alice_here.send(page, {"email": new, "password": "not the right one"}, headers=elsewhere())
    assert wrong.status_code == 422 and "This is not your password." in texts(wrong)
    answer = await alice_here.send(page, {"email": new, "password": PASSWORD}, headers=elsewhere())
    assert "Open the letter at the new address." in texts(await alice_here.follow(answer))
    assert await email_of(database, scope) == email, "nothing has changed yet"
    assert "about to get another" in (await mailbox.letter_to(email))["subject"]
    path = urlsplit(await mailbox.link_to(new)).path
    assert (await visitor.send(path)).status_code == 303
    assert await email_of(database, scope) == new and await is_verified(database, scope)
    assert (await visitor.send(path)).status_code == 404


async def test_a_new_password_voids_a_change_of_address_that_was_under_way(
    *, alice_here, mailbox, email, database, scope, visitor
):
    """Somebody who got in with the old password must not take the account along."""
    thief = f"{new_id().hex}@example.test"
    fields = {"email": thief, "password": PASSWORD}
    await alice_here.send("/account-settings/email", fields, headers=elsewhere())
    path = urlsplit(await mailbox.link_to(thief)).path
    await visitor.send(await offered(database, scope), {"password": NEW})
    assert (await visitor.send(path)).status_code == 404
    assert await email_of(database, scope) == email


async def test_an_address_somebody_else_has_cannot_be_taken(
    *, alice_here, mailbox, email, database, scope, other_scope, visitor
):
    theirs = await email_of(database, other_scope)
    fields = {"email": theirs, "password": PASSWORD}
    answer = await alice_here.send("/account-settings/email", fields, headers=elsewhere())
    assert "Open the letter" in texts(await alice_here.follow(answer)), "nothing tells that it is known"
    taken = await visitor.send(urlsplit(await mailbox.link_to(theirs)).path)
    assert taken.status_code == 409
    assert await email_of(database, scope) == email


async def test_without_letters_an_address_changes_at_once_by_the_password(alice, database, scope, email):
    new = f"{new_id().hex}@example.test"
    fields = {"email": new, "password": PASSWORD}
    answer = await alice.send("/account-settings/email", fields, headers=elsewhere())
    assert "Your e-mail address was changed." in texts(await alice.follow(answer))
    assert await email_of(database, scope) == new and not await is_verified(database, scope)
