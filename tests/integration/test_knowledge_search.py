"""Questions and the passages and sentences that answer them."""

import math
import random

import pytest

from gptagent.features.knowledge import retrieval, service
from gptagent.features.knowledge.lexical import BM25_B, BM25_K1
from gptagent.features.knowledge.model import ArticleChange, NewArticle
from gptagent.features.knowledge.scoring import store as scoring
from gptagent.kernel.clock import utcnow

BASE = {
    "Доставка": "Доставка по Москве занимает один день. Доставка в Казань занимает три дня. Склад открыт.",
    "Возврат": "Товар возвращают в течение 14 дней. Деньги приходят на карту за неделю. Нужен чек.",
    "Warranty": "Every watch has a two year warranty. Batteries are not covered by the warranty.",
    "Артикулы": "Часы AB-1234/56 стоят 15 000 рублей. Ремешок KX-77 стоит 900 рублей.",
}


async def fill(session, base=None):
    for title, content in (base or BASE).items():
        await service.create_article(session, NewArticle(title, content), now=utcnow())


async def best(session, question):
    found = await service.search(session, question)
    return found[0].source_title if found else None


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Сколько дней идёт доставка в Казань?", "Доставка"),
        ("ДОСТАВКИ КАЗАНЬ", "Доставка"),
        ("Можно оформить возврат товара?", "Возврат"),
        ("возвращаются ли деньги", "Возврат"),
        ("Is the battery covered by warranty?", "Warranty"),
        ("ab 1234", "Артикулы"),
        ("что есть за 15000 рублей", "Артикулы"),
        ("kx-77", "Артикулы"),
    ],
)
async def test_the_best_passage_is_of_the_right_source(database, scope, question, title):
    """KB-18"""
    async with database.session(scope) as session:
        await fill(session)
        assert await best(session, question) == title


@pytest.mark.parametrize(
    "question", ["", "???", "и в на", "xyzzy", "'; drop table app.chunk; --", "\0", "a" * 100_000]
)
async def test_a_question_without_a_known_word_finds_nothing(database, scope, question):
    async with database.session(scope) as session:
        await fill(session)
        assert await service.search(session, question) == []
        assert await service.best_sentences(session, question, []) == []


async def test_scores_are_bm25(database, scope):
    """Robertson & Zaragoza 2009; the figures are worked out here from the texts."""
    texts = {
        "T1": "alpha beta beta gamma",
        "T2": "alpha gamma gamma delta epsilon",
        "T3": "omega omega omega",
    }
    async with database.session(scope) as session:
        await fill(session, texts)
        found = await service.search(session, "beta gamma")
    lengths = {title: len(text.split()) + 1 for title, text in texts.items()}
    average = sum(lengths.values()) / 3

    def part(tf, df, title):
        idf = math.log(1 + (3 - df + 0.5) / (df + 0.5))
        return idf * tf * (BM25_K1 + 1) / (tf + BM25_K1 * (1 - BM25_B + BM25_B * lengths[title] / average))

    expected = {"T1": part(2, 1, "T1") + part(1, 2, "T1"), "T2": part(2, 2, "T2")}
    assert {p.source_title: p.score for p in found} == pytest.approx(expected)
    assert found[0].coverage == pytest.approx(1)


async def test_a_question_the_base_cannot_answer_is_refused(database, scope):
    async with database.session(scope) as session:
        await fill(session)
        for question, answerable in (
            ("Добрый день! Подскажите, сколько дней занимает доставка в Казань?", True),
            ("How long is the warranty of a watch?", True),
            ("Продаёте ли вы билеты в театр на доставку?", False),
            ("What is the capital of France?", False),
        ):
            found = await service.search(session, question)
            assert service.is_answerable(found) is answerable, question
            assert bool(await service.best_sentences(session, question, found)) is answerable, question


async def test_the_sentence_that_answers_is_quoted_word_for_word(database, scope):
    async with database.session(scope) as session:
        await fill(session)
        question = "Сколько занимает доставка в Казань?"
        quotes = await service.best_sentences(session, question, await service.search(session, question))
    assert quotes[0].text == "Доставка в Казань занимает три дня."
    assert 1 <= len(quotes) <= 3
    assert all(quote.text in quote.passage.content for quote in quotes)


async def test_a_sentence_under_a_fitting_heading_is_quoted(database, scope):
    base = {"Магазин": "# Часы работы\nС девяти до восьми без выходных.\n\n# Адрес\nУлица Баумана, дом пять."}
    async with database.session(scope) as session:
        await fill(session, base)
        found = await service.search(session, "часы работы")
        quotes = await service.best_sentences(session, "часы работы", found)
    assert [quote.text for quote in quotes] == ["С девяти до восьми без выходных."]


async def test_the_limit_is_kept(database, scope):
    async with database.session(scope) as session:
        await fill(session, {f"T{n}": f"Общее слово номер {n}." for n in range(9)})
        assert len(await service.search(session, "общее слово")) == 5
        assert len(await service.search(session, "общее слово", limit=2)) == 2


async def test_sums_stay_true_through_any_changes(database, scope):
    rng = random.Random(7)
    async with database.session(scope) as session:
        made = []
        for step in range(60):
            if not made or rng.random() < 0.5:
                content = "слово " * rng.randint(3, 600)
                made.append(
                    (await service.create_article(session, NewArticle(f"T{step}", content), now=utcnow())).id
                )
            elif rng.random() < 0.5:
                change = ArticleChange(rng.choice(made), is_active=rng.random() < 0.5)
                await service.update_article(session, change, now=utcnow())
            else:
                await service.delete_article(session, made.pop(rng.randrange(len(made))))
        kept = await session.fetchrow("select chunks, lexemes from app.lexical_stats")
        true = await session.fetchrow("select count(*), coalesce(sum(length), 0) from app.chunk")
    assert tuple(kept) == tuple(true)


async def test_the_search_reads_the_postings_by_their_key(database, scope):
    """Under forced row-level security an operator that is not leakproof would read the whole tenant."""
    async with database.session(scope) as session:
        await fill(session, {f"T{n}": f"слово{n} общее начало текста" for n in range(300)})
        await session.execute("set local enable_seqscan = off")
        plan = await session.fetch(
            """explain select distinct lexeme from app.posting
                where lexeme >= 'общ' collate "C" and lexeme < 'общя' collate "C" """
        )
    text = "\n".join(row[0] for row in plan)
    assert "posting_pkey" in text and "Index Cond" in text and "lexeme >=" in text


async def test_frequent_words_are_looked_up_in_what_the_rare_ones_have_named(database, scope):
    """A passage is worth the same however its words were looked for."""
    rng = random.Random(11)
    known = ["апельсин", "берёза", "вишня", "груша", "дыня", "ежевика", "жасмин", "крыжовник"]
    async with database.session(scope) as session:
        for number in range(30):
            words = [known[min(int(rng.expovariate(0.4)), 7)] for _ in range(8)]
            await service.create_article(session, NewArticle(f"T{number}", " ".join(words)), now=utcnow())
        for question in ("апельсин берёза крыжовник", "ежевика апельсин", "вишня жасмин апельсин"):
            asking = await retrieval.read_question(session, question)
            forms = await retrieval._forms(session, asking)
            every = await scoring.rank(session, forms, len(asking.words), 30)
            few = await scoring.rank(session, forms, len(asking.words), 30, named_min=1)
            assert few and len(few) < len(every)
            worth = {one.chunk_id: (one.score, one.coverage) for one in every}
            assert {one.chunk_id: (one.score, one.coverage) for one in few}.items() <= {
                key: pytest.approx(value) for key, value in worth.items()
            }.items()
            assert [one.chunk_id for one in few][:1] == [one.chunk_id for one in every][:1]
