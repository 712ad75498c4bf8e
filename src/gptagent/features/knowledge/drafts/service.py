"""The verbs of drafts: make one of a talk, show, accept, reject."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.inference import service as inference
from gptagent.features.knowledge import retrieval
from gptagent.features.knowledge.articles import service as articles
from gptagent.features.knowledge.articles.model import NewArticle
from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.drafts import store
from gptagent.features.knowledge.drafts.model import (
    ANSWER_MAX_CHARS,
    EXCHANGES_MAX,
    Decision,
    Draft,
    DraftText,
    Exchange,
    Material,
    Status,
    Talk,
    goes_on,
    is_question,
    says_enough,
)
from gptagent.features.knowledge.drafts.prompting import masked_lines
from gptagent.features.knowledge.gaps import service as gaps
from gptagent.features.knowledge.gaps.masking import masked
from gptagent.features.knowledge.gaps.model import QUESTION_MAX_CHARS, kind_of
from gptagent.features.knowledge.staging import service as staging
from gptagent.features.knowledge.staging.model import At
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.paging import Order, Page

BY_MODEL_A_DAY = 50  # calls of a workspace; further drafts are made of the words themselves
DAY = timedelta(days=1)
ORDERS = {
    "-created_at": Order("-created_at", "created_at", descending=True),
    "created_at": Order("created_at", "created_at"),
}


@dataclass(slots=True)
class _Asked:
    text: str
    turns: tuple[UUID, ...]
    answers: list[str]


@dataclass(frozen=True, slots=True)
class _Lack:
    """The base has no full answer. `gap_id` is where that was noted, if it was."""

    gap_id: UUID | None


async def read_talk(
    session: Session,
    exchanges: Sequence[Exchange],
    names: Sequence[str],
    *,
    within: Within,
) -> Material | None:
    """Return what an article can be made of: the questions that the base does not answer, or hardly; looked
    at is what is `within`, of which the agent of the talk answers, and at the stage where each was asked.

    None if there are none, if the answers say too little, or the same was proposed and not accepted.
    """
    told: list[Talk] = []
    gap_id: UUID | None = None
    places: set[At] = set()
    for one in (await _asked(session, exchanges, tuple(names)))[:EXCHANGES_MAX]:
        answer = "\n\n".join(one.answers)[:ANSWER_MAX_CHARS]
        if not says_enough(await gaps.words_of(session, answer), answer):
            continue
        at = await gaps.place_of(session, one.turns) or within.at
        lack = await _lack(session, one, replace(within, at=at))
        if lack is not None:
            told.append(Talk(one.text, answer))
            gap_id = gap_id or lack.gap_id
            places |= {at} if at else set()
    if not told or await store.is_known(session, gap_id, told[0].question):
        return None
    stages = await staging.stages_for(session, places)
    return Material(tuple(told), gap_id, tuple(names), stages)


async def may_ask_model(session: Session) -> bool:
    """Tell whether the model may be asked for one more: all its calls of the last day count, kept or not."""
    return await inference.count_calls(session, "draft", DAY) < BY_MODEL_A_DAY


async def propose(
    session: Session, conversation_id: UUID, material: Material, text: DraftText, *, now: datetime
) -> bool:
    """Keep a draft, for a person to decide. False if the same was proposed meanwhile."""
    await store.lock_drafts(session)
    if await store.is_known(session, material.gap_id, material.question):
        return False
    await store.insert_draft(session, conversation_id, material, text, now)
    return True


async def get_draft(session: Session, draft_id: UUID) -> Draft:
    """Raise NotFound if there is none such, or its conversation was erased."""
    draft = await store.fetch_draft(session, draft_id)
    if draft is None:
        raise NotFound("draft_not_found", "There is no such proposed article any more.")
    return draft


async def find_drafts(session: Session, status: Status, *, limit: int, offset: int = 0) -> list[Draft]:
    """Return a part of the drafts, newest first."""
    return await store.find_drafts(session, status, limit, offset)


async def page_drafts(session: Session, page: Page, status: Status) -> tuple[list[Draft], str | None]:
    """Return a page of the drafts, and the cursor of the next one if there is more."""
    found = await store.page_drafts(session, page, status)
    return page.cut(found, lambda one: (one.created_at, one.id))


async def count_drafts(session: Session) -> dict[str, int]:
    """Return how many there are of each status."""
    found = await store.count_drafts(session)
    return {"proposed": 0, "accepted": 0, "rejected": 0, **found}


async def accept(session: Session, draft_id: UUID, decision: Decision, *, now: datetime) -> Draft:
    """Make an article of it, linked to the gap it fills and where the agent that was asked finds it.

    Raises NotFound, Invalid for a text that is no article, Conflict if somebody has decided already or the
    plan has no room.
    """
    draft = await get_draft(session, draft_id)
    if draft.status != "proposed":
        raise _decided()
    title = draft.title if decision.title is None else decision.title
    content = draft.content if decision.content is None else decision.content
    places: tuple[UUID, ...] = ()
    if draft.gap_id is not None:
        await gaps.hold_gap(session, draft.gap_id)
        places = await gaps.category_for(session, draft.gap_id)
    stages = decision.stages
    if stages is None:
        stages = await staging.still_there(session, draft.stages)
    new = NewArticle(title, content, decision.is_active, categories=places, stages=stages)
    article = await articles.create_article(session, new, now=now)
    if draft.gap_id is not None:
        await gaps.fill(session, draft.gap_id, article.id, now=now)
    if not await store.decide(session, draft_id, "accepted", article.id, now):
        raise _decided()
    changes = {"article_id": (None, str(article.id))}
    await audit.record(session, Entry("draft.accepted", "draft", str(draft_id), changes))
    return await get_draft(session, draft_id)


async def reject(session: Session, draft_id: UUID, *, now: datetime) -> Draft:
    """Put it away; the same is not proposed again. Raises NotFound, Conflict if that was decided already."""
    await get_draft(session, draft_id)
    if not await store.decide(session, draft_id, "rejected", None, now):
        raise _decided()
    await audit.record(session, Entry("draft.rejected", "draft", str(draft_id)))
    return await get_draft(session, draft_id)


def _decided() -> Conflict:
    return Conflict("draft_decided", "Somebody has decided about this article already.")


async def _asked(session: Session, exchanges: Sequence[Exchange], names: tuple[str, ...]) -> list[_Asked]:
    """Return the questions with their answers, without names; what only goes on with one belongs to it."""
    found: list[_Asked] = []
    for one in exchanges:
        text = masked(one.question, names)[:QUESTION_MAX_CHARS]
        words = await gaps.words_of(session, text)
        answers = [answer for said in one.answers if (answer := masked_lines(said, names))]
        if is_question(words, text):
            found.append(_Asked(text, one.turns, answers))
        elif found and goes_on(words, text):
            found[-1].answers += answers
    return found


async def _lack(session: Session, asked: _Asked, within: Within) -> _Lack | None:
    """Return None if this part of the base answers it fully, or people have put the question away."""
    noted = await gaps.find_asked(session, asked.turns)
    gap = noted or await gaps.find_near(session, asked.text)
    if gap is not None and gap.status == "dismissed":
        return None
    if noted is not None and await gaps.is_answered_at(session, noted, within.at):
        return None
    if noted is None or noted.status != "open":
        refusal = await retrieval.refusal_support(session)
        found = await retrieval.search(session, asked.text, within=within)
        best = max((one.support for one in found), default=0.0)
        if kind_of(is_answered=best >= refusal, support=best, refusal=refusal) == "found":
            return None
    return _Lack(gap.id if gap else None)
