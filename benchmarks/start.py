"""Starting: a new home, a home that was there before, and what the platform then holds in memory.
`python benchmarks/start.py`
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from figures import show
from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.settings import child_environment
from processes import memory

WARM_STARTS = 3
IDLE_SECONDS = 30.0
READY_SECONDS = 90.0


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gptagent-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)
        variables = {
            **child_environment(),
            "GPTAGENT_HOME": str(home),
            "HOST": "127.0.0.1",
            "PORT": str(free_port()),
            "PYTHONUNBUFFERED": "1",
        }
        async with _started(variables) as (_, seconds):
            show("start_s", "new_home", seconds, 2)
        warm: list[float] = []
        for _ in range(WARM_STARTS):
            async with _started(variables) as (pid, seconds):
                warm.append(seconds)
                if len(warm) == WARM_STARTS:
                    await asyncio.sleep(IDLE_SECONDS)
                    idle = memory(pid)
        show("start_s", "warm", sorted(warm)[WARM_STARTS // 2], 2)
        show("idle_mib", "rss", idle.rss)
        show("idle_mib", "pss", idle.pss)


@asynccontextmanager
async def _started(variables: Mapping[str, str]) -> AsyncIterator[tuple[int, float]]:
    """Run `gptagent up`; hand out its pid and the seconds until it says that it is ready."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gptagent", "up", stdout=asyncio.subprocess.PIPE, env=dict(variables)
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not (line := await process.stdout.readline()).startswith(b"ready "):
                if not line:
                    raise RuntimeError("the platform ended before it was ready")
        reader = asyncio.create_task(process.stdout.read())  # a full pipe would hold the platform up
        yield process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        await process.wait()
    await reader


if __name__ == "__main__":
    asyncio.run(main())
