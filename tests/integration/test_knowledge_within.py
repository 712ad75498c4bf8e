"""A part of the base is asked: what is in some categories or below them, and nothing else."""

import io
import zipfile

import pytest

from gptagent.features.knowledge import jobs, service
from gptagent.features.knowledge import store as pieces
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import TXT, ZIP, NewArticle, NewDocument, Piece
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.sites import service as sites
from gptagent.features.knowledge.sites import store as site_store
from gptagent.features.knowledge.sites.model import Content, NewSite
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from integration.test_knowledge_documents import Desk


@pytest.fixture
def desk(database, scope, tmp_path):
    return Desk(database, LocalFiles(tmp_path / "files"), scope)


async def make(session, title, parent=None):
    new = NewCategory(title, parent_id=parent.id if parent else None)
    return await categories.create_category(session, new, now=utcnow())


async def write(session, title, content, *places, related=()):
    new = NewArticle(title, content, categories=tuple(one.id for one in places), related=tuple(related))
    return await service.create_article(session, new, now=utcnow())


async def shop(session):
    """Two shops of one company; below the first one the delivery of its own."""
    watches, sofas = await make(session, "Watches"), await make(session, "Sofas")
    below = await make(session, "Delivery of watches", watches)
    return watches, below, sofas


async def titles(session, question, *places, limit=5):
    within = service.within([one.id for one in places])
    found = await service.search(session, question, limit=limit, within=within)
    return [one.source_title for one in found]


async def test_only_the_categories_and_those_below_are_searched_before_the_limit(database, scope):
    """AGT-16, KB-17: nine better passages elsewhere do not push the one in its place out."""
    async with database.session(scope) as session:
        watches, below, sofas = await shop(session)
        await write(session, "Courier", "A courier brings what was bought, delivery is free.", below)
        for n in range(9):
            await write(session, f"Sofa {n}", f"Delivery delivery delivery of sofa {n}.", sofas)
        assert await titles(session, "delivery", watches, limit=1) == ["Courier"]
        assert await titles(session, "delivery", below, limit=1) == ["Courier"]
        assert "Courier" not in await titles(session, "delivery", sofas)
        assert len(await titles(session, "delivery", watches, sofas, limit=20)) == 10
        assert await titles(session, "delivery") == []
        assert len(await service.search(session, "delivery", limit=20, within=service.within(None))) == 10


async def test_what_is_moved_deleted_or_in_the_default_category_counts_at_once(database, scope):
    async with database.session(scope) as session:
        watches, below, sofas = await shop(session)
        await write(session, "Courier", "A courier brings what was bought.", below)
        await write(session, "Anywhere", "A courier of nobody in particular.")
        assert await titles(session, "courier", watches) == ["Courier"]
        await categories.update_category(session, below.id, {"parent_id": sofas.id}, now=utcnow())
        assert await titles(session, "courier", watches) == []
        assert await titles(session, "courier", sofas) == ["Courier"]
        await categories.delete_category(session, sofas.id, cascade=True, now=utcnow())
        assert await titles(session, "courier", sofas) == []
        default = (await categories.read_tree(session)).default()
        assert sorted(await titles(session, "courier", default)) == ["Anywhere", "Courier"]


async def test_a_word_known_elsewhere_only_is_misspelt_here(database, scope):
    async with database.session(scope) as session:
        watches, _below, sofas = await shop(session)
        await write(session, "Straps", "The bracelet is made of steel.", watches)
        await write(session, "Odd", "Bracelat is a town with a sofa.", sofas)
        question = "of what is the bracelat?"
        assert await titles(session, question, watches) == ["Straps"]
        assert await titles(session, question, sofas) == ["Odd"]
        assert await titles(session, "bracelett", sofas) == ["Odd"], "nor taken for a word of elsewhere"
        within = service.within([watches.id])
        found = await service.search(session, question, within=within)
        quotes = await service.best_sentences(session, question, found, within=within)
        assert [one.text for one in quotes] == ["The bracelet is made of steel."]


async def test_related_articles_come_along_from_the_same_part_only(database, scope):
    """KB-6"""
    async with database.session(scope) as session:
        watches, below, sofas = await shop(session)
        here = await write(session, "Box", "Each comes in a box of its own.", below)
        there = await write(session, "Legs", "Its legs are packed apart.", sofas)
        await write(
            session, "Warranty", "The warranty lasts two years.", watches, related=(here.id, there.id)
        )
        for within, expected in (
            (None, ["Warranty", "Box", "Legs"]),
            (service.within([watches.id]), ["Warranty", "Box"]),
        ):
            question = "How long does the warranty last?"
            found = await service.search(session, question, within=within)
            passages = await service.add_related(session, question, found, within=within)
            assert [one.source_title for one in passages] == expected


async def test_a_document_is_found_where_it_was_put_and_nowhere_without_a_place(desk):
    """KB-17, AGT-16"""
    async with desk.db.session(desk.scope) as session:
        watches, below, sofas = await shop(session)
    document = (await desk.upload(b"The showroom opens at nine.", name="hours.txt")).document
    await desk.ingest(document.id)
    question = "When does the showroom open?"

    async def found(*places):
        async with desk.db.session(desk.scope) as session:
            return await titles(session, question, *places)

    assert await found(watches, sofas) == []
    async with desk.db.session(desk.scope) as session:
        placed = await service.place_document(session, document.id, [below.id, sofas.id])
        assert set(placed.categories) == {below.id, sofas.id}
    assert await found(watches) == await found(sofas) == ["hours"]
    async with desk.db.session(desk.scope) as session:
        with pytest.raises(Invalid) as refused:
            await service.place_document(session, document.id, [new_id()])
        assert [fault.pointer for fault in refused.value.fields] == ["categories"]
        with pytest.raises(Conflict) as full:
            await categories.delete_category(session, below.id, cascade=False, now=utcnow())
        assert full.value.code == "category_not_empty"
        assert (await categories.get_category(session, below.id)).documents == 1
        await service.place_document(session, document.id, [watches.id])
    actions = await desk.fetch("select action from app.audit_event where target_id = $1", str(document.id))
    assert actions.count(("document.updated",)) == 2
    assert await found(sofas) == []
    async with desk.db.session(desk.scope) as session:
        await categories.delete_category(session, watches.id, cascade=True, now=utcnow())
        assert (await service.get_document(session, document.id)).categories == ()


async def test_an_upload_says_where_it_goes_also_the_second_time_and_for_an_archive(desk):
    async with desk.db.session(desk.scope) as session:
        watches, _below, sofas = await shop(session)

    async def upload(data, mime, name, *places):
        async def chunks():
            yield data

        key = desk.scope.key("documents", new_id().hex)
        stored = await desk.files.put(key, chunks(), max_bytes=10_000)
        chosen = tuple(one.id for one in places)
        new = NewDocument(name, mime, stored.size_bytes, stored.sha256, stored.key, chosen)
        async with desk.db.session(desk.scope) as session:
            return (await service.register_document(session, new, now=utcnow())).document

    first = await upload(b"The price is one rouble.", TXT, "prices.txt", watches)
    assert first.categories == (watches.id,)
    again = await upload(b"The price is two roubles.", TXT, "prices.txt")
    assert (again.id, again.categories) == (first.id, (watches.id,)), "it stays where it was"
    moved = await upload(b"The price is two roubles.", TXT, "prices.txt", sofas)
    assert (moved.id, moved.categories) == (first.id, (sofas.id,))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.txt", "A rouble is a rouble.")
        archive.writestr("copy.txt", "The price is two roubles.")
        archive.writestr("terms.txt", "Payment within five days.")
    terms = await upload(b"Payment within three days.", TXT, "terms.txt", sofas)
    whole = await upload(packed.getvalue(), ZIP, "all.zip", watches)
    await jobs.ingest(desk, str(whole.id))
    async with desk.db.session(desk.scope) as session:
        found = {d.file_name: d for d in await service.list_documents(session)}
    assert found["inner.txt"].categories == (watches.id,)
    for there in (first, terms):
        kept = found[there.file_name]
        assert (kept.id, kept.categories) == (there.id, (sofas.id,)), "what was there is not moved"
    assert found["terms.txt"].sha256 != terms.sha256 and "copy.txt" not in found


async def test_all_pages_of_a_site_are_where_the_site_is(database, scope):
    async with database.session(scope) as session:
        watches, _below, sofas = await shop(session)
        new = NewSite("page", f"https://{new_id().hex}.example.test/", categories=(watches.id,))
        site = await sites.add_site(session, new, now=utcnow())
        page_id = new_id()
        await session.execute(
            """insert into app.site_page (id, site_id, kind, url, depth, run)
               values ($1, $2, 'page', $3, 0, 1)""",
            page_id,
            site.id,
            site.url,
        )
        content = Content("Page", "page.html", "text/html", 1, new_id().hex, new_id().hex, "digest")
        document_id = await site_store.put_document(session, page_id, site.url, content, utcnow())
        said = Piece("", None, "Repairs take a week.", "repairs take a week")
        await pieces.insert_pieces(session, "document", document_id, [said], 0)
        assert await titles(session, "repairs", watches) == ["Page"]
        assert await titles(session, "repairs", sofas) == []
        assert (await service.get_document(session, document_id)).categories == (watches.id,)
        with pytest.raises(Conflict) as refused:
            await service.place_document(session, document_id, [sofas.id])
        assert refused.value.code == "document_of_site"
        changed = await sites.update_site(session, site.id, {"categories": [sofas.id]}, now=utcnow())
        assert (changed.categories, changed.version) == ((sofas.id,), site.version + 1)
        assert await titles(session, "repairs", sofas) == ["Page"]
        assert (await categories.get_category(session, sofas.id)).sites == 1
        with pytest.raises(Invalid):
            await sites.update_site(session, site.id, {"categories": [new_id()]}, now=utcnow())
        kept = await sites.update_site(session, site.id, {"every": "daily"}, now=utcnow())
    assert kept.categories == (sofas.id,)


async def test_the_bench_shows_what_a_part_of_the_base_finds(database, scope):
    async with database.session(scope) as session:
        watches, _below, sofas = await shop(session)
        await write(session, "Warranty", "The warranty of a watch lasts two years.", watches)
        question = "How long does the warranty of a watch last?"
        for within, is_answerable in ((None, True), ([watches.id], True), ([sofas.id], False)):
            trial = await questions.try_question(session, question, within=service.within(within))
            assert trial.is_answerable is is_answerable
            assert bool(trial.passages) is bool(trial.quotes) is is_answerable
