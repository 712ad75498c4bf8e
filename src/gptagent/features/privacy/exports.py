"""What is kept, as a file that is written while it is read.

A page of rows at a time, each in a transaction of its own: neither the rows nor a connection are held while
the reader takes its time. What was there when it began is in the file once, unless it is erased meanwhile;
what changes meanwhile is there as it was when its page was read.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from gptagent.features.privacy.keeping import store
from gptagent.kernel.db import Session

Open = Callable[[], AbstractAsyncContextManager[Session]]
Rows = AsyncIterator[list[str]]


async def pages_of(opened: Open, queries: Sequence[store.Query]) -> Rows:
    """Yield the queries' rows, each as JSON, page by page."""
    for query in queries:
        after: Sequence[object] | None = None
        while True:
            async with opened() as session:
                rows, after = await store.page(session, query, after)
            yield rows
            if after is None:
                break


async def written(parts: Mapping[str, Rows]) -> AsyncIterator[bytes]:
    """Yield one JSON object: a list of rows under the name of each kind."""
    lead = "{"
    for kind, pages in parts.items():
        yield f'{lead}"{kind}":['.encode()
        lead, between = "],", ""
        async for rows in pages:
            if rows:
                yield (between + ",".join(rows)).encode()
                between = ","
    yield b"]}"
