"""Questions by which a base is measured: saved ones, else such as its own headings and sentences ask."""

from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.questions.service import sample
from gptagent.kernel.clock import utcnow
from gptagent.kernel.ids import new_id

LONG = " ".join(f"Предложение номер {n} говорит о доставке в город {n}." for n in range(60))
BASE = {
    "Доставка": f"# Сроки доставки\n\n{LONG}\n\n# Оплата картой\n\nКартой платят курьеру при получении.",
    "Возврат": "Товар возвращают в течение 14 дней. Нужен чек.",
    "Возврат ещё раз": "Товар возвращают в течение 14 дней. Нужен чек.",
}


async def fill(session):
    made = {}
    for title, content in BASE.items():
        made[title] = await service.create_article(session, NewArticle(title, content), now=utcnow())
    rows = await session.fetch("select id, article_id, heading, content from app.chunk")
    return {title: article.id for title, article in made.items()}, rows


async def test_a_base_asks_its_own_headings_and_first_sentences(database, scope):
    async with database.session(scope) as session:
        ids, rows = await fill(session)
        asked = {one.text: one for one in await sample(session, 100)}
        terms = asked["Сроки доставки"]
        parts = [row["id"] for row in rows if row["heading"] == "Сроки доставки"]
        assert terms.chunks == frozenset(parts) and len(parts) > 2
        assert terms.documents == {ids["Доставка"]}
        assert asked["Возврат ещё раз"].documents == {ids["Возврат ещё раз"]}
        twice = asked["Товар возвращают в течение 14 дней."]
        assert twice.chunks == {row["id"] for row in rows if row["content"].startswith("Товар")}
        assert len(twice.chunks) == 2, "an answer in a double is as good"
        content = {row["id"]: row["content"] for row in rows}
        sentences = [one for one in asked.values() if one.text.startswith("Предложение")]
        assert all(one.text in content[chunk] for one in sentences for chunk in one.chunks)
        assert all(
            one.chunks == {n for n, text in content.items() if one.text in text} for one in sentences
        ), "the overlap of two passages belongs to both"
        first = next(iter(terms.chunks))
        assert terms.is_answered_by(first, new_id()) and not twice.is_answered_by(first, ids["Возврат"])


async def test_a_sample_is_bounded_and_the_same_while_the_base_is(database, scope):
    async with database.session(scope) as session:
        await fill(session)
        few = await sample(session, 3)
        assert len(few) == 3 and few == await sample(session, 3)
        assert few == (await sample(session, 100))[:3]


async def test_saved_questions_take_the_place_of_those_a_base_asks_itself(database, scope, other_scope):
    async with database.session(scope) as session:
        ids, _ = await fill(session)
        for text, sources in (("Как вернуть?", ["Возврат", "Доставка"]), ("Без ответа?", [])):
            question = await session.fetchval(
                """insert into app.knowledge_question (id, text, created_at, updated_at)
                   values ($1, $2, now(), now()) returning id""",
                new_id(),
                text,
            )
            for source in sources:
                await session.execute(
                    "insert into app.knowledge_question_source (question_id, article_id) values ($1, $2)",
                    question,
                    ids[source],
                )
        (asked,) = await sample(session, 100)
        assert (asked.text, asked.chunks) == ("Как вернуть?", frozenset())
        assert asked.documents == {ids["Возврат"], ids["Доставка"]}
        assert asked.is_answered_by(0, ids["Доставка"])
        assert not asked.is_answered_by(0, ids["Возврат ещё раз"])
    async with database.session(other_scope) as session:
        assert await sample(session, 100) == []
