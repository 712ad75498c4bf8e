"""Search by meaning and reranking with real processes: a worker works, pages tell, commands make it anew."""

import asyncio
import re
import subprocess
import sys
from urllib.parse import urlsplit

import httpx2
import pytest

from cast import make_scope
from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.settings import child_environment
from gptagent.sandbox.spawn import running
from readers import reader_of
from servers import serving, working

ARTICLES = 12
CANARY = "canary-9f3"
PROVED = re.compile(r"(?m)^(\d+) .* questions  (\w+) .* kept$")


@pytest.fixture(scope="module")
def provider():
    with running("llm") as url:
        yield url


@pytest.fixture(scope="module")
def settings(provider):
    parts = urlsplit(provider)
    return {
        "EMBEDDING_BASE_URL": f"{provider}/v1",
        "EMBEDDING_API_KEY": "sk-canary",
        "EMBEDDING_MODEL": "sandbox-embedding",
        "RERANKER_BASE_URL": f"{provider}/v1",
        "RERANKER_API_KEY": "sk-canary",
        "RERANKER_MODEL": "sandbox-reranker",
        "EGRESS_ALLOW": f"{parts.hostname}:{parts.port}",
    }


def gptagent(home, settings, *words):
    done = subprocess.run(
        [sys.executable, "-m", "gptagent", *words],
        env={**child_environment(), "GPTAGENT_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def embedded(database, scope):
    async with database.session(scope) as session:
        return await session.fetchval(
            """select count(*) from app.chunk_vector v join app.vector_index i on i.id = v.index_id
                where i.ready_at is not null and i.lease_until < now()"""
        )


async def reranked(database, scope):
    async with database.session(scope) as session:
        return await session.fetchval("select count(*) from app.reranking where measured_at is not null")


@pytest.mark.timeout(900)  # a dozen processes are started
async def test_a_worker_embeds_each_base_the_page_tells_and_it_can_be_made_anew(
    home, database, settings, provider
):
    """KB-16, KB-22, KB-27"""
    scope, other = await make_scope(database, "Alice's"), await make_scope(database, "Charlie's")
    for ticket, word in ((scope, "доставка"), (other, CANARY)):
        async with database.session(ticket) as session:
            for number in range(ARTICLES):
                new = NewArticle(f"Статья {number}", f"Это {word} номер {number}, и ничего больше.")
                await service.create_article(session, new, now=utcnow())
        async with database.session(ticket) as session:  # a worker asks once a minute: the tests do not wait
            await session.enqueue("knowledge.embed", {})
    # Beside another web process: requests are counted in no Redis, which stops nothing here.
    settings = settings | {"REDIS_URL": "redis://:secret@127.0.0.1:1/0"}
    with serving(home, **settings) as web, working(home, **settings) as worker:
        worker.used.add("sk-canary")
        await until(worker, lambda: embedded(database, scope), ARTICLES)
        await until(worker, lambda: embedded(database, other), ARTICLES)
        worker.until("the provider is known to answer", lambda: "embedder_ready" in worker.log)
        async with reader_of(web.url, database, scope) as alice:
            page = await alice.open("/knowledge-meaning")
            assert page.status_code == 200
            assert "sandbox-embedding" in page.text and "12 of 12" in page.text
            assert CANARY not in page.text
            assert "/knowledge-meaning" in (await alice.open("/knowledge-gaps")).text, "the tab is there"
            measured = await alice.follow(await alice.send("/knowledge-meaning/measure"))
            assert "It is being measured" in measured.text
            assert "/knowledge-reranking" in measured.text, "the tab is there"
            measured = await alice.follow(await alice.send("/knowledge-reranking/measure"))
            assert "It is being measured" in measured.text and "sandbox-reranker" in measured.text
            await until(worker, lambda: reranked(database, scope), 1)
            page = await alice.open("/knowledge-reranking")
            assert "MRR" in page.text and CANARY not in page.text
        code, said = gptagent(home, settings, "knowledge", "rebuild")
        assert code == 0, said
        assert said.count(f"{ARTICLES} passages") >= 2
        async with database.session(scope) as session:
            own = str((await organizations.get_settings(session)).number)
        async with database.session(other) as session:
            others = str((await organizations.get_settings(session)).number)
        ways = [(number, way) for number in (own, others) for way in ("words", "meaning", "fused")]
        assert [one for one in PROVED.findall(said) if one in ways] == ways and "NOT PROVED" not in said
        await until(worker, lambda: embedded(database, scope), ARTICLES)
        code, said = gptagent(home, settings, "upgrade", "--check")
        assert code == 0, said
        assert "recall@5 1.000 -> 1.000" in said and "WORSE" not in said
        assert [one for one in PROVED.findall(said) if one in ways] == ways
        assert gptagent(home, settings, "knowledge", "rebuild", "--workspace", "1")[0] == 66
        measure = ("knowledge", "measure", "--workspace", own, "--at-least")
        code, said = gptagent(home, settings, *measure, "0.9")
        assert code == 0 and said.startswith(own) and "recall@5 1.000" in said, said
        for log in (web.log, worker.log):
            assert "sk-canary" not in log and CANARY not in log and "доставка" not in log
    code, said = gptagent(home, settings, "doctor")
    assert "ok       embeddings  127.0.0.1 answers 256 dimensions" in said
    assert "ok       reranking   127.0.0.1 answers in " in said
    httpx2.post(f"{provider}/_sandbox/faults", json={"action": "wrong_size"}).raise_for_status()
    code, said = gptagent(home, settings | {"EMBEDDING_DIMENSIONS": "64"}, "doctor")
    assert code == 1
    assert "PROBLEM  embeddings  The embedding model answers with 65 dimensions." in said
    assert "PROBLEM  reranking   What the reranking provider answers is no order." in said


async def until(worker, count, wanted):
    """Wait for a count in the database, as long as the worker lives."""
    for _ in range(1200):
        if await count() == wanted:
            return
        assert worker.process.poll() is None, worker.log[-2000:]
        await asyncio.sleep(0.1)
    raise AssertionError(f"{await count()} of {wanted}\n{worker.log[-2000:]}")
