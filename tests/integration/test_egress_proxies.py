"""Calls by way of a proxy are judged like all others."""

import ssl

import pytest

from gptagent.kernel.egress import Egress, Ways
from gptagent.kernel.errors import Forbidden, UpstreamUnavailable
from gptagent.kernel.proxies import Proxy
from integration.egress_tools import MB, NOBODYS_ADDRESS, answer, certificate, get, loopback, running
from proxies import running_proxy


def by(proxy, *allowed, **options):
    (parsed,) = Proxy.parse_all(proxy.url)
    return Egress(frozenset(allowed), proxy=parsed, **options)


@pytest.fixture
async def site():
    async with running() as site:
        yield site


async def test_a_call_goes_through_the_proxy_with_its_credentials_which_the_site_never_sees(site):
    site["/"] = answer(b"hi")
    async with running_proxy(user="us er", password="p@ss:%") as proxy:
        egress = by(proxy, ("127.0.0.1", site.port))
        for _ in range(3):
            assert (await get(egress, site.url())).body == b"hi"
        await egress.aclose()
    assert proxy.tunnels == [("CONNECT", f"127.0.0.1:{site.port}")]  # one tunnel for all three
    assert not any("proxy" in name for _, headers, _ in site.requests for name in headers)


async def test_the_proxy_is_told_an_address_that_was_judged_and_no_name(site):
    async def nobody(_host, _port):
        return [NOBODYS_ADDRESS]

    async with running_proxy(answers="403 Forbidden") as proxy:
        egress = by(proxy, resolver=nobody)
        with pytest.raises(UpstreamUnavailable):
            await get(egress, "https://acme.kommo.com/")
        await egress.aclose()
    assert proxy.tunnels == [("CONNECT", f"[{NOBODYS_ADDRESS}]:443")]


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "https://127.0.0.1/", "https://2130706433/", "https://[::ffff:10.0.0.1]/"],
)
async def test_what_may_not_be_called_directly_may_not_be_called_by_proxy(url):
    async with running_proxy() as proxy:
        egress = by(proxy)
        with pytest.raises(Forbidden, match="egress_refused"):
            await get(egress, url)
        await egress.aclose()
    assert proxy.tunnels == []


async def test_a_name_that_leads_to_a_private_address_gets_no_tunnel():
    async with running_proxy() as proxy:
        egress = by(proxy, resolver=loopback)
        with pytest.raises(Forbidden, match="egress_refused"):
            await get(egress, "https://acme.kommo.com/")
        await egress.aclose()
    assert proxy.tunnels == []


@pytest.mark.parametrize("said", ["407 Proxy Authentication Required", "502 Bad Gateway", "gibberish"])
async def test_a_proxy_that_opens_no_tunnel_means_that_nothing_was_sent(site, said):
    async with running_proxy(answers=said) as proxy:
        egress = by(proxy, ("127.0.0.1", site.port))
        with pytest.raises(UpstreamUnavailable, match="egress_unreachable"):
            await egress.request("POST", site.url(), json={}, deadline=5, max_bytes=MB)
        await egress.aclose()
    assert site.requests == []


async def test_a_proxy_that_is_gone_means_that_nothing_was_sent(site):
    async with running_proxy() as proxy:
        pass
    egress = by(proxy, ("127.0.0.1", site.port))
    with pytest.raises(UpstreamUnavailable, match="egress_unreachable"):
        await egress.request("POST", site.url(), json={}, deadline=5, max_bytes=MB)
    await egress.aclose()


async def test_tls_is_spoken_with_the_site_and_not_with_the_proxy(tmp_path):
    pem = certificate("shop.example", tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=pem)
    async with running(context) as site, running_proxy() as proxy:
        site["/"] = answer(b"sealed")
        egress = by(proxy, ("shop.example", site.port), resolver=loopback, ssl_context=trusting)
        assert (await get(egress, f"https://shop.example:{site.port}/")).body == b"sealed"
        await egress.aclose()
    assert proxy.hosts == [] and proxy.tunnels == [("CONNECT", f"127.0.0.1:{site.port}")]


def test_a_way_that_is_added_or_taken_away_moves_that_ways_accounts_only():
    names = [proxy.name for proxy in Proxy.parse_all("http://a:1,http://b:1,http://u:p@c:1,http://v:p@c:1")]
    egress = Egress()
    accounts = [f"account {number}" for number in range(400)]

    def pinned(some):
        ways = Ways(egress, dict.fromkeys(some, egress))
        return {account: ways.of(account)[0] for account in accounts}

    before, after = pinned(names), pinned(names[:3])
    assert {name: list(before.values()).count(name) > 50 for name in names} == dict.fromkeys(names, True)
    assert all(after[account] == name for account, name in before.items() if name in names[:3])
    assert pinned([]) == dict.fromkeys(accounts, "default")


def test_a_new_password_moves_nobody_and_is_shown_nowhere():
    (old,), (new,) = Proxy.parse_all("http://u:old@p:1"), Proxy.parse_all("http://u:new@p:1")
    assert old.name == new.name and "old" not in repr(old)


@pytest.mark.parametrize(
    "text",
    [
        "socks5://a:1",
        "http://a",
        "http://:1",
        "a:1",
        "http://a:1/x",
        "http://a:1?x",
        "http://a:x",
        "http://a:1,http://a:1",
    ],
)
def test_what_is_no_list_of_proxies_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match="EGRESS_PROXIES") as refused:
        Proxy.parse_all(text)
    assert text not in str(refused.value)
