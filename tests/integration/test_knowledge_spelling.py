"""Misspelt words of a question find what the right ones would: the words of each base by their 3-grams."""

import asyncio
import random

import pytest

from gptagent.features.knowledge import service, store
from gptagent.features.knowledge.model import TXT, ArticleChange, NewArticle, NewDocument, Piece
from gptagent.kernel.clock import utcnow
from gptagent.kernel.ids import new_id

BASE = {
    "Доставка": "Доставка по Москве занимает один день. Доставка в Казань занимает три дня.",
    "Гарантия": "Гарантийный ремонт выполняет мастерская производителя. Нужен талон.",
    "Warranty": "Every watch has a two year warranty. Batteries are not covered by it.",
    "Артикулы": "Часы 12345 стоят дорого. Ремешок 54321 стоит дёшево. Цвет хаки, кожа.",
}
# What app.gram has to hold: worked out from all postings afresh.
TRUE_GRAMS = """select distinct p.lexeme, g from app.posting p, app.grams(p.lexeme) g
                 where app.has_grams(p.lexeme)"""
TRUE_COUNTS = "select lexeme, count(*) from app.posting group by lexeme"


async def fill(session, base=None):
    made = {}
    for title, content in (base or BASE).items():
        article = await service.create_article(session, NewArticle(title, content), now=utcnow())
        made[title] = article.id
    return made


async def titles(session, question):
    return [passage.source_title for passage in await service.search(session, question)]


async def grams(session):
    return {tuple(row) for row in await session.fetch("select lexeme, gram from app.gram")}


async def are_words_true(session):
    """Whether words, their 3-grams and the number of their passages are those of the postings."""
    kept = {tuple(row) for row in await session.fetch("select lexeme, chunks from app.lexeme")}
    return await grams(session) == {tuple(row) for row in await session.fetch(TRUE_GRAMS)} and kept == {
        tuple(row) for row in await session.fetch(TRUE_COUNTS)
    }


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("дсотавка", "Доставка"),  # swapped in the beginning, where no kin would be found
        ("сколько идёт тоставка", "Доставка"),
        ("каазнь", "Доставка"),
        ("мастрская призводителя", "Гарантия"),
        ("мосторская", "Гарантия"),  # two letters of a long word
        ("wrranty", "Warranty"),
        ("are btateries coverd?", "Warranty"),
        ("рмеешок", "Артикулы"),
    ],
)
async def test_a_misspelt_question_finds_the_article(database, scope, question, title):
    async with database.session(scope) as session:
        await fill(session)
        assert (await titles(session, question))[:1] == [title]


async def test_a_misspelt_question_is_answered_with_the_same_sentence(database, scope):
    async with database.session(scope) as session:
        await fill(session)
        quotes = []
        for place in ("доставка в Казань", "дсотавка в Каазнь"):
            question = f"Сколько дней занимает {place}?"
            found = await service.search(session, question)
            assert service.is_answerable(found)
            quotes.append((await service.best_sentences(session, question, found))[0].text)
    assert quotes == ["Доставка в Казань занимает три дня."] * 2


@pytest.mark.parametrize("question", ["12354", "54312", "кажа", "цевт", "xyzzy", "самолёт", "abc12345"])
async def test_numbers_short_words_and_strangers_are_not_corrected(database, scope, question):
    async with database.session(scope) as session:
        await fill(session)
        assert await titles(session, question) == []


async def test_a_word_that_the_base_knows_is_never_taken_for_another(database, scope):
    """Its passages, scores and coverage are those of a base in which no near word exists."""
    async with database.session(scope) as session:
        await fill(session, {"T1": "Катушка висит здесь.", "T2": "Катюшка живёт рядом."})
        for question, title in (("катушка", "T1"), ("катюшка", "T2")):
            (found,) = await service.search(session, question)
            assert (found.source_title, found.coverage) == (title, pytest.approx(1))


async def test_what_was_written_outweighs_what_may_have_been_meant(database, scope):
    async with database.session(scope) as session:
        await fill(session, {"T1": "Катушка висит здесь.", "T2": "Что-то другое совсем."})
        (right,) = await service.search(session, "катушка")
        (guessed,) = await service.search(session, "катшука")
    assert 0 < guessed.score < right.score and 0 < guessed.coverage < right.coverage


async def test_words_are_forgotten_with_their_last_passage(database, scope):
    async with database.session(scope) as session:
        made = await fill(session, {"T1": "Катушка и проволока здесь.", "T2": "Катушка висит одна."})
        await service.delete_article(session, made["T1"])
        assert await titles(session, "прволока") == []
        assert await titles(session, "катшука") == ["T2"]
        await service.update_article(session, ArticleChange(made["T2"], is_active=False), now=utcnow())
        assert await grams(session) == set()
        assert not await session.fetchval("select exists (select from app.lexeme)")
        await service.update_article(session, ArticleChange(made["T2"], is_active=True), now=utcnow())
        assert await titles(session, "катшука") == ["T2"]


async def test_words_stay_true_through_any_changes(database, scope):
    rng = random.Random(7)
    vocabulary = [
        "доставка",
        "возврат",
        "гарантия",
        "склад",
        "оплата",
        "картой",
        "12345",
        "usb",
        "kx77",
        "чек",
    ]
    async with database.session(scope) as session:
        made = []
        for step in range(40):
            if not made or rng.random() < 0.5:
                text = " ".join(rng.sample(vocabulary, 3)) + " и так далее"
                made += (await fill(session, {f"T{step}": text})).values()
            elif rng.random() < 0.5:
                change = ArticleChange(rng.choice(made), is_active=rng.random() < 0.5)
                await service.update_article(session, change, now=utcnow())
            else:
                await service.delete_article(session, made.pop(rng.randrange(len(made))))
            assert await are_words_true(session)
        assert made and await grams(session)


async def add_document(session, *texts):
    new = NewDocument(f"{new_id().hex}.txt", TXT, 1, new_id().hex, new_id().hex)
    document = await store.insert_document(session, new_id(), new, utcnow())
    await store.insert_pieces(session, "document", document.id, [Piece("", None, t, t) for t in texts], 0)
    return document.id


async def test_the_words_of_a_document_are_forgotten_before_its_passages(database, scope):
    async with database.session(scope) as session:
        kept = await add_document(session, "катушка")
        long = await add_document(session, "катушка", "катушка висит", "проволока")
        await session.execute("select app.forget_postings($1)", long)
        assert await session.fetchval("select count(distinct chunk_id) from app.posting") == 1
        assert await are_words_true(session)
        await store.delete_document(session, long)
        await store.delete_pieces(session, "document", kept)
        assert await are_words_true(session) and not await grams(session)


@pytest.mark.parametrize("is_adding_first", [True, False])
async def test_a_word_added_while_its_last_passage_is_deleted_stays(database, scope, is_adding_first):
    """The one that comes second waits for the end of the first and sees what it did."""
    async with database.session(scope) as session:
        old = await add_document(session, "катушка")

    async def add():
        async with database.session(scope) as session:
            await add_document(session, "катушка")

    async def remove():
        async with database.session(scope) as session:
            await store.delete_document(session, old)

    async with database.session(scope) as session:
        if is_adding_first:
            await add_document(session, "катушка")
        else:
            await store.delete_document(session, old)
        second = asyncio.create_task(remove() if is_adding_first else add())
        while not await session.fetchval("select true from pg_locks where not granted limit 1"):
            assert not second.done()
            await asyncio.sleep(0)
    await second
    async with database.session(scope) as session:
        assert await are_words_true(session)
        assert len(await service.search(session, "катшука")) == 1


async def test_the_words_of_another_tenant_are_never_used_and_stay(database, scope, other_scope):
    async with database.session(other_scope) as session:
        await fill(session, {"Canary": "Канарейка поёт в клетке."})
        theirs = await grams(session)
        assert theirs
    async with database.session(scope) as session:
        assert await titles(session, "канорейка") == []
        mine = await fill(session, {"Other": "Совершенно другие слова."})
        assert await titles(session, "канорейка") == []
        mine |= await fill(session, {"Canary": "Канарейка поёт в клетке."})
        assert await titles(session, "канорейка") == ["Canary"]
        for article_id in mine.values():
            await service.delete_article(session, article_id)
        assert await grams(session) == set()
    async with database.session(other_scope) as session:
        assert await grams(session) == theirs
        assert await titles(session, "канорейка") == ["Canary"]


async def test_near_words_are_read_by_their_key(database, scope):
    """Under forced row-level security an operator that is not leakproof would read the whole tenant."""
    async with database.session(scope) as session:
        letters = "абвгдежзиклмнопрстуфхцчшщэюя"
        await fill(session, {"T": " ".join(f"слово{a}{b}" for a in letters for b in letters)})
        await session.execute("set local enable_seqscan = off")
        plan = await session.fetch(
            """explain select lexeme from app.gram
                where gram = any(array(select app.grams('слвооаб'))) and length(lexeme) < 9"""
        )
    text = "\n".join(row[0] for row in plan)
    assert "gram_pkey" in text and "Index Cond" in text and "gram = ANY" in text
