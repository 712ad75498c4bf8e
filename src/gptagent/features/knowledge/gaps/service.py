"""The verbs of gaps: collect, show, dismiss, link an article, look whether it is found now."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import lexical, retrieval
from gptagent.features.knowledge.articles import store as articles
from gptagent.features.knowledge.categories.model import within
from gptagent.features.knowledge.gaps import store
from gptagent.features.knowledge.gaps.masking import masked
from gptagent.features.knowledge.gaps.model import (
    QUESTION_MAX_CHARS,
    Asked,
    Gap,
    Kind,
    Question,
    Share,
    Status,
    View,
    kind_of,
    nearest,
    needed_support,
)
from gptagent.features.knowledge.model import Passage
from gptagent.features.knowledge.scoring import store as scoring
from gptagent.features.knowledge.staging import service as staging
from gptagent.features.knowledge.staging.model import At, StageKey
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page

CANDIDATES = 50  # gaps that a question is held against: those with most words in common
CHECKED_QUESTIONS = 3  # of a gap at a stage, the latest; most of them must be found for it to be answered
CHECKED_GAPS = 5  # of one article in one transaction
QUESTIONS_SHOWN = 50
CHECK_JOB = "knowledge.check_gaps"
BEHIND_REPLIES = -1
SHARE_DAYS_MAX = 366
QUESTION_ORDERS = {
    "-asked_at": Order("-asked_at", "asked_at", descending=True, id_column="turn_id"),
    "asked_at": Order("asked_at", "asked_at", id_column="turn_id"),
}
ORDERS = {
    "-questions": Order("-questions", "questions", "number", descending=True),
    "-last_asked_at": Order("-last_asked_at", "last_asked_at", descending=True),
    "last_asked_at": Order("last_asked_at", "last_asked_at"),
}


async def note_question(session: Session, asked: Asked) -> None:
    """Keep what became of a turn's question; once for a turn, in the transaction that ends it.

    One that was not found, or weakly, goes to the gap that is about the same, or begins one; an answered gap
    that is asked about again in vain is open again. What only greets is no question.
    """
    words = await words_of(session, asked.question)
    if not words or await store.is_known(session, asked.turn_id):
        return
    refusal = await retrieval.refusal_support(session)
    kind = kind_of(is_answered=asked.is_answered, support=asked.support, refusal=refusal)
    if kind == "found":
        await store.insert_question(session, asked, kind, gap_id=None, text="", words=())
        return
    text = masked(asked.question, asked.names)[:QUESTION_MAX_CHARS]
    kept = await words_of(session, text)
    if kept:
        await _place(session, asked, kind, text, kept)


async def forget_questions(session: Session, turn_ids: Sequence[UUID]) -> None:
    """Let the questions of these turns count no more; a gap that held nothing else is gone with them."""
    if turn_ids:
        await store.lock_gaps(session)
        await store.delete_questions(session, turn_ids)


async def _place(session: Session, asked: Asked, kind: Kind, text: str, words: list[str]) -> None:
    await store.lock_gaps(session)
    gap_id = await _near(session, words)
    if gap_id is not None and not await store.hold_gap(session, gap_id):
        gap_id = None  # its last question was erased just now
    is_new = gap_id is None
    if gap_id is None:
        gap_id = new_id()
        await store.insert_gap(session, gap_id, asked.asked_at)
    await store.insert_question(session, asked, kind, gap_id=gap_id, text=text, words=words)
    if is_new:
        await store.insert_words(session, gap_id, asked.turn_id, words)
    elif kind == "not_found":
        await store.reopen(session, gap_id, asked.asked_at)


async def _near(session: Session, words: list[str]) -> UUID | None:
    """Return the gap that is about the same."""
    near = await store.find_near(session, [lexical.kin_range(word) for word in words], CANDIDATES)
    every = {*words, *(word for own in near.values() for word in own)}
    return nearest(await scoring.weigh(session, sorted(every)), words, near)


async def find_near(session: Session, text: str) -> Gap | None:
    """Return the gap that a question without names is about; None if there is none such."""
    words = await words_of(session, text)
    gap_id = await _near(session, words) if words else None
    return await store.fetch_gap(session, gap_id) if gap_id else None


async def find_asked(session: Session, turns: Sequence[UUID]) -> Gap | None:
    """Return the gap that the question of one of these turns went to, of the latest."""
    gap_id = await store.find_asked(session, turns)
    return await store.fetch_gap(session, gap_id) if gap_id else None


async def get_gap(session: Session, gap_id: UUID) -> Gap:
    """Raise NotFound if there is none such, or its last question was erased."""
    gap = await store.fetch_gap(session, gap_id)
    if gap is None:
        raise NotFound("gap_not_found", "There is no such question any more.")
    return gap


async def find_gaps(
    session: Session, view: View, *, search: str = "", sort: str = "", limit: int, offset: int = 0
) -> tuple[list[Gap], int]:
    """Return a part of the gaps of a view, those asked about most first; and how many there are."""
    return await store.find_gaps(session, view, search, sort=sort, limit=limit, offset=offset)


async def page_gaps(
    session: Session, page: Page, view: View, *, search: str = ""
) -> tuple[list[Gap], str | None]:
    """Return a page of the gaps of a view, and the cursor of the next one if there is more."""
    found = await store.page_gaps(session, page, view, search)
    return page.cut(found, lambda gap: (getattr(gap, page.order.column), gap.id))


async def count_views(session: Session) -> dict[str, int]:
    """Return how many gaps each view has."""
    return dict(await store.count_views(session) or {})


async def list_questions(session: Session, gap_id: UUID, *, limit: int = QUESTIONS_SHOWN) -> list[Question]:
    """Return what was asked, the latest first."""
    return await store.list_questions(session, gap_id, limit)


async def page_questions(session: Session, page: Page, gap_id: UUID) -> tuple[list[Question], str | None]:
    """Return a page of what was asked, and the cursor of the next one if there is more. Raises NotFound."""
    await get_gap(session, gap_id)
    found = await store.page_questions(session, page, gap_id)
    return page.cut(found, lambda one: (one.asked_at, one.turn_id))


async def read_shares(session: Session, days: int, *, now: datetime) -> list[Share]:
    """Return what became of the questions of the last days (UTC), of each day on which there were any."""
    first = now.astimezone(UTC).date() - timedelta(days=days - 1)
    return await store.shares(session, datetime.combine(first, time(), UTC))


async def dismiss(session: Session, gap_id: UUID, *, now: datetime) -> Gap:
    """Put a gap away: it is counted on and not shown. Raises NotFound."""
    await store.lock_gap(session, gap_id)
    gap = await get_gap(session, gap_id)
    if gap.status != "dismissed":
        await store.set_status(session, gap_id, "dismissed", now)
        await audit.record(session, Entry("gap.dismissed", "gap", str(gap_id)))
    return await get_gap(session, gap_id)


async def restore(session: Session, gap_id: UUID, *, now: datetime) -> Gap:
    """Show a gap again that was dismissed. Raises NotFound."""
    await store.lock_gap(session, gap_id)
    gap = await get_gap(session, gap_id)
    if gap.status == "dismissed":
        await store.set_status(session, gap_id, "open", now)
        await audit.record(session, Entry("gap.restored", "gap", str(gap_id)))
    return await get_gap(session, gap_id)


async def link_article(session: Session, gap_id: UUID, article_id: UUID, *, now: datetime) -> Gap:
    """Say that an article is for this gap: it is answered as soon as the article is found.

    Raises NotFound for a gap, Invalid on `article_id` for an article that is not there.
    """
    is_there = await articles.hold_articles(session, [article_id])  # before the gap, as a change does
    await store.lock_gap(session, gap_id)
    await get_gap(session, gap_id)
    if not is_there:
        raise Invalid.field("article_id", "There is no such article.")
    await store.set_article(session, gap_id, article_id, now)
    changes = {"article_id": (None, str(article_id))}
    await audit.record(session, Entry("gap.linked", "gap", str(gap_id), changes))
    gap = await get_gap(session, gap_id)
    if gap.status != "dismissed":
        await _check(session, gap_id, gap.status, article_id, now)
    return await get_gap(session, gap_id)


async def category_for(session: Session, gap_id: UUID) -> tuple[UUID, ...]:
    """Return where an article for a gap is found by who was asked; nowhere if all of the base was."""
    found = await store.category_asked(session, gap_id)
    return (found,) if found else ()


async def stages_for(session: Session, gap_id: UUID) -> tuple[StageKey, ...]:
    """Return for which stages an article for a gap is proposed to be: where it was asked; none is for all."""
    return await staging.stages_for(session, await store.places_asked(session, gap_id))


async def place_of(session: Session, turns: Sequence[UUID]) -> At | None:
    """Return where the question of the latest of these turns was asked, if that was noted."""
    return await store.place_of_turns(session, turns)


async def hold_gap(session: Session, gap_id: UUID) -> None:
    """Keep others from changing a gap: before an article is written for it, for passages are locked later."""
    await store.lock_gap(session, gap_id)


async def fill(session: Session, gap_id: UUID, article_id: UUID, *, now: datetime) -> None:
    """Link an article that was just written to a gap, if that is still there."""
    await store.lock_gap(session, gap_id)
    if await store.fetch_gap(session, gap_id) is not None:
        await link_article(session, gap_id, article_id, now=now)


async def check_gap(session: Session, gap_id: UUID, *, now: datetime) -> Gap:
    """Look whether the base answers by now, from whatever source. Raises NotFound."""
    await store.lock_gap(session, gap_id)
    gap = await get_gap(session, gap_id)
    by = await _answering(session, gap_id)
    if by is not None:
        article = next((one.source_id for one in by if one.source_kind == "article"), None)
        await store.set_status(session, gap_id, "answered", now, article)
    else:
        await store.reopen(session, gap_id, now)
    after = await get_gap(session, gap_id)
    if after.status != gap.status:
        await audit.record(
            session, Entry("gap.checked", "gap", str(gap_id), {"status": (gap.status, after.status)})
        )
    return after


async def is_answered_at(session: Session, gap: Gap, at: At | None) -> bool:
    """Tell whether an open gap that has an article is answered at this place by now, though not at others."""
    if gap.status != "open" or gap.article_id is None or at is None:
        return False
    questions = (await _by_place(session, gap.id)).get(at)
    return questions is not None and bool(_most(await _look(session, questions, at)))


async def places_lacking(session: Session, gap: Gap) -> list[At]:
    """Return the places where an open gap was asked about that have no answer; none if no place has one."""
    if gap.status != "open":
        return []
    answered, lacking = 0, []
    for at, questions in (await _by_place(session, gap.id)).items():
        if _most(await _look(session, questions, at)):
            answered += 1
        elif at is not None:
            lacking.append(at)
    return lacking if answered else []


async def queue_check(session: Session, article_id: UUID) -> None:
    """An article has changed: have the gaps it is linked to looked up again, if there are any."""
    if await store.has_gaps(session, article_id):
        await session.enqueue(CHECK_JOB, {"article_id": str(article_id)}, priority=BEHIND_REPLIES)


async def check_article(
    session: Session, article_id: UUID, after: UUID | None = None, *, now: datetime
) -> UUID | None:
    """Look whether an article that was changed answers the gaps it is linked to: some of them, those behind
    `after`. Returns the last one if there may be more.
    """
    if not await articles.hold_articles(session, [article_id]):  # before its gaps, as a link does
        return None
    found = await store.lock_of_article(session, article_id, after, CHECKED_GAPS)
    for row in found:
        await _check(session, row["id"], row["status"], article_id, now)
    return found[-1]["id"] if len(found) == CHECKED_GAPS else None


async def _check(session: Session, gap_id: UUID, status: Status, article_id: UUID, now: datetime) -> None:
    is_found = await _answering(session, gap_id, article_id) is not None
    if is_found and status == "open":
        await store.set_status(session, gap_id, "answered", now)
    elif not is_found:
        await store.reopen(session, gap_id, now)


async def let_go(session: Session, article_id: UUID, *, now: datetime) -> None:
    """The article is about to be deleted: what it answered is open again."""
    await store.reopen_of_article(session, article_id, now)


async def _answering(session: Session, gap_id: UUID, article_id: UUID | None = None) -> list[Passage] | None:
    """Return the passages that answer the gap, of this article if one is named; None if it is not answered.

    It is if most of the latest questions are at each stage where it was asked: an article has to do it at one
    of them, others may do it at the rest.
    """
    answer: list[Passage] | None = None
    for at, questions in (await _by_place(session, gap_id)).items():
        found = await _look(session, questions, at)
        if not _most(found):
            return None
        own = [[one for one in passages if article_id in {None, one.source_id}] for passages in found]
        answer = answer or _most(own)
    return answer


async def _by_place(session: Session, gap_id: UUID) -> dict[At | None, list[Question]]:
    """Return the latest questions by where to look whether they are answered."""
    asked = await store.list_questions(session, gap_id, QUESTIONS_SHOWN)
    places = await staging.where_to_look(session, {one.at for one in asked})
    found: dict[At | None, list[Question]] = {}
    for one in asked:
        if one.at in places:
            found.setdefault(places[one.at], []).append(one)
    return found


async def _look(session: Session, questions: Sequence[Question], at: At | None) -> list[list[Passage]]:
    """Return what answers each of the latest questions, asked of the part of the base that they
    were asked of.

    A question that was answered weakly has to be answered fully, or nothing would have to change for it.
    """
    latest: dict[tuple[str, tuple[UUID, ...] | None], Kind] = {}
    for one in questions:
        latest.setdefault((one.text, one.categories), one.kind)
    refusal, found = await retrieval.refusal_support(session), []
    for (text, part), kind in list(latest.items())[:CHECKED_QUESTIONS]:
        passages = await retrieval.search(session, text, within=within(part, at))
        needed = needed_support(kind, refusal)
        found.append([one for one in passages if one.support >= needed])
    return found


def _most(found: Sequence[list[Passage]]) -> list[Passage] | None:
    """Return what answers the first of them that is answered, if most of them are."""
    answered = [passages for passages in found if passages]
    return answered[0] if len(answered) * 2 > len(found) else None


async def words_of(session: Session, text: str) -> list[str]:
    """Return the words that say what is asked about; none of a greeting."""
    stems = await scoring.stem(session, [lexical.normalise_question(text[:QUESTION_MAX_CHARS])])
    return sorted(set(stems[0]) - lexical.ASKING)
