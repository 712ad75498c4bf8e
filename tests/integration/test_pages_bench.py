"""The test bench: a question and what becomes of it, saved with one click, measured by a button."""

from test_knowledge_runs import WORDS, Context

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.questions import jobs, service
from gptagent.kernel.clock import utcnow
from readers import texts

PATH = "/knowledge-bench"


async def test_a_question_is_tried_saved_and_measured_on_the_page(alice, dora, database, scope):
    async with database.session(scope) as session:
        new = NewArticle("Delivery", "# Terms\n\nDelivery to Kazan takes three days. We pack by hand.")
        article = await knowledge.create_article(session, new, now=utcnow())
    page = await alice.open(PATH)
    assert page.status_code == 200
    assert "The base was not measured yet. That happens by itself two minutes after it has changed." in texts(
        page
    )
    asked = "How long does delivry to Kazan take?"
    for reader in (alice, dora):
        page = await reader.open(PATH, params={"q": asked})
        for text in ("Would be answered", "Quoted without a model", "Delivery to Kazan takes three days."):
            assert text in texts(page), text
        assert ("Save the question" in page.text) is (reader is alice)
    assert "is taken for: deliveri" in page.text
    assert "Counts as not found" in texts(await alice.open(PATH, params={"q": "Who paints houses?"}))
    long = await alice.open(PATH, params={"q": "x" * 501})
    assert (long.status_code, "Write at most 500 characters." in long.text) == (422, True)

    saved = {"text": asked, "sources": str(article.id)}
    assert "Saved" in texts(await alice.follow(await alice.send(f"{PATH}/questions", saved)))
    for form, error in (
        (saved, "This question is saved already."),
        ({"text": "Other?", "sources": "nonsense"}, "There is no such article or document."),
    ):
        again = await alice.send(f"{PATH}/questions", form)
        assert (again.status_code, error in again.text) == (422, True)
    assert (await dora.send(f"{PATH}/questions", saved)).status_code == 403

    missed = "Who paints houses?"
    page = await alice.open(PATH, params={"q": missed})
    assert "Save the question" in page.text and 'name="sources"' not in page.text
    answer = await alice.send(f"{PATH}/questions", {"text": missed})
    chosen = await alice.follow(answer)
    assert "What should answer it" in texts(chosen) and missed in texts(chosen), "what is missed counts most"
    path = answer.headers["location"].partition("/knowledge-bench")[2]
    await alice.follow(await alice.send(f"{PATH}{path}/delete"))

    begun = await alice.follow(await alice.send(f"{PATH}/runs"))
    assert "The base is being measured" in texts(begun)
    async with database.session(scope) as session:
        (run,) = await service.list_runs(session)
        (question,) = await service.list_questions(session)
    await jobs.QuestionJobs(WORDS).measure(Context(database, scope), str(run.id))
    part = await alice.open(f"{PATH}/runs")
    for text in ("1 saved question", "100%", "0.38"):
        assert text in part.text, text
    assert "Fewer than 20 questions tell too little" in part.text
    gone = await alice.follow(await alice.send(f"{PATH}/questions/{question.id}/delete"))
    assert "The question is deleted" in texts(gone)
    assert "None yet." in gone.text
