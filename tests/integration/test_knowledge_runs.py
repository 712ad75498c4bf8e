"""Runs of a base's questions: what they tell, and from when on the base answers because of it."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.answering import REFUSAL_SUPPORT
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.questions import jobs, service, store
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.questions.ways import Ways
from gptagent.features.knowledge.service import Reranking, Understanding
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope

# As in an installation without models: words alone are asked.
WORDS = Ways(Understanding(None), Reranking(None))
GOODS = ("чайник", "велосипед", "телескоп", "барабан", "самовар", "фонарь", "компас", "рюкзак", "зонтик")
PLACES = ("Казань", "Самара", "Пермь")


@dataclass(frozen=True)
class Context:
    db: Database
    scope: Scope


async def fill(session):
    made = {}
    for n, (thing, place) in enumerate((thing, place) for thing in GOODS for place in PLACES):
        text = f"Новый {thing} едет в город {place} {n + 2} дней. Его собирают на складе вручную."
        new = NewArticle(f"{thing.title()} {place}", text)
        made[new.title] = (await knowledge.create_article(session, new, now=utcnow())).id
    return made


async def run_of(database, scope):
    async with database.session(scope) as session:
        run_id = await service.queue_run(session, now=utcnow())
        assert await service.queue_run(session, now=utcnow()) is None, "one at a time"
    for _ in range(2):  # at least once: the second changes nothing
        await jobs.QuestionJobs(WORDS).measure(Context(database, scope), str(run_id))
    async with database.session(scope) as session:
        return await service.get_run(session, run_id)


async def test_a_run_of_the_bases_own_questions_calibrates_it(database, scope, other_scope):
    async with database.session(scope) as session:
        await fill(session)
        assert await knowledge.refusal_support(session) == REFUSAL_SUPPORT
    run = await run_of(database, scope)
    assert (run.state, run.is_saved) == ("done", False)
    assert run.questions == len(run.results) >= 50
    assert run.figures.recall_5 == 1 and run.figures.mrr > 0.8
    assert all(one.removed <= one.present for one in run.results)
    assert any(one.removed > 0 for one in run.results), "others of the base are alike"
    async with database.session(scope) as session:
        assert await knowledge.refusal_support(session) == run.threshold
        assert await service.list_runs(session) == [run]
    async with database.session(other_scope) as session:
        assert await service.list_runs(session) == []
        assert await knowledge.refusal_support(session) == REFUSAL_SUPPORT
        with pytest.raises(NotFound):
            await service.get_run(session, run.id)


async def test_what_a_run_told_decides_whether_a_question_is_answered(database, scope):
    question = "Сколько дней едет чайник в город Казань?"
    async with database.session(scope) as session:
        await fill(session)
        run_id = await service.queue_run(session, now=utcnow())
        trial = await service.try_question(session, question)
        assert trial.is_answerable and trial.quotes[0].text.startswith("Новый чайник едет в город Казань")
        (leg,) = trial.legs
        assert leg.passages[0].source_title == "Чайник Казань"
        assert trial.threshold == REFUSAL_SUPPORT
        await session.execute(
            "update app.knowledge_run set state = 'done', threshold = 0.99 where id = $1", run_id
        )
        trial = await service.try_question(session, question)
        assert (trial.threshold, trial.is_answerable, trial.quotes) == (0.99, False, [])


async def test_saved_questions_are_kept_changed_and_asked_instead(database, scope):
    async with database.session(scope) as session:
        made = await fill(session)
        tea, drum = made["Чайник Казань"], made["Барабан Пермь"]
        right = await service.save_question(session, "Когда придёт чайник в Казань?", [tea], now=utcnow())
        wrong = await service.save_question(session, "  Кто\tзвонит? ", [drum], now=utcnow())
        assert wrong.text == "Кто звонит?"
        assert [one.title for one in right.sources] == ["Чайник Казань"]
        assert await service.list_questions(session) == [wrong, right]
    run = await run_of(database, scope)
    assert run.is_saved and run.questions == 2
    assert run.threshold == REFUSAL_SUPPORT, "two questions tell too little"
    assert [one.question for one in run.failing] == ["Кто звонит?"]
    assert (run.figures.recall_1, run.figures.mrr) == (0.5, 0.5)
    async with database.session(scope) as session:
        changed = await service.change_sources(session, wrong.id, [tea, drum], now=utcnow())
        assert {one.id for one in changed.sources} == {tea, drum}
        await knowledge.delete_article(session, tea)
        assert [one.id for one in (await service.get_question(session, wrong.id)).sources] == [drum]
        assert (await service.get_question(session, right.id)).sources == ()
        await service.delete_question(session, wrong.id)
        with pytest.raises(NotFound):
            await service.delete_question(session, wrong.id)


@pytest.mark.parametrize(
    ("text", "sources", "field"),
    [("  ", [], "/text"), ("x" * 501, [], "/text"), ("Когда?", [new_id()], "/sources")],
)
async def test_what_cannot_be_a_question_is_refused(database, scope, text, sources, field):
    async with database.session(scope) as session:
        with pytest.raises(Invalid) as refused:
            await service.save_question(session, text, sources, now=utcnow())
        assert refused.value.fields[0].pointer.strip("/") == field.strip("/")


async def test_the_same_question_twice_and_too_many_are_refused(database, scope, monkeypatch):
    async with database.session(scope) as session:
        await service.save_question(session, "Когда?", [], now=utcnow())
        with pytest.raises(Invalid):
            await service.save_question(session, "КОГДА?", [], now=utcnow())
        monkeypatch.setattr(service, "QUESTIONS_MAX", 1)
        with pytest.raises(Conflict):
            await service.save_question(session, "Где?", [], now=utcnow())


async def test_a_base_that_changed_and_rests_is_measured_once(database, scope):
    async def due():
        async with database.installation() as session:
            return scope.org_id in await store.bases_to_measure(session, timedelta(0), 10_000)

    async def settle():
        async with database.session(scope) as session:
            await session.execute("update app.lexical_stats set changed_at = now() - interval '1 hour'")

    assert not await due(), "there is nothing to ask"
    async with database.session(scope) as session:
        made = await fill(session)
    async with database.installation() as session:
        resting = await store.bases_to_measure(session, service.REST, 10_000)
    assert scope.org_id not in resting, "it is still being written"
    await settle()
    assert await due()
    assert await service.queue_due_runs(database) >= 1
    assert not await due(), "it is queued, and a second worker does not queue it again"
    async with database.session(scope) as session:
        (run,) = await service.list_runs(session)
    await jobs.QuestionJobs(WORDS).measure(Context(database, scope), str(run.id))
    assert not await due()
    for code, is_again in (("budget_exhausted", True), ("embedding_rejected", False)):
        async with database.session(scope) as session:
            run_id = await service.queue_run(session, now=utcnow())
            await service.fail_run(session, run_id, code, now=utcnow())
        assert not await due(), "not at once"
        async with database.session(scope) as session:
            await session.execute(
                "update app.knowledge_run set created_at = created_at - interval '7 hours' where id = $1",
                run_id,
            )
        assert await due() is is_again, code
    async with database.session(scope) as session:
        for title in list(made)[:2]:
            await knowledge.delete_article(session, made[title])
    await settle()
    assert await due(), "a twentieth of it is gone"


async def test_a_run_that_died_leaves_what_was_known(database, scope):
    async with database.session(scope) as session:
        await fill(session)
    before = await run_of(database, scope)
    async with database.session(scope) as session:
        run_id = await service.queue_run(session, now=utcnow())
    await jobs.give_up(Context(database, scope), str(run_id))
    await jobs.QuestionJobs(WORDS).measure(Context(database, scope), str(run_id))
    async with database.session(scope) as session:
        assert (await service.get_run(session, run_id)).state == "failed"
        assert await knowledge.refusal_support(session) == before.threshold
        assert (await service.list_runs(session, done=True))[0] == before


async def test_a_long_source_is_taken_out_whole(database, scope):
    """KB-28: more of its passages come first than a search looks at; what is answered without it counts"""
    question = "Сколько дней едет чайник в город Казань?"
    told = "\n\n".join(
        f"# Чайник, город Казань, часть {n}\n\nНовый чайник едет в город Казань {n} дней: дней едет чайник."
        for n in range(60)
    )
    other = "Самовар едет в Казань долго. " + "На складе его собирают вручную и проверяют. " * 8
    async with database.session(scope) as session:
        long = await knowledge.create_article(session, NewArticle("Чайник", told), now=utcnow())
        await knowledge.create_article(session, NewArticle("Самовар", other), now=utcnow())
        first = await knowledge.search(session, question, limit=30)
        assert [one.source_id for one in first] == [long.id] * 30
        outcome = await service.measure(session, Asked(question, frozenset(), frozenset((long.id,))))
    assert 0 < outcome.removed < outcome.present
