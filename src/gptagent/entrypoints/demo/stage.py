"""The processes a demonstration needs, and plain HTTP to them."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.egress import Egress

START_SECONDS = 90.0
RESTART_SECONDS = 60.0
STOP_SECONDS = 40.0  # killed before its own children have ended, the platform would leave them behind
CALL_SECONDS = 40.0
BUSY_SECONDS = 60.0
TOO_MANY_REQUESTS = 429
MAX_BYTES = 5_000_000
POLL_SECONDS = 0.25


class Failed(Exception):  # noqa: N818 - a check of the demonstration did
    """Something the demonstration relies on did not happen."""


@dataclass(slots=True)
class Service:
    """An HTTP server at `url`; `headers` go with every request."""

    url: str
    egress: Egress
    headers: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """Return the JSON of a successful answer; raise Failed for any other.

        One that is told to come again comes again when it is told to, for `BUSY_SECONDS`.
        """
        headers = dict(self.headers)
        content = None
        if isinstance(body, Upload):
            content, headers["content-type"] = body.encode()
        clock = asyncio.get_running_loop().time
        ends = clock() + BUSY_SECONDS
        while True:
            response = await self.egress.request(
                method,
                self.url + path,
                headers=headers,
                json=None if content or body is None else body,
                content=content,
                deadline=CALL_SECONDS,
                max_bytes=MAX_BYTES,
            )
            pause = float(response.headers.get("retry-after", "0"))
            if response.status != TOO_MANY_REQUESTS or not pause or clock() + pause > ends:
                break
            await asyncio.sleep(pause)
        if response.status >= 400:
            raise Failed(f"{method} {path} answered {response.status}: {response.body[:300].decode()}")
        answer = json.loads(response.body) if response.body else {}
        return answer if isinstance(answer, dict) else {"items": answer}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a browser's form sends it (RFC 7578)."""

    name: str
    content: bytes

    def encode(self) -> tuple[bytes, str]:
        boundary = uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{self.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        return head.encode() + self.content + f"\r\n--{boundary}--\r\n".encode(), (
            f"multipart/form-data; boundary={boundary}"
        )


@dataclass(slots=True)
class Stage:
    """A platform and an emulated CRM, running."""

    platform: Service
    sandbox: Service
    up_pid: int
    setup_token: str
    home: Path

    async def worker(self) -> int:
        """Return the process id of the platform's worker; one that was killed is waited for."""
        found = 0

        async def is_there() -> bool:
            nonlocal found
            found = next((pid for pid in _children(self.up_pid) if "worker" in _arguments(pid)), 0)
            return bool(found)

        await until("a worker process", is_there, seconds=RESTART_SECONDS)
        return found

    async def kill_worker(self) -> None:
        """SIGKILL the platform's worker process, as a power cut would."""
        os.kill(await self.worker(), signal.SIGKILL)


async def until(
    what: str, question: Callable[[], Awaitable[bool]], *, seconds: float, pause: float = POLL_SECONDS
) -> None:
    """Wait until the answer is yes. Raises Failed with `what` after so many seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await question():
        if asyncio.get_running_loop().time() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(pause)


@asynccontextmanager
async def raised_stage(environment: Mapping[str, str]) -> AsyncIterator[Stage]:
    """Start both on free ports with a temporary home; end both, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="gptagent-demo-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)  # PostgreSQL's unprivileged user must be able to enter
        platform_port, sandbox_port = free_port(), free_port()
        egress = Egress(frozenset({("127.0.0.1", platform_port), ("127.0.0.1", sandbox_port)}))
        sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        platform_url = f"http://127.0.0.1:{platform_port}"
        variables = {
            **environment,
            "GPTAGENT_HOME": str(home),
            "HOST": "127.0.0.1",
            "PORT": str(platform_port),
            "PUBLIC_URL": platform_url,
            "KOMMO_SANDBOX_URL": sandbox_url,
            "RATE_FACTOR": "1000",  # one person plays all who look, and looks often
        }
        sandbox = await _start("gptagent.sandbox.kommo", ["--port", str(sandbox_port)], environment, home)
        try:
            platform = await _start("gptagent", ["up"], variables, home)
            try:
                token = await _setup_token(home / "gptagent.log", platform)
                yield Stage(
                    Service(platform_url, egress),
                    Service(sandbox_url, egress),
                    platform.pid,
                    token,
                    home,
                )
            finally:
                await _stop(platform)
        finally:
            await _stop(sandbox)
            await egress.aclose()


async def _start(
    module: str, arguments: list[str], environment: Mapping[str, str], home: Path
) -> asyncio.subprocess.Process:
    with (home / f"{module}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(environment),
            start_new_session=True,
        )


async def _setup_token(log: Path, platform: asyncio.subprocess.Process) -> str:
    """Read the one-time link the platform prints at its first start."""
    found = ""

    async def printed() -> bool:
        nonlocal found
        if platform.returncode is not None:
            raise Failed(f"the platform ended: {log.read_text()[-2000:]}")
        for line in log.read_text().splitlines():
            if "/setup/" in line:
                found = line.rpartition("/setup/")[2].strip()
        return bool(found)

    await until("the platform is ready", printed, seconds=START_SECONDS)
    return found


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _arguments(pid: int) -> list[str]:
    """Whole words: PostgreSQL's own options speak of workers too. None of a process that ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
