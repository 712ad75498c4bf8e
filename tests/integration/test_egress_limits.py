"""Sizes, deadlines and broken answers: what the caller is told of a request that went wrong."""

import asyncio
import gzip
import tracemalloc

import pytest

from gptagent.kernel.egress import Egress, client
from gptagent.kernel.egress.bodies import read_body
from gptagent.kernel.errors import Invalid, OutcomeUnknown, TooLarge, UpstreamUnavailable
from integration.egress_tools import MB, answer, get, running

LONG_ENOUGH = 2  # seconds until a request has left for certain, on a busy machine


@pytest.fixture
async def site():
    async with running() as site:
        yield site


@pytest.fixture
async def egress(site):
    egress = Egress(frozenset({("127.0.0.1", site.port)}))
    yield egress
    await egress.aclose()


@pytest.mark.parametrize("size", [MB + 1, 50 * MB])
async def test_a_body_over_the_cap_is_refused(site, egress, size):
    site["/"] = answer(b"x" * size)
    with pytest.raises(TooLarge, match="egress_too_large"):
        await get(egress, site.url())


async def test_a_body_of_exactly_the_cap_is_read(site, egress):
    site["/"] = answer(gzip.compress(b"x" * MB), Content_Encoding="gzip")
    assert len((await get(egress, site.url())).body) == MB


async def test_a_body_that_unpacks_to_more_than_the_cap_is_refused(site, egress):
    bomb = gzip.compress(b"\0" * (200 * MB), 9)
    assert len(bomb) < MB
    site["/"] = answer(bomb, Content_Encoding="gzip")
    with pytest.raises(TooLarge, match="egress_too_large"):
        await get(egress, site.url())


async def test_unpacking_stops_at_the_cap_and_not_at_the_end_of_the_bomb():
    async def one_chunk():
        yield bomb

    bomb = gzip.compress(b"\0" * (100 * MB), 9)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        await read_body(one_chunk(), "gzip", MB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * MB


async def test_a_packed_body_is_unpacked_also_from_several_members(site, egress):
    site["/"] = answer(gzip.compress(b"first ") + gzip.compress(b"second") + b"junk", Content_Encoding="GZIP")
    assert (await get(egress, site.url())).body == b"first second"


@pytest.mark.parametrize("body", [gzip.compress(b"x" * 5000)[:-9], b"no gzip at all"])
async def test_a_damaged_packed_body_is_no_answer(site, egress, body):
    site["/"] = answer(body, Content_Encoding="gzip")
    with pytest.raises(OutcomeUnknown):
        await get(egress, site.url())


async def test_silence_after_the_request_leaves_the_outcome_open(site, egress):
    async def silence(writer):
        await asyncio.sleep(30)

    site["/"] = silence
    with pytest.raises(OutcomeUnknown, match="egress_outcome_unknown"):
        await egress.request("POST", site.url(), json={}, deadline=LONG_ENOUGH, max_bytes=MB)
    assert len(site.requests) == 1


async def test_the_deadline_covers_an_answer_that_trickles(site, egress):
    async def trickle(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    site["/"] = trickle
    with pytest.raises(OutcomeUnknown):
        await get(egress, site.url(), deadline=LONG_ENOUGH)


async def test_a_connection_cut_after_the_request_leaves_the_outcome_open(site, egress):
    async def cut(writer):
        writer.transport.abort()

    site["/"] = cut
    with pytest.raises(OutcomeUnknown):
        await egress.request("POST", site.url(), json={}, deadline=5, max_bytes=MB)


async def test_where_nothing_listens_nothing_was_carried_out(egress, site):
    async with running() as gone:
        port = gone.port
    closed = Egress(frozenset({("127.0.0.1", port)}))
    with pytest.raises(UpstreamUnavailable, match="egress_unreachable"):
        await get(closed, f"http://127.0.0.1:{port}/")


async def test_a_name_without_an_address_is_unavailable():
    async def no_such_name(host, port):
        raise OSError("Name or service not known")

    async def no_address(host, port):
        return []

    for resolver in (no_such_name, no_address):
        with pytest.raises(UpstreamUnavailable):
            await get(Egress(resolver=resolver), "https://nowhere.example/")


async def test_a_slow_name_server_is_cut_off_by_the_deadline():
    async def slow(host, port):
        await asyncio.sleep(30)

    with pytest.raises(UpstreamUnavailable):
        await get(Egress(resolver=slow), "https://slow.example/", deadline=0.2)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "ключ", "a\0b"])
async def test_a_header_that_cannot_be_sent_is_the_callers_mistake(site, egress, value):
    site["/"] = answer()
    with pytest.raises(Invalid, match="egress_malformed"):
        await get(egress, site.url(), headers={"Authorization": value})
    assert site.requests == []


async def test_requests_given_up_do_not_use_up_the_pool(site, egress, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 60)  # on a busy machine

    async def silence(writer):
        await asyncio.sleep(60)

    site["/hang"], site["/"] = silence, answer(b"alive")
    tasks = [asyncio.create_task(get(egress, site.url("/hang"))) for _ in range(250)]
    for _ in tasks:
        await site.arrivals.acquire()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (await get(egress, site.url())).body == b"alive"
