"""What is stored of a source for the search."""

from collections.abc import Iterable

from gptagent.features.knowledge.articles.model import Article
from gptagent.features.knowledge.chunking import Fragment, cut
from gptagent.features.knowledge.lexical import normalise
from gptagent.features.knowledge.model import Piece
from gptagent.features.knowledge.parsing.plain import read_markdown


def article_pieces(article: Article) -> list[Piece]:
    """Return an article's passages; none while it is switched off."""
    return list(pieces(article.title, cut(read_markdown(article.content)))) if article.is_active else []


def pieces(title: str, fragments: Iterable[Fragment]) -> Iterable[Piece]:
    """Yield fragments with the words by which they are found: title and headings count as the text does."""
    for fragment in fragments:
        words = normalise(f"{title}\n{fragment.heading}\n{fragment.content}")
        yield Piece(fragment.heading, fragment.page, fragment.content, words)
