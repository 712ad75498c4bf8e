"""What is promised about log-ins and requests, and that no other test shows by the way."""

import json
import time
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from authenticator import Authenticator
from gptagent.entrypoints.request_limits import PLAN, PLANS, RequestLimits
from gptagent.features.identity import limits as identity_limits
from gptagent.features.identity.limits import LoginLimits
from gptagent.kernel import ratelimit
from gptagent.kernel.errors import RateLimited
from gptagent.kernel.http import Access
from gptagent.kernel.ids import new_id
from gptagent.kernel.ratelimit import RateLimiter
from integration.test_pages_login import log_in
from members import bearer, set_password
from readers import elsewhere, reader_of, stranger_at, texts

SECURITY = "/account-settings/security"
LOG_INS = 5


@pytest.fixture
async def account(database, scope):
    """Alice's address; she knows her password."""
    await set_password(database, scope)
    async with database.session(scope) as session:
        return await session.fetchval("select email from app.person where id = $1", scope.actor.id)


async def guess_until_refused(reader, email):
    for _ in range(identity_limits.PER_ACCOUNT.amount + 1):
        answer = await log_in(reader, email, "not the right one")
    assert answer.status_code == 429


async def test_who_is_guessed_at_gets_in_by_a_passkey_at_once(web, database, scope, account):
    """AUTH-12"""
    key = Authenticator(web.replace("127.0.0.1", "localhost"))
    async with reader_of(web, database, scope) as alice:
        options = (await alice.send(f"{SECURITY}/passkeys/options")).json()
        fields = {"name": "My desk", "credential": json.dumps(key.create(options))}
        assert (await alice.send(f"{SECURITY}/passkeys/add", fields)).status_code == 303
    async with stranger_at(web) as mallory, stranger_at(web) as owner:
        await guess_until_refused(mallory, account)
        assert (await log_in(owner, account)).status_code == 429, "the password waits, the right one too"
        options = (await owner.send("/login/passkey/options", headers=elsewhere())).json()
        answer = await owner.send("/login/passkey", {"credential": json.dumps(key.get(options))})
        assert answer.status_code == 303 and "session" in owner.http.cookies


async def test_guessing_ends_no_log_in_that_is_there(web, database, scope, account):
    async with reader_of(web, database, scope) as alice, stranger_at(web) as mallory:
        await guess_until_refused(mallory, account)
        assert (await alice.open("/dashboard")).status_code == 200


async def test_a_limited_account_opens_by_itself_after_a_quarter_of_an_hour(monkeypatch):
    """AUTH-12: nobody is locked out for good, and no administrator is needed."""
    login_limits, began = LoginLimits.build(None), time.monotonic()

    def at(seconds):
        monkeypatch.setattr(ratelimit, "time", SimpleNamespace(monotonic=lambda: began + seconds))

    async def attempt(number):
        await login_limits.check(f"192.0.2.{number}", "anna@example.test")

    at(0)
    for number in range(10):
        await attempt(number)
    for seconds in (0, 890):
        at(seconds)
        with pytest.raises(RateLimited) as refused:
            await attempt(100)
        assert refused.value.retry_after == 900
    at(901)
    await attempt(101)


@pytest.mark.parametrize("years", [1, 20])
async def test_a_password_of_long_ago_lets_in_and_nothing_asks_for_another(
    years, stranger, account, database, scope
):
    async with database.session(scope) as session:
        await session.execute(
            "update app.credential set changed_at = now() - make_interval(years => $1)", years
        )
        await session.execute("update app.person set created_at = now() - make_interval(years => $1)", years)
    answer = await log_in(stranger, account)
    for place in ("/manage", "/dashboard"):
        assert answer.headers["location"].endswith(place)
        answer = await stranger.follow(answer)
    assert answer.status_code == 200 and "password" not in texts(answer).lower()


async def test_one_person_is_logged_in_many_times_at_once(web, database, scope, account):
    """A further log-in ends none that is there, of browsers or of programs."""
    browsers = [stranger_at(web) for _ in range(LOG_INS)]
    readers = [await browser.__aenter__() for browser in browsers]
    try:
        for reader in readers:
            assert (await log_in(reader, account)).headers["location"] == "/manage"
        vault = database._vault
        programs = [await bearer(database, vault, scope) for _ in range(LOG_INS)]
        for reader in readers:
            assert (await reader.http.get("/manage")).headers["location"].endswith("/dashboard")
        for headers in programs:
            answer = await readers[0].http.get("/api/v1/agents", headers=headers)
            assert answer.status_code == 200
        async with database.session(scope) as session:
            counts = await session.fetchrow(
                """select (select count(*) from app.web_session) as browsers,
                          (select count(*) from app.api_grant) as programs"""
            )
        assert tuple(counts) == (LOG_INS, LOG_INS)
    finally:
        for browser in browsers:
            await browser.__aexit__(None, None, None)


async def test_neither_address_nor_browser_decides_within_a_session(alice):
    """Both are shown to the person, who may know better than a rule what is strange."""
    for number, agent in enumerate(("Mozilla/5.0 (X11; Linux) Firefox/140.0", "curl/8", "")):
        headers = {"x-forwarded-for": f"203.0.113.{number + 1}", "user-agent": agent}
        assert (await alice.open("/dashboard", headers=headers)).status_code == 200


async def test_uploads_of_a_workspace_are_counted_together(scope, other_scope, monkeypatch):
    now = time.time()  # windows begin by the clock: the next one could begin amidst
    monkeypatch.setattr(ratelimit, "time", SimpleNamespace(time=lambda: now, monotonic=time.monotonic))
    request_limits = RequestLimits(RateLimiter(None))
    limit = PLANS[PLAN][1].amount

    async def upload(scope):
        path = "/manage/1-x/knowledge-base/documents"
        request = Request(
            {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
        )
        await request_limits.check_access(request, Access(scope, new_id()))

    for _ in range(limit):
        await upload(scope)
    with pytest.raises(RateLimited):
        await upload(scope)
    await upload(other_scope)
