"""The emulator's page of one account: what it shows is so, and its buttons do what they say."""

import httpx2
import pytest

from contract.sandbox_tools import accounts_at
from gptagent.sandbox.kommo.state_page import FAULTS
from gptagent.sandbox.spawn import running


@pytest.fixture
def url():
    with running("kommo") as address:
        yield address


@pytest.fixture
def account(url):
    with accounts_at(url) as factory:
        yield factory()


def test_faults_are_switched_on_and_off_with_buttons(url, account):
    page = f"{url}/account/{account.facts['subdomain']}"
    with httpx2.Client(timeout=60, follow_redirects=True) as person:
        for name, fault in FAULTS.items():
            if fault.action != "status":
                continue
            shown = person.post(f"{page}/faults", data={"fault": name}).text
            assert f'value="{name}" aria-pressed="true"' in shown
            assert account.api("GET", "/account").status_code == fault.status
            person.post(f"{page}/faults", data={"fault": name})
            assert account.api("GET", "/account").status_code == 200
        person.post(f"{page}/faults", data={"fault": "500"})
        person.post(f"{page}/clear")
        assert account.api("GET", "/account").status_code == 200
        assert person.post(f"{page}/faults", data={"fault": "nonsense"}).status_code == 422


def test_a_ban_is_shown_and_lifted(url, account):
    account.steer("POST", "/knobs", requests_per_second=1, violations_until_block=2)
    while account.api("GET", "/account").status_code != 403:
        pass
    page = f"{url}/account/{account.facts['subdomain']}?lang=en"
    with httpx2.Client(timeout=60, follow_redirects=True) as person:
        shown = person.get(page).text
        assert "The address is blocked for another" in shown and "lift the ban" in shown
        assert "The address is blocked" not in person.post(page.replace("?", "/clear?")).text
        assert page.partition("?")[0].removeprefix(url) in person.get(f"{url}/").text


def test_what_was_taken_in_is_listed(url, account):
    chat = account.chat()
    account.api("POST", f"/talks/{chat['talk_id']}/send_message", {"text": "Hello"})
    account.subscribe("https://app.example/hooks/x/", "add_message")
    for language in ("ru", "en"):
        shown = httpx2.get(f"{url}/account/{account.facts['subdomain']}?lang={language}", timeout=60)
        assert shown.status_code == 200 and "add_message" in shown.text and "<span>send</span>" in shown.text
        assert "Hello" not in shown.text and "app.example" not in shown.text
        assert "built-in" not in shown.text
