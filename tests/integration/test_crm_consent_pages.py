"""The wizard's pages over HTTP: keys, the way to the CRM and back, and what a broken connection shows."""

import asyncio
import re
from urllib.parse import urlsplit

import httpx2
import pytest

from contract.oauth_tools import allow
from contract.sandbox_tools import Account
from gptagent.features.crm.connecting.model import Credentials, disconnect_signature
from integration.conftest import serving_here
from members import add_member
from readers import reader_of, stranger_at, texts


@pytest.fixture(scope="module")
async def web(home, roles, kommo):
    async with serving_here(home, registration="open", kommo_sandbox_url=kommo) as url:
        yield url


@pytest.fixture
def crm(kommo):
    with httpx2.Client(timeout=10) as http:
        yield Account.open(kommo, http)


@pytest.fixture
async def owner(web, database, scope):
    async with reader_of(web, database, scope) as reader:
        yield reader


class Keys:
    """An integration of the emulator, set up with this platform's addresses; its keys are stored here."""

    def __init__(self, made, page):
        self.made = made
        self.start = re.search(r'action="([^"]+/integrations/consent/[^"]+)"', page)[1]


@pytest.fixture
async def keys(web, owner, crm):
    public = web.replace("127.0.0.1", "localhost")
    body = {"redirect_uri": f"{public}/oauth/kommo", "disconnect_hook": f"{public}/oauth/kommo/disconnect"}
    made = crm.http.post(f"{crm.url}/_sandbox/integrations", json=body).json()
    page = await owner.open("/integrations")
    assert body["redirect_uri"] in page.text and "Sending to external chats" in page.text
    given = {"brand": "kommo", **{name: made[name] for name in ("client_id", "client_secret")}}
    stored = await owner.send("/integrations/keys", given)
    page = await owner.follow(stored)
    assert "The keys are stored" in page.text and made["client_secret"] not in page.text
    return Keys(made, page.text)


async def begin(reader, keys):
    """Press the button and return where the browser is taken to."""
    page = await reader.send(keys.start.removeprefix(reader.base))
    assert page.status_code == 200
    seconds, _, address = page.headers["refresh"].partition(";url=")
    assert seconds == "0" and "Continue to the CRM" in page.text
    return address


async def back(reader, answer):
    return await reader.http.get("/oauth/kommo", params=answer)


async def test_a_consent_leads_to_the_connected_account_with_a_notice(owner, keys, crm):
    """CRM-3, U168"""
    answer = allow(crm, await begin(owner, keys))
    response = await back(owner, answer)
    assert "code" not in urlsplit(response.headers["location"]).query
    page = await owner.follow(response)
    assert f"{crm.facts['name']} is connected" in page.text
    shown = texts(page)
    for told in ("By consent", "Stored here", "Next renewal", "Sending to external chats"):
        assert told in shown
    assert "is connected" not in (await owner.follow(response)).text  # once
    again = await back(owner, answer)
    assert again.status_code == 403 and "Begin again here" in again.text


async def test_a_denial_and_a_wrong_host_are_said(owner, keys, crm):
    address = await begin(owner, keys)
    denied = await owner.follow(await back(owner, allow(crm, address, "deny")))
    assert "Access was not allowed" in denied.text
    answer = allow(crm, await begin(owner, keys)) | {"referer": "evil.example"}
    refused = await owner.follow(await back(owner, answer))
    assert "The account is not connected" in refused.text
    assert "no address of a Kommo or amoCRM account" in refused.text


async def test_only_the_browser_it_was_begun_in_may_come_back(database, scope, owner, keys, crm):
    """CRM-2: not another log-in of the same person, not another member, not a stranger."""
    web = str(owner.http.base_url)
    answers = [allow(crm, await begin(owner, keys)) for _ in range(3)]
    admin = await add_member(database, scope, "admin")
    async with (
        reader_of(web, database, scope) as second,
        reader_of(web, database, admin) as colleague,
        stranger_at(web) as stranger,
    ):
        for reader, answer in zip((second, colleague, stranger), answers, strict=True):
            refused = await back(reader, answer)
            assert refused.status_code == 403 and "another browser" in refused.text
    assert crm.steer("GET", "/grants")["exchanged"] == 0


async def test_who_may_only_look_neither_begins_nor_sees_the_keys(web, database, scope, owner, keys):
    async with reader_of(web, database, await add_member(database, scope, "member")) as member:
        page = await member.open("/integrations")
        assert page.status_code == 200 and keys.made["client_id"] not in page.text
        assert (await member.send(keys.start.removeprefix(owner.base))).status_code == 403
        assert (await member.open("/integrations/banner")).status_code == 403


async def test_a_widgets_installation_is_acknowledged_and_nothing_is_done(keys, crm, owner):
    told = await asyncio.to_thread(crm.steer, "POST", "/integration/widget", client_id=keys.made["client_id"])
    assert told == {"status": 200, "failure": ""}
    assert crm.steer("GET", "/grants")["exchanged"] == 0
    assert (await owner.http.get("/oauth/kommo")).status_code == 403


async def test_an_account_that_removes_the_integration_shows_on_every_page(owner, keys, crm, database, scope):
    """CRM-5, CRM-24, U169"""
    made = await back(owner, allow(crm, await begin(owner, keys)))
    for page in ("/dashboard", "/settings", "/integrations"):
        assert "does not work." not in (await owner.open(page)).text
    told = await asyncio.to_thread(crm.steer, "POST", "/integration/remove", client_id=keys.made["client_id"])
    assert told == {"status": 200, "failure": ""}
    for page in ("/dashboard", "/settings", "/conversations", "/integrations/banner"):
        shown = texts(await owner.open(page))
        assert f"{crm.facts['name']} does not work. The integration was removed in the CRM." in shown
    async with database.session(scope) as session:
        assert await session.fetchval("select count(*) from app.crm_grant") == 0
        assert await session.fetchval("select status_reason from app.crm_connection") == "crm_removed"
    again = await owner.follow(await back(owner, allow(crm, await begin(owner, keys))))
    assert "is connected" in again.text and str(again.url).endswith(made.headers["location"])
    assert "does not work." not in (await owner.open("/dashboard")).text


async def test_a_notice_of_disconnecting_that_nobody_signed_is_not_found(owner, keys, crm):
    await back(owner, allow(crm, await begin(owner, keys)))
    number, client = crm.facts["account_id"], keys.made["client_id"]
    right = disconnect_signature(Credentials("kommo", client, keys.made["client_secret"]), number)
    for wrong in (
        {},
        {"client_uuid": client, "account_id": number, "signature": "0" * 64},
        {"client_uuid": client, "account_id": number + 1, "signature": right},
        {"client_uuid": "\0", "account_id": number, "signature": right},
        {"client_uuid": client, "account_id": "9" * 30, "signature": right},
        {"client_uuid": client, "account_id": "x", "signature": right},
    ):
        assert (await owner.http.get("/oauth/kommo/disconnect", params=wrong)).status_code == 404
    assert "does not work." not in (await owner.open("/dashboard")).text


async def test_keys_are_replaced_and_removed_and_a_wrong_form_comes_back(owner, keys):
    bad = await owner.send("/integrations/keys", {"brand": "kommo", "client_id": "a b", "client_secret": ""})
    assert bad.status_code == 422 and 'value="a b"' in bad.text
    assert "Paste the secret key exactly as the CRM shows it." in bad.text
    place = keys.start.removeprefix(owner.base).replace("/consent/", "/keys/")
    changed = await owner.follow(await owner.send(place, {"client_secret": "another-1234"}))
    assert "The secret is replaced" in changed.text and "…1234" in changed.text
    kept = await owner.follow(await owner.send(place, {"client_secret": " "}))
    assert "The secret stayed as it was" in kept.text
    gone = await owner.follow(await owner.send(f"{place}/remove"))
    assert "The keys are removed" in gone.text and keys.made["client_id"] not in gone.text


async def test_the_installations_own_integration_leaves_one_step(home, kommo, database, scope):
    settings = {"kommo_client_id": "of-the-house", "kommo_client_secret": "s3cret-of-the-house"}
    async with (
        serving_here(home, kommo_sandbox_url=kommo, **settings) as url,
        reader_of(url, database, scope) as reader,
    ):
        page = await reader.open("/integrations")
        assert "Connect with Kommo" in page.text and "Integration ID" not in page.text
        assert "s3cret-of-the-house" not in page.text
        amocrm = await reader.open("/integrations?brand=amocrm")
        assert "Connect with amoCRM" not in amocrm.text and "Integration ID" in amocrm.text


async def test_an_account_is_checked_by_hand_and_tells_what_is_still_to_be_done(
    owner, keys, crm, database, scope
):
    """CRM-5, U172"""
    made = await back(owner, allow(crm, await begin(owner, keys)))
    home = made.headers["location"].removeprefix(owner.base)
    page = await owner.open(home)
    told = texts(page)
    assert "Recommended setup" in told and "2 of 5 done" in told
    assert re.search(rf'href="{owner.base}{home}/sync">Have the account read', page.text)
    assert "Plan of the account Nothing was refused" in told and "0 straight into chats" in told
    async with database.session(scope) as session:
        await session.execute("delete from jobs.pgqueuer where entrypoint = 'crm.check_webhook'")
    works = await owner.follow(await owner.send(f"{home}/check"))
    assert "The CRM answers" in works.text
    async with database.session(scope) as session:
        asked = await session.fetchval(
            "select payload from jobs.pgqueuer where entrypoint = 'crm.check_webhook'"
        )
        assert home.rpartition("/")[2].encode() in asked
        await session.execute(
            """update app.crm_connection set hook_state = 'subscribed', last_webhook_at = now(),
                      hook_error = null"""
        )
        await session.execute("update app.crm_sync set state = 'completed'")
    told = texts(await owner.open(home))
    assert "Recommended setup" not in told and "Complete" in told
    async with reader_of(
        str(owner.http.base_url), database, await add_member(database, scope, "viewer")
    ) as dora:
        assert "Check now" not in (await dora.open(home)).text
        assert (await dora.send(f"{home}/check")).status_code == 403
    await asyncio.to_thread(crm.steer, "DELETE", "/grants")
    broken = await owner.follow(await owner.send(f"{home}/check"))
    assert "no longer accepts the token" in broken.text and "Check now" not in broken.text
    again = await owner.follow(await owner.send(f"{home}/check"))
    assert "The CRM could not be asked" in again.text
