"""What the demonstration and the drills ask a platform that is busy."""

import asyncio
from contextlib import aclosing

import pytest

from gptagent.entrypoints.demo.stage import Failed, Service
from gptagent.kernel.egress import Egress

BUSY = b"HTTP/1.1 429 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FULL = b"HTTP/1.1 429 Full\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
DONE = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n{"id":7}'


@pytest.fixture
async def service():
    """A service that gives the `answers` one after the other."""
    answers = []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    egress = Egress(frozenset({("127.0.0.1", port)}))
    async with server, aclosing(egress):
        yield Service(f"http://127.0.0.1:{port}", egress), answers


async def test_who_is_told_to_come_again_does(service):
    service, answers = service
    answers += [BUSY, DONE]
    assert await service.call("POST", "/things") == {"id": 7}


async def test_who_is_not_told_when_to_come_again_has_failed(service):
    service, answers = service
    answers += [FULL, DONE]
    with pytest.raises(Failed, match="429"):
        await service.call("POST", "/things")
