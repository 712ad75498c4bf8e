"""What may be asked first: questions that were saved, then headings of what the base holds."""

from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.questions import store
from gptagent.features.knowledge.questions.model import HEADING_MIN_CHARS
from gptagent.features.knowledge.staging.service import narrowed
from gptagent.kernel.db import Session

HEADING_MAX_CHARS = 120  # a longer one is nobody's question


async def opening_questions(session: Session, part: Within | None, limit: int) -> list[str]:
    """Return up to `limit` texts of the base, or of a part of it, none twice. Nothing is made up: of an empty
    base there is none.
    """
    part = await narrowed(session, part)
    found = {text.casefold(): text for text in await store.opening_texts(session, limit, part)}
    if len(found) < limit:
        for heading in await store.latest_headings(session, part):
            text = heading.rpartition(" › ")[2].strip()
            if HEADING_MIN_CHARS <= len(text) <= HEADING_MAX_CHARS:
                found.setdefault(text.casefold(), text)
    return list(found.values())[:limit]
