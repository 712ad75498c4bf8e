"""The emulated token endpoint, consent page and disconnect hook do what the vendor's documents say."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.oauth_tools import REDIRECT_URI, allow
from contract.sandbox_tools import accounts_at
from gptagent.sandbox.spawn import running


@pytest.fixture(scope="module")
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture(scope="module")
def factory(url):
    with accounts_at(url) as factory:
        yield factory


@pytest.fixture
def account(factory):
    return factory()


@pytest.fixture
def integration(url, account):
    return register(url, account)


def register(url, account, **more):
    body = {"redirect_uri": REDIRECT_URI, **more}
    return account.http.post(f"{url}/_sandbox/integrations", json=body).json()


def consent(account, integration, state="s"):
    page = f"{account.url}/_www/{integration['brand']}/oauth?client_id={integration['client_id']}"
    return allow(account, f"{page}&state={state}")


def exchange(account, integration, host=None, **given):
    keys = {name: integration[name] for name in ("client_id", "client_secret", "redirect_uri")}
    return account.http.post(
        f"{account.url}/oauth2/access_token",
        json=keys | given,
        headers={"host": host or account.facts["host"]},
    )


def by_code(account, integration, code, **more):
    return exchange(account, integration, grant_type="authorization_code", code=code, **more)


def by_refresh(account, integration, token, **more):
    return exchange(account, integration, grant_type="refresh_token", refresh_token=token, **more)


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def test_the_consent_page_leads_back_with_code_account_and_state(url, account, integration):
    page = f"{url}/_www/kommo/oauth?client_id={integration['client_id']}&state=abc&mode=post_message"
    shown = account.http.get(page)
    assert account.facts["subdomain"] in shown.text and "frame-ancestors" in str(shown.headers)
    back = consent(account, integration, "abc")
    assert back.keys() == {"code", "referer", "platform", "state", "client_id"}
    assert (back["referer"], back["platform"], back["state"]) == (account.facts["host"], "2", "abc")
    denied = account.http.post(page, data={"answer": "deny"}, follow_redirects=False)
    answer = parse_qs(urlsplit(denied.headers["location"]).query)
    assert answer == {"error": ["access_denied"], "state": ["abc"], "client_id": [integration["client_id"]]}
    assert denied.headers["location"].startswith(REDIRECT_URI)


def test_amocrm_has_a_site_and_hosts_of_its_own(url, account):
    integration = register(url, account, brand="amocrm")
    back = consent(account, integration)
    assert (back["referer"], back["platform"]) == (f"{account.facts['subdomain']}.amocrm.test", "1")
    page = f"{url}/oauth?client_id={integration['client_id']}"
    assert account.http.get(page, headers={"host": "www.amocrm.test"}).status_code == 200
    assert account.http.get(page, headers={"host": "www.kommo.test"}).status_code == 404


def test_a_code_is_exchanged_once_and_the_token_says_what_it_is(account, integration):
    code = consent(account, integration)["code"]
    answer = by_code(account, integration, code).json()
    assert list(answer) == ["token_type", "expires_in", "server_time", "access_token", "refresh_token"]
    said = claims(answer["access_token"])
    assert said["account_id"] == account.facts["account_id"] and said["aud"] == integration["client_id"]
    assert said["api_domain"] == "api-c.kommo.test" and "send_external_messages" in said["scopes"]
    assert said["exp"] == answer["server_time"] + answer["expires_in"]
    assert account.api("GET", "/account", token=answer["access_token"]).status_code == 200
    again = by_code(account, integration, code)
    assert (again.status_code, again.json()["hint"]) == (400, "Authorization code has been revoked")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"redirect_uri": REDIRECT_URI + "/"}, 400),
        ({"redirect_uri": None}, 400),
        ({"client_secret": "guessed"}, 401),
        ({"client_id": "unknown"}, 401),
        ({"grant_type": "password"}, 400),
    ],
)
def test_keys_and_address_must_be_right_to_the_letter(account, integration, wrong, status):
    code = consent(account, integration)["code"]
    given = {"grant_type": "authorization_code", "code": code} | wrong
    refused = exchange(account, integration, **given)
    assert refused.status_code == status
    assert list(refused.json()) == ["hint", "title", "type", "status", "detail"]
    assert by_code(account, integration, code).status_code == 200


def test_a_code_ends_after_its_time(account, integration):
    account.steer("POST", "/knobs", code_seconds=0)
    code = consent(account, integration)["code"]
    assert by_code(account, integration, code).status_code == 400


def test_a_refresh_token_works_once(account, integration):
    first = by_code(account, integration, consent(account, integration)["code"]).json()
    second = by_refresh(account, integration, first["refresh_token"])
    assert second.status_code == 200 and second.json()["refresh_token"] != first["refresh_token"]
    again = by_refresh(account, integration, first["refresh_token"])
    assert (again.status_code, again.json()["hint"]) == (401, "Token has been revoked")
    assert account.steer("GET", "/grants") == {"exchanged": 1, "refreshed": 1, "refused": 1}


def test_in_grace_the_old_one_works_until_the_new_pair_is_used(account, integration):
    account.steer("POST", "/knobs", refresh_grace=True, refresh_refusal_status=400)
    first = by_code(account, integration, consent(account, integration)["code"]).json()
    by_refresh(account, integration, first["refresh_token"])
    second = by_refresh(account, integration, first["refresh_token"])
    assert second.status_code == 200
    account.api("GET", "/account", token=second.json()["access_token"])
    assert by_refresh(account, integration, first["refresh_token"]).status_code == 400


def test_a_renamed_account_is_found_by_its_refresh_token(account, integration):
    pair = by_code(account, integration, consent(account, integration)["code"]).json()
    old, new = account.facts["subdomain"], f"{account.facts['subdomain']}-new"
    account.steer("POST", "/rename", subdomain=new, old_host_status=401)
    assert account.api("GET", "/account").status_code == 401
    where = account.http.get(
        f"{account.url}/oauth2/account/current/subdomain",
        headers={
            "host": claims(pair["access_token"])["api_domain"],
            "x-refresh-token": pair["refresh_token"],
        },
    )
    assert where.json() == {
        "id": account.facts["account_id"],
        "subdomain": new,
        "domain": f"{new}.kommo.test",
        "top_level_domain": "com",
    }
    unknown = account.http.get(
        f"{account.url}/oauth2/account/current/subdomain",
        headers={"host": "api-c.kommo.test", "x-refresh-token": "nobody's"},
    )
    assert unknown.status_code == 401
    assert exchange(account, integration, f"{old}.kommo.test").status_code == 401


def test_expired_tokens_are_refused_and_revoked_ones_for_good(account, integration):
    pair = by_code(account, integration, consent(account, integration)["code"]).json()
    account.steer("POST", "/grants/expire")
    assert account.api("GET", "/account", token=pair["access_token"]).status_code == 401
    account.steer("DELETE", "/grants")
    assert by_refresh(account, integration, pair["refresh_token"]).status_code == 401
