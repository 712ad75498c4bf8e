"""Every address the CRM hands us, with every trick: it leads nowhere but to the vendor.

OAuth's referer, the token's api_domain, what a directory answers, `_links.next`, the drive's address,
redirects.
"""

import asyncio
import base64
import json
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from contract.hostile_hosts import HOSTILE_HOSTS
from contract.kommo_tools import Recorder
from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.crm.connecting.model import Credentials
from gptagent.features.crm.model import CrmLink
from gptagent.features.crm.records import PageRequest
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import AppError
from integration.egress_tools import answer, running

KEYS = Credentials("kommo", "client", "secret")
BACK = "https://app.example/oauth/crm"


class Watched:
    """A vendor on this machine; any other name that is looked up is noted, and leads nowhere."""

    def __init__(self, site):
        self.site = site
        self.looked_up = []
        self.limiter = Recorder()
        base = site.url("")
        self.egress = Egress(frozenset({("127.0.0.1", site.port)}), resolver=self._resolve)
        self.crm = KommoCrm(self.egress, self.limiter, sandbox_url=base)
        self.link = CrmLink(uuid4(), uuid4(), "acme.kommo.test", "token")

    async def _resolve(self, host, port):
        self.looked_up.append((host, port))
        raise OSError("nothing there")

    def says(self, path, body, **headers):
        self.site[path] = answer(json.dumps(body).encode(), **headers)

    def heard(self):
        """Return path and Host of what the vendor was asked, and forget it."""
        seen = [
            (line.split(" ")[1].split("?")[0], headers["host"]) for line, headers, _ in self.site.requests
        ]
        self.site.requests.clear()
        return seen


@pytest.fixture
async def vendor():
    async with running() as site:
        watched = Watched(site)
        yield watched
        await watched.egress.aclose()


def token_of(api_domain):
    claims = base64.urlsafe_b64encode(json.dumps({"api_domain": api_domain}).encode()).rstrip(b"=").decode()
    return f"e30.{claims}.x"


async def refused(call):
    with pytest.raises(AppError) as caught:
        await call
    return caught.value.code


async def test_the_host_somebody_types_or_the_database_holds(vendor):
    for host in HOSTILE_HOSTS:
        link = replace(vendor.link, host=host)
        assert await refused(vendor.crm.fetch_account(link)) == "crm_host_refused", host
        assert await refused(vendor.crm.exchange_code(link, KEYS, "code", BACK)) == "crm_host_refused", host
    assert vendor.heard() == [] and vendor.looked_up == []


def test_the_referer_of_a_consent(vendor):
    for host in (*HOSTILE_HOSTS, "acme.amocrm.ru"):
        with pytest.raises(AppError, match="crm_host_refused"):
            vendor.crm.account_host(host, "kommo")
    assert vendor.crm.account_host("Acme.kommo.com", "kommo") == "acme.kommo.com"


async def test_the_domain_a_token_names(vendor):
    for host in HOSTILE_HOSTS:
        assert await vendor.crm.find_host(replace(vendor.link, token=token_of(host)), "refresh") is None, host
    assert vendor.heard() == [] and vendor.looked_up == []


async def test_the_domain_a_directory_answers(vendor):
    """It is asked, but what it says is not believed: a connection would move there, token and all."""
    link = replace(vendor.link, token=token_of("api-a.kommo.test"))
    path = "/oauth2/account/current/subdomain"
    for host in HOSTILE_HOSTS:
        vendor.says(path, {"id": 1, "domain": host})
        assert await vendor.crm.find_host(link, "refresh") is None, host
    assert set(vendor.heard()) == {(path, "api-a.kommo.test")} and vendor.looked_up == []


async def test_the_next_page_of_a_list(vendor):
    """Only its query is taken: host and path stay ours."""
    last = answer(json.dumps({"_embedded": {"catalogs": [{"id": 2, "name": "y"}]}}).encode())
    vendor.site.answers = defaultdict(lambda: last)
    for host in HOSTILE_HOSTS:
        link, path = {"href": f"https://{host}/steal?page=2"}, "/api/v4/catalogs"
        page = {"_links": {"next": link}, "_embedded": {"catalogs": [{"id": 1, "name": "x"}]}}
        vendor.says("/api/v4/catalogs?limit=250", page)
        await vendor.crm.fetch_catalogs(vendor.link)
        assert set(vendor.heard()) == {(path, "acme.kommo.test")}, host
    assert vendor.looked_up == []


async def test_the_drive_an_account_names(vendor):
    for host in (*HOSTILE_HOSTS, *(f"drive-{one}" for one in HOSTILE_HOSTS if one)):
        if host == "drive--acme.kommo.com":  # one label, and the vendor's
            continue
        vendor.says("/api/v4/account?with=drive_url", {"drive_url": f"https://{host}"})
        code = await refused(vendor.crm.fetch_file(vendor.link, "uuid"))
        assert code in {"crm_host_refused", "crm_unavailable", "egress_refused"}, host
    told = vendor.heard()
    assert set(told) == {("/api/v4/account", "acme.kommo.test")} and _vendors(vendor.looked_up)


def _vendors(looked_up):
    """A host that became the vendor's once what does not belong to a host was cut off, at its own port."""
    return all(host.endswith(".kommo.com") and port == 443 for host, port in looked_up)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_followed_nowhere(vendor, status):
    for host in ("evil.example", "127.0.0.1:9", "169.254.169.254", "acme.kommo.com"):
        vendor.site["/api/v4/account?with=is_api_filter_enabled"] = answer(
            status=status, Location=f"https://{host}/"
        )
        assert await refused(vendor.crm.fetch_account(vendor.link)) == "crm_rejected"
    assert set(vendor.heard()) == {("/api/v4/account", "acme.kommo.test")} and vendor.looked_up == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1"],
)
async def test_a_good_name_that_leads_to_a_private_address_is_not_called(address):
    """DNS is not believed either, whichever door the name came in by."""

    async def rebound(_host, _port):
        return [address]

    async with _real(rebound) as crm:
        link = CrmLink(uuid4(), uuid4(), "acme.kommo.com", token_of("api-a.kommo.com"))
        for call in (
            crm.fetch_account(link),
            crm.fetch_leads(link, PageRequest()),
            crm.exchange_code(link, KEYS, "code", BACK),
            crm.renew_pair(link, KEYS, "refresh", BACK),
            crm.send_message(link, 1, "Hello"),
        ):
            assert await refused(call) == "egress_refused"


@asynccontextmanager
async def _real(resolver):
    egress = Egress(resolver=resolver)
    try:
        yield KommoCrm(egress, Recorder())
    finally:
        await egress.aclose()


async def test_a_name_that_is_looked_up_once_is_connected_to_as_it_was(vendor):
    """Nothing is resolved a second time between the check and the connection."""
    asked = []

    async def once(host, port):
        asked.append(host)
        await asyncio.sleep(0)
        return ["2000::1"] if len(asked) == 1 else ["127.0.0.1"]

    async with _real(once) as crm:
        link = CrmLink(uuid4(), uuid4(), "acme.kommo.com", "token")
        assert await refused(crm.fetch_account(link)) == "crm_unavailable"
    assert asked == ["acme.kommo.com"]
