"""Words of the base that look like those of a question. Tenancy is the database's."""

from collections.abc import Sequence

from gptagent.kernel.db import Session

MOST_WORDS = 20  # of a question; what is pasted in holds more that no passage does
CANDIDATES = 30  # of a word, most 3-grams in common first; the nearest are among them


async def find_alike(session: Session, lexemes: Sequence[str], most_edits: int) -> dict[str, list[str]]:
    """Return, for lexemes that no passage holds, words of the base that share 3-grams with them."""
    rows = await session.fetch(
        """select w.lexeme as word, c.lexeme
             from (select u.lexeme from unnest($1::text[]) with ordinality as u (lexeme, n)
                    where not exists (select from app.posting p where p.lexeme = u.lexeme collate "C")
                    order by u.n limit $4) w,
                  lateral (select g.lexeme from app.gram g
                            where g.gram = any(array(select app.grams(w.lexeme)))
                              and length(g.lexeme) between length(w.lexeme) - $2 and length(w.lexeme) + $2
                            group by g.lexeme
                            order by count(*)::float8 / (length(w.lexeme) + length(g.lexeme)) desc, g.lexeme
                            limit $3) c""",
        list(lexemes),
        most_edits,
        CANDIDATES,
        MOST_WORDS,
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["word"], []).append(row["lexeme"])
    return found
