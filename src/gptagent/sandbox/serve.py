"""Runs an ASGI application on uvicorn and says when it accepts connections."""

import argparse
import asyncio
import socket
import sys
from contextlib import AbstractAsyncContextManager

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG_CONNECTIONS = 2048
GRACE_SECONDS = 1


class AbortableProtocol(HttpToolsProtocol):
    """Hands the application a way to cut its connection: ASGI itself has none."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort


class AnnouncingServer(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            sys.stdout.write(f"ready http://{host}:{port}\n")
        sys.stdout.flush()


def address_options(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    return parser


def serve(
    app: ASGIApp, host: str, port: int, *, around: AbstractAsyncContextManager[object] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; `around` is entered in the server's loop before the first request."""
    listener = socket.create_server((host, port), backlog=BACKLOG_CONNECTIONS, reuse_port=False)
    config = uvicorn.Config(
        app,
        http=AbortableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_within(AnnouncingServer(config), listener, around))


async def _serve_within(
    server: AnnouncingServer,
    listener: socket.socket,
    around: AbstractAsyncContextManager[object] | None,
) -> None:
    if around is None:
        await server.serve([listener])
        return
    async with around:
        await server.serve([listener])
