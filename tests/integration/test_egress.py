"""The servers are reached because, and only as far as, they are allowed."""

import asyncio
import json
import ssl

import httpx2
import pytest

from gptagent.kernel.egress import Egress, GuardedTransport, client
from gptagent.kernel.errors import Forbidden, UpstreamUnavailable
from integration.egress_tools import MB, NOBODYS_ADDRESS, answer, certificate, get, loopback, running


@pytest.fixture
async def site():
    async with running() as site:
        yield site


@pytest.fixture
async def egress(site):
    egress = Egress(frozenset({("127.0.0.1", site.port)}))
    yield egress
    await egress.aclose()


async def test_a_request_carries_its_body_and_the_answer_comes_back(site, egress):
    site["/x"] = answer(b'{"ok":1}', "201 Created", X_Thing="7")
    sent = {"deadline": 5, "max_bytes": MB, "headers": {"X-A": "b"}, "host_header": "acme.kommo.test"}
    got = await egress.request("POST", site.url("/x"), json={"text": "Привет"}, **sent)
    line, headers, body = site.requests[0]
    assert (got.status, got.headers["x-thing"], got.body) == (201, "7", b'{"ok":1}')
    assert line.startswith("POST /x ") and json.loads(body) == {"text": "Привет"}
    assert (headers["host"], headers["x-a"]) == ("acme.kommo.test", "b")


async def test_requests_one_after_another_share_a_connection(site, egress):
    site["/"] = answer(b"hi")
    for _ in range(20):
        await get(egress, site.url())
    assert site.connections == 1


async def test_three_hundred_requests_at_once_are_all_answered(site, egress, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 60)  # on a busy machine
    site["/"] = answer(b"hi")
    got = await asyncio.gather(*(get(egress, site.url(), deadline=60) for _ in range(300)))
    assert {response.body for response in got} == {b"hi"}


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request(site, egress):
    site["/"] = answer(Set_Cookie="session_id=another-tenant; Path=/")
    await get(egress, site.url())
    await get(egress, site.url())
    assert "cookie" not in site.requests[1][1]


async def test_a_proxy_named_in_the_environment_is_not_used(site, egress, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    site["/"] = answer(b"direct")
    fresh = Egress(frozenset({("127.0.0.1", site.port)}))
    assert (await get(fresh, site.url())).body == b"direct"
    await fresh.aclose()


async def test_a_host_that_is_not_listed_must_be_https(site):
    egress = Egress(resolver=loopback)
    with pytest.raises(Forbidden, match="egress_refused"):
        await get(egress, "http://example.com/")


async def test_an_allowed_host_is_allowed_on_its_port_only(site, egress):
    async with running() as other:
        with pytest.raises(Forbidden, match="egress_refused"):
            await get(egress, other.url())
        assert other.connections == 0


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "0", "[::1]",
     "[::]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "127。0。0。1",
     "１２７.0.0.1", "innocent.example", "169.254.169.254"],
)  # fmt: skip
async def test_no_spelling_of_a_private_address_is_connected_to(site, host):
    egress = Egress(frozenset({("elsewhere", site.port)}), resolver=loopback)
    with pytest.raises(Forbidden, match="egress_refused"):
        await get(egress, f"https://{host}:{site.port}/")
    assert site.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "a.0x7f"])
async def test_a_name_server_is_not_even_asked_for_an_odd_spelling(host):
    asked = []

    async def anything_goes(name, port):
        asked.append(name)
        return [NOBODYS_ADDRESS]

    with pytest.raises(Forbidden, match="egress_refused"):
        await get(Egress(resolver=anything_goes), f"https://{host}/")
    assert asked == []


@pytest.mark.parametrize(
    "url",
    ["", "/x", "//example.com/", "ftp://example.com/", "https://", "https:example.com", "https://user:pw@example.com/",
     "https://example.com\\@127.0.0.1/", "https://exa mple.com/", "https://example.com\n/", "file:///etc/passwd",
     "https://[::1", "unix:///run/postgres"],
)  # fmt: skip
async def test_an_address_that_is_no_plain_url_is_refused(url):
    with pytest.raises(Forbidden, match="egress_refused"):
        await get(Egress(resolver=loopback), url)


async def test_userinfo_is_refused_for_an_allowed_host_too(site, egress):
    with pytest.raises(Forbidden, match="egress_refused"):
        await get(egress, f"http://user@127.0.0.1:{site.port}/")


async def test_a_name_that_changes_its_address_after_the_check_does_not_get_in(site):
    answers = iter([[NOBODYS_ADDRESS], ["127.0.0.1"], ["127.0.0.1", NOBODYS_ADDRESS]])
    asked = []

    async def rebinding(host, port):
        asked.append(host)
        return next(answers)

    egress = Egress(resolver=rebinding)
    outcomes = []
    for deadline in (0.3, 60, 0.3):  # nothing answers at the first and the third
        with pytest.raises((Forbidden, UpstreamUnavailable)) as caught:
            await get(egress, f"https://rebind.example:{site.port}/", deadline=deadline)
        outcomes.append(caught.type)
    assert outcomes == [UpstreamUnavailable, Forbidden, UpstreamUnavailable]
    assert len(asked) == 3 and site.connections == 0


async def test_of_several_addresses_a_dead_one_is_passed_over(site):
    async def two(host, port):
        return ["127.0.0.2", "127.0.0.1"]

    site["/"] = answer(b"second")
    egress = Egress(frozenset({("shop.example", site.port)}), resolver=two)
    assert (await get(egress, site.url(host="shop.example"))).body == b"second"
    await egress.aclose()


async def test_an_allowed_name_is_looked_up_by_the_system(site):
    site["/"] = answer(b"here")
    egress = Egress(frozenset({("localhost", site.port)}))
    assert (await get(egress, site.url(host="LOCALHOST"))).body == b"here"
    await egress.aclose()


async def test_a_library_with_its_own_client_is_guarded_by_the_transport(site):
    transport = GuardedTransport(frozenset(), resolver=loopback)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        with pytest.raises(Forbidden, match="egress_refused"):
            await client.get(f"https://localhost:{site.port}/")
    assert site.connections == 0


async def test_a_redirect_is_handed_back_unless_asked_for(site, egress):
    site["/"] = answer(status="302 Found", Location="/next")
    assert (await get(egress, site.url())).status == 302
    assert len(site.requests) == 1


async def test_redirects_are_followed_as_often_as_asked(site, egress):
    site["/"] = answer(status="302 Found", Location="/b")
    site["/b"] = answer(status="307 Temporary Redirect", Location="/c")
    site["/c"] = answer(b"there")
    assert (await get(egress, site.url(), redirects=1)).status == 307
    assert (await get(egress, site.url(), redirects=2)).body == b"there"


async def test_a_redirect_to_a_private_address_is_refused(site, egress):
    async with running() as inner:
        inner["/"] = answer(b"secret")
        site["/"] = answer(status="302 Found", Location=inner.url())
        with pytest.raises(Forbidden, match="egress_refused"):
            await get(egress, site.url(), redirects=3)
        assert inner.connections == 0


@pytest.mark.parametrize("location", ["http://[::1", "ftp://example.com/", "https://user@example.com/"])
async def test_a_redirect_to_what_is_no_plain_url_is_refused(site, egress, location):
    site["/"] = answer(status="302 Found", Location=location)
    with pytest.raises(Forbidden, match="egress_refused"):
        await get(egress, site.url(), redirects=1)


async def test_a_redirect_to_another_origin_does_not_carry_the_token(site):
    async with running() as other:
        other["/"] = answer(b"hello")
        site["/"] = answer(status="302 Found", Location=other.url())
        egress = Egress(frozenset({("127.0.0.1", site.port), ("127.0.0.1", other.port)}))
        headers = {"Authorization": "Bearer x", "X-Api-Key": "y"}
        assert (await get(egress, site.url(), headers=headers, redirects=1)).body == b"hello"
        assert not {"authorization", "x-api-key"} & set(other.requests[0][1])
        await egress.aclose()


async def test_a_write_is_never_repeated_by_a_redirect(site, egress):
    site["/"] = answer(status="307 Temporary Redirect", Location="/b")
    got = await egress.request("POST", site.url(), json={}, deadline=5, max_bytes=MB, redirects=3)
    assert got.status == 307 and len(site.requests) == 1


async def test_the_certificate_must_be_vouched_for_and_bear_the_hosts_name(tmp_path):
    pem = certificate("shop.example", tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=pem)
    async with running(context) as site:
        site["/"] = answer(b"sealed")
        allow = frozenset({("shop.example", site.port), ("other.example", site.port)})
        egress = Egress(allow, resolver=loopback, ssl_context=trusting)
        assert (await get(egress, f"https://shop.example:{site.port}/")).body == b"sealed"
        with pytest.raises(UpstreamUnavailable):
            await get(egress, f"https://other.example:{site.port}/")
        with pytest.raises(UpstreamUnavailable):
            await get(Egress(allow, resolver=loopback), f"https://shop.example:{site.port}/")
        await egress.aclose()
