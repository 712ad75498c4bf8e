"""The verbs of questions."""

from gptagent.features.knowledge.questions import store
from gptagent.features.knowledge.questions.model import Asked, self_questions
from gptagent.kernel.db import Session


async def sample(session: Session, limit: int) -> list[Asked]:
    """Return up to `limit` questions with where their answers are, the same ones while the base is the same.

    They are the workspace's saved questions that expect a source, else headings and first sentences of its
    passages, asked against these passages.
    """
    saved = await store.fetch_expecting(session, limit)
    return saved or self_questions(await store.choose_excerpts(session, limit), limit)
