"""Passages by their words: BM25 over the postings. Tenancy is the database's."""
# ruff: noqa: S608 - what is put into statements are this module's own parts of them and numbers

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.categories.store import asked_of, chunks_within, sources_within
from gptagent.features.knowledge.lexical import BM25_B, BM25_K1, COVERAGE_PRIOR
from gptagent.features.knowledge.model import Form, Passage, place_of
from gptagent.features.knowledge.staging.store import chunks_elsewhere, sources_elsewhere
from gptagent.kernel.db import Session


async def stem(session: Session, texts: Sequence[str]) -> list[list[str]]:
    """Return the distinct lexemes of each normalised text."""
    rows = await session.fetch(
        """select tsvector_to_array(to_tsvector('russian', t)) as lexemes
             from unnest($1::text[]) with ordinality as x (t, n) order by n""",
        list(texts),
    )
    return [row["lexemes"] for row in rows]


async def find_forms(session: Session, ranges: Iterable[tuple[str, str]]) -> list[tuple[int, str, int]]:
    """Return (number of the range, lexeme, passages) for the base's lexemes in each range [low, high).

    Each range is read of the index: without `offset 0` a dozen of them has the planner read every lexeme.
    """
    low, high = zip(*ranges, strict=True)
    rows = await session.fetch(
        """select r.n::int - 1 as n, f.lexeme, f.chunks
             from unnest($1::text[], $2::text[]) with ordinality as r (low, high, n),
                  lateral (select l.lexeme, l.chunks from app.lexeme l
                            where l.lexeme >= r.low collate "C" and l.lexeme < r.high collate "C"
                            offset 0) f""",
        list(low),
        list(high),
    )
    return [(row["n"], row["lexeme"], row["chunks"]) for row in rows]


# A rare word says most of what a passage is worth. Passages are looked for by the rarest words, until these
# have named so many; the others stand in a large part of the base and are looked up in the best of those.
NAMED_MIN = 2_000
CANDIDATES = 200

_TERMS = """
form as (
  select * from unnest($1::int[], $2::text[], $3::float8[], $4::boolean[]) as f (term, lexeme, weight, names)
), stats as (
  select chunks::float8 as chunks, greatest(lexemes, 1)::float8 / greatest(chunks, 1) as average
    from app.lexical_stats
), term as (
  select n.term, ln(1 + (s.chunks - n.found + 0.5) / (n.found + 0.5)) as idf, s.average
    from stats s, lateral (select n.term, least(n.found, s.chunks) as found
                             from unnest($5::int[], $6::float8[]) as n (term, found)) n
)"""
_WORTH = f"""
  select chunk_id,
         sum(idf * tf * {BM25_K1 + 1}::float8
             / (tf + {BM25_K1}::float8 * (1 - {BM25_B}::float8 + {BM25_B}::float8 * length / average))
         ) as score,
         sum(({COVERAGE_PRIOR}::float8 + idf) * least(tf, 1)) as covered
    from hit join term using (term) group by chunk_id"""
_NAMED = f"""
named as (
  with hit as (
    select f.term, p.chunk_id, sum(p.tf * f.weight) as tf, min(p.length)::float8 as length
      from form f join app.posting p on p.lexeme = f.lexeme collate "C"
     where f.names group by f.term, p.chunk_id
  ) {_WORTH} order by score desc, chunk_id limit greatest($7, {CANDIDATES})
)"""
# One look-up of the key for each pair, whatever the planner thinks of their number.
_LOOKED_UP = f"""
  with hit as (
    select f.term, x.chunk_id, sum(p.tf * f.weight) as tf, min(p.length)::float8 as length
      from named x cross join form f,
           lateral (select tf, length from app.posting
                     where lexeme = f.lexeme collate "C" and chunk_id = x.chunk_id offset 0) p
     where not f.names group by f.term, x.chunk_id
  ) {_WORTH}"""
_PASSAGES = f"""
select c.id as chunk_id, c.article_id, c.document_id, coalesce(a.title, d.title) as source_title, c.heading,
       coalesce(a.version, d.version) as version, d.mime, c.page, c.content, d.url,
       coalesce(top.score, 0) as score,
       coalesce(top.covered / (select sum({COVERAGE_PRIOR} + idf) from term), 0) as coverage"""
_SOURCES = """
       left join lateral (select title, version from app.article where id = c.article_id offset 0) a on true
       left join lateral (select title, version, mime, url from app.document
                           where id = c.document_id offset 0) d on true"""

_RANKED = f"""with {_TERMS}, {_NAMED}, top as (
  select chunk_id, sum(score) as score, sum(covered) as covered
    from (select * from named union all ({_LOOKED_UP})) x
   group by chunk_id order by score desc, chunk_id limit $7
) {_PASSAGES}
  from top join app.chunk c on c.id = top.chunk_id {_SOURCES}
 order by top.score desc, c.id
"""
# How much a word tells is told by the whole base, also where a part of it is asked.
# What looks needless in the condition has it asked of a table of them, not of each in turn.
_ONLY_WITHIN = "where f.names and (p.chunk_id in (select id from chunk_within)) is true"
_RANKED_WITHIN = f"""with recursive {chunks_within(8)},
{_RANKED.removeprefix("with ").replace("where f.names", _ONLY_WITHIN)}"""
_ONLY_HERE = "where f.names and (p.chunk_id in (select id from chunk_elsewhere)) is not true"
_RANKED_HERE = f"""with {chunks_elsewhere(8)},
{_RANKED.removeprefix("with ").replace("where f.names", _ONLY_HERE)}"""
_CHOSEN = f"""with {_TERMS}, named as (
  select id as chunk_id from unnest($7::bigint[]) as x (id)
), top as ({_LOOKED_UP}) {_PASSAGES}
  from named join app.chunk c on c.id = named.chunk_id left join top using (chunk_id) {_SOURCES}
"""


async def rank(
    session: Session,
    forms: Collection[Form],
    terms: int,
    limit: int,
    within: Within | None = None,
    *,
    named_min: int = NAMED_MIN,
) -> list[Passage]:
    """Return the best passages by BM25, a word's kin counted as its weighted occurrences."""
    if within is not None and within.categories is not None:
        named_min = sys.maxsize  # the rarest words of the base may all stand elsewhere
    elif within is not None:  # so many more are named as each word may name that are for other stages
        named_min += terms * within.elsewhere
    statement, part = asked_of(within, _RANKED, _RANKED_HERE, _RANKED_WITHIN)
    rows = await session.fetch(statement, *_asked(forms, terms, named_min), limit, *part)
    return [passage_of(row) for row in rows]


async def score(
    session: Session, chunk_ids: Collection[int], forms: Collection[Form], terms: int
) -> list[Passage]:
    """Return these passages, in any order, with what `rank` would say of them."""
    rows = await session.fetch(_CHOSEN, *_asked(forms, terms, 0), list(chunk_ids))
    return [passage_of(row) for row in rows]


def _asked(forms: Collection[Form], terms: int, named_min: int) -> tuple[list[Any], ...]:
    """Return the columns of `form`, and each term with the passages that hold the commonest of its forms.

    The rarest terms, that together stand in `named_min`, name passages.
    """
    found = [0] * terms
    for form in forms:
        found[form.term] = max(found[form.term], form.chunks)
    naming, named = set[int](), 0
    for term in sorted(range(terms), key=lambda term: found[term]):
        if named < named_min:
            naming.add(term)
            named += found[term]
    return (
        [form.term for form in forms],
        [form.lexeme for form in forms],
        [form.weight for form in forms],
        [form.term in naming for form in forms],
        list(range(terms)),
        found,
    )


_WEIGHTS = f"""
select w.lexeme, {COVERAGE_PRIOR} + ln(1 + (n.chunks - n.found + 0.5) / (n.found + 0.5)) as weight
  from unnest($1::text[]) as w (lexeme) left join app.lexical_stats s on true
       left join app.lexeme l on l.lexeme = w.lexeme collate "C",
       lateral (select coalesce(s.chunks, 0)::float8 as chunks, coalesce(l.chunks, 0)::float8 as found) n
"""


async def weigh(session: Session, lexemes: Sequence[str]) -> dict[str, float]:
    """Return how much each lexeme tells in this base: its inverse document frequency and the prior."""
    rows = await session.fetch(_WEIGHTS, list(lexemes))
    return {row["lexeme"]: float(row["weight"]) for row in rows}


_BEST_RELATED = """
select best.*, 0 as score, 0 as coverage
  from (select distinct on (r.related_id) r.related_id, x.n, r.position
          from app.article_related r
               join unnest($1::uuid[]) with ordinality as x (id, n) on x.id = r.article_id
         where r.related_id <> all($2::uuid[]) $only
         order by r.related_id, x.n, r.position) r,
       lateral (select c.id as chunk_id, c.article_id, c.document_id, a.title as source_title,
                       a.version, null as mime, c.heading, c.page, c.content, null as url
                  from app.chunk c join app.article a on a.id = c.article_id
                 where c.article_id = r.related_id
                 order by (select count(*) from app.posting p
                            where p.chunk_id = c.id and p.lexeme = any($3::text[])) desc, c.ordinal
                 limit 1) best
 order by r.n, r.position limit $4"""
_RELATED = _BEST_RELATED.replace("$only", "")
_RELATED_HERE = f"""with {sources_elsewhere(5)}
{_BEST_RELATED.replace("$only", "and r.related_id not in (select id from source_elsewhere)")}"""
_RELATED_WITHIN = f"""with recursive {sources_within(5)}
{_BEST_RELATED.replace("$only", "and r.related_id in (select id from source_within)")}"""


async def related(
    session: Session,
    found: Sequence[UUID],
    known: Sequence[UUID],
    words: Sequence[str],
    *,
    limit: int,
    within: Within | None = None,
) -> list[Passage]:
    """Return the best passage of each article related to those found, in their order, without those known."""
    statement, part = asked_of(within, _RELATED, _RELATED_HERE, _RELATED_WITHIN)
    rows = await session.fetch(
        statement,
        list(found),
        list(known),
        list(words),
        limit,
        *part,
    )
    return [passage_of(row) for row in rows]


def passage_of(row: asyncpg.Record) -> Passage:
    """Return what a statement that selects a passage has found."""
    return Passage(
        chunk_id=row["chunk_id"],
        source_kind="article" if row["article_id"] else "document",
        source_id=row["article_id"] or row["document_id"],
        source_title=row["source_title"],
        heading=row["heading"],
        page=row["page"],
        content=row["content"],
        score=float(row["score"]),
        coverage=float(row["coverage"]),
        version=row["version"],
        place=place_of(row["mime"]),
        url=row["url"],
    )
