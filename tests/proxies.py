"""A small HTTP proxy that opens tunnels, and notes for whom."""

import asyncio
import base64
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass
class ProxyServer:
    """`answers` other than 200 refuse every tunnel; `hosts` are the Host headers of what went through."""

    user: str
    password: str
    answers: str = "200 Connection established"
    port: int = 0
    tunnels: list = field(default_factory=list)
    hosts: list = field(default_factory=list)

    @property
    def url(self):
        secret = f"{quote(self.user)}:{quote(self.password)}@" if self.user else ""
        return f"http://{secret}127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._tunnel(reader, writer)
        finally:
            await closed(writer)

    async def _tunnel(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n")[0].split(" ")
        expected = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if self.user and f"Proxy-Authorization: {expected}\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        self.tunnels.append((method, target))
        writer.write(f"HTTP/1.1 {self.answers}\r\nVia: 1.1 small\r\n\r\n".encode())
        if not self.answers.startswith("200"):
            return
        host, _, port = target.rpartition(":")
        inner_reader, inner_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            await asyncio.gather(
                self._pump(reader, inner_writer, note=True), self._pump(inner_reader, writer)
            )
        finally:
            await closed(inner_writer)

    async def _pump(self, reader, writer, *, note=False):
        while part := await reader.read(65_536):
            if note:
                lines = part.split(b"\r\n")
                self.hosts += [line[6:].decode() for line in lines if line.lower().startswith(b"host: ")]
            writer.write(part)
            await writer.drain()
        writer.write_eof()


async def closed(writer):
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def running_proxy(*, user="", password="", **options):
    proxy = ProxyServer(user, password, **options)
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        await proxy.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
