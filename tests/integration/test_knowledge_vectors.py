"""Passages by their meaning: embedding, the measurement that decides, life without the provider."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from gptagent.features.knowledge import service
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import ArticleChange
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.vectors import jobs, store
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, UpstreamUnavailable
from gptagent.migrations.run import make_vectors
from gptagent.sandbox.spawn import running
from integration.vector_desk import BASE, ENGLISH, desk_at


@pytest.fixture(scope="module")
def provider():
    with running("llm") as url:
        yield url


@pytest.fixture
async def desk(database, scope, provider):
    async with desk_at(provider, database, scope) as desk:
        yield desk


async def test_a_question_in_another_language_finds_the_passage_by_its_meaning(desk):
    """KB-17, U151"""
    await desk.save_questions(await desk.write(BASE))
    assert "Доставка" not in await desk.ask("courier delivery")
    standing = await desk.embed()
    benefit = standing.serving.benefit
    assert (benefit.sample_size, benefit.recall_words) == (len(BASE), 0)
    assert benefit.helps and benefit.recall_both >= 0.9 and benefit.mrr_both > 0.8
    assert standing.progress.embedded == standing.progress.chunks == len(BASE)
    assert (await desk.ask("courier delivery"))[0] == "Доставка"
    assert (await desk.ask("диван гарантия"))[0] == "Гарантия"
    meaning = await Understanding(desk.embedder).understand(desk.database, desk.scope, "courier delivery")
    async with desk.database.session(desk.scope) as session:
        trial = await questions.try_question(session, "courier delivery", meaning)
    words, by_meaning, joined = trial.legs
    assert (words.name, by_meaning.name, joined.name) == ("words", "meaning", "fused")
    assert "Доставка" not in [one.source_title for one in words.passages]
    assert by_meaning.passages[0].source_title == trial.passages[0].source_title == "Доставка"
    async with desk.database.session(desk.scope) as session:
        used = await session.fetchval(
            "select sum(tokens_in) from app.llm_usage where model = $1", "sandbox-embedding"
        )
    assert used == sum(call["usage"]["total_tokens"] for call in desk.calls())


async def test_a_model_that_knows_no_russian_is_not_asked(desk):
    """The gate measures, it is not told."""
    await desk.write(BASE)
    standing = await desk.with_model("sandbox-embedding-english").embed()
    benefit = standing.serving.benefit
    assert benefit.sample_size >= len(BASE) and not benefit.helps
    assert benefit.recall_words > benefit.recall_both or benefit.mrr_words >= benefit.mrr_both
    before = len(desk.calls())
    assert (await desk.ask("сколько идёт доставка"))[0] == "Доставка"
    assert len(desk.calls()) == before, "a question was sent to a model that does not help"


async def test_without_the_provider_the_words_answer_and_it_is_said(desk, monkeypatch):
    """KB-18"""
    await desk.save_questions(await desk.write(BASE))
    await desk.embed()
    time = [0.0]
    understanding = Understanding(desk.embedder, clock=lambda: time[0])
    desk.fail(action="timeout", count=1)
    with monkeypatch.context() as hurried:
        hurried.setattr(vectors, "QUESTION_SECONDS", 1.5)
        assert (await desk.ask("доставка courier", understanding))[0] == "Доставка"
    assert (await desk.standing()).serving.missed_at is not None
    before = len(desk.calls())
    assert "Доставка" not in await desk.ask("courier delivery", understanding)
    assert len(desk.calls()) == before, "it is not asked again at once"
    time[0] = vectors.REST_SECONDS + 1
    assert (await desk.ask("courier delivery", understanding))[0] == "Доставка"


async def test_only_what_changed_is_embedded_and_what_is_gone_is_not_found(desk):
    """KB-7, KB-20"""
    articles = await desk.write(BASE)
    await desk.save_questions(articles)
    assert not await desk.queued(), "without an index nothing is queued"
    await desk.embed()
    before = len(desk.calls())
    async with desk.database.session(desk.scope) as session:
        change = ArticleChange(articles["Скидки"].id, content="Ремонт и замена за неделю.")
        await service.update_article(session, change, now=utcnow())
        await service.delete_article(session, articles["Доставка"].id)
    assert await desk.queued() == 2
    await desk.embed()
    texts = [text for call in desk.calls()[before:] for text in call["prompt"]]
    assert texts == ["Скидки\nРемонт и замена за неделю."]
    assert "Скидки" in (await desk.ask("repair or replacement within a week"))[:2]
    assert "Доставка" not in await desk.ask("courier delivery")


async def test_another_model_takes_over_only_when_its_index_is_whole(desk):
    """KB-16: the index of the model before serves meanwhile."""
    await desk.save_questions(await desk.write(BASE))
    first = (await desk.embed()).serving
    other = desk.with_model("sandbox-embedding-large", size=64)
    desk.fail(model="large", status=400)
    standing = await other.embed()
    assert (standing.serving.id, standing.following.error_code) == (first.id, "embedding_rejected")
    assert standing.following.failure
    assert (await other.ask("courier delivery"))[0] == "Доставка", "by the first model"
    assert desk.calls()[-1]["model"] == "sandbox-embedding"
    desk.control.delete("/faults")
    standing = await other.embed()
    assert standing.following is None and standing.serving.id != first.id
    assert (standing.serving.size, standing.serving.error_code) == (64, None)
    assert (await other.ask("courier delivery"))[0] == "Доставка"
    assert desk.calls()[-1]["model"] == "sandbox-embedding-large"
    async with desk.database.session(desk.scope) as session:
        assert await session.fetchval("select count(*) from app.chunk_vector") == len(BASE)


async def test_a_model_exchanged_behind_its_name_is_noticed_and_everything_embedded_anew(desk):
    """KB-16"""
    await desk.save_questions(await desk.write(BASE))
    await desk.embed()
    desk.control.post("/knobs", json={"dimensions": 128}).raise_for_status()
    assert "Доставка" not in await desk.ask("courier delivery"), "such a vector compares with none"
    assert (await desk.standing()).serving.error_code == "embedding_size"
    assert await desk.queued() == 1
    serving = (await desk.embed()).serving
    assert (serving.size, serving.error_code) == (128, None)
    assert (await desk.ask("courier delivery"))[0] == "Доставка"


async def test_an_index_made_anew_takes_no_vectors_over_that_the_model_does_not_answer_with_any_more(desk):
    """KB-16: nobody asked meanwhile, so nothing told of the index that serves: it went on for ever."""
    await desk.write(BASE)
    first = (await desk.embed()).serving
    desk.control.post("/knobs", json={"dimensions": 128}).raise_for_status()
    async with desk.database.session(desk.scope) as session:
        await session.execute("update app.vector_index set hidden = null")
    await desk.write({"Хранение": "Заказ хранится на складе неделю."})
    standing = await desk.embed()
    assert (standing.serving.id, standing.following.error_code) == (first.id, "embedding_size")
    assert standing.following.size == first.size, "the others' were taken over"
    standing = await desk.embed()
    assert standing.following is None and standing.serving.id != first.id
    assert (standing.serving.size, standing.serving.error_code) == (128, None)
    assert standing.progress.embedded == len(BASE) + 1


async def test_vectors_of_another_size_than_asked_for_are_refused_with_the_reason(desk):
    """KB-16"""
    await desk.write({"Доставка": BASE["Доставка"]})
    desk.fail(action="wrong_size")
    standing = await desk.with_model("sandbox-embedding", size=32).embed()
    assert standing.serving is None
    assert standing.following.error_code == "embedding_size"
    assert standing.progress.embedded == 0


async def test_batches_are_small_and_a_refusal_for_now_is_waited_for(desk):
    """KB-15"""
    text = "\n\n".join(f"## Раздел {n}\n\nДоставка номер {n} стоит {n} рублей." for n in range(130))
    await desk.write({"Цены": text})
    desk.fail(status=429, retry_after=1, count=1)
    standing = await desk.embed()
    assert standing.serving.ready_at and standing.progress.embedded == standing.progress.chunks > 100
    outcomes = [(len(call["prompt"]), call["outcome"]) for call in desk.calls()]
    assert max(size for size, _ in outcomes) == 100
    assert [outcome for _, outcome in outcomes[:2]] == ["429", "answered"]
    assert desk.calls()[1]["at"] - desk.calls()[0]["at"] >= 1


async def test_a_provider_that_is_away_is_shown_and_tried_again(desk):
    """KB-22"""
    await desk.write({"Доставка": BASE["Доставка"]})
    desk.fail(status=503)
    with pytest.raises(UpstreamUnavailable):
        await desk.embed()
    standing = await desk.standing()
    assert standing.following.error_code == "embedding_unavailable"
    desk.control.delete("/faults")
    assert (await desk.embed()).serving.error_code is None


async def test_one_job_at_a_time_works_at_an_index_and_a_dead_one_is_taken_over(desk):
    await desk.write(BASE)
    model = desk.embedder.model
    async with desk.database.session(desk.scope) as session:
        index = await vectors.claim_index(session, model, 1)
        assert await vectors.claim_index(session, model, 2) is None
        again = await vectors.claim_index(session, model, 1)
    assert (index.id, again.claim) == (again.id, index.claim + 1)
    async with desk.database.session(desk.scope) as session:
        assert not await store.hold_index(session, index, vectors.LEASE), "the job before is fenced"
    standing = await desk.embed()
    assert standing.progress.embedded == 0
    async with desk.database.session(desk.scope) as session:
        await vectors.bury(session, 1)
    assert (await desk.embed()).progress.embedded == len(BASE)


async def test_the_schedule_finds_workspaces_without_an_index_of_this_model(desk, other_scope):
    await desk.write({"Доставка": BASE["Доставка"]})
    model = replace(desk.embedder.model, name=f"own-{desk.scope.org_id.hex}")
    await vectors.queue_due(desk.database, model, most=100_000)
    assert await desk.queued() == 1
    assert await desk.of(other_scope).queued() == 0, "it has nothing to embed"
    await vectors.queue_due(desk.database, model, most=100_000)
    assert await desk.queued() == 1, "it is under way"
    async with desk.database.session(desk.scope) as session:
        await session.execute(
            "update app.vector_index set updated_at = now() - $1::interval", timedelta(hours=2)
        )
    await vectors.queue_due(desk.database, model, most=100_000)
    assert await desk.queued() == 2


async def test_the_schedule_does_not_begin_with_the_same_workspaces_each_time(desk, other_scope):
    """However many fail, none is left out: who was never worked at comes first, then who was longest ago."""
    model = replace(desk.embedder.model, name=f"own-{desk.scope.org_id.hex}")
    first, last = sorted((desk.scope, other_scope), key=lambda one: one.org_id)
    for scope in (first, last):
        await desk.of(scope).write({"Доставка": BASE["Доставка"]})
    await vectors.queue_due(desk.database, model, most=100_000)  # other tests' workspaces too

    async def failed(scope, hours):
        async with desk.database.session(scope) as session:
            await session.execute(
                "update app.vector_index set error_code = 'internal', updated_at = now() - $1::interval",
                timedelta(hours=hours),
            )

    for due_first, due_last in ((last, first), (first, last)):
        await failed(due_first, 900_000)
        await failed(due_last, 800_000)
        before = await desk.of(due_last).queued()
        assert await vectors.queue_due(desk.database, model, most=1) == 1
        assert await desk.of(due_last).queued() == before
        assert await vectors.queue_due(desk.database, model, most=1) == 1
        assert await desk.of(due_last).queued() == before + 1


async def test_it_is_measured_again_when_much_has_changed(desk):
    articles = await desk.write(BASE)
    await desk.save_questions(articles)
    first = (await desk.embed()).serving
    await desk.write({f"Ещё {n}": f"Ещё одна статья номер {n}." for n in range(2)})
    assert (await desk.embed()).serving.measured_at == first.measured_at
    await desk.write({f"Новая {n}": f"Другая статья номер {n}." for n in range(9)})
    assert (await desk.embed()).serving.measured_at > first.measured_at
    async with desk.database.session(desk.scope) as session:
        await vectors.measure_again(session)
    assert (await desk.embed()).serving.measured_at > first.measured_at


async def test_nothing_of_another_workspace_is_found_while_it_is_embedded_anew(
    desk, other_scope, monkeypatch
):
    """KB-27"""
    charlie = desk.of(other_scope)
    await desk.save_questions(await desk.write(BASE))
    await charlie.save_questions(
        await charlie.write({title: f"{text} canary-7q2" for title, text in BASE.items()})
    )
    await desk.embed()
    await charlie.embed()
    other = charlie.with_model("sandbox-embedding-large")
    desk.fail(model="large", status=400)
    await other.embed()
    for asking in (desk, charlie, other):
        async with asking.database.session(asking.scope) as session:
            own = {row["id"] for row in await session.fetch("select id from app.article")}
        for question in ENGLISH.values():
            meaning = await Understanding(asking.embedder).understand(desk.database, asking.scope, question)
            assert meaning is not None
            async with asking.database.session(asking.scope) as session:
                found = await service.search(session, question, meaning=meaning)
            assert found and {passage.source_id for passage in found} <= own
            # another workspace's own index, held against this one: row-level security answers nothing
            async with desk.database.session(
                (desk if asking.scope is not desk.scope else charlie).scope
            ) as session:
                assert await store.nearest(session, meaning, 5) == []
                with monkeypatch.context() as large:
                    large.setattr(store, "EXACT_MAX", 0)
                    assert await store.nearest(session, meaning, 5) == []


def test_the_table_of_vectors_is_made_once_and_later_if_need_be(roles):
    with psycopg.connect(roles.owner_dsn) as owner:
        assert not make_vectors(owner)
        owner.execute("drop table app.chunk_vector")
        assert make_vectors(owner)
        assert not make_vectors(owner)
        forced = owner.execute(
            "select relforcerowsecurity from pg_class where oid = 'app.chunk_vector'::regclass"
        ).fetchone()
        assert forced == (True,)
        owner.rollback()


async def test_a_database_without_the_table_says_so_and_words_answer(desk, roles):
    await desk.write(BASE)
    with psycopg.connect(roles.owner_dsn, autocommit=True) as owner:
        owner.execute("alter table app.chunk_vector rename to elsewhere")
        try:
            standing = await desk.embed()
            found = await desk.ask("сколько идёт доставка")
        finally:
            owner.execute("alter table app.elsewhere rename to chunk_vector")
    assert (standing.following.error_code, standing.state) == ("no_pgvector", "failed")
    assert found[0] == "Доставка"
    assert (await desk.embed()).state == "ready"


async def test_the_nearest_are_looked_for_within_the_categories(desk):
    """KB-17: what is near elsewhere does not take the place of what is here."""
    articles = await desk.write(BASE)
    await desk.save_questions(articles)
    await desk.embed()
    async with desk.database.session(desk.scope) as session:
        new = NewCategory("Одна")
        only = await categories.create_category(session, new, now=utcnow())
        change = ArticleChange(articles["Монтаж"].id, categories=(only.id,))
        await service.update_article(session, change, now=utcnow())
    meaning = await Understanding(desk.embedder).understand(desk.database, desk.scope, "free assembly")
    within = service.within([only.id])
    async with desk.database.session(desk.scope) as session:
        assert [len(await store.nearest(session, meaning, 1, one)) for one in (None, within)] == [1, 1]
        for question in ("courier delivery", "free assembly"):
            found = await service.search(session, question, meaning=meaning, within=within)
            assert [one.source_title for one in found] == ["Монтаж"]
        trial = await questions.try_question(session, "free assembly", meaning, within=within)
        assert [one.source_title for leg in trial.legs for one in leg.passages] == ["Монтаж"] * 2
        assert await store.nearest(session, meaning, 5, service.within([])) == []


async def test_a_large_base_is_looked_through_by_signs_and_its_nearest_compared_exactly(desk, monkeypatch):
    """KB-15: with as many as are compared here, nothing is lost by it, whoever asks."""
    await desk.save_questions(await desk.write(BASE))
    await desk.embed()
    for question in ENGLISH.values():
        meaning = await Understanding(desk.embedder).understand(desk.database, desk.scope, question)
        async with desk.database.session(desk.scope) as session:
            exact = await store.nearest(session, meaning, 3)
            monkeypatch.setattr(store, "EXACT_MAX", 0)
            assert await store.nearest(session, meaning, 3) == exact
            monkeypatch.undo()
        assert exact


async def test_vectors_without_signs_are_compared_exactly_until_the_next_work_at_them(desk, monkeypatch):
    """The release before stores none: nothing of them is lost meanwhile, and they get theirs."""
    await desk.save_questions(await desk.write(BASE))
    await desk.embed()
    meaning = await Understanding(desk.embedder).understand(desk.database, desk.scope, "courier delivery")
    monkeypatch.setattr(store, "EXACT_MAX", 0)
    unsigned = "select count(*) from app.chunk_vector where bits is null"
    async with desk.database.session(desk.scope) as session:
        near = await store.nearest(session, meaning, 3)
        await session.execute("update app.chunk_vector set bits = null where chunk_id = $1", near[0].chunk_id)
        assert await store.nearest(session, meaning, 3) == near
        assert await session.fetchval(unsigned) == 1
    await desk.embed()
    async with desk.database.session(desk.scope) as session:
        assert await session.fetchval(unsigned) == 0
        assert await store.nearest(session, meaning, 3) == near


async def test_a_measurement_keeps_its_lease_and_ends_where_another_has_taken_over(desk):
    """Before each part of the questions: else two jobs would measure one index."""
    await desk.save_questions(await desk.write(BASE))
    async with desk.database.session(desk.scope) as session:
        index = await vectors.claim_index(session, desk.embedder.model, 1)
        await session.execute("update app.vector_index set lease_until = now()")
    await jobs._measure(desk, desk.embedder, index)
    async with desk.database.session(desk.scope) as session:
        left = "select lease_until > now() + interval '10 seconds' from app.vector_index"
        assert await session.fetchval(left)
        assert await vectors.claim_index(session, desk.embedder.model, 2) is None
        await session.execute("update app.vector_index set claim = claim + 1")
    before = len(desk.calls())
    with pytest.raises(Conflict):
        await jobs._measure(desk, desk.embedder, index)
    assert len(desk.calls()) == before
