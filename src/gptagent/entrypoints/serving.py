"""Run a web or a worker process."""

import asyncio
import os
import signal
import threading
import time

from gptagent.kernel.settings import Settings, share_metrics

DRAIN_SECONDS = 8
# Longer than a proxy in front keeps an idle connection (by default nginx 60 s, Caddy 120 s): a request sent
# on one that is being closed here is lost, and a proxy does not send a POST twice.
KEEP_ALIVE_SECONDS = 130
PARENT_POLL_SECONDS = 0.5


def serve_web(settings: Settings, *, reload: bool, supervisor: int | None) -> None:
    """Serve until SIGTERM; requests in flight get DRAIN_SECONDS."""
    _end_with(supervisor)
    share_metrics(settings.home)
    import uvicorn

    from gptagent.kernel.observe import configure_logging

    configure_logging()
    uvicorn.run(
        "gptagent.entrypoints.serving:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        reload=reload,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        loop="uvloop",
        http="httptools",
    )


def create_app() -> object:
    """Uvicorn's factory: the platform is built inside the server's own event loop."""
    from gptagent.entrypoints.web import LazyWeb
    from gptagent.kernel.observe import configure_logging

    configure_logging()  # a reloaded server is a process of its own
    return LazyWeb(Settings.load())


def serve_worker(settings: Settings, *, supervisor: int | None) -> None:
    """Work until SIGTERM."""
    _end_with(supervisor)
    share_metrics(settings.home)
    import uvloop

    from gptagent.bootstrap import build_platform
    from gptagent.entrypoints.worker import run
    from gptagent.kernel.observe import configure_logging

    configure_logging()

    async def work() -> None:
        await run(await build_platform(settings))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


def _end_with(supervisor: int | None) -> None:
    """End this process when the supervisor is gone: left behind, it would hold the port of the next start."""
    if supervisor is None:
        return

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(PARENT_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
