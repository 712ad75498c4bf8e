"""What the graph's names add in this base: its questions asked without them and with them."""

from gptagent.features.knowledge import retrieval
from gptagent.features.knowledge.naming.benefit import Trial
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.questions.service import sample
from gptagent.features.knowledge.vectors.model import POOL
from gptagent.kernel.db import Session

__all__ = ["is_named", "sample", "try_question"]


async def is_named(session: Session, asked: Asked) -> bool:
    """Tell whether a question holds a word for which another name of something may stand."""
    return bool((await retrieval.read_question(session, asked.text, by_names=True)).named)


async def try_question(session: Session, asked: Asked, *, named: bool) -> Trial:
    """Ask one question both ways; one that names nothing is found the same."""
    without = await _rank(session, asked, by_names=False)
    return Trial(named, without, await _rank(session, asked, by_names=True) if named else without)


async def _rank(session: Session, asked: Asked, *, by_names: bool) -> int:
    found = await retrieval.search(session, asked.text, limit=POOL, by_names=by_names)
    right = (n for n, p in enumerate(found, start=1) if asked.is_answered_by(p.chunk_id, p.source_id))
    return next(right, 0)
