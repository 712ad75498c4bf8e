"""The verbs of questions: saved ones, what they find, and runs of all of them, which calibrate the base."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Literal
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import retrieval
from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.model import Passage, Quote
from gptagent.features.knowledge.naming.model import other_names
from gptagent.features.knowledge.questions import store
from gptagent.features.knowledge.questions.calibration import (
    Outcome,
    Run,
    choose_threshold,
    figures_of,
)
from gptagent.features.knowledge.questions.model import (
    QUESTIONS_MAX,
    SOURCES_MAX,
    TEXT_MAX_CHARS,
    Asked,
    Expected,
    Question,
    self_questions,
)
from gptagent.features.knowledge.questions.ways import LegName, Way
from gptagent.features.knowledge.reranking.model import Order
from gptagent.features.knowledge.vectors.model import Meaning
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page, orders
from gptagent.kernel.scope import SYSTEM, Scope

MEASURE_JOB = "knowledge.measure"
RUNS_TOPIC = "knowledge-runs"
RUNS_KEPT = 20
REST = timedelta(minutes=2)  # a base that is still being written is not measured
MOST_AT_ONCE = 20
REMOVED = 25  # expected passages that are looked past at first when a question is asked without them
REMOVED_MAX = 2_000  # at last: of a long document more of them come before the first of another
WIDER = 4  # times as many, if all that was found is expected
TITLES_SHOWN = 10
ORDERS = orders()
PLAIN = Way()  # by words alone


@dataclass(frozen=True, slots=True)
class Leg:
    """What one way of searching found. `taken_for` says what words of the question stood for, `alike` (0-1)
    how much those that were taken for them by their 3-grams count.

    What is found by a way that is not used here does not count.
    """

    name: Literal["words", "graph", "meaning", "fused", "reranking"]
    passages: Sequence[Passage]
    taken_for: dict[str, list[str]]
    is_used: bool = True
    alike: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def scores(self) -> list[float | None]:
        """What this way gives each passage: BM25, the similarity of meanings, the share in both searches
        joined, the reranking model's relevance. None where it has told none.
        """
        return [_SCORES[self.name](one) for one in self.passages]


_SCORES: Mapping[str, Callable[[Passage], float | None]] = {
    "words": attrgetter("score"),
    "graph": attrgetter("score"),
    "meaning": attrgetter("similarity"),
    "fused": attrgetter("fused"),
    "reranking": attrgetter("relevance"),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What becomes of a question, from its words to the quoted sentences."""

    question: str
    legs: Sequence[Leg]
    passages: Sequence[Passage]  # that the model would be given
    threshold: float
    is_answerable: bool
    quotes: Sequence[Quote]


async def sample(session: Session, limit: int) -> list[Asked]:
    """Return up to `limit` questions with where their answers are, the same ones while the base is the same.

    They are the workspace's saved questions that expect a source, else headings and first sentences of its
    passages, asked against these passages.
    """
    saved = await store.fetch_expecting(session, limit)
    return saved or self_questions(await store.choose_excerpts(session, limit), limit)


async def try_question(
    session: Session,
    text: str,
    meaning: Meaning | None = None,
    *,
    within: Within | None = None,
    order: Order | None = None,
) -> Trial:
    """Ask the base, or what of it is `within`, by meaning and in a model's `order` if given; show every step.

    Changes nothing. Raises Invalid.
    """
    question = check_text(text)
    asking = await retrieval.read_question(session, question, within)
    by_words = await retrieval.search(session, question, within=within, by_names=False)
    found = by_words
    if meaning is not None or asking.named or order is not None:
        found = await retrieval.search(session, question, meaning=meaning, within=within, order=order)
    passages = await retrieval.add_related(session, question, found, within=within)
    threshold = await retrieval.refusal_support(session)
    respelt = {word: list(near) for word, near in asking.respelt.items()}
    legs = [
        Leg("words", by_words, respelt, alike=asking.respelt),
        *await _by_names(session, question, asking, within),
    ]
    if meaning is not None:
        near = await retrieval.search_by_meaning(session, question, meaning, within)
        joined = found
        if order is not None:
            joined = await retrieval.search(session, question, meaning=meaning, within=within)
        legs += [Leg("meaning", near, {}), Leg("fused", joined, {})]
    if order is not None:
        legs.append(Leg("reranking", found, {}))
    return Trial(
        question=question,
        legs=legs,
        passages=passages,
        threshold=threshold,
        is_answerable=retrieval.is_answerable(found, threshold),
        quotes=await retrieval.best_sentences(session, question, passages, within=within),
    )


async def _by_names(
    session: Session, question: str, used: retrieval.Asking, within: Within | None
) -> list[Leg]:
    """Return what other names of what the question names would find, if it names anything that has some."""
    asking = await retrieval.read_question(session, question, within, by_names=True)
    if not asking.named:
        return []
    passages = await retrieval.search_by_names(session, question, within)
    return [Leg("graph", passages, other_names(asking.names), is_used=bool(used.named))]


async def list_questions(session: Session) -> list[Question]:
    """Return the saved questions, newest first."""
    return await store.list_questions(session, QUESTIONS_MAX)


async def page_questions(session: Session, page: Page) -> tuple[list[Question], str | None]:
    """Return a page of the saved questions, and the cursor of the next one if there is more."""
    found = await store.page_questions(session, page)
    return page.cut(found, lambda one: (one.created_at, one.id))


async def offer_sources(session: Session, question: Question, text: str) -> list[Expected]:
    """Return what may be expected to answer it: what is, what a search finds, what is called like `text`."""
    found = await retrieval.search(session, question.text)
    near = [Expected(one.source_kind, one.source_id, one.source_title) for one in found]
    named = await store.find_titles(session, text.strip(), TITLES_SHOWN) if text.strip() else []
    return list({one.id: one for one in (*question.sources, *near, *named)}.values())


async def save_question(session: Session, text: str, sources: Sequence[UUID], *, now: datetime) -> Question:
    """Keep a question with the articles and documents that should answer it. Raises Invalid, Conflict."""
    question = check_text(text)
    if await store.count_questions(session) >= QUESTIONS_MAX:
        raise Conflict(
            "too_many_questions", "At most {max} questions are kept.", params={"max": QUESTIONS_MAX}
        )
    question_id = new_id()
    if not await store.insert_question(session, question_id, question, now):
        raise Invalid.field("text", "This question is saved already.")
    await _expect(session, question_id, sources)
    await audit.record(session, Entry("question.saved", "question", str(question_id)))
    return await get_question(session, question_id)


async def change_sources(
    session: Session, question_id: UUID, sources: Sequence[UUID], *, now: datetime
) -> Question:
    """Expect other articles and documents. Raises NotFound, Invalid."""
    if not await store.touch_question(session, question_id, now):
        raise _missing()
    await _expect(session, question_id, sources)
    await audit.record(session, Entry("question.updated", "question", str(question_id), {"sources": None}))
    return await get_question(session, question_id)


async def delete_question(session: Session, question_id: UUID) -> None:
    """Raises NotFound."""
    if not await store.delete_question(session, question_id):
        raise _missing()
    await audit.record(session, Entry("question.deleted", "question", str(question_id)))


async def get_question(session: Session, question_id: UUID) -> Question:
    """Raises NotFound."""
    question = await store.fetch_question(session, question_id)
    if question is None:
        raise _missing()
    return question


async def queue_run(session: Session, *, now: datetime) -> UUID | None:
    """Have the base measured in the background. None if it is about to be."""
    run_id = new_id()
    if not await store.queue_run(session, run_id, now):
        return None
    await session.enqueue(MEASURE_JOB, {"run_id": str(run_id)})
    await session.publish(RUNS_TOPIC, "changed", {"run_id": str(run_id)})
    return run_id


async def queue_due_runs(db: Database) -> int:
    """Have bases measured that changed notably and are at rest. Returns how many."""
    async with db.installation() as session:
        due = await store.bases_to_measure(session, REST, MOST_AT_ONCE)
    begun = 0
    for org_id in due:
        async with db.session(Scope(org_id, SYSTEM)) as session:
            begun += await queue_run(session, now=utcnow()) is not None
    return begun


async def list_runs(session: Session, *, limit: int = RUNS_KEPT, done: bool = False) -> list[Run]:
    """Return runs, the latest first; `done` leaves out those that have not ended well."""
    return await store.list_runs(session, limit, done=done)


async def page_runs(session: Session, page: Page) -> tuple[list[Run], str | None]:
    """Return a page of the runs, and the cursor of the next one if there is more."""
    found = await store.page_runs(session, page)
    return page.cut(found, lambda one: (one.created_at, one.id))


async def get_run(session: Session, run_id: UUID) -> Run:
    """Raises NotFound."""
    run = await store.fetch_run(session, run_id)
    if run is None:
        raise NotFound("run_not_found", "There is no such run.")
    return run


async def measure(session: Session, asked: Asked, way: Way = PLAIN) -> Outcome:
    """Ask one question as a turn does, as it is and with the expected passages left out, all of them."""
    found, expected = await _search(session, asked, way)
    first = found[: retrieval.SEARCH_LIMIT]
    if not way.is_plain:  # what is looked at further joins the two searches otherwise
        first = await _ask(session, asked, way, retrieval.SEARCH_LIMIT)
    right = [asked.is_answered_by(one.chunk_id, one.source_id) for one in first]
    without = [one for one, is_expected in zip(found, expected, strict=True) if not is_expected]
    return Outcome(
        question=asked.text,
        rank=right.index(True) + 1 if any(right) else 0,
        present=max((one.support for one in first), default=0.0),
        removed=max((one.support for one in without[: retrieval.SEARCH_LIMIT]), default=0.0),
    )


async def _ask(session: Session, asked: Asked, way: Way, limit: int) -> list[Passage]:
    return await retrieval.search(session, asked.text, limit=limit, meaning=way.meaning, order=way.order)


async def _search(session: Session, asked: Asked, way: Way) -> tuple[list[Passage], list[bool]]:
    """Return passages and whether each is expected: so many that enough others are among them, if any are."""
    removed = min(len(asked.chunks), REMOVED) if asked.chunks else REMOVED
    while True:
        most = retrieval.SEARCH_LIMIT + removed
        found = await _ask(session, asked, way, most)
        expected = [asked.is_answered_by(one.chunk_id, one.source_id) for one in found]
        is_all = len(found) < most or removed >= REMOVED_MAX
        if is_all or expected.count(False) >= retrieval.SEARCH_LIMIT:
            return found, expected
        removed = min(removed * WIDER, REMOVED_MAX)


async def record_run(
    session: Session,
    run_id: UUID,
    outcomes: Sequence[Outcome],
    *,
    is_saved: bool,
    legs: Sequence[LegName] = ("words",),
    now: datetime,
) -> None:
    """End a run: from now on the base answers from the support on that it has told. Done again, nothing.

    `legs` are the ways by which it has asked.
    """
    threshold = choose_threshold(outcomes, is_saved=is_saved)
    figures = figures_of(outcomes, threshold)
    if await store.end_run(
        session,
        run_id,
        outcomes,
        figures=figures,
        threshold=threshold,
        is_saved=is_saved,
        legs=legs,
        now=now,
    ):
        await store.forget_runs(session, RUNS_KEPT)
        await session.publish(RUNS_TOPIC, "changed", {"run_id": str(run_id)})


async def fail_run(session: Session, run_id: UUID, error_code: str = "internal", *, now: datetime) -> None:
    """Nothing is learnt from it; what was known stays. `error_code` is a key of FAILURES."""
    if await store.fail_run(session, run_id, error_code, now):
        await session.publish(RUNS_TOPIC, "changed", {"run_id": str(run_id)})


async def _expect(session: Session, question_id: UUID, sources: Sequence[UUID]) -> None:
    if len(set(sources)) > SOURCES_MAX:
        raise Invalid.field("sources", "Choose at most {max}.", max=SOURCES_MAX)
    if await store.set_sources(session, question_id, set(sources)) != len(set(sources)):
        raise Invalid.field("sources", "There is no such article or document.")


def check_text(text: str) -> str:
    """Return a question without needless white space. Raises Invalid."""
    question = " ".join(text.replace("\0", " ").split())
    if not question:
        raise Invalid.field("text", "Write a question.")
    if len(question) > TEXT_MAX_CHARS:
        raise Invalid.field("text", "Write at most {max} characters.", max=TEXT_MAX_CHARS)
    return question


def _missing() -> NotFound:
    return NotFound("question_not_found", "There is no such question.")
