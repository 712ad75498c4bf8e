"""Words of the base that look like those of a question. Tenancy is the database's."""

from collections.abc import Sequence

from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.categories.store import asked_of, chunks_within
from gptagent.features.knowledge.staging.store import chunks_elsewhere
from gptagent.kernel.db import Session

MOST_WORDS = 20  # of a question; what is pasted in holds more that no passage does
CANDIDATES = 30  # of a word, most 3-grams in common first; the nearest are among them

_FIND_ALIKE = """
select w.word, c.lexeme
  from (select u.lexeme as word from unnest($1::text[]) with ordinality as u (lexeme, n)
         where not exists (select from app.posting p where p.lexeme = u.lexeme collate "C" $known)
         order by u.n limit $4) w,
       lateral (select g.lexeme from app.gram g
                 where g.gram = any(array(select app.grams(w.word)))
                   and length(g.lexeme) between length(w.word) - $2 and length(w.word) + $2
                 group by g.lexeme
                $near
                 order by count(*)::float8 / (length(w.word) + length(g.lexeme)) desc, g.lexeme
                 limit $3) c"""
_ALIKE = _FIND_ALIKE.replace("$known", "").replace("$near", "")
# A word that stands elsewhere only is as unknown here as one that stands nowhere, and none to be taken for.
_KNOWN = "and p.chunk_id in (select id from chunk_within)"
_NEAR = f"having exists (select from app.posting p where p.lexeme = g.lexeme {_KNOWN})"
_ALIKE_WITHIN = f"""with recursive {chunks_within(5)}
{_FIND_ALIKE.replace("$known", _KNOWN).replace("$near", _NEAR)}"""
_KNOWN_HERE = "and (p.chunk_id in (select id from chunk_elsewhere)) is not true"
_NEAR_HERE = f"having exists (select from app.posting p where p.lexeme = g.lexeme {_KNOWN_HERE})"
_ALIKE_HERE = f"""with {chunks_elsewhere(5)}
{_FIND_ALIKE.replace("$known", _KNOWN_HERE).replace("$near", _NEAR_HERE)}"""


async def find_alike(
    session: Session, lexemes: Sequence[str], most_edits: int, within: Within | None = None
) -> dict[str, list[str]]:
    """Return, for lexemes that no passage holds, words of the base that share 3-grams with them."""
    statement, part = asked_of(within, _ALIKE, _ALIKE_HERE, _ALIKE_WITHIN)
    rows = await session.fetch(
        statement,
        list(lexemes),
        most_edits,
        CANDIDATES,
        MOST_WORDS,
        *part,
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["word"], []).append(row["lexeme"])
    return found
