"""A load generator: a process of its own, so that its work does not delay the answers it times.

Reads a plan as JSON from standard input and prints what happened as JSON. Requests leave at their time
whether or not the ones before are answered, and the wait runs from that time: a stall cannot be hidden.
`{id}` in path or body becomes a new id in each request.
"""

import asyncio
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec
import uvloop

CONNECTIONS = 64
ANSWER_SECONDS = 20.0
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shot:
    """One request. `label` groups its time with others."""

    label: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def encode(self, host: str) -> bytes:
        unique = str(uuid4())
        body = self.body.replace("{id}", unique).encode()
        lines = [f"{self.method} {self.path.replace('{id}', unique)} HTTP/1.1", f"host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"content-length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` is in requests a second; 0 means as fast as answers come. Shots are taken in turn."""

    host: str
    port: int
    shots: Sequence[Shot]
    rate: float
    seconds: float
    connections: int = CONNECTIONS


@dataclass(slots=True)
class Result:
    """`waits` are milliseconds by label; `statuses` counts the answers; `took` is in seconds."""

    waits: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    took: float = 0.0

    @property
    def answered(self) -> int:
        return sum(map(len, self.waits.values()))

    def note(self, label: str, status: int, wait_ms: float) -> None:
        self.waits.setdefault(label, []).append(wait_ms)
        self.statuses[status] = self.statuses.get(status, 0) + 1


async def fire(plan: Plan) -> Result:
    """Run the plan in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(msgspec.json.encode(plan))
    if process.returncode:
        raise RuntimeError("the load generator failed")
    return msgspec.json.decode(out, type=Result)


async def play(plan: Plan) -> Result:
    result = Result()
    # Work waits here for a free connection, with the moment at which it was due.
    due: asyncio.Queue[tuple[float, Shot] | None] = asyncio.Queue(0 if plan.rate else plan.connections)
    async with asyncio.TaskGroup() as group:
        for _ in range(plan.connections):
            group.create_task(_shoot(plan, due, result))
        started = time.perf_counter()
        await _schedule(plan, due, started)
        for _ in range(plan.connections):
            await due.put(None)
    result.took = time.perf_counter() - started
    return result


async def _schedule(plan: Plan, due: "asyncio.Queue[tuple[float, Shot] | None]", started: float) -> None:
    number = 0
    while (now := time.perf_counter()) < started + plan.seconds:
        at = started + number / plan.rate if plan.rate else now
        if at >= started + plan.seconds:
            return
        await asyncio.sleep(max(0.0, at - now))
        await due.put((at, plan.shots[number % len(plan.shots)]))
        number += 1


async def _shoot(plan: Plan, due: "asyncio.Queue[tuple[float, Shot] | None]", result: Result) -> None:
    reader, writer = await asyncio.open_connection(plan.host, plan.port)
    host = f"{plan.host}:{plan.port}"
    while (work := await due.get()) is not None:
        at, shot = work
        at = at if plan.rate else time.perf_counter()
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(shot.encode(host))
            status = await _answer(reader)
        result.note(shot.label, status, (time.perf_counter() - at) * 1000)
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer with a length or in chunks; return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length:
        await reader.readexactly(int(length[1]))
    elif b"chunked" in head.lower():
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return int(head.split(b" ", 2)[1])


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(play(plan))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
