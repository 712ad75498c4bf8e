"""For which words of the base a question's words stand."""

from collections.abc import Sequence

from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.spelling import store
from gptagent.features.knowledge.spelling.model import WEIGHTS, may_be_misspelt, nearest
from gptagent.kernel.db import Session


async def respell(
    session: Session, lexemes: Sequence[str], within: Within | None = None
) -> dict[str, dict[str, float]]:
    """Return, for lexemes that the base does not hold, the nearest that it does, with their weights.

    With `within` only that part of the base counts.
    """
    doubtful = [lexeme for lexeme in lexemes if may_be_misspelt(lexeme)]
    if not doubtful:
        return {}
    alike = await store.find_alike(session, doubtful, max(WEIGHTS), within)
    found = {lexeme: nearest(lexeme, words) for lexeme, words in alike.items()}
    return {lexeme: near for lexeme, near in found.items() if near}
