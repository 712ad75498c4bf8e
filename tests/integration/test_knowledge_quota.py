"""What the plan has room for: nobody gets past it, two at once neither, and everybody is told."""

import asyncio
from io import BytesIO

import pytest
from starlette.datastructures import UploadFile

from gptagent.features.knowledge import service
from gptagent.features.knowledge.attachments.upload import store_file
from gptagent.features.knowledge.exchange import service as exchange
from gptagent.features.knowledge.model import NewArticle, NewDocument
from gptagent.features.knowledge.quota.service import GIGABYTE, read_usage
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import AppError, Conflict
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope
from readers import texts

TEXT = "Long enough a text."


@pytest.fixture
async def small(database, scope):
    """The smallest plan: 500 articles, 1 GB."""
    async with database.session(scope) as session:
        await session.execute("update app.organization set plan = 'free'")
    return scope


async def register(database, scope: Scope, name: str, size: int):
    new = NewDocument(name, "text/plain", size, new_id().hex, new_id().hex)
    async with database.session(scope) as session:
        return await service.register_document(session, new, now=utcnow())


async def fill(database, scope, *, articles=0, rest=0):
    """Leave room for so many bytes, and have so many articles."""
    async with database.session(scope) as session:
        await session.execute(
            """insert into app.document (id, title, file_name, mime, size_bytes, sha256, blob_key,
                                         created_at, updated_at)
               values (gen_random_uuid(), 'Big', 'big.txt', 'text/plain', $1, 'big', 'big', now(), now())""",
            GIGABYTE - rest,
        )
        await session.execute(
            """insert into app.article (id, title, content, created_at, updated_at)
               select gen_random_uuid(), 'Filler', 'Long enough a text.', now(), now()
                 from generate_series(1, $1)""",
            articles,
        )


async def outcomes(*calls):
    done = await asyncio.gather(*calls, return_exceptions=True)
    return sorted(one.code if isinstance(one, AppError) else "done" for one in done)


async def test_of_two_articles_that_take_the_last_place_one_is_refused(database, small):
    """KB-8, U155"""
    await fill(database, small, articles=499)

    async def write():
        async with database.session(small) as session:
            await service.create_article(session, NewArticle("Last", TEXT), now=utcnow())

    assert await outcomes(write(), write()) == ["article_limit", "done"]
    async with database.session(small) as session:
        assert (await read_usage(session)).articles == 500


async def test_of_two_uploads_for_one_room_one_is_refused_and_bytes_are_counted(database, small, tmp_path):
    await fill(database, small, rest=100)
    both = (register(database, small, name, 60) for name in ("a.txt", "b.txt"))
    assert await outcomes(*both) == ["done", "storage_full"]
    async with database.session(small) as session:
        article = await service.create_article(session, NewArticle("Prices", TEXT), now=utcnow())
    files = LocalFiles(tmp_path)
    upload = UploadFile(BytesIO(b"x" * 60), filename="c.txt")
    with pytest.raises(Conflict, match="storage_full"):
        await store_file(database, files, small, article.id, upload, now=utcnow())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    fits = UploadFile(BytesIO(b"x" * 40), filename="c.txt")
    await store_file(database, files, small, article.id, fits, now=utcnow())
    async with database.session(small) as session:
        assert (await read_usage(session)).storage_bytes == GIGABYTE


async def test_a_file_that_takes_anothers_place_needs_only_what_it_is_larger_by(database, small):
    await fill(database, small, rest=100)
    await register(database, small, "a.txt", 100)
    assert (await register(database, small, "a.txt", 90)).is_new
    assert await outcomes(register(database, small, "a.txt", 101)) == ["storage_full"]


async def test_two_uploads_of_one_new_name_at_once_make_one_document(database, scope):
    names = [f"prices {number}.txt" for number in range(5)]
    await asyncio.gather(*(register(database, scope, name, size) for name in names for size in (1, 2, 3)))
    async with database.session(scope) as session:
        rows = await session.fetch("select file_name from app.document order by file_name")
    assert [row["file_name"] for row in rows] == names


async def test_the_pages_count_and_say_what_to_do(alice, dora, database, scope):
    """U133, U155"""
    page = await alice.open("/knowledge-base")
    assert "0 B of 100 GB used · 0 articles" in texts(page)
    async with database.session(scope) as session:
        await session.execute("update app.organization set plan = 'free'")
    await fill(database, scope, articles=500, rest=10)
    for reader in (alice, dora):
        page = await reader.open("/knowledge-items")
        assert "500 of 500 articles" in page.text
        assert "Delete what is not needed, or ask for a larger plan." in texts(page)
    typed = {"title": "One more", "content": TEXT, "is_active": "on"}
    refused = await alice.send("/knowledge-items/create", typed)
    assert refused.status_code == 409
    assert "The plan has room for 500 articles." in refused.text and "One more" in refused.text
    refused = await alice.send("/knowledge-base/documents", files={"files": ("a.txt", b"x" * 11)})
    assert "The plan's storage of 1 GB is full." in refused.text.replace("&#39;", "'")


async def test_an_import_beyond_the_plan_is_a_conflict_as_any_other_article_is(alice, database, small):
    """KB-8: nothing of the file is taken."""
    await fill(database, small, articles=499)
    data = f"title,content\nOne,{TEXT}\nTwo,{TEXT}\n".encode()
    with pytest.raises(Conflict, match="article_limit"):
        async with database.session(small) as session:
            await exchange.import_articles(session, data, now=utcnow())
    refused = await alice.send("/knowledge-items/import", {}, files={"file": ("a.csv", data)})
    assert refused.status_code == 409
    assert "The plan has room for 500 articles." in refused.text and "Nothing was taken." in refused.text
    async with database.session(small) as session:
        assert (await read_usage(session)).articles == 499
