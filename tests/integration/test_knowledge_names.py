"""Other names from the graph in the search: where they help, by measure, and nowhere else."""

from datetime import timedelta

import pytest

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.graph import service as graph
from gptagent.features.knowledge.model import ArticleChange, NewArticle
from gptagent.features.knowledge.naming import jobs, service, store
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.retrieval import read_question, search_by_names
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext

# As the texts call armchairs, and as customers do.
NAMES = {
    "Комфорт": "Уют",
    "Престиж": "Император",
    "Дельта": "Соната",
    "Вега": "Прибой",
    "Орион": "Магнолия",
    "Сириус": "Фламинго",
    "Атлант": "Жемчуг",
    "Каскад": "Оазис",
    "Рубин": "Мираж",
    "Сапфир": "Карнавал",
    "Меркурий": "Бригантина",
    "Гранит": "Венеция",
}
ASKED = "Сколько стоит софа {}?"


class Base:
    """A workspace whose armchairs have prices and, by hand, another name each."""

    def __init__(self, database, scope):
        self.database, self.scope, self.articles = database, scope, {}

    async def write(self, name):
        async with self.database.session(self.scope) as session:
            new = NewArticle(f"Модель {name}", f"- Кресло {name} — 9 000 ₽\n\nЕго везут три дня.")
            article = await knowledge.create_article(session, new, now=utcnow())
        self.articles[name] = article.id
        await GraphJobs(None).extract(self.context, str(article.id))

    async def entity(self, name):
        async with self.database.session(self.scope) as session:
            (found,), _types = await graph.find_entities(session, search=f"Кресло {name}", limit=5)
        return found.id

    async def rename(self, name, other):
        entity_id = await self.entity(name)
        async with self.database.session(self.scope) as session:
            await graph.change_entity(session, entity_id, name=f"Софа {other}", now=utcnow())

    async def save(self, text, name):
        async with self.database.session(self.scope) as session:
            await questions.save_question(session, text, [self.articles[name]], now=utcnow())

    @property
    def context(self):
        return JobContext(self.database, None, self.scope, 1, 1)

    async def measure(self):
        await jobs.measure(self.context)
        async with self.database.session(self.scope) as session:
            return await service.get_use(session)

    async def find(self, question):
        async with self.database.session(self.scope) as session:
            return [one.source_title for one in await knowledge.search(session, question)]

    async def try_question(self, question):
        async with self.database.session(self.scope) as session:
            return await questions.try_question(session, question)

    async def is_due(self):
        async with self.database.installation() as session:
            return self.scope.org_id in await store.fetch_due(session, timedelta(0), 100_000)


@pytest.fixture
async def base(database, scope):
    base = Base(database, scope)
    for name in NAMES:
        await base.write(name)
    return base


async def test_names_that_help_are_used_once_that_was_measured(base, other_scope):
    """KB-21: what the texts call by one name is found by the other."""
    for name, other in NAMES.items():
        await base.rename(name, other)
        await base.save(ASKED.format(other), name)
    question = ASKED.format("Уют")
    assert await base.find(question) == [], "no text has a word of it"
    before = await base.try_question(question)
    assert [(leg.name, leg.is_used) for leg in before.legs] == [("words", True), ("graph", False)]
    assert before.legs[1].passages[0].source_title == "Модель Комфорт" and not before.passages

    use = await base.measure()
    assert use.is_used and (use.benefit.sample_size, use.benefit.named) == (12, 12)
    assert (use.benefit.recall_without, use.benefit.recall_with) == (0, 1)
    assert use.benefit.mrr_with == 1 and use.measured_at is not None and not use.is_queued
    assert (await base.find(question))[0] == "Модель Комфорт"
    after = await base.try_question(question)
    assert after.legs[1].is_used and after.legs[1].taken_for == {"Софа Уют": ["Кресло Комфорт"]}
    assert after.passages[0].support > after.passages[1].support, "and its words count when it is judged"
    assert (await base.find("Что за модель Комфорт?"))[0] == "Модель Комфорт", "the texts' own name as ever"

    async with base.database.session(other_scope) as session:
        stranger = await read_question(session, question, by_names=True)
        assert (stranger.names, stranger.named) == ([], {}), "TEN-1: they are the workspace's own"


async def test_names_that_find_nothing_more_are_not_used(base):
    """KB-21"""
    entity_id, other_id = await base.entity("Комфорт"), await base.entity("Престиж")
    async with base.database.session(base.scope) as session:
        await graph.merge_entities(session, entity_id, other_id, now=utcnow())
    for name in NAMES:
        await base.save(f"Сколько стоит кресло {name}?", name)
    use = await base.measure()
    assert not use.is_used and use.benefit.named == 2
    assert use.benefit.mrr_without == use.benefit.mrr_with == 1
    trial = await base.try_question("Сколько стоит кресло Комфорт?")
    assert trial.legs[1].name == "graph" and not trial.legs[1].is_used
    assert trial.passages == trial.legs[0].passages


async def test_it_is_measured_anew_after_names_questions_or_passages_changed(base):
    assert await base.is_due(), "it was never measured"
    use = await base.measure()
    assert not await base.is_due()
    assert (use.is_used, use.benefit.named) == (False, 0), "nothing has two names"
    await base.rename("Вега", "Прибой")
    assert await base.is_due()
    await base.measure()
    await base.save(ASKED.format("Прибой"), "Вега")
    assert await base.is_due()
    await base.measure()
    assert not await base.is_due()
    async with base.database.session(base.scope) as session:
        await knowledge.delete_article(session, base.articles["Гранит"])
    assert await base.is_due()
    async with base.database.session(base.scope) as session:
        assert await service.queue_measuring(session, now=utcnow())
        assert not await service.queue_measuring(session, now=utcnow()), "it waits already"
    assert not await base.is_due()
    await jobs.give_up(base.context)
    async with base.database.session(base.scope) as session:
        use = await service.get_use(session)
    assert not use.is_queued and use.failed_at is not None
    assert not await base.is_due(), "what fails always is not queued all the time"
    async with base.database.session(base.scope) as session:
        await session.execute("update app.graph_benefit set failed_at = failed_at - interval '61 minutes'")
    assert await base.is_due()
    assert (await base.measure()).failed_at is None


async def test_one_measurement_at_a_time_holds_a_place_of_the_worker(base):
    async with jobs._SLOT:
        await jobs.measure(base.context)
    async with base.database.session(base.scope) as session:
        assert (await service.get_use(session)).benefit is None
        later = await session.fetchval(
            "select execute_after > now() from jobs.pgqueuer where headers->>'org' = $1 and entrypoint = $2",
            str(base.scope.org_id),
            service.MEASURE_JOB,
        )
    assert later


async def test_other_names_find_within_the_categories_only(database, scope):
    """KB-17"""
    base = Base(database, scope)
    await base.write("Комфорт")
    await base.rename("Комфорт", "Уют")
    question = ASKED.format("Уют")
    async with database.session(scope) as session:
        here, there = [
            await categories.create_category(session, NewCategory(title), now=utcnow())
            for title in ("Здесь", "Там")
        ]
        change = ArticleChange(base.articles["Комфорт"], categories=(here.id,))
        await knowledge.update_article(session, change, now=utcnow())
        for place, count in ((here, 1), (there, 0)):
            within = knowledge.within([place.id])
            assert len(await search_by_names(session, question, within)) == count
            trial = await questions.try_question(session, question, within=within)
            assert [len(leg.passages) for leg in trial.legs if leg.name == "graph"] == [count]
