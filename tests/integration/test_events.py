"""Facts and who hears them."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from gptagent.kernel.events import Event, Subscribers


@dataclass(frozen=True, slots=True)
class ArticleRead(Event):
    name: ClassVar[str] = "article.read"
    article_id: int
    reader: str


async def test_a_subscriber_in_the_transaction_hears_it_at_once(database, scope):
    heard = []

    async def hear(session, event):
        heard.append((event.article_id, session.scope.org_id))

    subscribers = Subscribers(in_transaction={ArticleRead: (hear, hear)})
    async with database.session(scope) as session:
        await subscribers.publish(session, ArticleRead(7, "anna"))
        await Subscribers().publish(session, ArticleRead(8, "anna"))
    assert heard == [(7, scope.org_id)] * 2


async def test_a_subscriber_that_fails_undoes_its_cause(database, scope):
    async def fail(session, event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with database.session(scope) as session:
            await session.publish("articles", "changed", {})
            await Subscribers(in_transaction={ArticleRead: (fail,)}).publish(session, ArticleRead(7, "anna"))
    async with database.session(scope) as session:
        assert await session.fetchval("select count(*) from app.live_event") == 0


async def test_an_outbox_subscriber_is_a_job_with_the_events_ids(database, scope):
    async with database.session(scope) as session:
        await Subscribers(outbox={ArticleRead: ("test.heard",)}).publish(session, ArticleRead(7, "anna"))
    async with database.installation() as session:
        rows = await session.fetch(
            "delete from jobs.pgqueuer where headers->>'org' = $1 returning entrypoint, payload",
            str(scope.org_id),
        )
    assert [tuple(row) for row in rows] == [("test.heard", b'{"article_id":"7","reader":"anna"}')]
