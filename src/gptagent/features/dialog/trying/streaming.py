"""What the model says, shown while it says it: server-sent events for the page of a test chat."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import StreamingResponse

from gptagent.features.dialog.trying.model import Played
from gptagent.kernel.errors import AppError

LOOK_EVERY_SECONDS = 0.15
# The browser comes again at once, and is let in anew: whoever was put out hears no more after this.
LIFE_SECONDS = 4.0

Read = Callable[[], Awaitable[Played]]


def streamed(read: Read) -> StreamingResponse:
    """Return the stream of one message: `draft` with all that was said so far, `over` at the end."""
    return StreamingResponse(
        _events(read),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(read: Read) -> AsyncIterator[bytes]:
    yield b"retry: 100\n\n"
    until, last = time.monotonic() + LIFE_SECONDS, None
    while time.monotonic() < until:
        try:
            played = await read()
        except AppError:  # it was deleted meanwhile
            yield _event("over", "")
            return
        if played.is_over:
            yield _event("over", "")
            return
        if played.draft != last:
            last = played.draft
            yield _event("draft", last)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _event(name: str, text: str) -> bytes:
    data = json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n".encode()
