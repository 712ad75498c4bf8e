"""The built-in responder: quotes the base's own sentences, or says that it does not know. Needs no model."""

from dataclasses import dataclass

from gptagent.features.dialog.context import Spent, TurnContext, not_found
from gptagent.features.dialog.model import Answer, Source
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import Passage, Quote
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

BY = "extractive"
SENTENCES = 3


@dataclass(frozen=True, slots=True)
class ExtractiveResponder:
    """Up to three quoted sentences with their source; refuses below the measured threshold; never asserts."""

    async def respond(
        self, db: Database, scope: Scope, context: TurnContext, passages: list[Passage]
    ) -> tuple[Answer, Spent]:
        async with db.session(scope) as session:
            quotes = await knowledge.best_sentences(
                session,
                context.asking or context.question,
                passages,
                limit=SENTENCES,
                within=context.within,
            )
        if not quotes:
            return _objected(context) or not_found(context.agent, BY), Spent()
        sources = tuple(_source(group, rank) for rank, group in enumerate(_by_passage(quotes), start=1))
        return Answer(_words(sources), "reply", BY, sources), Spent()


def _objected(context: TurnContext) -> Answer | None:
    """The company's own answer to what the customer objects; None if the message objects to nothing known."""
    one = next((given for given in context.scripts if given.family == "objection"), None)
    if one is None:
        return None
    source = Source("objection", one.id, one.title, None, "", one.text, rank=1)
    return Answer(one.text, "reply", BY, (source,))


def _by_passage(quotes: list[Quote]) -> list[list[Quote]]:
    """Group the sentences by the passage they stand in, best passage first."""
    groups: dict[int, list[Quote]] = {}
    for quote in quotes:
        groups.setdefault(quote.passage.chunk_id, []).append(quote)
    return list(groups.values())


def _source(quotes: list[Quote], rank: int) -> Source:
    passage = quotes[0].passage
    return Source(
        kind=passage.source_kind,
        source_id=passage.source_id,
        title=passage.source_title,
        page=passage.page,
        heading=passage.heading,
        url=passage.url,
        quote=" ".join(quote.text for quote in quotes),
        rank=rank,
        place=passage.place,
        version=passage.version,
    )


def _words(sources: tuple[Source, ...]) -> str:
    """Quote each source's sentences under its name."""
    parts: list[str] = []
    for title in dict.fromkeys(source.title for source in sources):
        quotes = " ".join(source.quote for source in sources if source.title == title)
        parts.append(f"«{quotes}»\n— {title}")
    return "\n\n".join(parts)
