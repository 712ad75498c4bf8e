"""Documents on their way from an upload to an answer."""

import asyncio
import hashlib
from dataclasses import dataclass

import pytest

import knowledge_files as made
from gptagent.features.knowledge import jobs, service, store
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.extraction.service import EXTRACT_JOB
from gptagent.features.knowledge.model import FILE_MAX_BYTES, PDF, TXT, NewArticle, NewDocument, Piece
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict, NotFound, TooLarge
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

TEXT = "Гарантия на часы действует два года. Ремонт в Казани бесплатный.".encode()


@dataclass(frozen=True)
class Desk:
    """A job's context, and the reader's side of it."""

    db: Database
    files: LocalFiles
    scope: Scope

    async def upload(self, data=TEXT, mime=TXT, name="Гарантия.txt", agent_id=None):
        async def chunks():
            yield data

        stored = await self.files.put(
            self.scope.key("documents", new_id().hex), chunks(), max_bytes=FILE_MAX_BYTES
        )
        new = NewDocument(name, mime, stored.size_bytes, stored.sha256, stored.key, agent_id=agent_id)
        async with self.db.session(self.scope) as session:
            return await service.register_document(session, new, now=utcnow())

    async def get(self, document_id, agent_id=None):
        async with self.db.session(self.scope) as session:
            return await service.get_document(session, document_id, agent_id=agent_id)

    async def ingest(self, document_id, agent_id=None):
        await jobs.ingest(self, str(document_id))
        return await self.get(document_id, agent_id)

    async def record(self, claim, count, after_part=None):
        found = [Piece("", None, f"piece {n}", f"piece {n}") for n in range(count)]
        async with self.db.session(self.scope) as session:
            async for written in service.record_pieces(session, claim, found, now=utcnow()):
                if after_part:
                    await after_part(written)

    async def search(self, question):
        async with self.db.session(self.scope) as session:
            return await service.search(session, question)

    async def fetch(self, sql, *args):
        async with self.db.session(self.scope) as session:
            return [tuple(row) for row in await session.fetch(sql, *args)]


@pytest.fixture
def desk(database, scope, tmp_path):
    return Desk(database, LocalFiles(tmp_path / "files"), scope)


async def test_a_pdf_is_found_with_its_page_after_ingestion(desk):
    """KB-9, U134"""
    pages = [["Гарантия на часы действует два года."], ["Ремонт в Казани бесплатный."]]
    document = (await desk.upload(made.pdf(pages), PDF, "Прайс_2026.pdf")).document
    assert document.status == "pending" and await desk.search("ремонт часов в Казани") == []
    done = await desk.ingest(document.id)
    assert (done.status, done.progress, done.chunk_count, done.error_code) == ("completed", 100, 2, None)
    (found, *_) = await desk.search("ремонт в Казани")
    assert (found.source_kind, found.source_id, found.source_title, found.page) == (
        "document",
        document.id,
        "Прайс 2026",
        2,
    )


async def test_every_step_is_published_live(desk):
    """KB-11, U137"""
    document = (await desk.upload()).document
    await desk.ingest(document.id)
    events = await desk.fetch("select topic, kind, ids->>'document_id' from app.live_event order by id")
    assert events == [("documents", "changed", str(document.id))] * 4


async def test_the_same_bytes_are_the_same_document(desk):
    first = await desk.upload(name="a.txt")
    second = await desk.upload(name="b.txt")
    assert first.is_new and not second.is_new
    assert second.document.id == first.document.id
    assert await desk.fetch("select count(*)::int from app.document") == [(1,)]
    async with desk.db.installation() as session:
        queued = await session.fetchval(
            "select count(*) from jobs.pgqueuer where headers->>'org' = $1", str(desk.scope.org_id)
        )
    assert queued == 1


async def test_ingesting_twice_changes_nothing(desk):
    document = (await desk.upload()).document
    once = await desk.ingest(document.id)
    chunks = await desk.fetch("select id from app.chunk")
    assert await desk.ingest(document.id) == once
    assert await desk.fetch("select id from app.chunk") == chunks


async def test_a_run_after_a_killed_one_begins_anew(desk):
    document = (await desk.upload()).document
    async with desk.db.session(desk.scope) as session:
        stale = await service.claim_document(session, document.id, now=utcnow())
        await store.insert_pieces(session, "document", document.id, [Piece("", None, "x", "x")], 0)
    done = await desk.ingest(document.id)
    assert done.status == "completed" and done.attempts == stale.attempts + 1
    assert [text for (text,) in await desk.fetch("select content from app.chunk")] == [TEXT.decode()]


async def test_an_outdated_run_records_nothing(desk):
    document = (await desk.upload()).document
    async with desk.db.session(desk.scope) as session:
        stale = await service.claim_document(session, document.id, now=utcnow())
    done = await desk.ingest(document.id)
    with pytest.raises(Conflict):
        await desk.record(stale, 1)
    async with desk.db.session(desk.scope) as session:
        await service.fail_document(session, document.id, "damaged", attempt=stale.attempts, now=utcnow())
    assert await desk.get(document.id) == done
    assert [text for (text,) in await desk.fetch("select content from app.chunk")] == [TEXT.decode()]


async def test_an_unreadable_file_fails_with_a_reason_and_may_be_tried_again(desk):
    """KB-12, U138"""
    document = (await desk.upload(made.english_pdf("secret", password="x"), PDF, "s.pdf")).document
    failed = await desk.ingest(document.id)
    assert (failed.status, failed.error_code) == ("failed", "encrypted")
    assert "password" in failed.failure
    async with desk.db.session(desk.scope) as session:
        again = await service.retry_document(session, document.id, now=utcnow())
    assert (again.status, again.progress, again.error_code, again.failure) == ("pending", 0, None, None)
    assert (await desk.ingest(document.id)).attempts == 2


async def test_a_lost_file_and_a_dead_job_are_reasons_too(desk):
    lost = (await desk.upload()).document
    await desk.files.delete(lost.blob_key)
    assert (await desk.ingest(lost.id)).error_code == "file_missing"
    dead = (await desk.upload(b"other text")).document
    await jobs.give_up(desk, str(dead.id))
    assert (await desk.get(dead.id)).error_code == "internal"


async def test_only_a_failed_document_is_tried_again(desk):
    document = (await desk.upload()).document
    async with desk.db.session(desk.scope) as session:
        with pytest.raises(Conflict):
            await service.retry_document(session, document.id, now=utcnow())
        with pytest.raises(NotFound):
            await service.retry_document(session, new_id(), now=utcnow())


async def test_deleting_a_document_leaves_nothing_and_names_its_bytes(desk):
    """KB-20"""
    document = (await desk.upload()).document
    await desk.ingest(document.id)
    async with desk.db.session(desk.scope) as session:
        assert await service.delete_document(session, document.id) == document.blob_key
    assert await desk.search("гарантия на часы") == []
    assert await desk.fetch("select count(*)::int from app.posting") == [(0,)]
    assert await desk.fetch("select chunks::int, lexemes::int from app.lexical_stats") == [(0, 0)]


async def test_a_document_deleted_in_mid_ingestion_stays_deleted(desk):
    document = (
        await desk.upload("\n\n".join(f"Пункт {n}. " + "слово " * 150 for n in range(600)).encode())
    ).document
    run = asyncio.create_task(jobs.ingest(desk, str(document.id)))
    while (await desk.get(document.id)).status == "pending":  # noqa: ASYNC110 - the row is the event
        await asyncio.sleep(0.01)
    async with desk.db.session(desk.scope) as session:
        await service.delete_document(session, document.id)
    await run
    assert await desk.fetch("select count(*)::int from app.chunk") == [(0,)]


async def test_a_deletion_waits_for_the_recording_and_progress_does_not_wait_for_it(desk):
    document = (await desk.upload()).document
    deletions = []

    async def delete():
        async with desk.db.session(desk.scope) as session:
            await service.delete_document(session, document.id)

    async def note(_written):
        if not deletions:
            deletions.append(asyncio.create_task(delete()))
            await _until_waiting(desk.db)
        async with desk.db.session(desk.scope) as session:
            await service.note_progress(session, claim, 50, now=utcnow())

    async with desk.db.session(desk.scope) as session:
        claim = await service.claim_document(session, document.id, now=utcnow())
    await desk.record(claim, 500, note)
    await deletions[0]
    assert await desk.fetch("select count(*)::int from app.chunk") == [(0,)]


async def test_the_graph_waits_for_no_document_whose_passages_are_replaced(desk):
    """KB-21: nothing is claimed that could not be recorded, so no connection waits; it is looked at later"""
    document = (await desk.upload()).document
    async with desk.db.session(desk.scope) as session:
        await service.claim_document(session, document.id, now=utcnow())
        await store.insert_pieces(session, "document", document.id, [Piece("", None, "x", "x")], 0)
        article = NewArticle("Стулья", "- Стул — 3 200 ₽")
        source = (await service.create_article(session, article, now=utcnow())).id
        await session.execute("delete from jobs.pgqueuer where headers->>'org' = $1", str(desk.scope.org_id))
    read = "select count(*)::int from app.graph_reading"
    queued = "select count(*)::int from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2"

    async def note(_written):
        await GraphJobs(None).extract(JobContext(desk.db, None, desk.scope, 1, 1), str(source))
        assert await desk.fetch(read) == [(0,)]

    async with desk.db.session(desk.scope) as session:
        claim = await service.claim_document(session, document.id, now=utcnow())
    await desk.record(claim, 3, note)
    async with desk.db.installation() as session:
        assert await session.fetchval(queued, EXTRACT_JOB, str(desk.scope.org_id)) == 2
    await GraphJobs(None).extract(JobContext(desk.db, None, desk.scope, 1, 1), str(source))
    assert await desk.fetch(read) == [(1,)]


async def _until_waiting(db):
    waiting = "select count(*) from pg_locks where not granted"
    while True:
        async with db.installation() as session:
            if await session.fetchval(waiting):
                return
        await asyncio.sleep(0.01)


async def test_a_large_document_tells_its_progress_while_it_is_recorded(desk):
    """KB-11, U136"""
    paragraphs = "\n\n".join(f"Пункт {n}. " + "слово " * 150 for n in range(500))
    document = (await desk.upload(paragraphs.encode())).document
    done = await desk.ingest(document.id)
    assert done.chunk_count >= 500
    assert len(await desk.fetch("select id from app.live_event")) > 5


async def test_a_file_over_the_cap_is_refused(desk):
    """KB-10, U134"""
    new = NewDocument("big.txt", TXT, FILE_MAX_BYTES + 1, hashlib.sha256(b"").hexdigest(), "key")
    async with desk.db.session(desk.scope) as session:
        with pytest.raises(TooLarge):
            await service.register_document(session, new, now=utcnow())


async def test_another_workspace_sees_no_document(desk, other_scope):
    """KB-27"""
    document = (await desk.upload()).document
    await desk.ingest(document.id)
    stranger = Desk(desk.db, desk.files, other_scope)
    assert await stranger.search("гарантия на часы") == []
    async with desk.db.session(other_scope) as session:
        assert await service.list_documents(session) == []
        assert await service.claim_document(session, document.id, now=utcnow()) is None
        for verb in (
            service.delete_document(session, document.id),
            service.get_document(session, document.id),
        ):
            with pytest.raises(NotFound):
                await verb
    same = await stranger.upload()
    assert same.is_new and same.document.id != document.id


async def test_sources_are_counted_and_listed(desk):
    """U133"""
    first = (await desk.upload()).document
    second = (await desk.upload(b"another text", name="Second.txt")).document
    await desk.ingest(first.id)
    async with desk.db.session(desk.scope) as session:
        counts = await service.count_sources(session)
        listed = await service.list_documents(session)
        found = await service.list_documents(session, search="second")
    assert (counts.active_articles, counts.completed_documents) == (0, 1)
    assert [d.id for d in listed] == sorted((first.id, second.id), reverse=True)
    assert [d.id for d in found] == [second.id]
