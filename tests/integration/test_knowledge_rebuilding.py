"""The search made anew from the texts: it finds the same, and what is kept of it is the same."""

import asyncio
from contextlib import suppress

import pytest

from gptagent.features.inference import service as inference
from gptagent.features.inference.model import EmbeddingModel, Embeddings
from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.rebuilding import asking
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database

BASE = {
    "Доставка": "Доставка по Москве занимает один день. Курьер звонит за час до приезда.",
    "Возврат": "Товар возвращают в течение 14 дней. Деньги приходят на карту за неделю.",
    "Warranty": "Every watch has a two year warranty. Batteries are not covered by the warranty.",
}
CACHES = {
    "posting": "select lexeme, chunk_id, tf, length from app.posting order by 1, 2",
    "lexeme": "select lexeme, chunks from app.lexeme order by 1",
    "gram": "select gram, lexeme from app.gram order by 1, 2",
    "lexical_stats": "select chunks, lexemes from app.lexical_stats",
    "chunk": "select id, length from app.chunk order by id",
}


@pytest.fixture
async def filled(database, scope, other_scope):
    for ticket in (scope, other_scope):
        async with database.session(ticket) as session:
            for title, content in BASE.items():
                await service.create_article(session, NewArticle(title, content), now=utcnow())
    return scope


async def kept(session):
    return {name: [tuple(row) for row in await session.fetch(sql)] for name, sql in CACHES.items()}


async def test_words_statistics_and_grams_are_made_anew_as_they_were(database, filled, other_scope):
    async with database.session(other_scope) as session:
        neighbour = await kept(session)
    async with database.session(filled) as session:
        before = await kept(session)
        await session.execute("delete from app.posting where lexeme < 'н' collate \"C\"")
        await session.execute("delete from app.gram where lexeme > 'м' collate \"C\"")
        await session.execute("update app.lexical_stats set chunks = 77, lexemes = 3")
        await session.execute("update app.chunk set length = 1")
        await session.execute("update app.lexeme set chunks = chunks * 2 where lexeme > 'м' collate \"C\"")
        await session.execute("delete from app.lexeme where lexeme > 'т' collate \"C\"")
    async with database.session(filled) as session:
        assert await service.rebuild(session) == len(BASE)
    async with database.session(filled) as session:
        assert await kept(session) == before
    async with database.session(other_scope) as session:
        assert await kept(session) == neighbour, "nobody else's was touched"


async def until_waiting(session, *tasks):
    """Return once all of them wait for a lock."""
    while await session.fetchval("select count(*) from pg_locks where not granted") < len(tasks):
        assert not any(task.done() for task in tasks)
        await asyncio.sleep(0.01)


async def test_a_base_is_made_anew_beside_articles_that_come_and_go(database, filled):
    """Whoever comes second waits without holding what the other one needs."""

    async def make_anew():
        async with database.session(filled) as session:
            return await service.rebuild(session)

    async def delete(article_id):
        async with database.session(filled) as session:
            await service.delete_article(session, article_id)

    async with database.session(filled) as session:
        rows = await session.fetch("select title, id from app.article")
        ids = {row["title"]: row["id"] for row in rows}
    async with database.session(filled) as session:
        await service.delete_article(session, ids["Warranty"])
        rebuilding = asyncio.create_task(make_anew())
        await until_waiting(session, rebuilding)
        await service.delete_article(session, ids["Доставка"])
    assert await rebuilding == 1
    async with database.session(filled) as session:
        await service.create_article(session, NewArticle("Доставка", BASE["Доставка"]), now=utcnow())
        rebuilding = asyncio.create_task(make_anew())
        await until_waiting(session, rebuilding)
        deleting = asyncio.create_task(delete(ids["Возврат"]))
        await until_waiting(session, rebuilding, deleting)
    assert await rebuilding == 2
    await deleting
    async with database.session(filled) as session:
        before = await kept(session)
        assert len(before["chunk"]) == 1
        assert await service.rebuild(session) == 1
        assert await kept(session) == before


async def test_the_proof_changes_nothing_and_tells_what_would_be_found(database, filled):
    async with database.session(filled) as session:
        before = await kept(session)
    proof = await service.prove(database, filled)
    assert proof.is_kept and proof.words.before == proof.words.after
    assert proof.words.before.asked >= len(BASE) and proof.words.before.recall == 1.0
    async with database.session(filled) as session:
        assert await kept(session) == before
        await session.execute("delete from app.posting")
    proof = await service.prove(database, filled)
    assert (proof.words.before.recall, proof.words.after.recall) == (0, 1) and proof.is_kept


async def test_a_search_that_would_find_less_is_not_kept(database, filled):
    """Words of the index that are no more in the texts: made anew, it finds less."""
    async with database.session(filled) as session:
        await session.execute("update app.chunk set content = 'Что-то совсем другое.', heading = ''")
        await session.execute(
            """with q as (insert into app.knowledge_question (id, text, created_at, updated_at)
                          values (gen_random_uuid(), 'warranty batteries', now(), now()) returning id)
               insert into app.knowledge_question_source (question_id, article_id)
               select q.id, a.id from q, app.article a where a.title = 'Доставка'"""
        )
        await session.execute(
            """insert into app.posting (lexeme, chunk_id, tf, length)
               select 'batteri', c.id, 3, 5 from app.chunk c join app.article a on a.id = c.article_id
                where a.title = 'Доставка'"""
        )
    proof = await service.prove(database, filled)
    assert proof.words.before.recall > proof.words.after.recall
    assert not proof.is_kept


class UndoneError(Exception):
    """Rolls a transaction back."""


async def test_what_a_proof_before_the_upgrade_costs_is_counted_in_the_tables_of_the_release_before(
    roles, scope
):
    """`upgrade --check` embeds a base whose database this release has not been brought to yet."""
    owner = await Database.connect(roles.owner_dsn, max_connections=1)
    model, answer = EmbeddingModel("https://models.example/v1", "old"), Embeddings(((1.0,),), 7, 1)
    try:
        with suppress(UndoneError):
            async with owner.session(scope) as session:
                await session.execute("alter table app.llm_usage drop column seconds, drop column subject")
                await inference.record_embedding(session, model, answer)
                counted = await session.fetchval("select sum(tokens_in) from app.llm_usage")
                raise UndoneError
    finally:
        await owner.close()
    assert counted == 7


async def test_the_words_are_proved_on_the_tables_of_the_release_before(roles, filled):
    """`upgrade --check` asks a base whose documents are of no agent yet."""
    owner = await Database.connect(roles.owner_dsn, max_connections=1)
    try:
        with suppress(UndoneError):
            async with owner.session(filled) as session:
                await session.execute("alter table app.document drop column agent_id cascade")
                sample = await questions.sample(session, 9)
                ranks = await asking.ask_stored(session, sample, None)
                raise UndoneError
    finally:
        await owner.close()
    assert len(sample) >= len(BASE) and ranks["words"] == [1] * len(sample)
