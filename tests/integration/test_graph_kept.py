"""What of a graph stays and what goes: what a source said, what people corrected, what two write at once."""

import asyncio
from datetime import UTC, datetime

import pytest

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.articles.model import ArticleChange
from gptagent.features.knowledge.extraction import service as reading
from gptagent.features.knowledge.extraction import store
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.graph import service as graph
from gptagent.features.knowledge.graph.model import FactText
from gptagent.features.knowledge.graph.patterns import read_passage
from gptagent.features.knowledge.naming import store as naming
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import AppError
from integration.graph_desk import PATTERNS, cards, facts, progress, read, script, write

WAITING = "select count(*) from pg_locks, pg_sleep(0.01) where not granted"


async def test_what_only_a_changed_or_removed_source_said_goes(database, scope):
    first = await write(
        database, scope, "Первая", "ООО «Ромашка»: sales@romashka.example\n\n- Стул — 3 200 ₽"
    )
    second = await write(database, scope, "Вторая", "ООО «РОМАШКА плюс»\n\n- Стул — 3 200 ₽\n- Стул: 3 900 ₽")
    for article_id in (first, second):
        await read(PATTERNS, database, scope, article_id)
    assert facts((await cards(database, scope))["Стул"]) == {("price", "3 200 ₽"), ("price", "3 900 ₽")}
    async with database.session(scope) as session:
        change = ArticleChange(second, content="Здесь больше ничего не продают.")
        await knowledge.update_article(session, change, now=utcnow())
    await read(PATTERNS, database, scope, second)
    known = await cards(database, scope)
    assert set(known) == {"Первая", "ООО «Ромашка»", "Стул"}
    assert facts(known["Стул"]) == {("price", "3 200 ₽")}
    async with database.session(scope) as session:
        await knowledge.delete_article(session, first)
    assert await cards(database, scope) == {}
    async with database.session(scope) as session:
        for table in ("alias", "fact", "relation", "support", "reading"):
            left = await session.fetchval(f"select count(*) from app.graph_{table}")  # noqa: S608 - names above
            assert left in ({0, 1} if table == "reading" else {0}), table


async def test_what_a_person_corrected_survives_reading_anew(database, scope):
    article_id = await write(
        database, scope, "Цены", "ООО «Ромашка»\n\n- Стул — 3 200 ₽\n- Стол — 9 000 ₽\n- Шкаф — 1 000 ₽"
    )
    await read(PATTERNS, database, scope, article_id)
    known = await cards(database, scope)
    chair, desk, case, firm = (known[name].entity for name in ("Стул", "Стол", "Шкаф", "ООО «Ромашка»"))
    async with database.session(scope) as session:
        await graph.change_entity(session, firm.id, name="Ромашка", kind="location", now=utcnow())
        await graph.merge_entities(session, chair.id, desk.id, now=utcnow())
        await graph.delete_entity(session, case.id)
        (old,) = [fact for fact in (await graph.get_card(session, chair.id)).facts if "3 200" in fact.value]
        await graph.change_fact(session, chair.id, old.id, FactText("price", "3 500 ₽"), now=utcnow())
        (gone,) = [fact for fact in (await graph.get_card(session, chair.id)).facts if "9 000" in fact.value]
        await graph.delete_fact(session, chair.id, gone.id, now=utcnow())
        await graph.add_fact(session, chair.id, FactText("colour", "red"), now=utcnow())
    corrected = await cards(database, scope)
    assert set(corrected) == {"Цены", "Ромашка", "Стул"}
    async with database.session(scope) as session:
        await reading.read_anew(session, now=utcnow())
    await read(PATTERNS, database, scope, article_id)
    assert await progress(database, scope) == await progress(database, scope)
    again = await cards(database, scope)
    assert again == corrected
    assert again["Стул"].aliases == ("Стул", "Стол")
    assert facts(again["Стул"]) == {("price", "3 500 ₽"), ("colour", "red")}
    assert again["Ромашка"].entity.type == "location" and again["Ромашка"].entity.is_corrected
    async with database.session(scope) as session:
        change = ArticleChange(article_id, content="- Стол — 9 000 ₽\n- Шкаф — 1 000 ₽")
        await knowledge.update_article(session, change, now=utcnow())
    await read(PATTERNS, database, scope, article_id)
    last = await cards(database, scope)
    assert set(last) == {"Цены", "Ромашка", "Стул"}, "also when the passages are new ones"
    assert last["Ромашка"].entity.sources == 0 and last["Стул"].entity.sources == 1


async def test_a_relation_that_was_deleted_is_not_read_from_another_version_of_its_article(database, scope):
    """KB-21: though only it has named the other entity"""
    article_id = await write(database, scope, "Prices", "- Chair — 3 200 ₽\n- Table — 9 000 ₽")
    await read(PATTERNS, database, scope, article_id)
    book = (await cards(database, scope))["Prices"]
    (chair,) = [one for one in book.relations if one.other_name == "Chair"]
    async with database.session(scope) as session:
        await graph.delete_relation(session, book.entity.id, chair.id, now=utcnow())
        change = ArticleChange(article_id, content="- Table — 9 000 ₽\n- Chair — 3 300 ₽")
        await knowledge.update_article(session, change, now=utcnow())
    await read(PATTERNS, database, scope, article_id)
    again = await cards(database, scope)
    assert [one.other_name for one in again["Prices"].relations] == ["Table"]
    assert facts(again["Chair"]) == {("price", "3 300 ₽")}


async def test_a_name_that_was_taken_off_is_not_read_as_one_of_that_entity_again(
    database, scope, model, control
):
    """KB-21: also of another version or once merged; it may be another entity's, and be given back"""

    by_model = GraphJobs(model, pause=0)

    def product(name, *aliases):
        return {"passage": 1, "type": "product", "name": name, "aliases": list(aliases), "confidence": 0.9}

    async def names(found):
        async with database.session(scope) as session:
            return set((await graph.get_card(session, found)).aliases)

    both = [product("Armchair Comfort", "Cosy", "Old Oak"), product("Desk Classic")]
    script(control, {"match": "Comfort", "json": {"entities": both, "relations": []}})
    text = "Armchair Comfort, which some call Cosy, or Old Oak, stands beside Desk Classic."
    article_id = await write(database, scope, "Chairs", text)
    await read(by_model, database, scope, article_id)
    known = await cards(database, scope)
    chair = known["Armchair Comfort"].entity.id
    assert await names(chair) == {"Armchair Comfort", "Cosy", "Old Oak"}
    async with database.session(scope) as session:
        for wrong, code in (("Armchair Comfort", "graph_alias_shown"), ("Nothing", "graph_alias_not_found")):
            with pytest.raises(AppError) as refused:
                await graph.delete_alias(session, chair, wrong, now=utcnow())
            assert refused.value.code == code
        await graph.delete_alias(session, chair, "Cosy", now=utcnow())
        assert await naming.find_names(session, ["cosi"], always=True) == []
        assert await naming.find_names(session, ["comfort", "armchair"], always=True) != []
    for change in (None, f"{text} It is new."):
        async with database.session(scope) as session:
            if change:
                await knowledge.update_article(
                    session, ArticleChange(article_id, content=change), now=utcnow()
                )
            await reading.read_anew(session, now=utcnow())
        await read(by_model, database, scope, article_id)
        assert await names(chair) == {"Armchair Comfort", "Old Oak"}
    script(control, {"match": "Comfort", "json": {"entities": [*both, product("Cosy")], "relations": []}})
    desk = (await cards(database, scope))["Desk Classic"].entity.id
    async with database.session(scope) as session:
        await graph.merge_entities(session, desk, chair, now=utcnow())
        await reading.read_anew(session, now=utcnow())
    await read(by_model, database, scope, article_id)
    assert await names(desk) == {"Desk Classic", "Armchair Comfort", "Old Oak"}
    cosy = (await cards(database, scope))["Cosy"].entity
    async with database.session(scope) as session:
        await graph.merge_entities(session, desk, cosy.id, now=utcnow())
        await reading.read_anew(session, now=utcnow())
        assert await session.fetchval("select not_names from app.graph_entity where id = $1", desk) == []
    await read(by_model, database, scope, article_id)
    assert "Cosy" in await names(desk), "whoever merges the two gives it back"


async def test_a_graph_is_its_workspaces_own(database, scope, other_scope):
    """TEN-1"""
    mine = await write(database, scope, "Цены", "Стул — 3 200 ₽")
    theirs = await write(database, other_scope, "Цены", "Стул — 9 999 ₽")
    await read(PATTERNS, database, scope, mine)
    await read(PATTERNS, database, other_scope, theirs)
    await read(PATTERNS, database, other_scope, mine)
    assert facts((await cards(database, scope))["Стул"]) == {("price", "3 200 ₽")}
    assert facts((await cards(database, other_scope))["Стул"]) == {("price", "9 999 ₽")}
    async with database.session(scope) as session:
        await graph.delete_entity(session, (await cards(database, scope))["Стул"].entity.id)
        assert (await reading.get_progress(session, now=datetime(2026, 1, 1, tzinfo=UTC))).done == 1
    assert "Стул" in await cards(database, other_scope)


async def test_a_fact_that_a_reader_finds_again_is_not_forgotten_with_its_first_source(database, scope):
    """KB-21: whoever deletes passages waits for the reader, and sees what it has found."""
    first = await write(database, scope, "Первая", "- Стул — 3 200 ₽")
    second = await write(database, scope, "Вторая", "- Стул — 3 200 ₽")
    await read(PATTERNS, database, scope, first)
    async with database.session(scope) as session:
        waiting = await store.next_passages(session, second, utcnow(), 5)
        claimed = await reading.claim_passages(session, waiting, now=utcnow())
    async with database.session(scope) as session:
        found = [(one, read_passage(one)) for one in claimed]
        await reading.record_findings(session, found, "patterns", now=utcnow())
        deleting = asyncio.create_task(delete(database, scope, first))
        await until_waiting(session)
    await deleting
    known = await cards(database, scope)
    assert set(known) == {"Вторая", "Стул"}
    assert facts(known["Стул"]) == {("price", "3 200 ₽")}


async def test_a_reader_and_whoever_changes_several_sources_do_not_wait_for_each_other(database, scope):
    first = await write(database, scope, "Первая", "- Стул — 3 200 ₽")
    second = await write(database, scope, "Вторая", "- Стол — 9 000 ₽")
    await read(PATTERNS, database, scope, first)
    async with database.session(scope) as session:
        (waiting,) = await store.next_passages(session, second, utcnow(), 5)
        claimed = await reading.claim_passages(session, [waiting], now=utcnow())

    async def record():
        async with database.session(scope) as session:
            found = [(one, read_passage(one)) for one in claimed]
            await reading.record_findings(session, found, "patterns", now=utcnow())

    async with database.session(scope) as session:
        await knowledge.delete_article(session, first)
        recording = asyncio.create_task(record())
        await until_waiting(session)
        await knowledge.delete_article(session, second)
    await recording
    assert await cards(database, scope) == {}


async def delete(database, scope, article_id):
    async with database.session(scope) as session:
        await knowledge.delete_article(session, article_id)


async def until_waiting(session):
    async with asyncio.timeout(60):
        while not await session.fetchval(WAITING):
            pass
