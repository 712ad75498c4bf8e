"""An agent's own files: found by nobody but that agent, whatever way is taken."""

import io
import zipfile

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.agents.asking import list_askers
from gptagent.features.conversations.attaching.service import discard_files
from gptagent.features.dialog.trying import service as trying
from gptagent.features.dialog.trying.model import NewChat
from gptagent.features.knowledge import retrieval, service
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.checks import jobs as checks
from gptagent.features.knowledge.checks import service as checking
from gptagent.features.knowledge.extraction import store as reading
from gptagent.features.knowledge.model import TXT, ZIP, NewArticle
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.questions import store as question_store
from gptagent.features.knowledge.questions.asking import part_asked
from gptagent.features.knowledge.quota.service import read_usage
from gptagent.features.knowledge.vectors import store as vectors
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.files import LocalFiles
from gptagent.sandbox.spawn import running
from integration.test_knowledge_documents import Desk
from integration.vector_desk import BASE, desk_at
from scenes import Scene
from worlds import NOT_FOUND

SECRET = "The wholesale price of the lantern is 700 roubles."
LANTERN = "Delivery of a lantern costs 300 roubles. Ann Lee helps."
QUESTION = "What is the wholesale price of the lantern?"


@pytest.fixture(scope="module")
def provider():
    with running("llm") as url:
        yield url


@pytest.fixture
def desk(database, scope, tmp_path):
    return Desk(database, LocalFiles(tmp_path / "files"), scope)


@pytest.fixture
async def pair(database, scope):
    """Two agents."""
    async with database.session(scope) as session:
        return [await agents.create_agent(session, name, locale="en") for name in ("Anna", "Boris")]


async def give(desk, agent, text=SECRET, name="Prices.txt"):
    """Have the agent know a file."""
    document = (await desk.upload(text.encode(), TXT, name, agent.id)).document
    done = await desk.ingest(document.id, agent.id)
    assert done.status == "completed"
    return done


async def found(desk, question, agent=None, places=None, **by):
    async with desk.db.session(desk.scope) as session:
        within = service.within(places, agent_id=agent.id if agent else None)
        return [one.source_title for one in await service.search(session, question, within=within, **by)]


async def test_a_fact_of_a_file_is_found_by_its_agent_and_by_nobody_else(desk, pair):
    """U130, KB-17: words, misspelt words, quotes, the bench; whatever the categories say"""
    anna, boris = pair
    await give(desk, anna)
    async with desk.db.session(desk.scope) as session:
        await service.create_article(session, NewArticle("Lamps", "A lamp is made of brass."), now=utcnow())
        empty = await categories.create_category(session, NewCategory("Empty"), now=utcnow())
    for places in (None, [], [empty.id]):
        assert await found(desk, QUESTION, anna, places) == ["Prices"]
        assert await found(desk, QUESTION, boris, places) == []
        assert await found(desk, QUESTION, None, places) == []
    assert await found(desk, "wholesale price of the lantrn", anna) == ["Prices"]
    async with desk.db.session(desk.scope) as session:
        for asker, quoted in ((anna.id, [SECRET]), (boris.id, []), (None, [])):
            part = await part_asked(session, list_askers, asker, ())
            trial = await questions.try_question(session, QUESTION, within=part)
            assert [one.text for one in trial.quotes] == quoted
            asking = await service.read_question(session, "lantrn", part)
            assert bool(asking.respelt) == bool(quoted), "a word that only this agent's file holds is known"
            put_in_order = await retrieval.candidates(session, QUESTION, limit=9, within=part)
            assert [one.source_title for one in put_in_order] == ["Prices"] * len(quoted)
            opening = await service.opening_questions(session, part, 5)
            assert ("Prices" in opening) == bool(quoted)


async def test_a_file_is_found_by_meaning_by_its_agent_only(database, scope, provider, pair, tmp_path):
    """U130, KB-15: by the exact scan and by signs; a question shares no word with the file"""
    anna, boris = pair
    files = Desk(database, LocalFiles(tmp_path / "files"), scope)
    async with desk_at(provider, database, scope) as desk:
        await desk.save_questions(await desk.write(BASE))
        await give(files, anna, "Фонари мы доставляем курьером за три дня.", "Фонари.txt")
        await desk.embed()
        meaning = await Understanding(desk.embedder).understand(database, scope, "courier delivery")
    assert meaning is not None
    for exact_max in (vectors.EXACT_MAX, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vectors, "EXACT_MAX", exact_max)
            for places in (None, []):
                assert "Фонари" in await found(files, "courier delivery", anna, places, meaning=meaning)
                for other in (boris, None):
                    assert "Фонари" not in await found(
                        files, "courier delivery", other, places, meaning=meaning
                    )
    async with database.session(scope) as session:
        for agent, is_found in ((anna, True), (boris, False)):
            part = service.within(None, agent_id=agent.id)
            trial = await questions.try_question(session, "courier delivery", meaning, within=part)
            told = {one.source_title for leg in trial.legs for one in leg.passages}
            assert ("Фонари" in told) == is_found


async def test_what_is_every_agents_is_not_read_from_one_agents_file(desk, pair):
    """KB-20, KB-29: graph, contradictions, samples, the bench's sources, counts and the list of documents"""
    anna, _ = pair
    document = await give(desk, anna, LANTERN)
    async with desk.db.session(desk.scope) as session:
        new = NewArticle("Delivery", "Delivery of a lantern costs 500 roubles.")
        article = await service.create_article(session, new, now=utcnow())
        assert await reading.waiting_sources(session) == [article.id]
        assert await reading.next_passages(session, document.id, utcnow(), 9) == []
        assert (await reading.read_progress(session, utcnow().date())).waiting == 1
        excerpts = await question_store.choose_excerpts(session, 9)
        assert {one.source_id for one in excerpts} == {article.id}
        assert await question_store.find_titles(session, "Prices", 9) == []
        assert await question_store.find_named(session, [("document", "Prices")]) == {}
        counts = await service.count_sources(session)
        assert (counts.completed_documents, counts.active_articles) == (0, 1)
        assert await service.list_documents(session) == []
        await checking.request_check(session, now=utcnow())
    await checks.scan(desk)
    async with desk.db.session(desk.scope) as session:
        assert (await checking.find_findings(session, "contradictions", limit=9))[0] == []
        with pytest.raises(NotFound):
            await service.get_document(session, document.id)
        with pytest.raises(NotFound):
            await service.place_document(session, document.id, ())
    shared = (await desk.upload(LANTERN.encode(), TXT, "Prices.txt")).document
    await desk.ingest(shared.id)
    async with desk.db.session(desk.scope) as session:
        assert shared.id in await reading.waiting_sources(session)
        await checking.request_check(session, now=utcnow())
    await checks.scan(desk)
    async with desk.db.session(desk.scope) as session:
        ((finding,), _total) = await checking.find_findings(session, "contradictions", limit=9)
    sides = {finding.side.source.id, finding.other.source.id}
    assert sides == {article.id, shared.id}, "the same text of the workspace is read"


async def test_the_same_bytes_and_names_are_apart_for_each_owner(desk, pair):
    """U130: one and the same file is the workspace's and two agents'; a new one takes the owner's place"""
    owners = [None, *(one.id for one in pair)]
    texts = [SECRET.encode()] * 3
    first = [await desk.upload(text, TXT, "Prices.txt", one) for text, one in zip(texts, owners, strict=True)]
    assert all(one.is_new and one.replaced_key is None for one in first)
    assert len({one.document.id for one in first}) == 3
    again = await desk.upload(SECRET.encode(), TXT, "Again.txt", pair[0].id)
    assert not again.is_new and again.document.id == first[1].document.id
    async with desk.db.session(desk.scope) as session:
        assert (await read_usage(session)).storage_bytes == 3 * len(SECRET)
    other = await desk.upload(b"Other prices.", TXT, "Prices.txt", pair[0].id)
    assert other.document.id == first[1].document.id and other.replaced_key == first[1].document.blob_key
    for owner, one in zip([owners[0], owners[2]], [first[0], first[2]], strict=True):
        assert (await desk.get(one.document.id, owner)).sha256 == one.document.sha256


async def test_files_of_an_archive_are_the_agents_too(desk, pair):
    """KB-9"""
    anna, boris = pair
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Prices.txt", SECRET)
    document = (await desk.upload(packed.getvalue(), ZIP, "All.zip", anna.id)).document
    await desk.ingest(document.id, anna.id)
    async with desk.db.session(desk.scope) as session:
        listed = await service.list_documents(session, agent_id=anna.id)
        assert {one.file_name for one in listed} == {"All.zip", "Prices.txt"}
        assert await service.list_documents(session) == []
    for one in listed:
        await desk.ingest(one.id, anna.id)
    assert await found(desk, QUESTION, anna) == ["Prices"]
    assert await found(desk, QUESTION, boris) == [] == await found(desk, QUESTION)


async def test_deleting_an_agent_frees_the_bytes_of_its_files_and_copying_takes_none(desk, pair):
    """U130"""
    anna, boris = pair
    document, kept = await give(desk, anna), await give(desk, boris)
    async with desk.db.session(desk.scope) as session:
        copy = await agents.copy_agent(session, anna.id, locale="en")
        assert await service.list_documents(session, agent_id=copy.id) == []
        await agents.delete_agent(session, anna.id)
    assert await found(desk, QUESTION, copy) == []
    async with desk.db.session(desk.scope) as session:
        assert (await read_usage(session)).storage_bytes == len(SECRET)
    await discard_files(desk.db, desk.files)
    await desk.files.open_path(kept.blob_key)
    with pytest.raises(NotFound):
        await desk.files.open_path(document.blob_key)


async def test_a_file_for_an_agent_that_is_gone_is_not_kept(desk, pair):
    async with desk.db.session(desk.scope) as session:
        await agents.delete_agent(session, pair[0].id)
    with pytest.raises(Conflict):
        await desk.upload(SECRET.encode(), TXT, "Prices.txt", pair[0].id)


async def test_turns_answer_from_the_files_of_their_agent_only(world, tmp_path):
    """U130, AGT-16: in a real chat; a file of another agent is as if it were not there"""
    scene = await Scene.open(world)
    desk = Desk(world.db, LocalFiles(tmp_path / "files"), world.scope)
    async with world.db.session(world.scope) as session:
        (own,) = await agents.list_agents(session)
        other = await agents.create_agent(session, "Other", locale="en")
    await give(desk, other, name="Of another.txt")
    await scene.says(QUESTION)
    await scene.calm()
    assert (await scene.sent())[-1] == NOT_FOUND
    await give(desk, own)
    async with world.db.session(world.scope) as session:
        empty = await categories.create_category(session, NewCategory("Empty"), now=utcnow())
        kept = {"knowledge": {"all": False, "categories": [str(empty.id)]}}
        await agents.update_agent(session, own.id, kept)
    await scene.says("So what is the wholesale price of the lantern?")
    await scene.calm()
    assert SECRET in (await scene.sent())[-1]
    person = world.scope.actor.id
    async with world.db.session(world.scope) as session:
        for agent, told in ((own, True), (other, False)):
            chat = await trying.create_chat(session, person, NewChat(agent.id))
            assert ("Prices" in await trying.suggest_words(session, chat)) == told
